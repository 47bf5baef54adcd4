"""The image as buildah and podman of Debian 12 build it, which know less than BuildKit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.engine.additions import GREETS, add_packages
from helpers.engine.buildah import Buildah, opened
from helpers.engine.image_checks import USER
from helpers.engine.images import replace_once
from helpers.machine import CACHE, run
from helpers.rendering import build_flags, render
from helpers.service import running

#: Every answer that changes the Dockerfile.
EVERYTHING = {"base_image": "alpine", "goprivate": "example.com/*"}


@pytest.fixture(scope="module")
def buildah() -> Iterator[Buildah]:
    with opened(CACHE / "buildah") as buildah:
        yield buildah


def greeting(binary: Path) -> str:
    """What the example's route answers."""
    with running(binary, DRAIN_DELAY="0s") as service:
        return service.wait(service.http_port, "/v1/greetings/Ada", 200)


def check(buildah: Buildah, source: Path) -> Path:
    """The program of an image that is run as BuildKit's is."""
    config = buildah.config(source)
    assert config["User"] == USER
    assert config["Entrypoint"] == ["/app"]
    assert config["Healthcheck"]["Test"] == ["CMD", "/app", "healthcheck"]
    binary = buildah.extract(source, "app")
    built = run(["go", "version", "-m", binary], source).stdout
    assert f"-tags={build_flags(source)[1]}\n" in built
    assert run([binary, "version"], source).stdout.startswith("myservice v1.2.3 ")
    return binary


def test_the_default_is_built_and_an_edit_is_seen(buildah: Buildah, tmp_path: Path) -> None:
    """With layers kept, as podman keeps them, which takes a RUN from them whose bind mount has changed."""
    source = render(tmp_path / "default")
    buildah.build(source, "--layers", "--build-arg=VERSION=v1.2.3")
    assert "Hello, Ada!" in greeting(check(buildah, source))

    replace_once(source / "internal/api/api.go", '"Hello, "', '"Welcome, "')
    buildah.build(source, "--layers", "--build-arg=VERSION=v1.2.3")
    assert "Welcome, Ada!" in greeting(buildah.extract(source, "app"))


def test_every_line_of_the_dockerfile_is_built(buildah: Buildah, tmp_path: Path) -> None:
    source = render(tmp_path / "everything", **EVERYTHING)
    login = tmp_path / "netrc"
    login.write_text("machine example.com login me password hunter2\n")
    secret = f"--secret=id=netrc,src={login}"
    buildah.build(source, secret, "--build-arg=VERSION=v1.2.3")
    check(buildah, source)
    users = buildah.extract(source, "etc/passwd").read_text()
    assert re.search(r"^app:x:65532:65532:", users, re.MULTILINE)


def test_vendored_modules_need_no_network(buildah: Buildah, tmp_path: Path) -> None:
    """Nor what else a team adds: packages in folders of their own, embedded files."""
    source = render(tmp_path / "vendored")
    add_packages(source)
    # No module is there from another build.
    mount = "--mount=type=cache,target=/go/pkg/mod"
    replace_once(source / "Dockerfile", mount, f"{mount},id=empty")

    refused = buildah.build(source, ok=False, offline=True)
    assert re.search(r"dial tcp|lookup ", refused), refused

    run(["go", "mod", "vendor"], source, {"GOFLAGS": "-mod=mod"})
    buildah.build(source, offline=True)
    assert GREETS in greeting(buildah.extract(source, "app"))
