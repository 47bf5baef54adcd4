"""What a project's template renders, and what it says of the answers.

It is kept in the user's cache, as a listing, so that a second status renders nothing and does not
import Copier.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from gindock.errors import BadInputError, RefusedAnswerError
from gindock.gitio.command import git, own_git
from gindock.gitio.formats import Tree, parsed_index
from gindock.status.drift import Drift
from gindock.upstream import answers, cache, source
from gindock.upstream.away import Away
from gindock.upstream.source import Source

#: Overrides of the user's settings, but not of filters, by which their project is stored.
_PLAIN = (
    "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}",
    "-c", "core.safecrlf=false", "-c", "core.sparseCheckout=false", "-c", "core.splitIndex=false",
)  # fmt: skip

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class AnswerCheck:
    """What a version of the template says of a project's answers."""

    refused: dict[str, str]
    """Those that are not valid, each with the reason."""
    new: list[str]
    """The questions that are not answered."""


@dataclass(frozen=True)
class Origin:
    """What a project was rendered from; rendered in `scratch` where the cache does not know."""

    project: Path
    template: Source
    recorded: Mapping[str, Any]
    answers_file: Path
    """Relative to the project."""
    object_format: str
    scratch: Path

    def pristine(self) -> tuple[Tree, AnswerCheck]:
        """The files that the template renders, and what it says of the answers.

        Raises:
            BadInputError: there is no such version of the template.
            UserError: the template cannot be had, or cannot be rendered.

        """

        def make() -> dict[str, Any]:
            away = self._rendered()
            listed = parsed_index(own_git("ls-files", "--stage", "-z", folder=away.folder))
            files = {path: entry for path, entry, _ in listed}
            files.pop(self.answers_file.as_posix(), None)
            return {"files": files, **self._said(self.template, away)}

        def read(kept: Any) -> tuple[Tree, AnswerCheck]:
            files = {path: (mode, identity) for path, (mode, identity) in kept["files"].items()}
            return files, self._check(kept)

        return _cached(["files", self.object_format, *self._key(self.template)], make, read)

    def answers_in(self, newest: str) -> AnswerCheck:
        """What the version `newest` of the template says of the answers; raises as `pristine`."""

        def make() -> dict[str, Any]:

            template = Source(self.template.url, newest)
            if template.embedded:
                template = source.questionnaire(self.scratch)
            return self._said(template, self._render(template, "newest"))

        key = ["answers", *self._key(Source(self.template.url, newest))]
        return _cached(key, make, self._check)

    def diff(self, drift: Drift, *, colour: bool) -> str:
        """The `drift` as a patch; raises as `pristine` does."""
        paths = sorted({*drift.changed, *drift.deleted, *drift.moved, *drift.moved.values()})
        if not paths:
            return ""
        where = (f"--git-dir={self._rendered().folder / '.git'}", f"--work-tree={self.project}")
        literal = {"GIT_LITERAL_PATHSPECS": "1"}
        if drift.moved:
            places = drift.moved.values()
            add = (*where, *_PLAIN, "add", "--intent-to-add", "--force", "--", *places)
            git(*add, folder=self.project, env=literal)
        patch = git(
            *(*where, *_PLAIN, "diff", "--no-ext-diff"),
            "--find-renames" if drift.moved else "--no-renames",
            *("--src-prefix=a/", "--dst-prefix=b/", f"--color={'always' if colour else 'never'}"),
            *("--", *paths),
            folder=self.project,
            env=literal,
        )
        return patch.decode(errors="replace")

    def _rendered(self) -> Away:
        """Render once into a git repository of its own, and stage everything."""
        away = self._away("pristine")
        if not away.folder.exists():
            away = self._render(self.template, "pristine")
            init = ("init", "--quiet", "--template=", f"--object-format={self.object_format}")
            own_git(*init, ".", folder=away.folder)
            git(*_PLAIN, "add", "--all", "--force", "--", ".", folder=away.folder)
        return away

    def _away(self, name: str) -> Away:
        return Away(self.scratch / name, self.project)

    def _render(self, template: Source, name: str) -> Away:
        # Late: it imports Copier.
        from gindock.upstream import rendering

        away = self._away(name)
        rendering.rerender(template, away, answers_file=self.answers_file, given=self.recorded)
        return away

    def _said(self, template: Source, render: Away) -> dict[str, Any]:
        """What `template` says of the answers in its `render`, and what that has consulted."""
        now = answers.asked(answers.read(render.folder / self.answers_file))
        given = answers.asked(self.recorded)
        refused = [key for key in given if key in now and now[key] != given[key]]
        reasons = {key: self._reason(template, {**now, key: given[key]}, key) for key in refused}
        said = AnswerCheck(reasons, [key for key in now if key not in given])
        return {"answers": vars(said), "consulted": render.consulted}

    def _check(self, kept: Any) -> AnswerCheck:
        """Return what `_said` recorded; raise ValueError if files that its render read changed."""
        if self._away("").changed_since(kept["consulted"]):
            raise ValueError
        return AnswerCheck(**kept["answers"])

    def _reason(self, template: Source, data: Mapping[str, Any], key: str) -> str:
        from gindock.upstream import rendering

        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            away = Away(Path(folder), self.project)
            try:
                rendering.render(template, away, data=data, defaults=True, on_a_terminal=False)
            except RefusedAnswerError as error:
                return error.reason
            except BadInputError as error:
                return str(error)
        return "it does not go with other answers"

    def _key(self, template: Source) -> list[Any]:
        about = [template.url, template.ref, str(self._away("").project), str(self.answers_file)]
        return [*about, answers.asked(self.recorded), metadata.version("copier")]


def _cached(key: list[Any], make: Callable[[], Any], read: Callable[[Any], _Read]) -> _Read:
    """Return what `make` makes, as `read` reads it; keep it in the user's cache if possible."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
    file = cache.folder() / f"status-{digest[:32]}.json"
    # A broken file is made anew.
    with suppress(OSError, ValueError, TypeError, LookupError, AttributeError):
        return read(json.loads(file.read_text(encoding="utf-8")))
    made = make()
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, prefix=".status-", delete=False
        ) as beside:
            json.dump(made, beside)
        Path(beside.name).replace(file)
    return read(made)
