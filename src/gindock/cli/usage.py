"""What is said of a command line that is none, and where nothing can be written."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from gindock.cli import output
from gindock.errors import ExitCode

#: Of click, which Typer brings along or not, by its version.
_UsageError: Any = typer.BadParameter.__mro__[1]


class Commands(TyperGroup):
    """The commands; their errors of usage are JSON where the user asks for it."""

    _as_json = False

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> Any:
        """Read the options before the command."""
        words = args[: args.index("--")] if "--" in args else args
        self._as_json = "--json" in words
        try:
            return super().make_context(info_name, args, *more, **extra)
        except _UsageError as error:
            self._say(error)
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command, after its own options are read."""
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            self._say(error)
            raise

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run, and say so where help cannot be written."""
        try:
            return super().main(*args, **extra)
        except OSError as error:
            output.say_unreported(error)
            sys.exit(ExitCode.FAILED)

    def _say(self, error: Any) -> None:
        if self._as_json:
            output.fail(error.format_message(), ExitCode.BAD_INPUT, as_json=True)
