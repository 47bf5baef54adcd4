"""Commit an update, if the user asks for it."""

from __future__ import annotations

import shlex
import shutil
import time

from gindock.errors import UserError
from gindock.gitio import command
from gindock.gitio.command import GitError
from gindock.gitio.formats import RAW, index_info, parsed_changes
from gindock.gitio.ondisk import PLAIN
from gindock.updating import indexes
from gindock.updating.journal import Journal
from gindock.updating.merge import Merged
from gindock.updating.report import Update


def message(done: Update) -> str:
    """What the commit of an update says."""
    if done.switched:
        return f"Switch the template from {done.before} to {done.after} of {done.template}"
    if done.before == done.after:
        return "Answer the template's questions anew"
    return f"Update the template from {done.before} to {done.after}"


def commit(done: Update, merged: Merged, journal: Journal, message: str) -> str | None:
    """Commit the update `done` and nothing else that is staged; return the commit's short id.

    Raises:
        UserError: a hook or a signature failed, or there is another commit since; the update
            stays staged.

    """
    repository = journal.repository
    try:
        _commit(merged, journal, message)
    except UserError as error:
        only = f" -- {shlex.quote(repository.prefix)}" if repository.prefix else ""
        raise UserError(
            f"{error}\nThe update is staged and not committed; run in {repository.top} "
            f'`git commit -m "{message}"{only}`, or go back with `{done.way_back}`'
        ) from error
    if repository.prefix:
        _adopt(merged, journal)
    return command.line("rev-parse", "--short", "HEAD", folder=repository.project)


def _commit(merged: Merged, journal: Journal, message: str) -> None:
    repository = journal.repository
    if not repository.prefix:
        command.commit(message, folder=repository.top)
        return
    # The user may have staged something elsewhere in the repository.
    indexes.check_head(repository, merged.head)
    private = journal.folder / "index"
    index = {"GIT_INDEX_FILE": str(private)}
    shutil.copy(repository.index, private)
    try:
        repository.git(*PLAIN, "read-tree", "--reset", merged.tree, env=index)
        command.commit(message, folder=repository.top, env=index)
    finally:
        private.unlink()


def _adopt(merged: Merged, journal: Journal) -> None:
    """Take what hooks added to the commit of a project in a subfolder into the index.

    Raises:
        UserError: another git command keeps the index locked.

    """
    repository = journal.repository
    added = parsed_changes(repository.git("diff-tree", *RAW, merged.tree, "HEAD"))
    if not added:
        return
    entries = ((change.path, change.new) for change in added)
    lines = index_info(entries, len(merged.tree))
    for pause in (0.1, 0.3, 1, 3, 0):
        try:
            repository.git(*PLAIN, "update-index", "-z", "--index-info", stdin=lines)
            return
        except GitError as error:
            if not pause:
                paths = " ".join(shlex.quote(change.path) for change in added)
                raise UserError(
                    f"{error}\nThe update is committed; run `git reset -q -- {paths}` in "
                    f"{repository.top} to have what hooks added"
                ) from error
        time.sleep(pause)
