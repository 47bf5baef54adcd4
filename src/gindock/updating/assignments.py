"""Answers that an update is to change, read from what the user wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gindock.errors import RefusedAnswerError
from gindock.upstream import declared, source
from gindock.upstream.questions import NOTHING, Questions, listed
from gindock.upstream.source import Source


def parsed(assigned: Mapping[str, Sequence[str]], template: Source) -> dict[str, Any]:
    """The answers in `assigned`, texts by the keys of `template`'s questions.

    Several texts go together where the question takes several choices. Of another template than
    gindock's only these questions are known; Copier reads the answers to all others.

    Raises:
        RefusedAnswerError: a text is no answer to its question, or there are too many.
        UnknownQuestionError: there is no such question.
        UserError: the template cannot be reached.

    """
    if not assigned:
        return {}
    if template.embedded:
        own = Questions.read(source.questions_file())
        asked = {key: own.known(key) for key in assigned}
        return {
            key: asked[key].parse(_joined(key, texts, several=asked[key].several))
            for key, texts in assigned.items()
        }
    several = declared.with_several_answers(declared.of(template) or {})
    return {
        key: listed(_joined(key, texts, several=True))
        if key in several
        else _joined(key, texts, several=False)
        for key, texts in assigned.items()
    }


def _joined(key: str, texts: Sequence[str], *, several: bool) -> str:
    """The one text that `texts` come to."""
    if len(texts) == 1:
        return texts[0]
    if not several:
        raise RefusedAnswerError(key, f"it takes one value, got {' and '.join(texts)}")
    if NOTHING in texts:
        raise RefusedAnswerError(key, f"'{NOTHING}' goes with nothing else")
    return ",".join(text.strip("[] ") for text in texts)
