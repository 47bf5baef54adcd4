"""How questions, answers and errors are spelled on the command line."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gindock.errors import (
    BadInputError,
    NobodyToAskError,
    NotRenderedError,
    OccupiedError,
    RefusedAnswerError,
    RefusedNameError,
    RefusedSettingError,
    UnaskedQuestionError,
    UnknownQuestionError,
    UnreadableRepositoryError,
    UserError,
)
from gindock.upstream.questions import NOTHING, Question

if TYPE_CHECKING:
    from gindock.creating.draft import Draft


ANSWERS_FILE_HELP = "The answers file to go by, within the project; by default .copier-answers.yml."


def option(key: str) -> str:
    """The option of `gindock new` that answers the question `key`."""
    return "--" + key.replace("_", "-")


def options(question: Question, answer: Any) -> list[str]:
    """The arguments of `gindock new` that give `answer` to `question`."""
    name = option(question.key)
    if question.type == "bool":
        return [name if answer else name.replace("--", "--no-", 1)]
    return [name, ",".join(answer) or NOTHING if question.several else str(answer)]


def path(spelled: str) -> str:
    """The path that the user `spelled`, such that no command takes it for an option."""
    return f"./{spelled}" if spelled.startswith("-") else spelled


@dataclass(frozen=True)
class Invocation:
    """How `gindock new` was called, where its draft does not tell."""

    directory: str
    """The directory as the user wrote it; empty where none was named."""
    ref: str | None
    names_own: bool
    """The user named gindock's own template, which need not be the default."""

    def again(self, draft: Draft) -> str:
        """The command that creates `draft` without a question."""
        request = draft.request
        arguments = ["gindock", "new"]
        if self.directory:
            arguments.append(path(self.directory))
        if self.ref:
            arguments += ["--ref", self.ref]
        if not request.with_git:
            arguments.append("--no-git")
        if request.keep:
            arguments.append("--keep")
        if self.names_own:
            arguments += ["--template", "gindock"]
        if request.questions is None:
            arguments += ["--template", request.template.url]
            for key, value in draft.answers.items():
                arguments += [
                    "-d",
                    f"{key}={value if isinstance(value, str) else json.dumps(value)}",
                ]
        else:
            named = request.directory.name if request.directory else ""
            for key, value in draft.differing.items():
                if key != "service_name" or value != named:
                    arguments += options(request.questions.by_key[key], value)
        return shlex.join([*arguments, "--defaults"])


def error_of_new(error: UserError) -> str:
    """What `gindock new` says of `error`."""
    match error:
        case UnaskedQuestionError():
            return _unasked(error)
        case OccupiedError():
            return f"{error}; choose another directory, move them away, or keep them with --keep"
        case RefusedNameError():
            name = option(error.key)
            return f"{name}: {error.reason}; add {name} {error.proposed}, or one of your own"
        case UnknownQuestionError():
            return f"-d {error.key}: {error.reason}"
        case RefusedAnswerError() if error.key:
            return f"{option(error.key)}: {error.reason}"
        case NobodyToAskError():
            return f"{error}; add --defaults, or an option for each question"
        case UnreadableRepositoryError():
            more = ", choose another directory, or add --no-git"
            return error.reason + (more if error.avoidable else ", or choose another directory")
    return _error(error)


def _unasked(error: UnaskedQuestionError) -> str:
    """Which answers rule a question out, and what to give instead."""
    if not error.needed:
        return f"{option(error.key)} does not apply: {error.reason}"
    given = [shlex.join(_spelled(key, error.answers.get(key))) for key in error.needed]
    needed = [
        shlex.join(_spelled(key, _more(value, error.answers.get(key))))
        for key, value in error.needed.items()
    ]
    return (
        f"{option(error.key)} does not apply with {' and '.join(given)}; leave it out, "
        f"or add {' and '.join(needed)}"
    )


def _spelled(key: str, answer: Any) -> list[str]:
    if isinstance(answer, bool):
        return [option(key) if answer else option(f"no_{key}")]
    return [option(key), ",".join(answer) or NOTHING if isinstance(answer, list) else str(answer)]


def _more(needed: Any, given: Any) -> Any:
    """What `needed` has more than what is `given`, where it is a list."""
    if isinstance(needed, list):
        return [each for each in needed if each not in (given or [])]
    return needed


def error_of_update(error: UserError) -> str:
    """What `gindock update` says of `error`."""
    match error:
        case UnknownQuestionError():
            return f"--set {error.key}: {error.reason}"
        case RefusedAnswerError() if error.key:
            return f"--set {error.key}: {error.reason}"
        case NobodyToAskError():
            return f"{error}; add --defaults"
    return _error(error)


def error_of_status(error: UserError) -> str:
    """What `gindock status` says of `error`."""
    return _error(error)


def answers_file(file: Path | None) -> Path | None:
    """The `file` that the user named in a project.

    Raises:
        RefusedSettingError: it is in none.

    """
    if file is not None and (file.is_absolute() or ".." in file.parts or file == Path()):
        reason = "name a file within the project, such as .copier-answers.yml"
        raise RefusedSettingError("answers-file", str(file), reason)
    return file


def _error(error: UserError) -> str:
    if isinstance(error, NotRenderedError):
        return f"{error}; one of another name is given by --answers-file"
    if isinstance(error, RefusedSettingError):
        value = f" {error.value}" if error.value else ""
        return f"--{error.key}{value}: {error.reason}"
    return str(error)


def assigned(texts: Iterable[str], option: str, form: str) -> Iterator[tuple[str, str]]:
    """The keys and values in `texts`, which `option` gave in the `form` of `key=value`.

    Raises:
        BadInputError: one has no such form.

    """
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise BadInputError(f"{option} {text}: write it as {form}")
        yield key, value
