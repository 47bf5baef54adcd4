"""The draft of a new service: rendered away from its destination, shown, and changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gindock.creating import surroundings
from gindock.creating.destination import StagingFolder, staging_folder
from gindock.creating.places import check_place, in_the_way
from gindock.creating.request import NewRequest
from gindock.errors import (
    BadInputError,
    OccupiedError,
    RefusedAnswerError,
    RefusedNameError,
    UnaskedQuestionError,
    UnknownQuestionError,
)
from gindock.gitio.command import check_installed
from gindock.upstream import declared
from gindock.upstream.questions import Questions


@dataclass
class Draft:
    """A rendered project that is not at its destination yet."""

    request: NewRequest
    _staging: StagingFolder
    _known: Mapping[str, Any]
    folder: Path = field(init=False)
    """Where the service lies until it is created."""
    _recorded: Mapping[str, Any] = field(init=False)
    _chosen_of: Mapping[str, Any] | None = field(init=False, default=None)
    _chosen_cache: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Render, asking the questions that are open."""
        # gindock's own template is rendered anyway: the result shows which questions are open.
        own = self.request.questions is not None
        defaults = self.request.defaults or (own and not self.request.interactive)
        try:
            self._render(data=self.request.given, defaults=defaults)
        except RefusedAnswerError as error:
            if error.key != "service_name" or self.request.proposed_name is None:
                raise
            self._name_otherwise(error, defaults=defaults)
        self._refuse_unused(self.request.given)

    def _name_otherwise(self, refused: RefusedAnswerError, *, defaults: bool) -> None:
        """Propose another name than the directory's, where there is someone to ask.

        Raises:
            RefusedNameError: there is nobody.

        """
        given = dict(self.request.given)
        proposed = self.request.proposed_name or ""
        if proposed == given.pop("service_name"):
            proposed += "-service"
        if defaults:
            raise RefusedNameError("service_name", refused.reason, proposed)
        self.request = replace(self.request, given=given)
        self._render(data=given, defaults=False, suggestions={"service_name": proposed})

    @property
    def answers(self) -> dict[str, Any]:
        """The recorded answers, in the order of the questions."""
        recorded = {k: v for k, v in self._recorded.items() if not k.startswith("_")}
        if self.request.questions is None:
            return recorded
        return {q.key: recorded[q.key] for q in self.request.questions.all if q.key in recorded}

    @property
    def shown_answers(self) -> dict[str, Any]:
        """The answers to what everyone is asked, and those given or chosen; others are defaults."""
        if self.request.questions is None:
            return self.answers
        everyone = [q.key for q in self._questions.all if not q.behind]
        shown = {*everyone, *self.request.given, *self._chosen}
        return {key: value for key, value in self.answers.items() if key in shown}

    @property
    def open_to_change(self) -> dict[str, Any]:
        """The answers that are shown, and those to what was asked."""
        shown = {*self.shown_answers, *self._asked()}
        return {key: value for key, value in self.answers.items() if key in shown}

    @property
    def files(self) -> list[str]:
        """The files of the project, relative to its root, sorted."""
        return sorted(
            file.relative_to(self.folder).as_posix()
            for file in self.folder.rglob("*")
            if file.is_symlink() or file.is_file()
        )

    @property
    def version(self) -> str:
        """The version of the template that was rendered."""
        return str(self._recorded.get("_commit", "unversioned"))

    @property
    def destination(self) -> Path:
        """Where the project goes: the directory asked for, or one named like the service."""
        if self.request.directory is not None:
            return self.request.directory
        name = self.answers.get("service_name")
        if name is None:
            raise BadInputError("this template names no service; name the DIRECTORY to create")
        return _directory_named(name)

    def change(self, key: str) -> None:
        """Ask the question `key` once more, then those that its new answer opens.

        Defaults that derive from the changed answer are derived anew.

        Raises:
            UserError: the new answer does not go with the others; the draft stays as it was.

        """
        before = self.folder, self._recorded
        given = {k: v for k, v in self.request.given.items() if k in self.answers}
        kept = {k: v for k, v in {**given, **self._chosen}.items() if k != key}
        settled = {*self._asked(), *kept, key}
        try:
            self._render(data=kept, ask=[key], suggestions={key: self.answers[key]}, defaults=True)
            asked = [key]
            while opened := [k for k in self._asked() if k not in settled]:
                kept |= {k: self.answers[k] for k in asked}
                self._render(data=kept, ask=opened, defaults=True)
                asked = opened
                settled |= {*opened}
        except Exception:
            self.folder, self._recorded = before
            raise

    @property
    def in_the_way(self) -> list[str]:
        """The files at the destination that the service has, too, and those that bar its folders.

        Raises:
            BadInputError: the destination is no place for a folder.

        """
        check_place(self.destination)
        return in_the_way(self.destination, self.files)

    def check_destination(self) -> list[str]:
        """What is in the way, and kept.

        Raises:
            BadInputError: it is not to be kept.

        """
        found = self.in_the_way
        if found and not self.request.keep:
            raise OccupiedError(self.destination, found)
        return found

    def keep_what_is_there(self) -> None:
        """Keep what is in the way, and leave out of the service what would take its place."""
        self.request = replace(self.request, keep=self.request.keep or bool(self.in_the_way))

    def place(self) -> list[str]:
        """Move the service to its destination, all of it, or, on an error, nothing.

        Returns what is kept.

        Raises:
            UserError: something is in the way that is not to be kept.

        """
        kept = self.check_destination()
        self._staging.destination = self.destination
        self._staging.place(self.folder, without=kept)
        return kept

    @property
    def not_run(self) -> list[str]:
        """The template's commands that Copier would have run, as they are written."""
        return declared.tasks(declared.of(self.request.template) or {})

    @cached_property
    def _questions(self) -> Questions:
        assert self.request.questions is not None
        return self.request.questions

    @property
    def _chosen(self) -> dict[str, Any]:
        """The answers that the user chose: those that are no default of theirs."""
        if self.request.questions is None:
            return self.answers
        if self._chosen_of is not self._recorded:
            self._chosen_cache = self._minimal(self._known, own=True)
            self._chosen_of = self._recorded
        return self._chosen_cache

    @property
    def differing(self) -> dict[str, Any]:
        """The answers that differ from the template's defaults, or from the user's own."""
        from gindock.upstream import rendering

        given = {k: v for k, v in self.request.given.items() if k in self.answers}
        differing = {**given, **self._chosen} if self.request.interactive else given
        if self._known or rendering.own_defaults():
            differing = {**differing, **self._minimal({}, own=False)}
        return {key: value for key, value in self.answers.items() if key in differing}

    def _minimal(self, known: Mapping[str, Any], *, own: bool) -> dict[str, Any]:
        """The fewest answers, in the order of the questions, that lead to all of them."""
        from gindock.upstream import rendering

        given: dict[str, Any] = {"service_name": self.answers["service_name"]}
        while True:
            try:
                derived = rendering.default_answers({**known, **given}, own=own)
            except BadInputError:
                return self.answers  # Some answers are only valid together.
            differs = next((k for k, v in self.answers.items() if derived.get(k) != v), None)
            if differs is None or differs in given:
                return given
            given[differs] = self.answers[differs]

    @property
    def open_questions(self) -> list[str]:
        """The keys of the questions that the request leaves open."""
        return [key for key in self._asked() if key not in self.request.given]

    def _asked(self) -> list[str]:
        if self.request.questions is None:
            return []
        return self._questions.asked({**self._known, **self.answers})

    def _render(self, *, data: Mapping[str, Any], defaults: bool, **options: Any) -> None:
        # Imported late: it imports Copier, which takes long.
        from gindock.upstream import rendering

        away = self._staging.new_project()
        recorded = rendering.render(
            self.request.template,
            away,
            data={**self._known, **data},
            defaults=defaults,
            on_a_terminal=self.request.interactive,
            **options,
        )
        self.folder, self._recorded = away.folder, recorded

    def _refuse_unused(self, given: Mapping[str, Any]) -> None:
        unused = [key for key in given if key not in self.answers]
        if self.request.questions is not None:
            for key in unused:
                needed = self._questions.needed(key, self.answers)
                raise UnaskedQuestionError(key, self.answers, needed)
        if not unused:
            return
        # The answers file has no secret answers, and a template may have no answers file.
        questions = declared.asks(self.request.template)
        for key in unused:
            if key not in questions:
                raise UnknownQuestionError(key, "this template has no such question")


@contextmanager
def drafted(request: NewRequest) -> Iterator[Draft]:
    """Draft a project; what is not created by the end is removed.

    Raises:
        BadInputError: the destination is not free, or an answer is refused.
        UserError: the template cannot be had, or a repository around cannot be read.

    """
    check_installed()
    directory = request.directory
    if directory is None and "service_name" in request.given:
        directory = _directory_named(request.given["service_name"])
    destination = directory or Path.cwd() / "service"
    repository = surroundings.repository_around(destination, needed=request.with_git)
    known = surroundings.known(destination, repository) if request.questions else {}
    with staging_folder(destination, elsewhere=request.preview) as folder:
        yield Draft(request, folder, known)


def _directory_named(name: object) -> Path:
    if not re.fullmatch(r"[\w][\w .-]*", str(name)):
        reason = f"{name!r} cannot name a directory; name the DIRECTORY"
        raise RefusedAnswerError("service_name", reason)
    return Path.cwd() / str(name)
