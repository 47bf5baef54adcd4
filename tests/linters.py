"""The linters: pinned under tests/lint/ or by the template, installed under `CACHE` on first use."""

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

import yaml
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


def _installed(name: str, pins: bytes, install: Callable[[Path], None]) -> Path:
    """Return the folder that `install` filled for `pins` as they are at present."""
    folder = CACHE / f"{name}-{hashlib.sha256(pins).hexdigest()[:12]}"
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

    return _installed("lint-python", pins.read_bytes(), install) / "bin" / name


def _go_install(folder: Path, what: str, cwd: Path = ROOT, **env: str) -> None:
    need("go")
    env = {**os.environ, "GOBIN": str(folder), "GOFLAGS": "", **env}
    _quietly("go", "install", what, env=env, cwd=cwd)


@functools.cache
def go_tool(name: str) -> Path:
    """Return the path of a linter that lint/tools/go.mod pins."""
    tools = PINS / "tools"

    def install(folder: Path) -> None:
        _go_install(folder, "tool", tools)

    return _installed("lint-go", (tools / "go.mod").read_bytes(), install) / name


@functools.cache
def golangci() -> Path:
    """Return the path of the golangci-lint that a render's CI runs.

    It refuses code for a newer Go than its own, so that it is made with the one of the images.
    """
    questions = yaml.safe_load((ROOT / "copier.yml").read_text())
    go, version = (questions[name]["default"] for name in ("go_version", "golangci_version"))
    module = f"github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v{version}"

    def install(folder: Path) -> None:
        _go_install(folder, module, GOTOOLCHAIN=f"go{go}")

    return _installed("golangci", f"{module} {go}".encode(), install) / "golangci-lint"
