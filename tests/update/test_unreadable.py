"""What cannot be read is not absent: repositories of others, broken ones, broken notes."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.commands import gindock
from helpers.machine import git, unavailable

RECORD = "# By hand.\n_commit: v1.0.0\n_src_path: /nowhere/template.git\n"


def repository(folder: Path, *, committed: bool = True) -> Path:
    """A git repository that holds a rendered project, or nothing at all."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    if committed:
        (folder / ".copier-answers.yml").write_text(RECORD)
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "one")
    return folder


def give_away(folder: Path) -> Path:
    """Let another user own `folder` and all below it, as where root works in a user's home."""
    if os.geteuid() != 0:
        unavailable("only root can give files to another user")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, those of git included."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(autouse=True)
def _no_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under sudo, git trusts the repositories of the user who called it."""
    monkeypatch.delenv("SUDO_UID", raising=False)


@pytest.mark.parametrize("place", ["svc", "apps/svc"])
def test_new_in_another_users_repository_is_refused(place: str, tmp_path: Path) -> None:
    folder = give_away(repository(tmp_path / "repo"))
    before = contents(folder)
    done = gindock("new", place, "-y", cwd=folder)
    assert done.code == 1
    for step in (f"safe.directory {folder}", "choose another directory", "--no-git"):
        assert step in done.stderr
    assert contents(folder) == before
    assert sorted(path.name for path in folder.iterdir()) == [".copier-answers.yml", ".git"]


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_new_into_another_users_empty_repository_is_refused(
    more: list[str], tmp_path: Path
) -> None:
    folder = give_away(repository(tmp_path / "svc", committed=False))
    before = contents(folder)
    done = gindock("new", "svc", "-y", *more, cwd=tmp_path)
    assert done.code == 1
    assert f"safe.directory {folder}" in done.stderr
    assert "with commits" not in done.stderr
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["svc"]


def test_new_without_git_fills_another_users_empty_repository(tmp_path: Path) -> None:
    folder = give_away(repository(tmp_path / "svc", committed=False))
    done = gindock("new", "svc", "-y", "--no-git", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert (folder / "go.mod").is_file()


def test_new_without_git_asks_no_repository_of_others(tmp_path: Path) -> None:
    folder = give_away(repository(tmp_path / "repo"))
    done = gindock("new", "svc", "-y", "--no-git", cwd=folder)
    assert done.code == 0, done.stderr
    assert (folder / "svc" / "go.mod").is_file()
    assert not (folder / "svc" / ".git").exists()


def test_a_repository_of_others_that_is_trusted_is_one(tmp_path: Path) -> None:
    folder = give_away(repository(tmp_path / "repo"))
    trust = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": str(folder),
    }
    done = gindock("new", "svc", "-y", cwd=folder, env=trust)
    assert done.code == 0, done.stderr
    assert "a git repository is around it" in done.stderr
    assert not (folder / "svc" / ".git").exists()


def test_a_template_of_another_user_is_no_folder_without_versions(tmp_path: Path) -> None:
    template = repository(tmp_path / "template")
    (template / "copier.yml").write_text("_subdirectory: .\n")
    give_away(template)
    done = gindock("new", "svc", "-y", "--template", str(template), cwd=tmp_path)
    assert done.code == 1
    assert f"safe.directory {template}" in done.stderr
    assert not (tmp_path / "svc").exists()


@pytest.mark.parametrize("command", [["update"], ["update", "--abort"], ["status"]])
def test_projects_of_others_are_not_without_git(command: list[str], tmp_path: Path) -> None:
    folder = give_away(repository(tmp_path / "repo"))
    done = gindock(*command, cwd=folder)
    assert done.code == 1
    assert f"safe.directory {folder}" in done.stderr
    assert "not in git" not in done.stdout + done.stderr


def head(folder: Path) -> None:
    (folder / ".git" / "HEAD").write_text("garbage\n")


def branch(folder: Path) -> None:
    """As after a power failure."""
    (folder / ".git" / "refs" / "heads" / "main").write_text("")


def commit(folder: Path) -> None:
    identity = git(folder, "rev-parse", "HEAD")
    (folder / ".git" / "objects" / identity[:2] / identity[2:]).unlink()


def link(folder: Path) -> None:
    """As in a linked work tree whose repository was moved."""
    shutil.move(folder / ".git", folder.parent / "moved")
    (folder / ".git").write_text(f"gitdir: {folder.parent}/gone/.git/worktrees/repo\n")


def no_link(folder: Path) -> None:
    shutil.move(folder / ".git", folder.parent / "moved")
    (folder / ".git").write_text("garbage\n")


BROKEN = [head, branch, commit, link, no_link]


@pytest.mark.parametrize("damage", BROKEN)
@pytest.mark.parametrize("within", [False, True], ids=["alone", "in another"])
def test_a_project_in_a_broken_repository_is_not_without_one(
    damage: Callable[[Path], None], within: bool, tmp_path: Path
) -> None:
    above = repository(tmp_path / "above") if within else tmp_path
    folder = repository(above / "repo")
    damage(folder)
    done = gindock("update", cwd=folder)
    assert done.code == 1
    assert "is broken" in done.stderr
    assert not re.search("not in git|git init|no commit yet|not committed", done.stderr)


@pytest.mark.parametrize("damage", [head, link, no_link])
def test_new_in_a_broken_repository_is_refused(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = repository(tmp_path / "repo")
    damage(folder)
    before = contents(folder)
    done = gindock("new", "svc", "-y", cwd=folder)
    assert done.code == 1
    assert "is broken" in done.stderr
    assert contents(folder) == before


@pytest.mark.parametrize("damage", [head, branch])
def test_new_into_a_broken_repository_is_refused(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = repository(tmp_path / "svc", committed=False)
    damage(folder)
    before = contents(folder)
    done = gindock("new", "svc", "-y", cwd=tmp_path)
    assert done.code == 1
    assert "is broken" in done.stderr
    assert contents(folder) == before


def test_an_empty_git_folder_is_nothing_that_is_broken(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    done = gindock("new", "svc", "-y", "-q", cwd=tmp_path)
    assert (done.code, done.stderr) == (0, "")
    assert (tmp_path / "svc" / ".git" / "HEAD").is_file()


@pytest.mark.parametrize("note", ["", '{"phase": "writing", "head": "12', '{"phase": "writing"}'])
@pytest.mark.parametrize("command", [["update"], ["update", "--abort"], ["status"]])
def test_a_note_of_an_update_that_cannot_be_read_is_told(
    note: str, command: list[str], tmp_path: Path
) -> None:
    folder = repository(tmp_path / "repo")
    file = folder / ".git" / "gindock" / "update.json"
    file.parent.mkdir()
    file.write_text(note)
    done = gindock(*command, cwd=folder)
    assert done.code == 1
    assert f"{file}, which notes the last update" in done.stderr
    assert "git status" in done.stderr
    assert file.read_text() == note


def test_a_broken_history_in_the_cache_is_told(tmp_path: Path) -> None:
    env = {"GINDOCK_CACHE_DIR": str(tmp_path / "cache")}
    folder = repository(tmp_path / "repo")
    (folder / ".copier-answers.yml").write_text(
        RECORD.replace("/nowhere/template.git", "git+gindock::template")
    )
    git(folder, "commit", "-qam", "two")
    done = gindock("status", cwd=folder, env=env)
    assert "does not know v1.0.0" in done.stdout, done.stderr
    [kept] = (tmp_path / "cache").glob("template-*.git")
    (kept / "HEAD").unlink()
    done = gindock("status", cwd=folder, env=env)
    assert done.code == 1
    assert f"remove {kept}" in done.stderr
    shutil.rmtree(kept)
    assert "does not know v1.0.0" in gindock("status", cwd=folder, env=env).stdout
