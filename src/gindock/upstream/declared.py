"""What a version of a template declares in its `copier.yml`, besides its questions.

Copier reads that file itself when it renders; this is for what has to be known before, or of two
versions at once.
"""

from __future__ import annotations

import functools
import re
import shlex
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import yaml

from gindock.errors import UserError
from gindock.upstream import checkout, source
from gindock.upstream.source import Source

Settings = Mapping[str, Any]

#: What Copier collects from all documents of the file; of everything else, the last one counts.
_COLLECTED = ("_exclude", "_jinja_extensions", "_secret_questions", "_skip_if_exists")


# libyaml is ten times as fast, where PyYAML was built with it.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Files(Protocol):
    """The files of a version of a template."""

    def names(self, version: str) -> list[str] | None:
        """Their paths; None where there is no such version."""

    def read(self, version: str, name: str) -> str | None:
        """The content of one."""


@dataclass(frozen=True)
class _Folder:
    """A template that is no git repository."""

    folder: Path

    def names(self, version: str) -> list[str] | None:
        return [p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*.*")]

    def read(self, version: str, name: str) -> str | None:
        return (self.folder / name).read_text(encoding="utf-8", errors="replace")


@functools.cache
def of(template: Source) -> Settings | None:
    """What `template` declares, questions included; None where it has no such version.

    Raises:
        UserError: the template cannot be had, or its `copier.yml` cannot be read.

    """
    if own := checkout.of(template):
        return _declared(_Folder(own.folder), "")
    folder = Path(template.url).expanduser()
    if folder.is_dir() and not ((folder / ".git").exists() or (folder / "HEAD").is_file()):
        return _declared(_Folder(folder), "")
    with source.opened(template.url) as opened:
        return _declared(opened, template.ref or source.newest(template.url))


def asks(template: Source) -> set[str]:
    """The keys of the questions of `template`; raises as `of` does."""
    return {str(key) for key in of(template) or {} if not str(key).startswith("_")}


def with_several_answers(settings: Settings) -> set[str]:
    """The keys of the questions that take several choices."""
    return _questions_with(settings, "multiselect")


def secrets(settings: Settings) -> set[str]:
    """The keys of the questions whose answers are never recorded."""
    named = set(map(str, settings.get("_secret_questions") or ()))
    return _questions_with(settings, "secret") | (named & settings.keys())


def _questions_with(settings: Settings, mark: str) -> set[str]:
    return {k for k, v in settings.items() if isinstance(v, dict) and v.get(mark) is True}


def excluded(settings: Settings) -> list[str]:
    """The patterns of what an update leaves out; see `excluded_from_updates`."""
    return [*map(str, settings.get("_exclude") or ()), *excluded_from_updates(settings)]


def excluded_from_updates(settings: Settings) -> list[str]:
    """The patterns that may leave more out of an update than of the first render.

    Only these ask which of the two it is; Copier would answer the first, whatever a render is for.
    """
    marks = settings.get("_envops") or {}
    start, end = marks.get("block_start_string", "{%"), marks.get("block_end_string", "%}")
    return [
        f"{start} set _copier_operation = 'update' {end}{pattern}"
        for pattern in map(str, settings.get("_exclude") or ())
        if "_copier_operation" in pattern
    ]


def tasks(settings: Settings) -> list[str]:
    """The commands that Copier would run after a render, as they are written."""
    return [_spelled(task) for task in settings.get("_tasks") or ()]


def migrations(settings: Settings, before: str, after: str) -> list[str]:
    """The commands that Copier would run in an update from version `before` to `after`."""
    old, new = source.version_of(before), source.version_of(after)
    commands: list[str] = []
    for migration in settings.get("_migrations") or ():
        named = migration.get("version") if isinstance(migration, dict) else None
        version = source.version_of(str(named)) if named is not None else None
        if version and old and new and not new >= version > old:
            continue
        if isinstance(migration, dict) and migration.keys() & {"before", "after"}:
            stages = (migration.get("before") or (), migration.get("after") or ())
            commands += [_spelled(command) for stage in stages for command in stage]
        else:
            commands.append(_spelled(migration))
    return commands


def _spelled(task: object) -> str:
    command = task.get("command", "") if isinstance(task, dict) else task
    return shlex.join(map(str, command)) if isinstance(command, list) else str(command).strip()


def _declared(files: _Files, version: str) -> Settings | None:
    names = files.names(version)
    if names is None:
        return None
    found = [name for name in names if re.fullmatch(r"copier\.ya?ml", name, re.IGNORECASE)]
    if not found:
        return {}

    def included(pattern: str) -> Iterator[str]:
        wanted = PurePosixPath(pattern).parts
        for name in names:
            if _matches(PurePosixPath(name).parts, wanted):
                yield files.read(version, name) or ""

    try:
        sections = [*_documents(files.read(version, found[0]) or "", included)]
        collected = {
            key: [each for section in sections for each in section.get(key) or ()]
            for key in _COLLECTED
            if any(key in section for section in sections)
        }
        return dict(ChainMap(collected, *reversed(sections)))
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"the template's {found[0]} cannot be read ({reason}); mend it") from error


def _documents(text: str, included: Callable[[str], Iterable[str]]) -> Iterator[dict[str, Any]]:
    """The documents in `text`, and those in what these include."""

    class Loader(_Loader):  # type: ignore[misc]
        """With Copier's own tag."""

    def include(loader: Any, node: yaml.ScalarNode) -> list[Any]:
        pattern = str(loader.construct_scalar(node))
        return [each for found in included(pattern) for each in _documents(found, included)]

    Loader.add_constructor("!include", include)
    yield from _flat(yaml.load_all(text, Loader=Loader))


def _flat(documents: Iterable[Any]) -> Iterator[Any]:
    for document in documents:
        if isinstance(document, list):
            yield from _flat(document)
        elif document:
            yield document


def _matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the glob `pattern` means `path`, both by their parts."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_matches(path[n:], pattern[1:]) for n in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _matches(path[1:], pattern[1:])
