"""Create a service from a draft: put it in place, with a first commit."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gindock.creating import surroundings
from gindock.creating.draft import Draft
from gindock.creating.places import is_fresh_repository
from gindock.gitio.command import LITERAL, GitError, commit, git, line
from gindock.gitio.repository import Repository


@dataclass(frozen=True)
class Created:
    """A created project."""

    directory: Path
    files: list[str]
    answers: Mapping[str, Any]
    version: str
    commit: str | None
    kept: list[str]
    """The files that were there, and in the way of the service's own."""
    warnings: list[str]
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
            "kept": self.kept,
            "warning": "\n".join(self.warnings) or None,
        }


def create(draft: Draft) -> Created:
    """Put the draft at its destination, with a first commit unless told otherwise.

    Raises:
        UserError: something is in the way.

    """
    destination, files, version = draft.destination, draft.files, draft.version
    with_git = draft.request.with_git
    commit = None
    warnings: list[str | None] = []
    fresh = with_git and is_fresh_repository(destination)
    around = surroundings.repository_around(destination) if with_git else None
    if with_git and not around:
        git("init", "--quiet", "--initial-branch=main", ".", folder=draft.folder)
        commit, warning = _commit(draft.folder, files, version)
        warnings.append(warning)
    kept = draft.place()
    if fresh:
        commit, warning = _commit(destination, files, version)
        warnings.append(warning)
    elif around:
        left_out = draft.answers.get("monorepo") is True and draft.answers.get("ci") == "none"
        warnings.append(_not_committed(destination, around, version, ci_left_out=left_out))
    warnings.append(surroundings.workspace_without(destination))
    about = (draft.answers, version, commit, kept, [*filter(None, warnings)], draft.not_run)
    return Created(destination, [file for file in files if file not in kept], *about)


def _not_committed(
    destination: Path, around: Repository, version: str, *, ci_left_out: bool
) -> str:
    """What to do where a repository is `around` the new service, of the template's `version`."""
    command = f"git add --all . && git commit -m {shlex.quote(_message(version))}"
    if destination.resolve() == around.top.resolve():
        return f"the repository has commits already, so nothing was committed; run `{command}`"
    if not ci_left_out:
        return f"a git repository is around it, so nothing was committed; run `{command}`"
    return (
        "a git repository is around it, so nothing was committed, and CI is left out: a host reads "
        f"that at the root of a repository alone. Look into README.md for CI, and run `{command}`"
    )


def _message(version: str) -> str:
    return f"Create the service with gindock {version}"


def _commit(project: Path, files: Sequence[str], version: str) -> tuple[str | None, str | None]:
    """Commit the `files` of `project`; returns the commit id, or a warning and what to run."""
    message = _message(version)
    try:
        # `--force`: the user's global ignores do not apply to what a template renders.
        git("add", "--force", "--", *files, folder=project, env=LITERAL)
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
