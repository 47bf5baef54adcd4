"""A copy of gindock's own repository, for a test that changes it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from helpers.commands import SCRIPTS
from helpers.machine import CACHE, ROOT, git, run


def checkout(folder: Path) -> Path:
    """Clone the repository into `folder`, with the working tree as it is in one more commit."""
    run(["git", "clone", "--quiet", ROOT, folder], folder.parent)
    for path in [path for path in folder.iterdir() if path.name != ".git"]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    listed = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    for name in listed.split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(SCRIPTS.parent)
    # Older than what is installed there: make has nothing to install.
    os.utime(folder / "pyproject.toml", (0, 0))
    # To find the combinations of answers takes seconds.
    (folder / CACHE.name).mkdir()
    for kept in CACHE.glob("combinations-*.json"):
        shutil.copy(kept, folder / CACHE.name)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "As it is")
    return folder


def make_in(folder: Path, *arguments: str, ok: bool | None = True) -> str:
    """What make prints in a `checkout`, whose own code it runs.

    It must succeed, fail where `ok` is False, and may do either where `ok` is None.
    """
    env = {
        # What is installed in the environment is the code of the repository itself.
        "PYTHONPATH": f"{folder / 'src'}:{folder / 'tests'}",
        # These tests may run in a make with arguments of its own.
        "MAKEFLAGS": "",
        "ARGS": "",
    }
    done = run(["make", "--no-print-directory", *arguments], folder, env, ok=ok is True)
    assert ok is not False or done.returncode, f"{arguments} should have failed:\n{done.stdout}"
    return done.stdout
