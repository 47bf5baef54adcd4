"""What the user asks of a new service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gindock.upstream.questions import Questions
from gindock.upstream.source import Source


@dataclass(frozen=True)
class NewRequest:
    """What the user asked for: where, from which template, and with which answers."""

    directory: Path | None
    """Absolute; None for a directory in the current one that is named like the service."""
    template: Source
    questions: Questions | None
    """None for another template than gindock's own."""
    given: Mapping[str, Any]
    defaults: bool
    """Answer every other question by its default."""
    interactive: bool
    """There is a terminal to ask on; without one and without `defaults`, an open question fails."""
    with_git: bool = True
    preview: bool = False
    """Draft only, away from the destination."""
    proposed_name: str | None = None
    """A name for the service where that of its directory is refused; None where it is `given`."""
    keep: bool = False
    """Keep the files at the destination that are in the way, and leave out the rendered ones."""
