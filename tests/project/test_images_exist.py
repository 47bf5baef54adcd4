"""`make images-exist`, against a real registry on loopback, and which images it asks for."""

from __future__ import annotations

import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from helpers.all_renders import all_renders, read
from helpers.loopback_registry import Registry, registry
from helpers.machine import ROOT
from helpers.service import free_port

from tools import images_exist
from tools.registries import Reference

BOTH = ("linux/amd64", "linux/arm64")


@pytest.fixture(scope="module")
def images() -> Iterator[Registry]:
    """A registry with an image for both platforms, and some for less."""
    with registry() as running:
        running.put("team/both", "1.0", *BOTH, "linux/s390x")
        running.put("team/intel", "1.0", "linux/amd64")
        running.put("team/single", "1.0", "linux/arm64", index=False)
        running.put("team/windows", "1.0", "windows/amd64", "linux/arm64")
        yield running


def ask(*references: str) -> tuple[int, list[str]]:
    """Run the command; return its exit code and what it prints."""
    command = [sys.executable, "-m", "tools.images_exist", *references]
    env = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "PATH": ""}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("way", ["open", "guarded"])
def test_what_exists_and_what_does_not_is_told_by_name(images: Registry, way: str) -> None:
    host = getattr(images, way)
    assert ask(f"{host}/team/both:1.0") == (
        0,
        [f"exists       {host}/team/both:1.0", "1 exists, 0 MISSING, 0 not checked"],
    )
    asked = [f"{host}/team/{name}" for name in ("both:1.0", "both:1.1", "intel:1.0", "nobody:1.0")]
    more = [f"{host}/team/{name}" for name in ("single:1.0", "windows:1.0")]
    assert ask(*more, *asked) == (
        1,
        [
            f"exists       {host}/team/both:1.0",
            f"MISSING      {host}/team/both:1.1: no such image",
            f"MISSING      {host}/team/intel:1.0: not for linux/arm64",
            f"MISSING      {host}/team/nobody:1.0: no such image",
            f"MISSING      {host}/team/single:1.0: not for linux/amd64",
            f"MISSING      {host}/team/windows:1.0: not for linux/amd64",
            "1 exists, 5 MISSING, 0 not checked",
        ],
    )


def test_without_a_registry_nothing_is_known(images: Registry) -> None:
    nowhere = f"127.0.0.1:{free_port()}/team/both:1.0"
    code, printed = ask(nowhere, f"{images.open}/team/both:1.0")
    assert code == 2
    assert f"exists       {images.open}/team/both:1.0" in printed
    assert any(line.startswith(f"not checked  {nowhere}: ") for line in printed)
    # What is missing counts for more than what is not known.
    assert ask(nowhere, f"{images.open}/team/both:1.1")[0] == 1


@contextmanager
def answering(status: int, body: str, **headers: str) -> Iterator[str]:
    """A server that gives one answer to everything; yield its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        # A portal's or a proxy's answers, which are no registry's.
        (404, "<html>", {}),
        (404, '{"errors": [{"code": "OTHER"}]}', {}),
        (200, "<html>", {}),
        (200, "[]", {}),
        (200, "{}", {}),
        (200, '{"config": 1}', {}),
        (200, '{"manifests": [1]}', {}),
        (403, "<html>", {}),
        (429, '{"errors": [{"code": "TOOMANYREQUESTS"}]}', {}),
        (500, "", {}),
        (401, "", {"WWW_Authenticate": 'Bearer realm="file:///etc/passwd"'}),
        (401, "", {"WWW_Authenticate": 'Bearer realm="http://127.0.0.1:9/token"'}),
        (401, "", {"WWW_Authenticate": "Bearer"}),
    ],
)
def test_an_answer_that_says_nothing_is_not_taken_for_one(
    status: int, body: str, headers: dict[str, str]
) -> None:
    with answering(status, body, **headers) as host:
        finding = images_exist.check(f"{host}/team/both:1.0")
    assert finding.verdict == "not checked"
    assert finding.why


def test_an_image_that_is_shown_to_nobody_is_missing() -> None:
    with answering(403, '{"errors": [{"code": "DENIED"}]}') as host:
        assert images_exist.check(f"{host}/team/both:1.0").verdict == "MISSING"


@pytest.mark.parametrize(
    ("text", "host", "name", "version"),
    [
        ("nginx", "docker.io", "library/nginx", "latest"),
        ("nginx:1.30-alpine", "docker.io", "library/nginx", "1.30-alpine"),
        ("apache/kafka:4.4.0", "docker.io", "apache/kafka", "4.4.0"),
        ("gcr.io/distroless/static:nonroot", "gcr.io", "distroless/static", "nonroot"),
        ("localhost:5000/team/app", "localhost:5000", "team/app", "latest"),
        ("ghcr.io/a/b:1@sha256:0f", "ghcr.io", "a/b", "sha256:0f"),
    ],
)
def test_a_reference_is_read_as_docker_reads_it(
    text: str, host: str, name: str, version: str
) -> None:
    assert Reference.parse(text) == Reference(host, name, version)


def test_every_image_of_every_combination_is_asked_for() -> None:
    found, own = images_exist.rendered_images()
    assert own == {"ghcr.io/acme/myservice"}
    names = {image.rpartition(":")[0] for image in found}
    assert names == {
        *("alpine", "golang", "gcr.io/distroless/static-debian13", "docker/dockerfile", "docker"),
        *("nginx", "postgres", "mysql", "redis", "prom/prometheus", "jaegertracing/jaeger"),
        *("grafana/grafana", "apache/kafka", "cr.fluentbit.io/fluent/fluent-bit"),
        *(f"docker.elastic.co/{name}/{name}" for name in ("elasticsearch", "kibana")),
        *("golangci/golangci-lint", "anchore/grype", "ghcr.io/sigstore/cosign/cosign"),
    }
    # None stands where it is not looked for; what has four digits is a port.
    any_name = "|".join(map(re.escape, names))
    named = re.compile(rf"(?<![\w./-])(?:{any_name}):(?!\d{{4}}\b)v?\d[\w.-]*\w")
    digests = {digest for rendered in all_renders() for digest in rendered.files.values()}
    assert {image for digest in digests for image in named.findall(read(digest))} <= found


def test_images_are_found_wherever_a_file_may_name_them() -> None:
    docker = (
        "# syntax=a/b:1\nARG GO_IMAGE=c:2\nFROM --platform=x ${GO_IMAGE} AS d\nFROM d\nFROM e:3\n"
    )
    assert [*images_exist.images_in("Dockerfile", docker)] == ["a/b:1", "c:2", "e:3"]
    yaml = (
        "j: {image: {name: a:1}, services: [b:2, {name: c:3}], steps: [{uses: 'docker://d:4'}]}\n"
    )
    assert [*images_exist.images_in("x.yml", yaml)] == ["a:1", "b:2", "c:3", "d:4"]
