"""Where gindock is short of something, what it says is the next step."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.commands import gindock
from helpers.machine import git, run, unavailable


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A small template of a team's own, with a version."""
    folder = tmp_path / "template"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "copier.yml").write_text("name: {type: str, default: x}\n")
    (folder / "large").write_bytes(os.urandom(200_000))
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "x")
    git(folder, "tag", "v1.0.0")
    return folder


def within(mount: str, place: Path, command: list[str], **env: str) -> str:
    """What `command` says, in an own mount namespace with `mount` at `place`, where it fails."""
    if os.geteuid() != 0 or run(["unshare", "-m", "true"], place, ok=False).returncode != 0:
        unavailable("unshare cannot mount")
    script = f'mount -t tmpfs -o {mount} none {place} && shift && exec "$@"'
    done = run(
        ["unshare", "-m", "sh", "-c", script, "-", "-", *command], place.parent, env, ok=False
    )
    assert done.returncode in (1, 2), done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


def new(*arguments: str | Path) -> list[str]:
    from helpers.commands import SCRIPTS

    return [str(SCRIPTS / "gindock"), "new", "svc", "--defaults", *map(str, arguments)]


@pytest.mark.parametrize("other", [False, True])
def test_a_full_temporary_folder(other: bool, template: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    given = ["--template", f"file://{template}"] if other else []
    said = within("size=16k", full, new(*given), TMPDIR=str(full))
    assert "No space left" in said
    assert f"make room in {full}, or set TMPDIR to a folder that has some" in said


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home), "GINDOCK_CACHE_DIR": "", "XDG_CACHE_HOME": ""}
    said = within("ro", home, new(), **env)
    assert "set GINDOCK_CACHE_DIR to a folder that you can write" in said


def test_a_protocol_that_git_may_not_use(template: Path, tmp_path: Path) -> None:
    done = gindock(
        "new", "svc", "--template", template, cwd=tmp_path, env={"GIT_ALLOW_PROTOCOL": "https:ssh"}
    )
    assert done.code == 1
    assert "let GIT_ALLOW_PROTOCOL, or protocol.allow in git's settings, allow it" in done.stderr
    # gindock's own template needs none.
    own = gindock("new", "own", "-y", cwd=tmp_path, env={"GIT_ALLOW_PROTOCOL": "https:ssh"})
    assert own.code == 0, own.stderr


def test_a_host_that_is_not_there(tmp_path: Path) -> None:
    done = gindock("new", "svc", "--template", "http://127.0.0.1:1/x.git", cwd=tmp_path)
    assert done.code == 1
    assert "check its address, the network and the proxy" in done.stderr
