"""What becomes of an update that was begun before: it is undone, or finished."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gindock.gitio.command import check_installed
from gindock.gitio.repository import Repository
from gindock.updating.finishing import Finish, Half
from gindock.updating.merging import Merged
from gindock.updating.obstacles import refuse_in_the_way
from gindock.updating.worktree import State
from gindock.upstream import answers

if TYPE_CHECKING:
    from gindock.updating.run import Request, Update


def abort(project: Path) -> bool:
    """Bring a project back to what it was before its last update, which is not committed yet.

    Returns whether there was one.

    Raises:
        BadInputError: the folder holds no rendered project.
        UserError: files that the update wrote have been changed since, or are committed.

    """
    from gindock.updating.run import check_project

    check_installed()
    project = project.absolute()
    check_project(project)
    state = State(Repository.around(project))
    if not state.folder.is_dir():
        return False
    with state.held():
        return state.abort()


def finish(request: Request, repository: Repository, state: State) -> Update | None:
    """Write the rest of an interrupted update of which a commit holds a part, if there is one.

    Raises:
        UserError: it cannot be finished as it is; the text says what to do.

    """
    from gindock.updating import run as updating

    half = state.half()
    if half is None:
        return None
    repository.check_at_rest()
    state.scratch.mkdir(exist_ok=True)
    merged = Finish(repository, state.scratch, half.note, lasting=True).merged()
    if merged is None:
        state.forget()
        return None
    done = _summary(repository, half, merged)
    before, after = half.note.before, half.note.after
    state.apply(merged, before=before, after=after, finishes=half.note)
    if request.commit and merged.changes and not done.conflicts:
        message = f"Finish the update of the template from {before} to {after}"
        done = replace(done, commit=updating.commit(done, merged, state, message))
    return done


def preview(request: Request, repository: Repository, scratch: Path) -> Update | None:
    """Tell what `finish` would do, in `scratch`; raises as that does."""
    half = State(repository).half()
    if half is None:
        return None
    repository.check_at_rest()
    merge = Finish(repository, scratch, half.note, lasting=False)
    merged = merge.merged()
    if merged is None:
        return None
    refuse_in_the_way(repository, merged.changes)
    diff = merge.diff(merged, colour=request.colour)
    return replace(_summary(repository, half, merged), diff=diff)


def _summary(repository: Repository, half: Half, merged: Merged) -> Update:
    from gindock.updating.run import Update, file_changes

    url, _, _ = answers.origin(repository.project)
    files = sorted(file_changes(merged, repository.prefix), key=lambda file: file.path)
    return Update(
        repository.project, url, half.note.before, half.note.after, files,
        finished=half.commit, way_back=repository.way_back,
    )  # fmt: skip
