"""A repository as a clone under `umask 077` leaves it, and what `make up` does there at first."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from helpers.machine import need, run


def make_strict(project: Path) -> Path:
    """Take from everybody but the owner what they may do with the files of `project`."""
    for path in project.rglob("*"):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
    return project


def make_up(project: Path) -> None:
    """Run `make up` with a docker that does nothing."""
    need("make")
    folder = project.parent / f"{project.name}-bin"
    folder.mkdir()
    (folder / "docker").symlink_to("/bin/true")
    run(["make", "up"], project, {"PATH": f"{folder}:{os.environ['PATH']}"})


def closed(path: Path) -> Iterator[Path]:
    """Yield the files and folders, from `path` on, that a container's user cannot read."""
    for part in (path, *path.rglob("*")):
        needed = 0o005 if part.is_dir() else 0o004
        if part.stat().st_mode & needed != needed:
            yield part
