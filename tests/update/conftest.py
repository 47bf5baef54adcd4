"""What the tests of updates begin with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.machine import run
from helpers.update_cases import (
    AGAINST,
    MINE,
    Case,
)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case("gindock", tmp_path, "")


@pytest.fixture
def fleet(case: Case) -> Path:
    """A folder of projects: one untouched, one with a conflict, one dirty, and two of a monorepo."""
    case.releases()
    folder = case.folder / "src"
    for name in ("clean", "conflict", "team/dirty"):
        shutil.copytree(case.project, folder / name)
    (folder / "conflict" / "a.txt").write_text(AGAINST)
    run(["git", "commit", "-qam", "Mine"], folder / "conflict")
    (folder / "team" / "dirty" / "a.txt").write_text(MINE)
    for name in ("one", "two"):
        shutil.copytree(case.project, folder / "mono" / name, ignore=shutil.ignore_patterns(".git"))
    run(["git", "init", "-q"], folder / "mono")
    run(["git", "add", "--all"], folder / "mono")
    run(["git", "commit", "-qm", "Both"], folder / "mono")
    (folder / "notes").mkdir()
    return folder
