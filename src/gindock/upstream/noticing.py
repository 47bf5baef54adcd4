"""What a user might miss of a project and its template, told beside an update or a status."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from gindock.upstream import answers, declared
from gindock.upstream.source import Source


def other_records(project: Path, file: Path) -> list[str]:
    """Say which answers files `project` has besides `file`, each of another template."""
    return [
        f"also has {name}, of another template: `gindock update --answers-file {shlex.quote(name)}`"
        for name in answers.others(project, project / file)
    ]


def secrets(template: Source, given: Iterable[str]) -> list[str]:
    """Say which of the answers `given` the `template` keeps secret."""
    found = sorted(set(given) & declared.secrets(declared.of(template) or {})) if given else []
    return [
        f"the answer to '{key}' is secret and not recorded: the next update takes its default, "
        "unless it is given again"
        for key in found
    ]
