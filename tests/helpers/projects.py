"""Projects that a test has made: their files, git, and answers."""

from __future__ import annotations

from pathlib import Path

import yaml


def tree(folder: Path) -> dict[str, str]:
    """The files of `folder` with their content; git's own left out."""
    return {
        f.relative_to(folder).as_posix(): f.read_text()
        for f in sorted(folder.rglob("*"))
        if f.is_file() and ".git" not in f.relative_to(folder).parts
    }


def answers(project: Path) -> dict[str, object]:
    """The recorded answers of `project`."""
    return yaml.safe_load((project / ".copier-answers.yml").read_text())  # type: ignore[no-any-return]
