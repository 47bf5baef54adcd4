"""What every command says in the same way."""

from __future__ import annotations

import errno
import functools
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, ParamSpec

import typer

from gindock import interrupts
from gindock.errors import ExitCode, UserError
from gindock.upstream import source

_P = ParamSpec("_P")


def reports_errors(
    command: Callable[_P, None], spelled: Callable[[UserError], str] = str
) -> Callable[_P, None]:
    """Turn what `command` raises, as it is `spelled`, into a message on stderr and an exit code."""

    @functools.wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> None:
        as_json = bool(kwargs.get("as_json"))
        try:
            with interrupts.raised():
                command(*args, **kwargs)
        except KeyboardInterrupt:
            typer.echo("Interrupted.", err=True)
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except UserError as error:
            fail(spelled(error), error.code, as_json)
        except BrokenPipeError:
            _stop_printing()
            raise typer.Exit(ExitCode.DONE) from None
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            step = "; make room, or set TMPDIR to a folder that has some" if full else ""
            fail(f"{error.strerror or error}{where}{step}", ExitCode.FAILED, as_json)
        except Exception as error:
            if isinstance(error, typer.Exit | typer.Abort):
                raise
            if os.environ.get("GINDOCK_DEBUG"):
                traceback.print_exc()
            fail(
                f"this is a fault of gindock: {type(error).__name__}: {error}\n"
                "Please report it with what GINDOCK_DEBUG=1 prints.",
                ExitCode.FAILED,
                as_json,
            )

    return wrapper


@contextmanager
def unread_is_no_failure() -> Iterator[None]:
    """Let what is printed be lost where nobody reads it: `gindock update | head`."""
    try:
        yield
    except BrokenPipeError:
        _stop_printing()


@contextmanager
def report_of(done: str) -> Iterator[None]:
    """Print what is `done`, and say at least that where the report cannot be written.

    That nobody reads it is no failure.
    """
    with unread_is_no_failure():
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            say_unreported(error, done)
            raise typer.Exit(ExitCode.FAILED) from None


def say_unreported(error: OSError, done: str = "") -> None:
    """Say on stderr what is `done`, and that `error` has kept it from being reported."""
    _stop_printing()
    with suppress(OSError):
        typer.secho(
            f"Error: the report could not be written: {error.strerror}{done and '; '}{done}",
            err=True,
            fg="red",
        )


def _stop_printing() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # As it would be once more when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_version(wanted: bool) -> None:
    """Print the versions of gindock and of its template, and exit."""
    if wanted:
        _print_version()
        raise typer.Exit


@reports_errors
def _print_version() -> None:
    from importlib.metadata import version

    typer.echo(f"gindock {version('gindock')} (template {source.version_tag()})")


def on_a_terminal() -> bool:
    """Whether there is someone to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def print_json(result: dict[str, Any]) -> None:
    """Print one result for a machine."""
    # In ASCII, whatever the encoding of stdout is; a date in an answer is no JSON.
    typer.echo(json.dumps(result, default=str, indent=2))


def note_not_run(commands: Sequence[str]) -> None:
    """Say on stderr which `commands` of a template were not run."""
    if commands:
        typer.secho(
            "Note: gindock runs no commands of a template. Look at these, and run in the project "
            "what you need:\n" + "\n".join(f"  {command}" for command in commands),
            err=True,
            fg="yellow",
        )


def say_notes(notes: Sequence[str]) -> None:
    """Say `notes` on stderr."""
    for note in notes:
        typer.secho(f"Note: {note}", err=True, fg="yellow")


def said(value: Any) -> str:
    """An answer, in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value) or "(empty)"


def fail(message: str, code: ExitCode, as_json: bool) -> NoReturn:
    """Say what is wrong, on stderr or as JSON, and exit."""
    with report_of(message if as_json else ""):
        if as_json:
            print_json({"error": message, "exit_code": int(code)})
        else:
            typer.secho(f"Error: {message}", err=True, fg="red")
    raise typer.Exit(code)
