"""`copier update`, with the embedded source within reach and what can go wrong explained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gindock import rendering, source
from gindock.errors import BadInputError, UserError
from gindock.git import check_installed, git, line


@dataclass(frozen=True)
class Updated:
    """What an update did to a project."""

    before: str
    after: str
    conflicts: list[str]


def update(project: Path, *, defaults: bool) -> Updated:
    """Update `project` to the newest version of its template.

    With `defaults`, questions that are new get their default answer; otherwise they are asked.

    Raises:
        BadInputError: the folder holds no rendered project.
        UserError: the project cannot be updated as it is; the text says what to do.

    """
    check_installed()
    project = project.absolute()
    if not project.is_dir():
        raise BadInputError(f"there is no folder {project}")
    recorded = rendering.recorded(project)
    before, address = recorded.get("_commit"), recorded.get("_src_path")
    if not before or not address:
        raise BadInputError(
            f"{project} was not rendered by gindock: it has no .copier-answers.yml with a version"
        )
    if line("rev-parse", "--is-inside-work-tree", folder=project) != "true":
        raise UserError(
            f"{project} is not in git, which an update needs; run `git init` and commit first"
        )
    if git("status", "--porcelain", "--", ".", folder=project).strip():
        raise UserError(f"{project} has uncommitted changes; commit or stash them first")
    if address == source.URL:
        _check_version(before)
    rendering.update(project, defaults=defaults)
    after = str(rendering.recorded(project)["_commit"])
    return Updated(before, after, _conflicts(project))


def _check_version(version: str) -> None:
    if source.is_development(version):
        raise UserError(
            f"this project was rendered from a checkout of gindock ({version}), not from a "
            "release, and there is no way from there to one; render it anew with a released gindock"
        )
    if not source.known(version):
        raise UserError(
            f"this project was rendered by gindock {version.removeprefix('v')}, which this gindock "
            f"({source.version_tag().removeprefix('v')}) does not know; install "
            f"gindock {version.removeprefix('v')} or newer"
        )


def _conflicts(project: Path) -> list[str]:
    """The files that the update left with conflict markers, relative to the project."""
    unmerged = git("diff", "--name-only", "--diff-filter=U", "--relative", "-z", folder=project)
    return [name for name in unmerged.decode(errors="replace").split("\0") if name]
