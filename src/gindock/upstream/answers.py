"""The answers file of a project: what Copier recorded when it rendered it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from gindock.errors import BadInputError, NotRenderedError, UserError

_USUAL = ".copier-answers.yml"
_ANY = ".copier-answers*.y*ml"

#: libyaml is ten times as fast, where PyYAML was built with it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def find(project: Path, named: Path | None = None) -> Path | None:
    """The answers file of `project`, or the one that is `named`; None where there is none."""
    file = project / (named or _USUAL)
    # Path.is_file() raises where the folder cannot be read.
    if os.path.isfile(file):  # noqa: PTH113
        return file
    return None if named else next(iter(sorted(project.glob(_ANY))), None)


def others(project: Path, file: Path) -> list[str]:
    """The answers files of `project` besides `file`, of other templates."""
    return [each.name for each in sorted(project.glob(_ANY)) if each != file]


def is_called(name: str) -> bool:
    """Whether an answers file may have the name `name`."""
    return fnmatchcase(name, _ANY)


def recorded(project: Path, named: Path | None = None) -> dict[str, Any]:
    """What the answers file of `project`, or the one that is `named`, records.

    Copier's own entries are included.

    Raises:
        UserError: that file is broken.

    """
    file = find(project, named)
    return read(file) if file else {}


def read(file: Path) -> dict[str, Any]:
    """The content of the answers file `file`; raises as `recorded` does."""
    content = _parsed(file.read_bytes())
    if content is None:
        raise UserError(f"{file} is no valid answers file; restore it from git")
    return content


def asked(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """The answers in what is `recorded`, without Copier's own entries."""
    return {key: value for key, value in recorded.items() if not key.startswith("_")}


def name_version(file: Path, version: str) -> None:
    """Let the answers file `file` record `version`, where it records any."""
    text = file.read_bytes().decode()
    entry = yaml.safe_dump({"_commit": version}).rstrip("\n")
    file.write_bytes(re.sub(r"(?m)^_commit: [^\r\n]*", lambda _: entry, text, count=1).encode())


def agree(new: bytes, other: bytes) -> bool:
    """Whether `other` records all that the answers file `new` records; it may hold more.

    One that has a key twice does not, whichever of them a reader takes.
    """
    wanted, found = _parsed(new), _parsed(other)
    if wanted is None or found is None:
        return False
    node = yaml.compose(other.decode(), Loader=_LOADER)
    keys = node.value if node else []
    return len(keys) == len(found) and wanted.items() <= found.items()


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        content = yaml.load(text.decode(), Loader=_LOADER)
    except (yaml.YAMLError, ValueError):
        return None
    is_record = isinstance(content, dict) and all(isinstance(key, str) for key in content)
    return content if is_record else None


def origin(project: Path, named: Path | None = None) -> tuple[str, str, dict[str, Any]]:
    """The source and the version that `project` came from, and everything recorded.

    `named` is its answers file, if it is not the usual one.

    Raises:
        BadInputError: the folder holds no rendered project, or its answers file is broken.
        OSError: the folder cannot be read.

    """
    if not project.is_dir():
        raise BadInputError(f"there is no folder {project}")
    try:
        content = recorded(project, named)
    except UserError as error:
        raise BadInputError(str(error)) from None
    if not content:
        with suppress(FileNotFoundError):
            (project / (named or _USUAL)).stat()  # Where that is refused, there may be one.
    url, version = content.get("_src_path"), content.get("_commit")
    if not url or not version:
        raise NotRenderedError(
            f"{project} was not rendered by gindock: it has no {named or _USUAL} with a version"
        )
    return str(url), str(version), content
