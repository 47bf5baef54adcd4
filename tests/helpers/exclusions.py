"""What the lines of `_exclude` in copier.yml leave out, and on which answers that depends."""

from __future__ import annotations

import fnmatch
import itertools
from pathlib import PurePosixPath

from helpers.combinations import COPIER_YML, asked
from helpers.go_trees import variables

LINES: list[str] = COPIER_YML["_exclude"]


def path_of(line: str) -> str:
    """The path that a line leaves out, a pattern perhaps."""
    return line.partition("%]")[2].partition("[%")[0].strip("/")


def questions_of(line: str) -> list[str]:
    """The questions on whose answers it depends what a line leaves out, sorted."""
    names = variables(line)
    while derived := {name for name in names if name in COPIER_YML and name not in asked()}:
        names -= derived
        names |= set().union(*(variables(str(COPIER_YML[name]["default"])) for name in derived))
    return sorted(names & asked().keys())


def questions_of_path(path: str) -> list[str]:
    """The questions on whose answers it depends whether `path` is there, sorted."""
    above = [path, *map(str, PurePosixPath(path).parents)]
    lines = [line for line in LINES if any(fnmatch.fnmatchcase(p, path_of(line)) for p in above)]
    return sorted(set(itertools.chain(*map(questions_of, lines))))
