"""Paths in a repository and in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def folders_above(path: str) -> list[str]:
    """The folders above `path`, the nearest first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def files_below(folder: Path) -> Iterator[str]:
    """The paths of the files and links below `folder`."""
    for above, folders, files in os.walk(folder):
        links = [name for name in folders if Path(above, name).is_symlink()]
        for name in (*files, *links):
            yield Path(above, name).relative_to(folder).as_posix()
