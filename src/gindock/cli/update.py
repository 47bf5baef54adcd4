"""`gindock update`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gindock.cli.output import on_a_terminal, reports_errors
from gindock.errors import ExitCode


@reports_errors
def command(
    directory: Annotated[Path, typer.Argument(help="The project to update.")] = Path(),
    *,
    defaults: Annotated[
        bool, typer.Option("--defaults", "-y", help="Ask nothing; take the default of what is new.")
    ] = False,
) -> None:
    """Bring template fixes into a service, and keep your edits."""
    # Late: Copier takes a quarter of a second to import.
    from gindock import updating

    done = updating.update(directory, defaults=defaults or not on_a_terminal())
    if done.conflicts:
        typer.secho(
            f"Updated from {done.before} to {done.after}, with conflicts in:\n"
            + "\n".join(f"  {file}" for file in done.conflicts)
            + "\nResolve the markers and commit, or go back with `git reset --hard`.",
            err=True,
        )
        raise typer.Exit(ExitCode.CONFLICTS)
    if done.before == done.after:
        typer.echo(f"Already at {done.after}.")
    else:
        typer.echo(f"Updated from {done.before} to {done.after}; see `git diff` and commit.")
