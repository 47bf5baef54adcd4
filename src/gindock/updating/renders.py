"""The two renders of an update, made ready for the merge."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gindock.errors import RefusedAnswerError, UnknownQuestionError, UserError
from gindock.gitio.repository import Repository
from gindock.updating.request import UpdateRequest
from gindock.updating.target import refuse_downgrade, refuse_moved_tag
from gindock.upstream import answers, changelog, declared, source
from gindock.upstream.away import Away
from gindock.upstream.opened import Opened
from gindock.upstream.source import Source

#: The content of files that a trial render finds; it leaves alone what the template skips.
_MARKER = b"what a template skips if it exists\n"


class Renders:
    """The old and the new version, rendered in `scratch` away from the project.

    `answers_file` is relative to the project.
    """

    def __init__(
        self,
        repository: Repository,
        scratch: Path,
        old: Source,
        new: Source,
        answers_file: Path,
    ) -> None:
        self._repository = repository
        self._old = old
        self._new = new
        self._answers_file = answers_file
        self._before, self._after = (
            Away(scratch / name, repository.project) for name in ("before", "after")
        )
        self.recorded: Mapping[str, Any] = {}
        """What the answers file of the new render records."""
        self.changelog = ""
        """What the template's changelog says of the versions in between."""
        self.handed_over: frozenset[str] = frozenset()
        """The files that the template leaves to the user from now on, relative to the project."""

    @property
    def version(self) -> str:
        """The new version, as it is recorded."""
        return str(self.recorded["_commit"])

    @property
    def folders(self) -> tuple[Path, Path]:
        """The folders of the old and of the new render."""
        return self._before.folder, self._after.folder

    def render(
        self, recorded: Mapping[str, Any], given: Mapping[str, Any], request: UpdateRequest
    ) -> None:
        """Render both versions with what is `recorded`, and the new one with what is `given`.

        Raises:
            BadInputError: an answer is refused, or asked for in vain.
            UserError: a version cannot be had or rendered, or does not record itself.
            KeyboardInterrupt: the user left a question with Ctrl-C.

        """
        # Late: it imports Copier, which a project without news does not need.
        from gindock.upstream import rendering

        common: dict[str, Any] = {
            "answers_file": self._answers_file,
            "given": answers.asked(recorded),
            "updates": True,
        }
        with source.opened(self._new.url) as template:
            refuse_moved_tag(self._old, self._new, template, str(self._answers_file))
            # Copier would record any of several tags on one commit.
            version = self._new.ref if template.has_tag(self._new.ref or "") else None
            self.changelog = self._news(template)
        try:
            self.recorded = rendering.rerender(
                self._new, self._after, data=given, defaults=request.defaults, version=version,
                **common,
            )  # fmt: skip
        except RefusedAnswerError as error:
            # Copier does not name every question that it refuses an answer to.
            raise RefusedAnswerError(error.key or ", ".join(given), error.reason) from error
        self._check(given, request)
        rendering.rerender(self._old, self._before, version=self._old.ref, **common)
        self._hand_over(common)
        self._keep_what_exists({**common, "given": self.recorded})

    def _check(self, given: Mapping[str, Any], request: UpdateRequest) -> None:
        # What is secret is never recorded; that it was asked cannot be told.
        known = self.recorded.keys() | declared.secrets(declared.of(self._new) or {})
        for key in given:
            if key not in known or key.startswith("_"):
                reason = "the template has no such question, or the other answers rule it out"
                raise UnknownQuestionError(key, reason)
        if "_commit" not in self.recorded:
            raise UserError(
                f"the template at {self._new.url} does not record its version; let its "
                f"{self._answers_file} hold `_copier_answers|to_nice_yaml`"
            )
        # Only now is the version of a commit known.
        refuse_downgrade(self._old, Source(self._new.url, self.version), request.to)

    def _news(self, template: Opened) -> str:
        old, new = self._old, self._new
        if old.url != new.url:
            return ""
        text = (
            source.changelog()
            if new.embedded
            else template.read(new.ref or "HEAD", "CHANGELOG.md") or ""
        )
        return changelog.between(text, old.ref or "", new.ref or "")

    def _hand_over(self, common: Mapping[str, Any]) -> None:
        """Remove the files that the template has handed over to the user from the old render.

        These are the files that the new version's list of exclusions leaves out with the answers
        of before, and the old version's did not. That an answer rules a file out is another matter.
        `common` is what the renders have in common.
        """
        from gindock.upstream import rendering

        before, after = self._before, self._after
        lists = [declared.excluded(declared.of(each) or {}) for each in (self._old, self._new)]
        gone = [path for path in _files(before) if not os.path.lexists(after.folder / path)]
        if not gone or not lists[1] or lists[0] == lists[1]:
            return
        without = Away(before.root.with_name("without"), before.project)
        rendering.rerender(self._old, without, exclude=lists[1], **common)
        handed_over = {path for path in gone if not os.path.lexists(without.folder / path)}
        for path in handed_over:
            (before.folder / path).unlink()
        self.handed_over = frozenset(path.as_posix() for path in handed_over)

    def _keep_what_exists(self, common: Mapping[str, Any]) -> None:
        """Take the project's files into the new render where the template skips files that exist.

        Only Copier knows these files: they are the ones that a render over others leaves alone.
        """
        if not (declared.of(self._new) or {}).get("_skip_if_exists"):
            return
        before, after, project = self._before, self._after, self._repository.project
        held = [
            path
            for path in _files(after)
            if path != self._answers_file
            and not (after.folder / path).is_symlink()
            and os.path.lexists(project / path)
        ]
        skipped = self._skipped(held, common)
        tracked = self._repository.entries("HEAD")
        for path in skipped:
            (after.folder / path).unlink()
            if os.path.lexists(before.folder / path):
                _copy(before.folder / path, after.folder / path)
            elif self._repository.prefix + path.as_posix() in tracked:
                _copy(project / path, after.folder / path)

    def _skipped(self, held: list[Path], common: Mapping[str, Any]) -> list[Path]:
        """Return the files in `held`, which the project has, that the template skips."""
        from gindock.upstream import rendering

        put = {path.as_posix(): _MARKER for path in held}
        trial = Away(self._after.root.with_name("trial"), self._after.project, put)
        rendering.rerender(self._new, trial, **common)
        return [path for path in held if path.as_posix() in trial.untouched]


def _files(render: Away) -> list[Path]:
    """The files and links of a render, relative to the project."""
    return [
        path.relative_to(render.folder)
        for path in render.folder.rglob("*")
        if path.is_symlink() or path.is_file()
    ]


def _copy(original: Path, target: Path) -> None:
    """Copy a file, a link as it is, or a folder."""
    if original.is_dir() and not original.is_symlink():
        shutil.copytree(original, target, symlinks=True)
    else:
        shutil.copy2(original, target, follow_symlinks=False)
