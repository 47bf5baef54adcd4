"""The report of an update: what it has done, or would do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gindock.errors import ExitCode
from gindock.gitio.formats import Change
from gindock.gitio.repository import Repository
from gindock.updating.merge import Merged

Kind = Literal["added", "updated", "removed", "merged", "conflict", "kept"]


@dataclass(frozen=True)
class FileChange:
    """What an update does to one file, relative to the project."""

    path: str
    kind: Kind
    note: str = ""


@dataclass(frozen=True)
class Update:
    """What an update did to a project, or would do."""

    project: Path
    template: str
    before: str
    after: str
    files: Sequence[FileChange] = ()
    answers: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """The answers that changed: the old and the new one, None where the question is not asked."""
    changelog: str = ""
    commit: str | None = None
    diff: str | None = None
    recovered: bool = False
    """An earlier update that was killed has been undone first."""
    switched: bool = False
    """The service now comes from another template."""
    not_run: Sequence[str] = ()
    """The template's commands that Copier would have run, as they are written."""
    finished: str | None = None
    """The commit that holds the first part of an interrupted update; this update finished it."""
    way_back: str = "git reset --hard"
    notes: Sequence[str] = ()
    """What else there is to know."""

    @property
    def conflicts(self) -> list[str]:
        """The files with a conflict."""
        return [file.path for file in self.files if file.kind == "conflict"]

    @property
    def exit_code(self) -> ExitCode:
        """What a command exits with after this."""
        return ExitCode.CONFLICTS if self.conflicts else ExitCode.DONE

    def as_dict(self) -> dict[str, Any]:
        """This result for a machine."""
        return {
            "directory": str(self.project),
            "template": self.template,
            "before": self.before,
            "after": self.after,
            "files": [
                {"path": file.path, "change": file.kind, "note": file.note} for file in self.files
            ],
            "answers": {k: {"before": b, "after": a} for k, (b, a) in self.answers.items()},
            "changelog": self.changelog,
            "commit": self.commit,
            "recovered": self.recovered,
            "not_run": list(self.not_run),
            "notes": list(self.notes),
            **({} if self.diff is None else {"diff": self.diff}),
            **({} if self.finished is None else {"finished": self.finished}),
            "exit_code": int(self.exit_code),
        }


def changed_answers(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """The answers that differ in what was recorded `before` and `after`, with both values."""
    return {
        key: (before.get(key), after.get(key))
        for key in {**after, **before}
        if not key.startswith("_") and before.get(key) != after.get(key)
    }


def file_changes(merged: Merged, repository: Repository) -> Iterator[FileChange]:
    """What `merged` does to each file of the project of `repository`."""
    prefix = repository.prefix
    yield from _conflicts(merged, repository)
    settled = merged.conflicts.keys() | merged.declined
    for change in merged.changes:
        if change.path not in settled and change.path not in merged.moved.values():
            yield _written(merged, change, prefix)
    yield from _left_alone(merged, prefix)


def _conflicts(merged: Merged, repository: Repository) -> Iterator[FileChange]:
    prefix = repository.prefix
    for path, conflict in merged.conflicts.items():
        yield FileChange(path.removeprefix(prefix), "conflict", conflict.reason)
    for path in merged.declined:
        # Git renames it if another file has taken its place.
        name = path if path in merged.base else path.rpartition("~")[0] or path
        if name not in merged.conflicts:
            yours = "you deleted it"
            if name in merged.ours:
                yours = "you have something else there"
            elif os.path.lexists(repository.top / name):  # Ignored, for example.
                yours = "git does not have yours"
            note = f"{yours}, and the template changed it"
            yield FileChange(name.removeprefix(prefix), "kept", note)


def _written(merged: Merged, change: Change, prefix: str) -> FileChange:
    path, shown = change.path, change.path.removeprefix(prefix)
    former = merged.moved.get(path)
    if change.goes:
        return FileChange(shown, "removed")
    if former is None and change.is_new:
        return FileChange(shown, "added")
    if path in merged.refiltered:
        return FileChange(shown, "updated", "stored as its new filter has it")
    base, ours = merged.base.get(path), merged.ours.get(path)
    if path in merged.overruled and base is not None and base != ours:
        return FileChange(shown, "updated", "what you had changed in it is in git")
    kind: Kind = "updated" if change.new == merged.theirs.get(path) else "merged"
    return FileChange(shown, kind, f"was {former.removeprefix(prefix)}" if former else "")


def _left_alone(merged: Merged, prefix: str) -> Iterator[FileChange]:
    """Yield the files that the template changed and the merge left alone."""
    base, ours, theirs = merged.base, merged.ours, merged.theirs
    named = {path.rpartition("~")[0] for path in merged.declined} | merged.declined
    named |= {change.path for change in merged.changes}
    for path in base.keys() & theirs.keys() & ours.keys():
        if path not in named and base[path] != theirs[path] != ours[path]:
            yield FileChange(path.removeprefix(prefix), "kept", "the template changed it")
