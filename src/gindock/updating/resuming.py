"""An update that was begun before: it is finished, or undone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gindock.gitio.command import check_installed
from gindock.gitio.repository import Repository
from gindock.updating import committing, recovering
from gindock.updating.applying import apply
from gindock.updating.finishing import Half, Rest
from gindock.updating.journal import Journal
from gindock.updating.merge import Merged
from gindock.updating.obstacles import refuse_in_the_way
from gindock.updating.report import Update, file_changes
from gindock.updating.request import UpdateRequest
from gindock.upstream import answers


def abort(project: Path) -> bool:
    """Bring a project back to what it was before its last update, which is not committed yet.

    Returns whether there was one.

    Raises:
        BadInputError: the folder holds no rendered project.
        UserError: files that the update wrote have been changed since, or are committed.

    """
    check_installed()
    project = project.absolute()
    recovering.check_project(project)
    journal = Journal(Repository.around(project))
    if not journal.folder.is_dir():
        return False
    with journal.held():
        return recovering.abort(journal)


def finish(request: UpdateRequest, repository: Repository, journal: Journal) -> Update | None:
    """Write the rest of an interrupted update of which a commit holds a part, if there is one.

    Raises:
        UserError: it cannot be finished as it is; the text says what to do.

    """
    half = recovering.half(journal)
    if half is None:
        return None
    repository.check_at_rest()
    journal.scratch.mkdir(exist_ok=True)
    merged = Rest(repository, journal.scratch, half.note, lasting=True).merged()
    if merged is None:
        journal.forget()
        return None
    done = _summary(repository, half, merged, request.answers_file)
    before, after = half.note.before, half.note.after
    apply(journal, merged, before=before, after=after, finishes=half.note)
    if request.commit and merged.changes and not done.conflicts:
        message = f"Finish the update of the template from {before} to {after}"
        done = replace(done, commit=committing.commit(done, merged, journal, message))
    return done


def preview(request: UpdateRequest, repository: Repository, scratch: Path) -> Update | None:
    """Tell what `finish` would do, in `scratch`; raises as that does."""
    half = recovering.half(Journal(repository))
    if half is None:
        return None
    repository.check_at_rest()
    rest = Rest(repository, scratch, half.note, lasting=False)
    merged = rest.merged()
    if merged is None:
        return None
    refuse_in_the_way(repository, merged.changes)
    diff = rest.merging.diff(merged.tree, colour=request.colour)
    return replace(_summary(repository, half, merged, request.answers_file), diff=diff)


def _summary(
    repository: Repository, half: Half, merged: Merged, answers_file: Path | None
) -> Update:
    url, _, _ = answers.origin(repository.project, answers_file)
    files = sorted(file_changes(merged, repository), key=lambda file: file.path)
    return Update(
        repository.project, url, half.note.before, half.note.after, files,
        finished=half.commit, way_back=repository.way_back,
    )  # fmt: skip
