"""Ctrl-C at any moment of any command: one line, 130, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from helpers.commands import SCRIPTS

#: What is imported one after the other until a command begins its work.
MOMENTS = ["gindock.__main__", "typer", "yaml", "gindock.cli.options"]
COMMANDS = [["new", "svc", "--defaults"], ["update"], ["status"], ["--version"], ["new", "--help"]]


def interrupted(arguments: list[str], moment: str, cwd: Path) -> tuple[int, str]:
    """The exit code of gindock, which SIGINT meets when `moment` is imported, and its stderr."""
    child = subprocess.Popen(
        [SCRIPTS / "gindock", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONVERBOSE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith(f"import '{moment}'"):
            child.send_signal(signal.SIGINT)
            break
    said = child.communicate(timeout=60)[1].splitlines(keepends=True)
    return child.returncode, "".join(
        line for line in said if not line.startswith(("#", "import ", "  "))
    )


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_while_python_imports(arguments: list[str], moment: str, tmp_path: Path) -> None:
    code, said = interrupted(arguments, moment, tmp_path)
    assert code == 130, said
    assert "Interrupted." in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_while_git_is_served(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [SCRIPTS / "git-remote-gindock", "origin", "gindock::template"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("capabilities\n")
    child.stdin.flush()
    assert child.stdout.readline() == "connect\n"
    child.send_signal(signal.SIGINT)
    assert "Traceback" not in child.communicate(timeout=60)[1]
    assert child.returncode == 130
