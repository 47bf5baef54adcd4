"""The linters: pinned under tests/helpers/lint/ or by the template, installed under `CACHE` on first use."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from helpers.engine.bases import stand_in
from helpers.machine import CACHE, ROOT, need, run, unavailable
from helpers.rendering import version

PINS = ROOT / "tests" / "helpers" / "lint"
YAMLLINT = PINS / "yamllint.yaml"

Command = list[str | Path]


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


@functools.cache
def npm_tool(name: str) -> Command:
    """Return the command of a linter that lint/NAME/package-lock.json pins."""
    node, modules = npm_modules(PINS / name)
    return [node, modules / ".bin" / name]


def npm_modules(pins: Path) -> tuple[Path, Path]:
    """Return Node.js, and the folder of what the package-lock.json in the folder `pins` names."""
    node = python_tool("node")

    def install(folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in ("package.json", "package-lock.json"):
            shutil.copy(pins / file, folder)
        env = {**os.environ, "PATH": f"{node.parent}:{os.environ['PATH']}"}
        options = ("--ignore-scripts", "--no-audit", "--no-fund")
        _quietly(node.with_name("npm"), "ci", *options, env=env, cwd=folder)

    lock = (pins / "package-lock.json").read_bytes()
    return node, _installed(f"npm-{pins.name}", lock, install) / "node_modules"


@functools.cache
def nginx() -> Command:
    """Return the command of the nginx that stands in for the image's, where no engine runs."""
    root = stand_in("nginx")

    def install(folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        _quietly("tar", "-C", folder, "-xf", root, "./usr/sbin/nginx", "./usr/lib")

    folder = _installed("nginx", root.name.encode(), install)
    # With its own libraries, which are newer than the machine's.
    (loader,) = folder.glob("usr/lib/*/ld-linux-*.so.*")
    return [loader, "--library-path", loader.parent, folder / "usr" / "sbin" / "nginx"]


def _go_install(folder: Path, what: str, cwd: Path = ROOT, **env: str) -> None:
    need("go")
    env = {**os.environ, "GOBIN": str(folder), "GOFLAGS": "", **env}
    _quietly("go", "install", what, env=env, cwd=cwd)


@functools.cache
def go_tool(name: str) -> Path:
    """Return the path of a linter that lint/NAME/go.mod pins, or else lint/tools/go.mod."""
    tools = PINS / name if (PINS / name / "go.mod").exists() else PINS / "tools"

    def install(folder: Path) -> None:
        _go_install(folder, "tool", tools)

    kept = "lint-go" if tools.name == "tools" else f"lint-{name}"
    return _installed(kept, (tools / "go.mod").read_bytes(), install) / name


@functools.cache
def golangci() -> Path:
    """Return the path of the golangci-lint that a render's CI runs.

    It refuses code for a newer Go than its own, so that it is made with the one of the images.
    """
    go = version("go_version")
    module = (
        f"github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v{version('golangci_version')}"
    )

    def install(folder: Path) -> None:
        _go_install(folder, module, GOTOOLCHAIN=f"go{go}")

    return _installed("golangci", f"{module} {go}".encode(), install) / "golangci-lint"


def write(folder: Path, texts: Mapping[str, str], name: str) -> list[Path]:
    """Write each text to a file `name` in a folder of its own."""
    paths = []
    for key, text in texts.items():
        path = folder / key / name
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    assert paths
    return paths


def mutate(text: str, old: str, new: str) -> str:
    """Replace `old`, which must be there."""
    assert old in text
    return text.replace(old, new, 1)


def rejects(command: Command, word: str, cwd: Path) -> None:
    """Check that a linter fails, and for the reason expected."""
    done = run(command, cwd, ok=False)
    assert done.returncode != 0, done.stdout
    assert word in done.stdout


def checkov(folder: Path, framework: str) -> tuple[int, dict[str, set[str]]]:
    """Return how many checks of checkov's passed, and `id name` of each that failed, by file."""
    done = subprocess.run(
        [
            *(python_tool("checkov"), "--directory", folder, "--framework", framework),
            *("--output", "json", "--quiet", "--skip-download"),
        ],
        # Checkov skips what git ignores above the folder, if it finds a repository there.
        cwd=folder,
        text=True,
        capture_output=True,
        check=False,
    )
    report = json.loads(done.stdout)
    if "summary" not in report:
        return 0, {}  # nothing that it knows
    assert report["summary"]["parsing_errors"] == 0
    failed: dict[str, set[str]] = {}
    for check in report["results"]["failed_checks"]:
        said = f"{check['check_id']} {check['check_name']}"
        failed.setdefault(check["file_path"].lstrip("/"), set()).add(said)
    return report["summary"]["passed"], failed


def schema(name: str, paths: Iterable[Path], *options: str) -> Command:
    """Return the command that checks files against a schema that check-jsonschema carries."""
    tool = python_tool("check-jsonschema")
    return [tool, "--builtin-schema", f"vendor.{name}", *options, *paths]


def shellcheck(script: str, cwd: Path) -> None:
    """Check a script that POSIX shells run."""
    source = cwd / "script.sh"
    source.write_text(script + "\n")
    # SC2088: a tilde within quotes is text; SC2005, SC2312 are about style.
    run([python_tool("shellcheck"), "--shell=sh", source], cwd)
