"""What the commands exit with, and the errors that a user can mend.

Their texts say what is wrong and what to do next. What the user gave is named by its key; only the
command line knows by which option it was given, and spells that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar


class ExitCode(IntEnum):
    """What the commands exit with."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    CONFLICTS = 3
    INTERRUPTED = 130


class UserError(Exception):
    """Something that the user can mend."""

    code: ClassVar[ExitCode] = ExitCode.FAILED


class BadInputError(UserError):
    """A `UserError` in what the user gave: an argument, an answer, a project that is not ready.

    Nothing was begun. What fails on the way, or on the machine, is a plain `UserError`.
    """

    code = ExitCode.BAD_INPUT


class NotRenderedError(BadInputError):
    """A folder without the answers file that a rendered project has."""


class NoSuchVersionError(BadInputError):
    """A version that the template does not have, or has no more."""


class _KeyedError(BadInputError):
    """A `BadInputError` in what the user gave as `key`, for `reason`."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        """The reason, after the key where that is known."""
        return f"{self.key}: {self.reason}" if self.key else self.reason


class RefusedAnswerError(_KeyedError):
    """An answer to the question `key` that is refused; `key` is empty where Copier names none."""


class RefusedSettingError(_KeyedError):
    """The `value` of a command's setting `key`, such as the version to update to, is refused."""

    def __init__(self, key: str, value: str, reason: str) -> None:
        super().__init__(key, reason)
        self.args = (key, value, reason)
        self.value = value


class UnknownQuestionError(_KeyedError):
    """An answer to a question, `key`, that the template does not ask."""


class UnaskedQuestionError(_KeyedError):
    """An answer to the question `key`, which the other `answers` rule out.

    It would be asked with the `needed` ones.
    """

    def __init__(self, key: str, answers: Mapping[str, Any], needed: Mapping[str, Any]) -> None:
        super().__init__(key, "the other answers rule its question out")
        self.args = (key, answers, needed)
        self.answers = answers
        self.needed = needed


class RefusedNameError(RefusedAnswerError):
    """The name of a directory is refused as the service's; `proposed` is one that may do."""

    def __init__(self, key: str, reason: str, proposed: str) -> None:
        super().__init__(key, reason)
        self.args = (key, reason, proposed)
        self.proposed = proposed


class OccupiedError(BadInputError):
    """The files `found` in the `directory` are in the way of a new service."""

    def __init__(self, directory: Path, found: Sequence[str]) -> None:
        super().__init__(directory, found)
        self.directory = directory
        self.found = found

    def __str__(self) -> str:
        """What is in the way."""
        more = f" and {len(self.found) - 5} more" if len(self.found) > 5 else ""
        return (
            f"{self.directory} holds {', '.join(self.found[:5])}{more}, which the service has too"
        )


class NobodyToAskError(BadInputError):
    """A question is open, and there is no terminal to ask it on."""

    def __init__(self, message: str = "there is no terminal to ask on") -> None:
        super().__init__(message)


class UnreadableRepositoryError(UserError):
    """The repository around a new service cannot be read, for `reason`.

    It is `avoidable` where the service is to lie in it, and not in its place.
    """

    def __init__(self, reason: str, avoidable: bool) -> None:
        super().__init__(reason, avoidable)
        self.reason = reason
        self.avoidable = avoidable

    def __str__(self) -> str:
        """The reason."""
        return self.reason
