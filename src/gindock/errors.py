"""The one error that a user can mend."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the commands exit with."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    CONFLICTS = 3
    INTERRUPTED = 130


class UserError(Exception):
    """Something that the user can mend; its text says what is wrong and what to do next."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


class BadInputError(UserError):
    """A `UserError` in what the user gave: an argument, an answer, a folder."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.BAD_INPUT)


class RefusedAnswerError(BadInputError):
    """An answer that a template refuses; where its question is known, the text begins with that."""
