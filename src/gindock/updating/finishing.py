"""Finish an update that was killed while it wrote, and of which somebody committed a part.

A bot that commits everything does so. To undo the rest would leave a project that calls itself
updated and is not; so the result of the update is merged into what is HEAD now.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Container
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gindock.errors import UserError
from gindock.gitio.command import GitError
from gindock.gitio.formats import ABSENT, NOTHING, RAW, Change, Conflict, Entry, Tree
from gindock.gitio.repository import Repository
from gindock.updating import both_added
from gindock.updating.journal import Journal, Note
from gindock.updating.merge import Merged
from gindock.updating.merge_repository import YOURS, MergeRepository

#: The label of the files before the update in conflict markers.
_BASE = "before-the-update"


@dataclass(frozen=True)
class Half:
    """An interrupted update, and the first commit that holds a part of it."""

    note: Note
    commit: str


def noted(note: Note | None) -> dict[str, Any] | None:
    """Return the `note` of an interrupted update as the note of the next one keeps it."""
    return asdict(replace(note, finishes=None)) if note else None


def is_committed(repository: Repository, note: Note) -> bool:
    """Whether HEAD has any of the files that the update of `note` was going to write."""
    return bool(_committed(repository, note))


def half(repository: Repository, note: Note) -> Half | None:
    """Return the update if a commit holds a part of it; None if HEAD has nothing of it, or all.

    Raises:
        GitError: git cannot tell.

    """
    done = _committed(repository, note)
    if not done:
        return None
    if len(done) == sum(c.differs for c in note.changes) and not note.conflicts:
        return None
    if not _is_known(repository, note) and not missing(repository, note):
        return None
    paths = [change.path for change in done]
    since = b""
    with suppress(GitError):
        since = repository.git("rev-list", "--reverse", f"{note.head}..HEAD", "--", *paths[:500])
    commit = since.decode().split()[0] if since else "HEAD"
    short = repository.git("rev-parse", "--short", commit).decode().strip()
    return Half(note, short)


def uncommitted(repository: Repository, note: Note) -> list[Change]:
    """Return the changes of `note` that HEAD does not have; none if HEAD has all of them."""
    head = repository.entries("HEAD")
    found = [c for c in note.changes if holds(head, c.path, c.old)]
    return found if any(change.differs for change in found) else []


def missing(repository: Repository, note: Note) -> list[str]:
    """Return the paths at which HEAD is as before the update of `note`."""
    head = repository.entries("HEAD")
    return [c.path for c in note.changes if c.differs and holds(head, c.path, c.old)]


def _is_known(repository: Repository, note: Note) -> bool:
    """Whether git still has the objects that the update of `note` was going to write."""
    wanted = [f"{note.head}^{{tree}}", note.tree or "0"]
    asked = "".join(f"{name}\n" for name in wanted).encode()
    found = repository.git("cat-file", "--batch-check", stdin=asked)
    return found.count(b" tree ") == len(wanted)


def holds(tree: Tree, path: str, entry: Entry) -> bool:
    """Whether `tree` has `entry` at `path`, or nothing where that is absent."""
    return tree[path] == entry if path in tree else entry[0] == ABSENT


def _committed(repository: Repository, note: Note) -> list[Change]:
    """The changes in `note` that HEAD has."""
    head = repository.entries("HEAD")
    return [
        change for change in note.changes if change.differs and holds(head, change.path, change.new)
    ]


def is_missing_something(repository: Repository, found: Half, scratch: Path) -> bool:
    """Whether HEAD lacks a part of the update, or holds one of its conflicts unresolved."""
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        return Rest(repository, scratch, found.note, lasting=False).merged() is not None
    except UserError:
        return True


class Rest:
    """What HEAD lacks of the result that an update noted, merged in `scratch`; see `merge`.

    Raises:
        UserError: git does not have the result any more.

    """

    def __init__(self, repository: Repository, scratch: Path, note: Note, *, lasting: bool) -> None:
        self._repository = repository
        self.merging = MergeRepository(repository, scratch, lasting=lasting)
        self._note = note
        if not _is_known(repository, note):
            raise UserError(
                f"the update from {note.before} to {note.after} was interrupted and committed in "
                "part, and what it was going to write is gone from git; take back the commit that "
                "holds a part of it by `git revert`, and update again, or mend these files, and "
                f"remove {Journal(repository).file}:\n"
                + "\n".join(f"  {path}" for path in missing(repository, note))
            )

    def merged(self) -> Merged | None:
        """Merge the missing part into HEAD; return None if nothing is missing."""
        note, merging = self._note, self.merging
        head = self._repository.entries(merging.head)
        arrived = self._arrived()
        again = self._conflicts_again(head, arrived)
        before: dict[str, Entry] = dict.fromkeys(again, NOTHING)
        after = {**before}
        for path in arrived - again.keys():
            before[path] = after[path] = head.get(path, NOTHING)
        for path in note.conflicts.keys() - again.keys() - arrived:
            # Take the template's side: the file with conflict markers is no version to merge.
            before[path] = note.conflicts[path].stages.get(1, NOTHING)
            after[path] = note.conflicts[path].stages.get(3, NOTHING)
        base, theirs = (
            merging.changed_tree(self._id(name), changes)
            for name, changes in ((f"{note.head}^{{tree}}", before), (note.tree, after))
        )
        without = merging.changed_tree(merging.head_tree, dict.fromkeys(again, NOTHING))
        ancestor = merging.commit(base)
        template = f"template-{note.after}"
        merging.name(YOURS, merging.commit(without, ancestor))
        merging.name(template, merging.commit(theirs, ancestor))
        # Renames are off: a half-written move has left one place and not reached the other.
        tree, conflicts = merging.merge(YOURS, template, renames=False)
        declined = {p for p, c in conflicts.items() if c.stages.keys() == {1, 3}}
        changes: dict[str, Entry] = dict.fromkeys(declined, NOTHING)
        conflicts = {p: c for p, c in conflicts.items() if p not in declined}
        changes |= merging.label_base(tree, conflicts, ancestor, _BASE)
        changes |= both_added.refined(merging, tree, conflicts, (YOURS, _BASE, template))
        changes |= {path: self._in_place(path) for path in again}
        tree = merging.changed_tree(tree, changes)
        conflicts |= again
        if tree == merging.head_tree and not conflicts:
            return None
        listed: Tree = self._repository.entries(note.tree)
        return Merged(
            {}, head, listed, merging.head, tree,
            merging.changes(merging.head_tree, tree, conflicts), conflicts, frozenset(declined),
        )  # fmt: skip

    def _id(self, name: str) -> str:
        return self._repository.git("rev-parse", name).decode().strip()

    def _arrived(self) -> set[str]:
        """Return the paths that some later commit had as the update left them."""
        new = {change.path: change.new for change in self._note.changes if change.differs}
        log = ("log", "--format=", "-m", "--root", "--no-abbrev", *RAW, f"{self._note.head}..HEAD")
        # `-m` lists a merge's changes against each parent.
        fields = [f.lstrip(b"\n") for f in self._repository.git(*log).split(b"\0")]
        found = set()
        for about, path in itertools.pairwise(fields):
            if about.startswith(b":"):
                _, mode, _, identity, _ = about.decode().split()
                if new.get(os.fsdecode(path)) == (mode, identity):
                    found.add(os.fsdecode(path))
        return found

    def _conflicts_again(self, head: Tree, arrived: Container[str]) -> dict[str, Conflict]:
        """Return the update's conflicts that nobody has resolved."""
        return {
            change.path: self._note.conflicts[change.path]
            for change in self._note.changes
            if change.path in self._note.conflicts
            and (
                holds(head, change.path, change.new)
                or (holds(head, change.path, change.old) and change.path not in arrived)
            )
        }

    def _in_place(self, path: str) -> Entry:
        change = next(change for change in self._note.changes if change.path == path)
        return NOTHING if change.goes else change.new
