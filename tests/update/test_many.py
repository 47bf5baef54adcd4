"""Many projects, updated by one command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.commands import SCRIPTS, Terminal, gindock
from helpers.every_kind_of_change import questions
from helpers.machine import run
from helpers.update_cases import (
    AGAINST,
    FIXED,
    MINE,
    TEXT,
    Case,
    conflict,
)


@pytest.mark.parametrize(
    ("arguments", "code"), [("update", 3), ("status", 0), ("update --abort", 0)]
)
def test_many_projects_do_not_need_a_reader_either(arguments: str, code: int, fleet: Path) -> None:
    shutil.rmtree(fleet / "team")
    if "--abort" in arguments:
        assert gindock("update", "src", cwd=fleet.parent).code == 3
    command = f"set -o pipefail; '{SCRIPTS}/gindock' {arguments} src | true"
    done = subprocess.run(["bash", "-c", command], cwd=fleet.parent, capture_output=True)
    assert (done.returncode, done.stderr) == (code, b"")
    if "--abort" in arguments:
        assert run(["git", "status", "--porcelain"], fleet / "mono").stdout == ""


def test_a_folder_of_projects_is_updated_and_one_failure_stops_no_other(fleet: Path) -> None:
    done = gindock("update", "src", "nowhere", cwd=fleet.parent)
    assert (done.code, done.stderr) == (1, "")
    rows = [" ".join(row.split()) for row in done.stdout.splitlines()]
    assert rows == [
        "project version outcome",
        "src/clean v1.0.0 to v2.0.0 updated, 2 files, staged",
        "src/conflict v1.0.0 to v2.0.0 conflicts in a.txt",
        "src/mono/one v1.0.0 to v2.0.0 updated, 2 files, staged",
        "src/mono/two v1.0.0 to v2.0.0 updated, 2 files, staged",
        f"src/team/dirty failed: {fleet}/team/dirty has uncommitted changes; commit or stash them first, or, if they are those of an update, go back with `gindock update --abort`",
        f"nowhere failed: there is no folder {fleet.parent}/nowhere",
    ]
    assert (fleet / "mono" / "two" / "a.txt").read_text() == FIXED
    assert (fleet / "team" / "dirty" / "a.txt").read_text() == MINE
    undone = gindock("update", "src/clean", "src/mono", "--abort", cwd=fleet.parent)
    assert undone.stdout == (
        "src/clean: The update is undone.\nsrc/mono/one: The update is undone.\n"
        "src/mono/two: The update is undone.\n"
    )
    for name in ("clean", "mono"):
        assert run(["git", "status", "--porcelain"], fleet / name).stdout == ""


def test_a_conflict_in_one_project_of_a_repository_stops_no_other(case: Case) -> None:
    case.releases({"a.txt": TEXT, "gone.txt": "gone\n"}, {"a.txt": FIXED, "new.txt": "new\n"})
    mono = case.folder / "mono"
    for name in ("one", "three", "two"):
        shutil.copytree(case.project, mono / name, ignore=shutil.ignore_patterns(".git"))
    (mono / "one" / "a.txt").write_text(AGAINST)
    (mono / "one" / "gone.txt").write_text("gone, mine\n")
    run(["git", "init", "-q"], mono)
    run(["git", "add", "--all"], mono)
    run(["git", "commit", "-qm", "All"], mono)
    updated = "v1.0.0 to v2.0.0 updated, 4 files"
    done = gindock("update", "mono", cwd=case.folder)
    assert (done.code, done.stderr) == (3, "")
    assert [" ".join(row.split()) for row in done.stdout.splitlines()[1:]] == [
        "mono/one v1.0.0 to v2.0.0 conflicts in a.txt, gone.txt",
        f"mono/three {updated}, staged",
        f"mono/two {updated}, staged",
    ]
    unmerged = run(["git", "ls-files", "--unmerged"], mono).stdout.splitlines()
    stages = {entry.split("\t")[1]: 0 for entry in unmerged}
    for entry in unmerged:
        stages[entry.split("\t")[1]] += 1
    assert stages == {"one/a.txt": 3, "one/gone.txt": 2}
    again = gindock("update", "mono/two", cwd=case.folder)
    assert (again.code, "uncommitted changes" in again.stderr) == (2, True)
    undone = gindock("update", "mono", "--abort", cwd=case.folder)
    assert (undone.code, undone.stdout.count("The update is undone.")) == (0, 3)
    assert run(["git", "status", "--porcelain"], mono).stdout == ""
    # Each is committed by itself, whatever is open elsewhere.
    done = gindock("update", "mono", "--commit", cwd=case.folder)
    assert (done.code, " ".join(done.stdout.split()).count(f"{updated}, commit ")) == (3, 2)
    assert run(["git", "log", "--format=%s"], mono).stdout.count("Update the template") == 2
    assert run(["git", "diff", "--name-only", "HEAD", "--", "two", "three"], mono).stdout == ""
    assert (mono / "one" / "a.txt").read_text() == conflict("seven, mine\n", "seven, fixed\n")
    assert gindock("update", "mono/one", "--abort", cwd=case.folder).code == 0
    assert run(["git", "status", "--porcelain"], mono).stdout == ""


def test_a_folder_that_cannot_be_searched_hides_no_other(fleet: Path) -> None:
    (fleet / "pgdata").mkdir(mode=0)
    (fleet / "loop").symlink_to("loop")
    command = ["gindock", "status", "src", "src/loop"]
    # For root, every folder can be searched, unless it says otherwise.
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    path = f"{SCRIPTS}:{os.environ['PATH']}"
    done = run([*drop, *command], fleet.parent, {"PATH": path}, ok=False)
    assert (done.returncode, "src/clean" in done.stdout) == (1, True), done
    assert "there is no folder" in done.stdout


def test_an_answer_that_is_refused_is_said_for_each_of_many(case: Case) -> None:
    case.releases(
        *questions(
            "size: {type: int, default: 1}",
            "size: {type: int, default: 5, validator: '{% if size < 3 %}too small{% endif %}'}",
        )
    )
    done = gindock("update", case.folder, cwd=case.folder)
    assert "updated, 2 files, staged, size is now 5\n" in done.stdout


def test_many_projects_as_json(fleet: Path) -> None:
    shutil.rmtree(fleet / "team")
    done = gindock("update", "src/clean", "src/conflict", "--json", "--commit", cwd=fleet.parent)
    result = json.loads(done.stdout)
    assert done.code == result["exit_code"] == 3
    clean, conflict = result["projects"]
    assert (clean["directory"], clean["exit_code"]) == (str(fleet / "clean"), 0)
    assert (
        clean["commit"]
        == run(["git", "rev-parse", "--short", "HEAD"], fleet / "clean").stdout.strip()
    )
    assert (conflict["exit_code"], conflict["commit"]) == (3, None)
    again = gindock("update", "src/clean", "src/mono", "--commit", cwd=fleet.parent)
    assert again.code == 0
    assert "nothing new" in again.stdout
    assert run(["git", "log", "--oneline"], fleet / "mono").stdout.count("Update the template") == 2


def test_progress_is_seen_on_a_terminal(fleet: Path) -> None:
    with Terminal("update", "src", cwd=fleet.parent) as terminal:
        terminal.wait_for("Updating")
        assert terminal.exit_code() == 1
        assert "src/mono/two" in terminal.screen
