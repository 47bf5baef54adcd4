"""The questions of a template, read from its `copier.yml`, where alone they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from gindock.errors import RefusedAnswerError, UnknownQuestionError

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
            values = listed(text)
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
    _environment_options: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, file: Path) -> Questions:
        """The questions of the template whose `copier.yml` is `file`."""
        # libyaml reads it ten times as fast, where PyYAML was built with it.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=loader)
        asked = [
            Question(
                key=key,
                type=details.get("type", "yaml"),
                help=details.get("help", key),
                section=details.get("qmark", "").strip(),
                choices=_choices(details.get("choices") or {}),
                several=details.get("multiselect", False),
                when=str(details.get("when", True)),
                ask=str(details.get("ask", True)),
            )
            for key, details in content.items()
            # `when: false` marks what is derived from the answers.
            if not key.startswith("_") and details.get("when") is not False
        ]
        return cls(asked, content.get("_envops", {}))

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
        # Late, because no other command needs it.
        from jinja2 import ChainableUndefined
        from jinja2.sandbox import SandboxedEnvironment

        options = {k: v for k, v in self._environment_options.items() if k != "undefined"}
        environment = SandboxedEnvironment(**options, undefined=ChainableUndefined)

        def holds(condition: str) -> bool:
            text = environment.from_string(condition).render(answers)
            return text.strip().lower() not in ("", "0", "false", "no", "none", "off", "n", "f")

        return [q.key for q in self.all if holds(q.when) and holds(q.ask)]


def listed(text: str) -> list[str]:
    """The answers to a question of several that `text` spells."""
    inner = text.strip("[] ")
    return [] if inner in ("", NOTHING) else [value.strip(" '\"") for value in inner.split(",")]


def _choices(choices: Any) -> dict[str, str]:
    if isinstance(choices, dict):
        return {str(label): str(value) for label, value in choices.items()}
    return {str(choice): str(choice) for choice in choices}
