"""The linters: pinned under tests/lint/, installed under `CACHE` on first use."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support import CACHE, ROOT, need, unavailable

PINS = ROOT / "tests" / "lint"
YAMLLINT = PINS / "yamllint.yaml"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process at a time, of all that run tests, do what is called `name`."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _installed(name: str, pins: Path, install: Callable[[Path], None]) -> Path:
    """Return the folder that `install` filled for the present content of `pins`."""
    folder = CACHE / f"{name}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
    with locked(name):
        if not (folder / ".complete").exists():
            install(folder)
            (folder / ".complete").touch()
    return folder


def _quietly(*command: str | Path, env: dict[str, str] | None = None, cwd: Path = ROOT) -> None:
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=env, text=True, capture_output=True, check=False
    )
    if done.returncode:
        unavailable(f"{command[0]} could not install the linters: {done.stderr.strip()[-500:]}")


@functools.cache
def python_tool(name: str) -> Path:
    """Return the path of a linter that lint/requirements.txt pins."""
    pins = PINS / "requirements.txt"

    def install(folder: Path) -> None:
        _quietly(sys.executable, "-m", "venv", "--clear", folder)
        pip = (folder / "bin" / "pip", "--disable-pip-version-check")
        _quietly(*pip, "install", "--quiet", "--requirement", pins)

    return _installed("lint-python", pins, install) / "bin" / name


@functools.cache
def go_tool(name: str) -> Path:
    """Return the path of a linter that lint/tools/go.mod pins."""
    need("go")

    def install(folder: Path) -> None:
        env = {**os.environ, "GOBIN": str(folder), "GOFLAGS": ""}
        _quietly("go", "install", "tool", env=env, cwd=PINS / "tools")

    return _installed("lint-go", PINS / "tools" / "go.mod", install) / name
