"""The questions of a template, read from its `copier.yml`, where alone they are written."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from gindock.errors import RefusedAnswerError, UnknownQuestionError

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

#: How an empty choice of several is said on the command line.
NOTHING = "none"


@dataclass(frozen=True)
class Question:
    """One question: its key, and what `copier.yml` says of it."""

    key: str
    type: str
    help: str
    section: str
    choices: Mapping[str, str]
    several: bool
    when: str
    ask: str
    default: Any
    """As it is written, an expression included."""

    @property
    def behind(self) -> bool:
        """Whether it is only asked of who customises its section."""
        return "customise" in self.ask

    def parse(self, text: str) -> Any:
        """The answer that `text` spells, of the question's type.

        Raises:
            RefusedAnswerError: it is none. Copier's validators see to the rest.

        """
        try:
            return self._parse(text)
        except ValueError as error:
            raise RefusedAnswerError(self.key, str(error)) from None

    def _parse(self, text: str) -> Any:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("the answer is no valid UTF-8") from None
        if self.several:
            if text.lower() in (
                "true",
                "false",
            ):  # As a question that took one of these is recorded.
                return list(self.choices.values()) if text.lower() == "true" else []
            values = listed(text)
            if NOTHING in values:
                raise ValueError(f"'{NOTHING}' goes with nothing else")
            for value in values:
                self._check_choice(value)
            return values
        if self.choices:
            self._check_choice(text)
        elif self.type == "int":
            try:
                return int(text)
            except ValueError:
                raise ValueError(f"'{text}' is no whole number") from None
        elif self.type == "bool":
            words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
            if text.lower() not in words:
                raise ValueError(f"'{text}' is neither true nor false")
            return words[text.lower()]
        return text

    def _check_choice(self, value: str) -> None:
        offered = list(self.choices.values())
        if value not in offered:
            raise ValueError(f"'{value}' is not offered; choose from {', '.join(offered)}")


@dataclass(frozen=True)
class Questions:
    """The questions of a template, in the order in which they are asked."""

    all: list[Question]
    _declared: list[Question] = field(repr=False)
    """With what is derived from answers."""
    _environment_options: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, file: Path) -> Questions:
        """The questions of the template whose `copier.yml` is `file`."""
        # libyaml reads it ten times as fast, where PyYAML was built with it.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=loader)
        declared = [
            Question(
                key=key,
                type=details.get("type", "yaml"),
                help=details.get("help", key),
                section=details.get("qmark", "").strip(),
                choices=_choices(details.get("choices") or {}),
                several=details.get("multiselect", False),
                when=str(details.get("when", True)),
                ask=str(details.get("ask", True)),
                default=details.get("default"),
            )
            for key, details in content.items()
            if not key.startswith("_")
        ]
        # `when: false` marks what is derived from the answers.
        asked = [question for question in declared if question.when != "False"]
        return cls(asked, declared, content.get("_envops", {}))

    @cached_property
    def by_key(self) -> dict[str, Question]:
        """The questions by their key."""
        return {question.key: question for question in self.all}

    def known(self, key: str) -> Question:
        """The question `key`.

        Raises:
            UnknownQuestionError: there is none.

        """
        if key not in self.by_key:
            raise UnknownQuestionError(key, "the template has no such question")
        return self.by_key[key]

    def asked(self, answers: Mapping[str, Any]) -> list[str]:
        """The keys of the questions that Copier asks of someone who gives `answers`."""
        return [
            q.key for q in self.all if self._holds(q.when, answers) and self._holds(q.ask, answers)
        ]

    def defaults(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """The template's defaults, those that derive from others included, where `known` is so."""
        found = dict(known)
        for question in self._declared:
            if question.key not in known:
                found[question.key] = self._default(question, found)
        return {question.key: found[question.key] for question in self.all}

    def _default(self, question: Question, known: Mapping[str, Any]) -> Any:
        if not isinstance(question.default, str):
            return question.default
        text = str(self._environment.from_string(question.default).render(known))
        return text.lower() == "true" if question.type == "bool" else text

    def needed(self, key: str, answers: Mapping[str, Any]) -> dict[str, Any]:
        """The fewest changes of `answers` that make the template take an answer to `key`.

        Empty where it takes one, or where no few changes help.
        """
        from jinja2 import meta

        when = self.by_key[key].when
        named = meta.find_undeclared_variables(self._environment.parse(when))
        values = {q.key: [*_values(q, answers)] for q in self.all if q.key in named}
        for number in range(len(values) + 1):
            for keys in itertools.combinations(values, number):
                for chosen in itertools.product(*(values[each] for each in keys)):
                    changes = dict(zip(keys, chosen, strict=True))
                    if self._holds(when, {**answers, **changes}):
                        return changes
        return {}

    def _holds(self, condition: str, answers: Mapping[str, Any]) -> bool:
        text = self._environment.from_string(condition).render(answers)
        return text.strip().lower() not in ("", "0", "false", "no", "none", "off", "n", "f")

    @cached_property
    def _environment(self) -> SandboxedEnvironment:
        # Late, because few commands need it.
        from jinja2 import ChainableUndefined
        from jinja2.sandbox import SandboxedEnvironment

        options = {k: v for k, v in self._environment_options.items() if k != "undefined"}
        environment = SandboxedEnvironment(**options, undefined=ChainableUndefined)
        # Those of Copier's filters that the questions use.
        environment.filters["regex_replace"] = lambda text, old, new: re.sub(old, new, str(text))
        environment.filters["regex_search"] = lambda text, old: re.search(old, str(text))
        return environment


def _values(question: Question, answers: Mapping[str, Any]) -> Iterator[Any]:
    """The other answers that `question` may have, an example where it takes any text."""
    choices = list(question.choices.values())
    if question.several:
        given = answers.get(question.key) or []
        yield from ([*given, choice] for choice in choices if choice not in given)
    elif choices:
        yield from (choice for choice in choices if choice != answers.get(question.key))
    elif question.type == "bool":
        yield not answers.get(question.key)
    else:
        yield "VALUE"


def listed(text: str) -> list[str]:
    """The answers to a question of several that `text` spells."""
    inner = text.strip("[] ")
    return [] if inner in ("", NOTHING) else [value.strip(" '\"") for value in inner.split(",")]


def _choices(choices: Any) -> dict[str, str]:
    if isinstance(choices, dict):
        return {str(label): str(value) for label, value in choices.items()}
    return {str(choice): str(choice) for choice in choices}
