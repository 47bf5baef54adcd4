"""What changes between two trees, and how git tells it and is told it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gindock.gitio.repository import Entry

#: The mode of a path that a tree does not have.
ABSENT = "000000"
#: How `git diff-tree` is to tell changes to `parsed_changes`.
RAW = ("-r", "-z", "--raw", "--no-renames", "--full-index")


@dataclass(frozen=True)
class Change:
    """What happens to one path, relative to the top of the repository: modes and object ids."""

    path: str
    old_mode: str
    old_id: str
    new_mode: str
    new_id: str

    @property
    def old(self) -> Entry:
        """What there was."""
        return self.old_mode, self.old_id

    @property
    def new(self) -> Entry:
        """What there is going to be."""
        return self.new_mode, self.new_id

    @property
    def is_new(self) -> bool:
        """Whether the path is new."""
        return self.old_mode == ABSENT

    @property
    def differs(self) -> bool:
        """Whether it changes at all; a conflict may leave it as it is."""
        return self.old != self.new

    @property
    def goes(self) -> bool:
        """Whether the path goes."""
        return self.new_mode == ABSENT


@dataclass(frozen=True)
class Conflict:
    """What git could not merge: the index stages of a path, and the reason."""

    stages: Mapping[int, Entry]
    reason: str


def index_info(entries: Iterable[tuple[str, Entry]], width: int, stage: int = 0) -> bytes:
    """The lines of `git update-index -z --index-info` for `entries`; an empty id removes.

    `width` is the number of digits of an object's id.
    """
    return b"".join(
        f"{mode} {identity or '0' * width} {stage}\t".encode() + os.fsencode(path) + b"\0"
        for path, (mode, identity) in entries
    )


def parsed_changes(listing: bytes) -> list[Change]:
    """What `git diff-tree` with the options `RAW` says."""
    fields = listing.split(b"\0")
    changes = []
    for about, path in zip(fields[::2], fields[1::2], strict=False):
        old_mode, new_mode, old_id, new_id, _ = about.decode().lstrip(":").split()
        changes.append(Change(os.fsdecode(path), old_mode, old_id, new_mode, new_id))
    return changes


def folders_above(path: str) -> list[str]:
    """The folders above `path`, the nearest first."""
    return [above.as_posix() for above in Path(path).parents if above != Path()]


def files_below(folder: Path) -> Iterator[str]:
    """The paths of the files and links below `folder`."""
    for above, folders, files in os.walk(folder):
        links = [name for name in folders if Path(above, name).is_symlink()]
        for name in (*files, *links):
            yield Path(above, name).relative_to(folder).as_posix()
