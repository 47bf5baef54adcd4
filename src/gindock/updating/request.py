"""What the user asks of an update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: The word for a project's own version.
CURRENT = "current"


@dataclass(frozen=True)
class UpdateRequest:
    """What the user asked for."""

    project: Path
    template: str | None = None
    """Another source than the project's, as `source.named` takes it."""
    to: str | None = None
    """A version of the template, or `CURRENT`; None for the newest."""
    answers_file: Path | None = None
    """The record to go by, relative to the project; None for the usual one."""
    assigned: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Answers to change by their questions' keys, as the user spells them, perhaps in parts."""
    defaults: bool = True
    """Answer new questions by their defaults; they are asked otherwise."""
    preview: bool = False
    """Only tell what would change."""
    colour: bool = False
    """Colour the patch that a preview has."""
    commit: bool = False
