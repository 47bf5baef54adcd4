"""Answers that an update is to change, read from what the user wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gindock.upstream import declared, source
from gindock.upstream.questions import Questions, listed
from gindock.upstream.source import Source


def parsed(assigned: Mapping[str, str], template: Source) -> dict[str, Any]:
    """The answers in `assigned`, texts by the keys of `template`'s questions.

    Raises:
        RefusedAnswerError: a text is no answer to its question.
        UnknownQuestionError: there is no such question.
        UserError: the template cannot be reached.

    """
    if not assigned:
        return {}
    parse = _parser(template)
    return {key: parse(key, text) for key, text in assigned.items()}


def _parser(template: Source) -> Callable[[str, str], Any]:
    """A function that reads the answer to a question from its text.

    Of another template than gindock's it only knows what takes a list; Copier does the rest.
    """
    if template.embedded:
        own = Questions.read(source.questions_file())
        return lambda key, text: own.known(key).parse(text)
    declares = declared.of(template) or {}
    several = {
        k for k, v in declares.items() if isinstance(v, dict) and v.get("multiselect") is True
    }
    return lambda key, text: listed(text) if key in several else text
