"""Releases of gindock, each installed from its own commit into an environment of its own."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path

from gindock.upstream import history
from helpers.linters import locked
from helpers.machine import ROOT, run, unavailable

#: Versions that no release will have: the work tree's, and that of one more fix after it.
NEXT = "99.0.0"
AFTER_NEXT = "99.0.1"

#: The fix that `AFTER_NEXT` brings, at the end of a file that every render has.
FIX = "# A fix from the template.\n"
FIXED = ".gitattributes"


@functools.cache
def folder() -> Path:
    """Where this test session keeps its clones and environments; its workers share it."""
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if session is None:
        return Path(tempfile.mkdtemp(prefix="gindock-releases-"))
    shared = Path(tempfile.gettempdir()) / f"gindock-releases-{session}"
    shared.mkdir(mode=0o700, exist_ok=True)
    return shared


def _once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name`, which the first process that needs it makes."""
    made, complete = folder() / name, folder() / f"{name}.complete"
    with locked(f"release-{name}"):
        if not complete.exists():
            make(made)
            complete.touch()
    return made


@functools.cache
def next_checkout() -> Path:
    """A clone of the repository in which the work tree, as it is, is the next release."""
    return _once("next", _make_next)


def _make_next(clone: Path) -> None:
    run(["git", "clone", "--quiet", "--no-local", ROOT, clone], folder())
    for path in ("copier.yml", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / path, clone / path)
    for path in ("template", "src"):
        shutil.rmtree(clone / path)
        shutil.copytree(
            ROOT / path,
            clone / path,
            symlinks=True,
            ignore=shutil.ignore_patterns("_template", "__pycache__"),
        )
    release(clone, NEXT)


@functools.cache
def after_next_checkout() -> Path:
    """A clone of `next_checkout` with one more release, which mends one file."""
    return _once("after-next", _make_after_next)


def _make_after_next(clone: Path) -> None:
    run(["git", "clone", "--quiet", "--no-local", next_checkout(), clone], folder())
    with (clone / "template" / FIXED).open("a") as file:
        file.write(FIX)
    release(clone, AFTER_NEXT)


def release(clone: Path, version: str) -> None:
    """Commit everything in `clone` as the release `version`."""
    pyproject = clone / "pyproject.toml"
    text = re.sub(r'(?m)^version = ".*"$', f'version = "{version}"', pyproject.read_text())
    pyproject.write_text(text)
    run(["git", "add", "--all"], clone)
    run(["git", "commit", "--quiet", "-m", f"release: v{version}"], clone)


@functools.cache
def installed(version: str) -> Path:
    """The scripts folder of a fresh environment with the release `version`.

    `NEXT` is the work tree; every landed version is built from the commit that released it.
    """
    return _once(f"venv-{version}", lambda environment: _install(version, environment)) / "bin"


def _install(version: str, environment: Path) -> None:
    source = folder() / f"source-{version}"
    if version == NEXT:
        source = next_checkout()
    elif version == AFTER_NEXT:
        source = after_next_checkout()
    else:
        found = next(r for r in history.releases(ROOT) if r.version == version)
        run(["git", "clone", "--quiet", "--no-local", ROOT, source], folder())
        run(["git", "checkout", "--quiet", "--detach", found.commit], source)
    venv.create(environment, with_pip=True)
    pip = (environment / "bin" / "python", "-m", "pip", "install")
    options = ("--quiet", "--disable-pip-version-check")
    done = subprocess.run([*pip, *options, source], capture_output=True, text=True, check=False)
    if done.returncode and "No matching distribution" in done.stderr:
        unavailable("pip cannot reach its index")
    assert done.returncode == 0, done.stderr


def offline() -> list[str]:
    """What to put before a command so that it has no network, not even a loopback."""
    if sys.platform == "linux" and run(["unshare", "-rn", "true"], ROOT, ok=False).returncode == 0:
        return ["unshare", "-rn"]
    unavailable("unshare cannot cut the network off")
    raise AssertionError
