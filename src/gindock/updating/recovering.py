"""Recover from an update that was killed or interrupted, or undo one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from gindock.errors import BadInputError
from gindock.gitio.repository import Repository
from gindock.updating import finishing, indexes
from gindock.updating.finishing import Half
from gindock.updating.journal import Journal, Note
from gindock.updating.rolling_back import is_gone, roll_back
from gindock.upstream import answers


def check_project(project: Path, answers_file: Path | None = None) -> None:
    """Raise where `project` is none; an update that was killed may have left it without answers.

    `answers_file` is the name of its record, if that is not the usual one.

    Raises:
        BadInputError: the folder holds no rendered project.

    """
    repository = Repository.find(project) if project.is_dir() else None
    if repository is None or Journal(repository).read() is None:
        answers.origin(project, answers_file)


def settle(journal: Journal) -> bool:
    """Undo what a killed update has begun to write; whether there was such a thing.

    Raises:
        BadInputError: what it had written has been changed since.

    """
    note = _begun(journal)
    if note is None:
        return False
    if note.phase == "done" or indexes.digest(journal.repository) == note.new_index:
        if is_gone(journal, note):
            drop(journal, note)
        return False
    undone = roll_back(journal, note)
    drop(journal, note)
    return undone


def half(journal: Journal) -> Half | None:
    """The interrupted update of which a commit holds a part, if there is one."""
    note = journal.read()
    if note is None or note.phase != "writing":
        return None
    if indexes.digest(journal.repository) == note.new_index:
        return None
    return finishing.half(journal.repository, note)


def interrupted(journal: Journal) -> str | None:
    """What there is to do about an update that was interrupted; None where nothing was."""
    note = journal.read()
    if note is None or note.phase != "writing":
        return None
    found = half(journal)
    if found is None:
        return "update interrupted: run `gindock update --abort`"
    with tempfile.TemporaryDirectory(prefix="gindock-") as scratch:
        if not finishing.is_missing_something(journal.repository, found, Path(scratch)):
            return None
    return (
        f"update to {note.after} interrupted, and commit {found.commit} holds a part of it: "
        "run `gindock update`, which finishes it"
    )


def abort(journal: Journal) -> bool:
    """Bring the project back to what it was before its last update; whether there was one.

    Raises:
        BadInputError: files that it wrote have been changed since, or are committed.

    """
    note = _begun(journal)
    if note is None:
        return False
    undone = False
    if note.phase == "writing" or not is_gone(journal, note):
        undone = roll_back(journal, note) or note.phase == "done"
    found = half(journal)
    if found and finishing.is_missing_something(journal.repository, found, journal.scratch):
        rest = "What was not committed is undone. " if undone else ""
        raise BadInputError(
            f"{rest}Commit {found.commit} holds a part of the update from {note.before} to "
            f"{note.after}, which was interrupted: `git revert {found.commit}` takes it back, "
            "`gindock update` finishes the update"
        )
    drop(journal, note)
    return undone


def drop(journal: Journal, note: Note) -> None:
    """Forget `note`, unless a commit holds a part of it; what it finished is open again."""
    if half(journal):
        return
    if note.finishes and not finishing.is_committed(journal.repository, note):
        journal.write(Note.parse(note.finishes))
    else:
        journal.forget()


def _begun(journal: Journal) -> Note | None:
    """The note of an update that has begun to write; one that is committed is forgotten."""
    note = journal.read()
    if note is not None and note.phase in ("writing", "done"):
        if finishing.uncommitted(journal.repository, note) or half(journal):
            return note
        if note.phase == "writing" and not finishing.is_committed(journal.repository, note):
            drop(journal, note)
            return None
    journal.forget()
    return None
