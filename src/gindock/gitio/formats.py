"""Git's formats for trees, indexes, changes and objects: parsers and writers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

#: One entry of a tree: its mode and its object's id.
Entry = tuple[str, str]
#: The files of a tree by their paths, relative to the top of the repository.
Tree = Mapping[str, Entry]

LINK = "120000"
SUBMODULE = "160000"
#: The mode of a path that a tree does not have.
ABSENT = "000000"
#: An entry that removes its path from a tree, or from the index.
NOTHING: Entry = ("0", "")
#: The options of `git diff-tree` for `parsed_changes`.
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
        """Whether the entry changes; in a conflict it may not."""
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


def is_file(mode: str) -> bool:
    """Whether `mode` is that of a regular file."""
    return mode.startswith("100")


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


def parsed_tree(listing: bytes) -> dict[str, Entry]:
    """What `git ls-tree -r -z` says."""
    entries = {}
    for entry in os.fsdecode(listing).split("\0")[:-1]:
        about, _, path = entry.partition("\t")
        mode, _, identity = about.split(" ")
        entries[path] = mode, identity
    return entries


def parsed_index(listing: bytes) -> Iterator[tuple[str, Entry, int]]:
    """The paths, entries and stages in what `git ls-files --stage -z` says."""
    for line in os.fsdecode(listing).split("\0")[:-1]:
        about, _, path = line.partition("\t")
        mode, identity, stage = about.split(" ")
        yield path, (mode, identity), int(stage)


def parsed_objects(read: bytes) -> Iterator[bytes]:
    """The contents of the objects in what `git cat-file --batch` says."""
    position = 0
    while position < len(read):
        end = read.index(b"\n", position)
        size = int(read[position:end].split()[2])
        yield read[end + 1 : end + 1 + size]
        position = end + 1 + size + 1


def null_ended(paths: Iterable[str]) -> bytes:
    """`paths` as git reads them from standard input with `-z`."""
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def quoted(path: str) -> bytes:
    """`path` in quotes, as git reads it on a line of its own."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return b'"' + os.fsencode(escaped) + b'"'
