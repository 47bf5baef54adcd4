"""Where the report cannot be written, or was asked for in JSON with an option that there is not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from helpers.commands import SCRIPTS, gindock
from helpers.update_cases import AGAINST, FIXED, TEXT, Case

SAID = "Error: the report could not be written: No space left on device"


def into_a_full_disk(command: str, cwd: Path) -> tuple[int, str]:
    """The exit code, and what is on stderr."""
    done = subprocess.run(
        ["sh", "-c", f"exec {SCRIPTS}/gindock {command} >/dev/full"],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("more", ["", " --json"])
def test_an_update_is_told_where_its_report_is_not(more: str, case: Case) -> None:
    case.releases()
    code, said = into_a_full_disk(f"update{more}", case.project)
    assert (code, said) == (1, f"{SAID}; Updated from v1.0.0 to v2.0.0, staged\n")
    assert (case.project / "a.txt").read_text() == FIXED
    code, said = into_a_full_disk("update --abort", case.project)
    assert (code, said) == (1, f"{SAID}; The update is undone.\n")
    assert (case.project / "a.txt").read_text() == TEXT
    assert into_a_full_disk(f"update --diff{more}", case.project) == (
        1,
        f"{SAID}; nothing was changed\n",
    )
    assert into_a_full_disk(f"status{more}", case.project) == (1, f"{SAID}\n")


def test_many_updates_are_told_too(case: Case) -> None:
    case.releases()
    case.edit({"a.txt": AGAINST})
    code, said = into_a_full_disk("update project nowhere", case.folder)
    assert code == 1
    assert said == (
        f"{SAID}; this is done:\n"
        "project: Updated from v1.0.0 to v2.0.0, with conflicts in 1 file, staged\n"
        f"nowhere: there is no folder {case.folder}/nowhere\n"
    )


@pytest.mark.parametrize(
    "command", ["--help", "--version", "update --help", "update nowhere --json"]
)
def test_nothing_ends_in_a_traceback(command: str, tmp_path: Path) -> None:
    code, said = into_a_full_disk(command, tmp_path)
    assert (code, said.count("\n"), "No space left on device" in said) == (1, 1, True), said


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("update --json --nonsense", "No such option: --nonsense"),
        ("update --nonsense --json", "No such option: --nonsense"),
        ("update --json --to", "requires an argument"),
        ("status --json --nonsense", "No such option: --nonsense"),
        ("new x --json --nonsense", "No such option: --nonsense"),
        ("new x --json --http-port many", "--http-port"),
        ("--json update", "No such option: --json"),
        ("nonsense --json", "No such command"),
        ("update --json --set x", "write it as question=value"),
        ("update --json --abort", "--abort goes with no other option"),
    ],
)
def test_a_usage_error_is_json_where_that_is_asked_for(
    command: str, error: str, tmp_path: Path
) -> None:
    done = gindock(*command.split(), cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (done.code, found["exit_code"], done.stderr) == (2, 2, "")
    assert error in found["error"], found


def test_a_usage_error_is_text_otherwise(tmp_path: Path) -> None:
    for command in ("update --nonsense", "update --nonsense -- --json"):
        done = gindock(*command.split(), cwd=tmp_path)
        assert (done.code, done.stdout) == (2, "")
        assert "No such option: --nonsense" in done.stderr
