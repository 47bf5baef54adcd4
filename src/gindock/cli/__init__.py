"""The command line: it asks, prints and exits; everything else is the core's."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

import typer

from gindock.cli import new, options, status, update
from gindock.cli.output import print_version
from gindock.cli.usage import Commands
from gindock.errors import ExitCode
from gindock.gitio.environments import REPOSITORY_VARIABLES
from gindock.guard import leave

app = typer.Typer(
    name="gindock",
    cls=Commands,
    help="Render a container-ready repository around a Gin service, and keep it up to date.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("new", cls=options.Sectioned)(new.command())
app.command("update")(update.command)
app.command("status")(status.command)


@app.callback()
def _gindock(
    version: bool = typer.Option(
        False,
        "--version",
        callback=print_version,
        is_eager=True,
        help="Print the versions of gindock and of its template, and exit.",
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    # A hook that runs gindock has a git repository in its environment, which is not ours; Copier
    # takes what it finds there.
    for name in REPOSITORY_VARIABLES:
        os.environ.pop(name, None)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # Whoever runs this has closed it.
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115
    # A file's name need not be valid UTF-8.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, lambda number, _: leave(number))
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
