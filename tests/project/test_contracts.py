"""Which module may import what: each contract in pyproject.toml is broken by what it is against."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from helpers.machine import ROOT, run

#: A contract by a part of its name, and the line that breaks it in a module.
BREACHES = {
    "point downwards": ("gitio/command.py", "from gindock.updating import report"),
    "nothing of an update": ("creating/draft.py", "from gindock.updating import merge"),
    "imports Copier": ("status/report.py", "import copier"),
    "asks and prints": ("updating/run.py", "import typer"),
    "standard library alone": ("gitio/formats.py", "import yaml"),
}


def contracts(folder: Path, *, kept: bool) -> str:
    """What lint-imports says of the modules below `folder`, whose contracts are all `kept`."""
    linter = Path(sys.executable).with_name("lint-imports")
    command: list[str | Path] = [linter, "--no-cache", "--config", ROOT / "pyproject.toml"]
    done = run(command, folder, {"PYTHONPATH": str(folder)}, ok=False)
    assert (done.returncode == 0) == kept, done.stdout
    return done.stdout


def test_every_contract_is_kept() -> None:
    said = contracts(ROOT / "src", kept=True)
    assert f"Contracts: {len(BREACHES)} kept, 0 broken." in said


@pytest.mark.parametrize("contract", BREACHES)
def test_a_breach_is_noticed(contract: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src" / "gindock", tmp_path / "gindock")
    module, breach = BREACHES[contract]
    with (tmp_path / "gindock" / module).open("a") as file:
        file.write(f"{breach}\n")
    said = contracts(tmp_path, kept=False)
    assert [line for line in said.splitlines() if contract in line and " BROKEN" in line]
