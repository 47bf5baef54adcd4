"""`gindock status` follows the files that the user has moved, where git knows them."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
from helpers.commands import gindock
from helpers.machine import run
from helpers.update_cases import MINE, TEXT, Case, read

FILES = {"a.txt": TEXT, "b.txt": "b\n", "c.txt": TEXT.replace("t", "c")}
MOVED = {"a.txt": "in/a.txt", "b.txt": "named b.txt"}


def drift(case: Case, *options: str) -> dict[str, Any]:
    done = gindock("status", "--json", *options, cwd=case.project)
    assert done.code == 0, done
    told = json.loads(done.stdout)
    return {**told["drift"], **({"diff": told["diff"]} if options else {})}


def move(case: Case) -> None:
    """Move two files, edit one of them, and delete a third."""
    (case.project / "in").mkdir()
    for old, new in MOVED.items():
        case.git("mv", old, new)
    (case.project / "in" / "a.txt").write_text(MINE)
    case.git("rm", "-q", "c.txt")


def in_a_subfolder(case: Case) -> None:
    """Let the repository begin above the project."""
    shutil.rmtree(case.project / ".git")
    run(["git", "init", "-q"], case.folder)
    run(["git", "add", "project"], case.folder)
    run(["git", "commit", "-qm", "All"], case.folder)


@pytest.mark.parametrize("state", ["on disk", "staged", "committed", "in a subfolder"])
def test_what_git_knows_is_followed(state: str, case: Case) -> None:
    case.releases(FILES, FILES)
    if state == "in a subfolder":
        in_a_subfolder(case)
    move(case)
    if state != "on disk":
        case.git("add", "--all", ".")
    if state == "committed":
        case.git("commit", "-qm", "Moved")
    expected = {"rendered": 3, "changed": ["a.txt"], "moved": MOVED, "deleted": ["c.txt"]}
    assert drift(case) == expected
    done = gindock("status", cwd=case.project)
    assert "  files     1 changed, 2 moved, 1 deleted of 3\n" in done.stdout
    assert "moved    a.txt to in/a.txt\n" in done.stdout


def test_the_diff_of_what_was_moved_taken_back_is_the_render(case: Case) -> None:
    case.releases(FILES, FILES)
    fresh = read(case.project)
    move(case)
    case.git("add", "--all")
    index = case.git("ls-files", "--stage")
    patch = drift(case, "--diff")["diff"]
    assert "rename from a.txt\nrename to in/a.txt\n" in patch
    assert "-one\n+one, mine\n" in patch
    assert case.git("ls-files", "--stage") == index
    subprocess.run(
        ["git", "apply", "--reverse"], input=patch, text=True, cwd=case.project, check=True
    )
    assert read(case.project) == fresh


@pytest.mark.parametrize("why", ["not tracked", "not in git", "no commit", "too different"])
def test_what_git_does_not_know_counts_as_deleted(why: str, case: Case) -> None:
    case.releases(FILES, FILES)
    if why == "too different":
        case.edit({"a.txt": None, "in/a.txt": "other\n"})
    else:
        if why == "not in git":
            shutil.rmtree(case.project / ".git")
        if why == "no commit":
            case.git("update-ref", "-d", "HEAD")
        (case.project / "a.txt").rename(case.project / "new.txt")
    found = drift(case)
    assert (found["moved"], found["deleted"]) == ({}, ["a.txt"])
