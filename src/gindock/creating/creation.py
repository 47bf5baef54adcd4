"""Create a service from a draft: put it in place, with a first commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gindock.creating import surroundings
from gindock.creating.destination import PREFIX, is_fresh_repository
from gindock.creating.draft import Draft
from gindock.gitio.command import GitError, commit, git, line


@dataclass(frozen=True)
class Created:
    """A created project."""

    directory: Path
    files: list[str]
    answers: Mapping[str, Any]
    version: str
    commit: str | None
    warning: str | None
    not_run: list[str]
    """The template's commands that Copier would have run, as they are written."""

    def as_dict(self) -> dict[str, Any]:
        """This result for a machine."""
        return {
            "directory": str(self.directory),
            "files": self.files,
            "answers": dict(self.answers),
            "version": self.version,
            "commit": self.commit,
            "warning": self.warning,
        }


def create(draft: Draft) -> Created:
    """Put the draft at its destination, with a first commit unless told otherwise.

    Raises:
        UserError: the destination is no longer free.

    """
    destination, files, version = draft.destination, draft.files, draft.version
    with_git = draft.request.with_git
    commit = warning = None
    fresh = with_git and is_fresh_repository(destination)
    around = with_git and surroundings.repository_around(destination) is not None
    if with_git and not around:
        git("init", "--quiet", "--initial-branch=main", ".", folder=draft.folder)
        commit, warning = _commit(draft.folder, version)
    draft.place()
    if fresh:
        commit, warning = _commit(destination, version)
    elif around:
        warning = (
            "a git repository is around it, so nothing was committed; CI runs only from the "
            "root of a repository"
        )
    about = (draft.answers, version, commit, warning, draft.not_run)
    return Created(destination, files, *about)


def _commit(project: Path, version: str) -> tuple[str | None, str | None]:
    """Commit everything in `project`; returns the commit id, or a warning and what to run."""
    message = f"Create the service with gindock {version}"
    try:
        # `--force`: the user's global ignores do not apply to what a template renders.
        git("add", "--all", "--force", "--", ".", f":(exclude){PREFIX}*", folder=project)
    except GitError as error:
        return None, f"{error}; nothing is committed"
    try:
        commit(message, folder=project)
    except GitError as error:
        # Git exits with 1 for a setting that is not set.
        if line("config", "user.email", folder=project, accept=(0, 1)) is None:
            return None, (
                "git does not know you, so everything is staged and nothing committed; run `git "
                "config --global user.name NAME`, `git config --global user.email ADDRESS` and "
                f'`git commit -m "{message}"`'
            )
        return None, f'{error}; everything is staged, run `git commit -m "{message}"`'
    return line("rev-parse", "--short", "HEAD", folder=project), None
