"""What commands over many projects share: progress, a table, one JSON object."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from gindock import projects
from gindock.cli import output, spelling
from gindock.errors import ExitCode
from gindock.projects import Failure, Outcome

_T = TypeVar("_T")

try:
    #: Where the user is: noted now, since an update may remove that folder.
    _HERE = Path.cwd()
except FileNotFoundError:
    _HERE = Path("/")

#: Where there is no terminal to fold lines to.
_WIDE = 1000
#: A cell of so many characters is not to be broken.
_SHORT = 20


def run(work: Callable[[Path], _T], found: Sequence[Path], description: str) -> list[Outcome[_T]]:
    """The outcomes of `work` on the projects `found`, in their order, with progress on stderr."""
    console = Console(stderr=True)
    running = track(
        projects.each(work, found),
        description=description,
        total=len(found),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    outcomes = {outcome.project: outcome for outcome in running}
    return [outcomes[project] for project in found]


def exit_code(outcomes: Sequence[Outcome[Any]]) -> ExitCode:
    """What a command exits with after these outcomes: a failure counts more than a conflict."""
    codes: set[ExitCode] = {outcome.result.exit_code for outcome in outcomes}
    return ExitCode.FAILED if codes & {ExitCode.FAILED, ExitCode.BAD_INPUT} else max(codes)


def in_short(outcomes: Sequence[Outcome[_T]], said: Callable[[_T], str]) -> str:
    """What was done, on a line for each project."""
    lines = [
        f"{shown(o.project)}: "
        + (
            spelling.error_of_update(o.result.error)
            if isinstance(o.result, Failure)
            else said(o.result)
        )
        for o in outcomes
    ]
    return "this is done:\n" + "\n".join(lines)


def show_all(
    outcomes: Sequence[Outcome[Any]],
    code: ExitCode,
    as_json: bool,
    header: Sequence[str],
    cells: Callable[[Any], tuple[str, ...]],
) -> None:
    """Print the outcomes: one JSON object, or a table of their `cells`, after their diffs."""
    if as_json:
        print_json(outcomes, code)
        return
    rows: list[tuple[Path, *tuple[str, ...]]] = []
    for outcome in outcomes:
        if isinstance(outcome.result, Failure):
            empty: list[str] = [""] * (len(header) - 2)
            rows.append((outcome.project, *(*empty, failed(outcome.result))))
            continue
        if outcome.result.diff:
            typer.secho(f"\n{shown(outcome.project)}", bold=True)
            typer.echo(outcome.result.diff, nl=False)
        rows.append((outcome.project, *cells(outcome.result)))
    show(header, rows)


def show(header: Sequence[str], rows: Sequence[tuple[Path, *tuple[str, ...]]]) -> None:
    """Print a table whose rows begin with a project; the other cells are rich's markup."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    table = Table(box=None, pad_edge=False)
    for column, name in enumerate(header):
        short = all(len(str(cells[column])) <= _SHORT for cells in rows)
        table.add_column(name, overflow="fold", no_wrap=short)
    for project, *cells in rows:
        table.add_row(escape(shown(project)), *cells)
    with console.capture() as capture:
        console.print(table)
    # Not by rich, which ends the process where nobody reads.
    typer.echo(capture.get(), nl=False)


def shown(project: Path) -> str:
    """The path of `project` from where the user is."""
    return os.path.relpath(project, _HERE)


def failed(failure: Failure) -> str:
    """The cell for a failure."""
    return f"[red]failed[/]: {escape(spelling.error_of_update(failure.error))}"


def print_json(outcomes: Sequence[Outcome[Any]], code: ExitCode) -> None:
    """Print the outcomes as one JSON object."""
    listed = [
        {"directory": str(outcome.project), **_as_dict(outcome.result)} for outcome in outcomes
    ]
    output.print_json({"projects": listed, "exit_code": int(code)})


def _as_dict(result: Any) -> dict[str, Any]:
    if isinstance(result, Failure):
        error = spelling.error_of_update(result.error)
        return {"error": error, "exit_code": int(result.exit_code)}
    return dict(result.as_dict())
