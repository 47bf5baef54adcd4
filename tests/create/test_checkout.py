"""What gindock checks out for Copier is rendered as Copier renders the template's address."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
from helpers.commands import SCRIPTS, gindock
from helpers.file_trees import snapshot
from helpers.machine import ROOT, run
from helpers.projects import answers

ADDRESS = "git+gindock::template"


def by_copier(folder: Path, version: str) -> Path:
    """A service as plain Copier renders `version` of the template's address."""
    folder.mkdir()
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    options = ("--quiet", "--defaults", "--vcs-ref", version)
    run([SCRIPTS / "copier", "copy", *options, ADDRESS, folder / "svc"], folder, {"PATH": path})
    return folder / "svc"


def modes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): stat.S_IMODE(path.lstat().st_mode)
        for path in folder.rglob("*")
        if ".git" not in path.relative_to(folder).parts
    }


def same(ours: Path, theirs: Path) -> None:
    assert snapshot(ours) == snapshot(theirs)
    assert modes(ours) == modes(theirs)


@pytest.mark.parametrize("version", [None, "v0.6.0", "v0.1.0"])
def test_a_service_is_what_plain_copier_makes(version: str | None, tmp_path: Path) -> None:
    named = ["--ref", version] if version else []
    done = gindock("new", "svc", "--defaults", "--no-git", *named, cwd=tmp_path)
    assert done.code == 0, done.stderr
    recorded = str(answers(tmp_path / "svc")["_commit"])
    assert version in (None, recorded)
    same(tmp_path / "svc", by_copier(tmp_path / "plain", recorded))


@pytest.mark.parametrize("name", ["of two words: 'x'", "of two\nlines", b"not \xff UTF-8"])
def test_a_temporary_folder_of_any_name_leaves_no_trace(name: str | bytes, tmp_path: Path) -> None:
    temporary = tmp_path / os.fsdecode(name)
    temporary.mkdir()
    done = gindock(
        "new", "svc", "--defaults", "--no-git", cwd=tmp_path, env={"TMPDIR": str(temporary)}
    )
    assert done.code == 0, done.stderr
    assert [*temporary.iterdir()] == []
    recorded = answers(tmp_path / "svc")
    assert recorded["_src_path"] == ADDRESS
    same(tmp_path / "svc", by_copier(tmp_path / "plain", str(recorded["_commit"])))


def test_a_strict_umask_shortens_no_mode(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        done = gindock("new", "svc", "--defaults", "--no-git", cwd=tmp_path)
        assert done.code == 0, done.stderr
        recorded = str(answers(tmp_path / "svc")["_commit"])
        same(tmp_path / "svc", by_copier(tmp_path / "plain", recorded))
    finally:
        os.umask(before)


def test_git_is_asked_little(tmp_path: Path) -> None:
    """Copier would ask it about each file."""
    trace = tmp_path / "trace"
    env = {"GIT_TRACE": str(trace)}
    assert gindock("new", "svc", "--defaults", "--no-git", cwd=tmp_path, env=env).code == 0
    asked = [line for line in trace.read_text().splitlines() if "core.fileMode" in line]
    assert asked == []
    assert "submodule" not in trace.read_text()


def test_the_template_does_not_ask_where_it_lies() -> None:
    files = [p for p in (ROOT / "template").rglob("*") if p.is_file()]
    texts = [*map(str, files), *(p.read_text() for p in (ROOT / "copier.yml", *files))]
    asked = {name for text in texts for name in re.findall(r"_copier_conf\.(\w+)", text)}
    assert asked == {"answers_file", "overwrite"}
