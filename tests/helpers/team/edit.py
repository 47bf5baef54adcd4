"""What an edit of a team is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

#: The files that edits add, below the name of each.
FILES = Path(__file__).parent / "files"


class Change(NamedTuple):
    """What stands in the place of a text that a file has once."""

    path: str
    old: str
    new: str


def after(path: str, line: str, more: str) -> Change:
    """Add `more` below a line."""
    return Change(path, f"{line}\n", f"{line}\n{more}\n")


def anew(edit: str, path: str, text: str) -> Change:
    """Write a file that the edit has added anew."""
    return Change(path, (FILES / edit / path).read_text(), text)


@dataclass(frozen=True)
class Edit:
    """An edit of a team: `changes`, files that it adds, and files that it has `removed`.

    Where the update leaves a conflict, the team takes the template's side and does its change
    again: in the words of `again` where the template has new ones, else as before, and not at all in
    a file that is `needless` then. `mended` is what else it does; CHANGELOG.md says so, in the words
    of `told`.
    """

    name: str
    title: str
    changes: Sequence[Change] = ()
    removed: Sequence[str] = ()
    again: Sequence[Change] = ()
    needless: Sequence[str] = ()
    mended: Sequence[Change] = ()
    told: Sequence[str] = ()

    @property
    def added(self) -> dict[str, str]:
        """The files that the edit adds."""
        folder = FILES / self.name
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        return {file.relative_to(folder).as_posix(): file.read_text() for file in files}

    def changes_of(self, path: str, *, conflict: bool) -> list[Change]:
        """What the team does to the file at `path`, or does again after a conflict there."""
        if conflict and path in self.needless:
            return []
        again = [change for change in self.again if change.path == path]
        before = [change for change in self.changes if change.path == path]
        return again if conflict and again else before

    @property
    def is_go(self) -> bool:
        """Whether the edit changes what Go builds."""
        paths = [*self.added, *(change.path for change in self.changes)]
        return any(path.endswith((".go", "go.mod")) for path in paths)
