"""What runs on this machine, and what may be missing from it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: Set by `.ci/run`: what cannot be checked there is a failure, not a skip.
STRICT = os.environ.get("GINDOCK_TEST_STRICT") == "1"

#: Where expensive things that tests share are kept between runs (Go tools, images).
CACHE = ROOT / ".cache"


def unavailable(reason: str) -> None:
    """Skip the test because of what this machine lacks; fail where nothing may be lacking."""
    if STRICT:
        pytest.fail(f"needed in CI: {reason}", pytrace=False)
    pytest.skip(reason)


def need(*tools: str) -> None:
    """Skip (in CI: fail) where one of `tools` is not on PATH."""
    for tool in tools:
        if shutil.which(tool) is None:
            unavailable(f"{tool} is not installed")


def run(
    command: Sequence[str | Path],
    cwd: Path,
    env: Mapping[str, str] | None = None,
    *,
    ok: bool = True,
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    """Run `command` in `cwd` with `env` added; where `ok`, a failure shows its output.

    `timeout` is in seconds.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )
    if ok and done.returncode:
        pytest.fail(f"{command} exited {done.returncode}\n{done.stdout}", pytrace=False)
    return done


def make(project: Path, *arguments: str) -> str:
    """Return what make prints."""
    need("make")
    return run(["make", "--no-print-directory", *arguments], project).stdout


def git(folder: Path, *arguments: str) -> str:
    """Return what a git command prints in `folder`."""
    need("git")
    return run(["git", *arguments], folder).stdout.strip()


def small_disk(folder: Path, *, size: str) -> Path:
    """A file system of `size`, mounted at `folder`."""
    folder.mkdir()
    mounted = run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], folder.parent, ok=False
    )
    if mounted.returncode:
        unavailable(f"no right to mount a small disk: {mounted.stdout.strip()}")
    return folder
