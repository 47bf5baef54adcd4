"""What a user might miss of a project and its template, told beside an update or a status."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from gindock.gitio.command import fetching_git
from gindock.upstream import answers, declared, source
from gindock.upstream.source import Source


def other_records(project: Path, file: Path) -> list[str]:
    """Say which answers files `project` has besides `file`, each of another template."""
    return [
        f"also has {name}, of another template: `gindock update --answers-file {shlex.quote(name)}`"
        for name in answers.others(project, project / file)
    ]


def uncommitted(template: Source) -> list[str]:
    """Say that the work tree of a local `template` has what no version of it has.

    Raises:
        GitError: git cannot tell.

    """
    place = source.work_tree(template.url)
    if place is None:
        return []
    ask = ("-c", "core.fsmonitor=false", "status", "--porcelain")
    if not fetching_git(*ask, folder=place):
        return []
    note = "has uncommitted changes, which are in no version of it; commit them there to have them"
    return [f"the template in {place} {note}"]


def secrets(template: Source, given: Iterable[str]) -> list[str]:
    """Say which of the answers `given` the `template` keeps secret."""
    found = sorted(set(given) & declared.secrets(declared.of(template) or {})) if given else []
    return [
        f"the answer to '{key}' is secret and not recorded: the next update takes its default, "
        "unless it is given again"
        for key in found
    ]
