"""`gindock status`."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gindock.cli import spelling
from gindock.cli.output import print_json, report_of, reports_errors
from gindock.upstream import source

if TYPE_CHECKING:
    from gindock.status.report import Status


@functools.partial(reports_errors, spelled=spelling.error_of_status)
def command(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DIRECTORY",
            show_default=False,
            help="The project to look at, several, or a folder of projects; by default this one.",
        ),
    ] = None,
    *,
    answers_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help=spelling.ANSWERS_FILE_HELP),
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show how the files differ from the template's.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell how services stand to their template: versions, answers, files that differ."""
    # Late: what a status needs is of no use to the other commands.
    from gindock import projects
    from gindock.status import report as status

    answers_file = spelling.answers_file(answers_file)
    directories = directories or [projects.around(Path.cwd(), answers_file)]
    found = projects.find(directories, answers_file)
    look = functools.partial(
        status.status,
        answers_file=answers_file,
        with_diff=diff,
        colour=sys.stdout.isatty() and not as_json,
    )
    if projects.are_several(found, directories):
        from gindock.cli import many

        outcomes = many.run(look, found, "Looking")
        code = many.exit_code(outcomes)
        with report_of(""):
            header = ["project", "version", "newest", "answers", "files", ""]
            many.show_all(outcomes, code, as_json, header, _cells)
        raise typer.Exit(code)
    told = look(found[0])
    with report_of(""):
        if as_json:
            print_json(told.as_dict())
        else:
            _show(told)
    raise typer.Exit(told.exit_code)


def _show(told: Status) -> None:
    typer.secho(told.directory.name, bold=True)
    _line("template", "gindock's own" if told.template == source.URL else told.template)
    _line("version", _version(told))
    if told.answers:
        refused, new = told.answers.refused, told.answers.new
        _line("answers", f"{len(refused)} not valid any more" if refused else "valid")
        for key, reason in refused.items():
            _line("", f"{key}: {reason}")
        if new:
            _line("new", ", ".join(new))
    if told.drift:
        _line("files", f"{_drift(told)} of {told.drift.rendered}" if _drift(told) else "unchanged")
        for path in told.drift.changed:
            _line("", f"changed  {path}")
        for path, place in told.drift.moved.items():
            _line("", f"moved    {path} to {place}")
        for path in told.drift.deleted:
            _line("", f"deleted  {path}")
    for note in told.notes:
        _line("note", typer.style(note, fg="yellow"))
    for problem in told.problems:
        _line("failed", typer.style(problem, fg="red"))
    if told.diff:
        typer.echo(f"\n{told.diff}", nl=False)


def _line(label: str, text: str) -> None:
    typer.echo(f"  {label:<9} {text}")


def _version(told: Status) -> str:
    if told.newest is None:
        return told.version
    if told.behind:
        return f"{told.version}; {told.newest} is the newest: run `gindock update`"
    if told.newest == told.version:
        return f"{told.version}, the newest"
    return f"{told.version}; {told.newest} is the newest"


def _drift(told: Status) -> str:
    """How many files differ, in words; empty for none."""
    assert told.drift is not None
    kinds = ("changed", "moved", "deleted")
    counts = {word: len(getattr(told.drift, word)) for word in kinds}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _cells(told: Status) -> tuple[str, str, str, str, str]:
    from rich.markup import escape

    refused = len(told.answers.refused) if told.answers else 0
    new = len(told.answers.new) if told.answers else 0
    said = [f"[red]{refused} not valid[/]"] if refused else []
    said += [f"{new} new"] if new else []
    newest = escape(told.newest or "?")
    return (
        escape(told.version),
        f"[yellow]{newest}[/]" if told.behind else newest,
        ", ".join(said) or ("valid" if told.answers else "?"),
        (_drift(told) or "unchanged") if told.drift else "?",
        "; ".join(
            [f"[red]{escape(each)}[/]" for each in told.problems]
            + [f"[yellow]{escape(each)}[/]" for each in told.notes]
        ),
    )
