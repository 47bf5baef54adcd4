"""Refuse an update that would write over files of the user's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gindock.errors import BadInputError
from gindock.gitio.attributes import Attributes
from gindock.gitio.formats import Change
from gindock.gitio.ondisk import PLAIN, OnDisk
from gindock.gitio.paths import files_below, folders_above
from gindock.gitio.repository import Repository


def refuse_in_the_way(repository: Repository, changes: Sequence[Change]) -> None:
    """Refuse `changes` that would write over content that git does not have.

    Raises:
        BadInputError: there is such a thing; it is named.

    """
    top = repository.top
    tracked, hidden = tracked_and_hidden(repository)
    gone = {change.path for change in changes if change.goes}
    looked_at = {c.path: c.old for c in changes if c.path in hidden}
    found = {path for path in looked_at if os.path.lexists(top / path)}
    found -= OnDisk(repository).holds(looked_at, Attributes.of_work_tree(repository))
    for change in changes:
        path = change.path
        if not change.goes and path not in tracked and _blocks(repository, path, tracked, gone):
            found.add(path)
        for above in folders_above(path):
            file = top / above
            is_folder = file.is_dir() and not file.is_symlink()
            if os.path.lexists(file) and (
                (file / ".git").exists() if is_folder else above not in tracked
            ):
                found.add(above)  # Another repository, a file, or a link out of this one.
    if found:
        named = "\n".join(f"  {path}" for path in sorted(found))
        raise BadInputError(
            "the update would write over what git does not have:\n"
            f"{named}\nMove it away, or commit it, and update again. Nothing was changed."
        )


def _blocks(repository: Repository, path: str, tracked: set[str], gone: set[str]) -> bool:
    """Whether an untracked file or folder stands at `path`."""
    file = repository.top / path
    if not os.path.lexists(file):
        return False
    if file.is_dir() and not file.is_symlink():
        # A folder may go if git tracks every file in it, and all of them go.
        return any(f"{path}/{name}" not in gone for name in files_below(file))
    # A file system that ignores case shows a tracked file under another spelling.
    spelled = (name for name in gone & tracked if name.casefold() == path.casefold())
    return not any(_is_same_file(repository.top / name, file) for name in spelled)


def tracked_and_hidden(
    repository: Repository, index: Path | None = None
) -> tuple[set[str], set[str]]:
    """Return the paths in the index, and those of them whose state git does not look at."""
    env = {"GIT_INDEX_FILE": str(index)} if index else None
    listing = repository.git(*PLAIN, "ls-files", "-v", "-z", "--full-name", env=env)
    entries = os.fsdecode(listing).split("\0")[:-1]
    return (
        {entry[2:] for entry in entries},
        {entry[2:] for entry in entries if entry[0].islower() or entry[0] == "S"},
    )


def places_taken(repository: Repository, paths: Sequence[str], going: set[str]) -> list[str]:
    """Return the files that stand where `paths` have to go, except those in `going`.

    That is all that a folder in the place of a file holds, and a file in the place of a folder.
    """
    found = set()
    for path in paths:
        place = repository.top / path
        if place.is_dir() and not place.is_symlink():
            found |= {f"{path}/{name}" for name in files_below(place)}
        found |= {
            above
            for above in folders_above(path)
            if os.path.lexists(file := repository.top / above)
            and (file.is_symlink() or not file.is_dir())
        }
    return sorted(found - going)


def _is_same_file(one: Path, other: Path) -> bool:
    return os.path.lexists(one) and os.path.samestat(one.lstat(), other.lstat())
