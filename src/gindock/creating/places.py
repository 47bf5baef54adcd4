"""What is at the destination of a new project."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from gindock.errors import BadInputError
from gindock.gitio.command import line
from gindock.gitio.repository import Repository


def check_place(destination: Path) -> None:
    """Refuse a destination that is no place for a folder.

    Raises:
        BadInputError: it is a file, is below one, or is a link to nowhere.

    """
    if destination.is_symlink() and not destination.exists():
        raise BadInputError(f"{destination} is a link to nowhere; choose another directory")
    above = nearest_folder(destination)
    if above != destination and os.path.lexists(first := _below(above, destination)):
        raise BadInputError(f"{first} is a file; choose another directory")


def in_the_way(destination: Path, files: Iterable[str]) -> list[str]:
    """Which of `files` the folder `destination` has, or what bars their folders, sorted."""
    found = set()
    for file in files:
        parts = Path(file).parts
        if parts[0] == ".git":  # A repository is whole, or it is none.
            parts = parts[:1]
        for number in range(1, len(parts) + 1):
            path = Path(*parts[:number])
            is_file = number == len(parts)
            there = destination / path
            if os.path.lexists(there) and (is_file or not is_folder(there)):
                found.add(path.as_posix())
                break
    return sorted(found)


def is_fresh_repository(folder: Path) -> bool:
    """Whether `folder` is the root of a git repository without a commit and with nothing staged.

    Raises:
        GitError: git cannot tell.

    """
    if not os.path.lexists(folder / ".git"):
        return False
    found = Repository.find(folder)
    return (
        found is not None
        and not found.prefix
        and not found.has_commit()
        and line("rev-list", "--all", "--max-count=1", folder=folder) is None
        and line("ls-files", folder=folder) is None
    )


def nearest_folder(path: Path) -> Path:
    """`path`, or the nearest existing folder above it."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder, and no link to one."""
    return path.is_dir() and not path.is_symlink()


def _below(folder: Path, path: Path) -> Path:
    """The first part of `path` below `folder`."""
    return folder / path.relative_to(folder).parts[0]
