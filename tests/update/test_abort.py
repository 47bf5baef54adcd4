"""`gindock update --abort`, and the other ways back."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from helpers.commands import gindock
from helpers.machine import run
from helpers.update_cases import (
    AGAINST,
    EXECUTABLE,
    FIXED,
    LINK,
    MINE,
    TEXT,
    Case,
    read,
    write,
)


def test_an_update_that_was_discarded_is_no_update_to_undo(case: Case) -> None:
    case.releases({"a.txt": TEXT, "b.txt": TEXT}, {"a.txt": FIXED, "b.txt": FIXED, "c.txt": TEXT})
    assert gindock("update", cwd=case.project).code == 0
    case.git("reset", "-q", "--hard")
    write(case.project, {"a.txt": MINE})
    done = gindock("update", "--abort", cwd=case.project)
    assert (done.code, done.stdout) == (0, "There is no update to undo.\n")
    assert (case.project / "a.txt").read_text() == MINE


def test_the_way_back_names_the_project_where_the_user_is_elsewhere(case: Case) -> None:
    case.releases()
    done = gindock("update", "project", cwd=case.folder)
    assert "go back with `git -C project reset --hard`" in done.stdout


def test_what_is_resolved_in_the_index_alone_is_not_undone(case: Case) -> None:
    case.releases()
    case.edit({"a.txt": AGAINST})
    assert gindock("update", cwd=case.project).code == 3
    blob = case.git("rev-parse", "HEAD:a.txt").strip()
    case.git("update-index", "--cacheinfo", f"100644,{blob},a.txt")
    done = gindock("update", "--abort", cwd=case.project)
    assert done.code == 2
    assert "what is staged" in done.stderr
    assert case.git("ls-files", "--unmerged") == ""


def test_an_edit_after_an_update_keeps_abort_from_undoing_it(case: Case) -> None:
    case.releases()
    assert gindock("update", cwd=case.project).code == 0
    (case.project / "a.txt").write_text("mine since\n")
    done = gindock("update", "--abort", cwd=case.project)
    assert done.code == 2
    assert "changed since\n  a.txt\n" in done.stderr
    assert (case.project / "a.txt").read_text() == "mine since\n"
    case.git("commit", "-qam", "Mine")
    assert gindock("update", "--abort", cwd=case.project).stdout == "There is no update to undo.\n"


@pytest.mark.parametrize("staged", [False, True], ids=["untracked", "staged"])
@pytest.mark.parametrize("added", ["conf/mine.txt", "d", "leaves.txt/mine.txt"])
def test_abort_touches_nothing_that_came_where_the_update_made_room(
    added: str, staged: bool, case: Case
) -> None:
    old = {"a.txt": TEXT, "conf": "1\n", "d/c.txt": "2\n", "leaves.txt": "3\n"}
    case.releases(old, {"a.txt": FIXED, "conf/new.txt": "4\n"})
    assert gindock("update", cwd=case.project).code == 0
    write(case.project, {added: "mine\n"})
    if staged:
        case.git("add", added)
    before, index = read(case.project), case.git("ls-files", "--stage")
    done = gindock("update", "--abort", cwd=case.project)
    assert (done.code, f"  {added}\n" in done.stderr) == (2, True), done
    assert (read(case.project), case.git("ls-files", "--stage")) == (before, index)
    case.git("rm", "-q", "--cached", added) if staged else None
    write(case.project, {added: None})
    (case.project / added).parent.rmdir() if "leaves" in added else None
    assert gindock("update", "--abort", cwd=case.project).code == 0
    assert case.git("status", "--porcelain", "--ignored") == ""


@pytest.mark.parametrize(
    ("setting", "value"),
    [("core.autocrlf", "input"), ("core.symlinks", "false"), ("core.fileMode", "false")],
)
def test_abort_knows_what_git_itself_calls_unchanged(setting: str, value: str, case: Case) -> None:
    files = {"run": TEXT, "link": LINK + "a.txt"}
    case.releases(
        {"a.txt": TEXT, **files}, {"a.txt": FIXED, "run": EXECUTABLE + FIXED, "link": LINK + "run"}
    )
    case.edit({"a.txt": MINE.replace("\n", "\r\n")})
    case.git("config", setting, value)
    if setting == "core.symlinks":
        write(case.project, {"link": "a.txt"})
        case.git("add", "link")
    assert case.git("status", "--porcelain") == ""
    before = read(case.project)
    assert gindock("update", cwd=case.project).code == 0
    assert read(case.project) != before
    done = gindock("update", "--abort", cwd=case.project)
    assert (done.code, done.stdout) == (0, "The update is undone.\n"), done
    assert (read(case.project), case.git("status", "--porcelain")) == (before, "")


def test_abort_brings_back_what_git_is_told_not_to_look_at(case: Case) -> None:
    case.releases()
    case.git("update-index", "-q", "--refresh")
    case.git("update-index", "--skip-worktree", "a.txt")
    before = read(case.project)
    assert gindock("update", cwd=case.project).code == 0
    assert gindock("update", "--abort", cwd=case.project).code == 0
    assert read(case.project) == before


def test_the_way_back_in_a_subfolder_undoes_a_conflict_in_a_new_file(fleet: Path) -> None:
    mono, files = fleet / "mono", ("in/a.txt", "in/b.txt")
    case = Case("gindock", fleet / "more", "")
    case.folder.mkdir()
    case.releases(dict.fromkeys(files, TEXT), {"out/a.txt": FIXED, "out/b.txt": TEXT})
    shutil.copytree(case.project, mono / "three", ignore=shutil.ignore_patterns(".git"))
    write(mono / "three", {"in/a.txt": AGAINST})
    run(["git", "add", "--all"], mono)
    run(["git", "commit", "-qm", "Three"], mono)
    done = gindock("update", "three", cwd=mono)
    assert done.code == 3
    [way_back] = re.findall(r"or go back with `gindock (.*)`", done.stdout)
    assert gindock(*way_back.split(), cwd=mono).code == 0
    assert run(["git", "status", "--porcelain", "--ignored"], mono).stdout == ""
    assert (mono / "three" / "in" / "a.txt").read_text() == AGAINST


@pytest.mark.parametrize("committed", ["other.txt", "b.txt"], ids=["something else", "a part"])
def test_a_commit_meanwhile_does_not_keep_abort_from_undoing(committed: str, case: Case) -> None:
    case.releases({"a.txt": TEXT, "b.txt": TEXT}, {"a.txt": FIXED, "b.txt": FIXED, "c.txt": TEXT})
    assert gindock("update", cwd=case.project).code == 0
    write(case.project, {"other.txt": "other\n"})
    case.git("add", "other.txt")
    case.git("commit", "-qm", "Meanwhile", "--", committed)
    done = gindock("update", "--abort", cwd=case.project)
    assert (done.code, done.stdout) == (0, "The update is undone.\n")
    assert case.git("status", "--porcelain").replace("A  other.txt\n", "") == ""
    assert (case.project / "a.txt").read_text() == TEXT


def test_a_commit_elsewhere_in_the_repository_does_not_keep_abort_from_undoing(
    fleet: Path,
) -> None:
    mono = fleet / "mono"
    assert gindock("update", "mono/one", "mono/two", cwd=fleet).code == 0
    run(["git", "commit", "-qm", "One", "--", "one"], mono)
    done = gindock("update", "mono/two", "--abort", cwd=fleet)
    assert done.stdout == "The update is undone.\n"
    assert run(["git", "status", "--porcelain"], mono).stdout == ""
    assert (mono / "one" / "a.txt").read_text() == FIXED
    again = gindock("update", "mono/one", "--abort", cwd=fleet)
    assert (again.code, again.stdout) == (0, "There is no update to undo.\n")
