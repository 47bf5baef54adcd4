"""`gindock update`."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gindock.cli import spelling
from gindock.cli.output import (
    note_not_run,
    on_a_terminal,
    print_json,
    report_of,
    reports_errors,
    say_notes,
    unread_is_no_failure,
)
from gindock.cli.update_report import cells, in_short, show
from gindock.errors import BadInputError, ExitCode, UserError

if TYPE_CHECKING:
    from gindock.updating.report import Update
    from gindock.updating.request import UpdateRequest


@functools.partial(reports_errors, spelled=spelling.error_of_update)
def command(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DIRECTORY",
            show_default=False,
            help="The project to update, several, or a folder of projects; by default this one.",
        ),
    ] = None,
    *,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            show_default=False,
            help="The template's version to go to, or 'current' to stay; by default the newest.",
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="QUESTION=VALUE",
            show_default=False,
            help="Change an answer: base_image=alpine, deploy=kubernetes,compose.",
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            metavar="URL|PATH|gindock",
            show_default=False,
            help="Switch to another template, or back to gindock's own.",
        ),
    ] = None,
    answers_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help=spelling.ANSWERS_FILE_HELP),
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show what would change; write nothing.")
    ] = False,
    commit: Annotated[
        bool, typer.Option("--commit", help="Commit the result, unless there is a conflict.")
    ] = False,
    abort: Annotated[
        bool, typer.Option("--abort", help="Undo the last update, if it is not committed yet.")
    ] = False,
    defaults: Annotated[
        bool, typer.Option("--defaults", "-y", help="Ask nothing; take the default of what is new.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Ask nothing and print one JSON object.")
    ] = False,
) -> None:
    """Bring template fixes into services, and keep your edits.

    The result is staged, and not committed. Exits with 3 where there are conflicts.
    """
    if abort and (
        to or assignments or template is not None or answers_file or diff or commit or as_json
    ):
        raise BadInputError("--abort goes with no other option")
    if diff and commit:
        raise BadInputError("--diff writes nothing, and --commit would; choose one")
    # Late: what an update needs is of no use to the other commands.
    from gindock import projects
    from gindock.updating.request import UpdateRequest

    answers_file = spelling.answers_file(answers_file)
    directories = directories or [projects.around(Path.cwd(), answers_file)]
    found = projects.find(directories, answers_file)
    several = projects.are_several(found, directories)
    if abort:
        raise typer.Exit(_abort(found))
    request = UpdateRequest(
        found[0],
        template=template,
        to=to,
        answers_file=answers_file,
        assigned=_assigned(assignments or []),
        defaults=defaults or as_json or several or not on_a_terminal(),
        preview=diff,
        colour=sys.stdout.isatty() and not as_json,
        commit=commit,
    )
    raise typer.Exit(_all(request, found, as_json) if several else _one(request, as_json))


def _assigned(texts: list[str]) -> dict[str, list[str]]:
    assigned: dict[str, list[str]] = {}
    for name, text in spelling.assigned(texts, "--set", "question=value"):
        # As the options of `gindock new` are spelled.
        assigned.setdefault(name.replace("-", "_"), []).append(text)
    return assigned


def _one(request: UpdateRequest, as_json: bool) -> ExitCode:
    done = _updated(request)
    with report_of(in_short(done)):
        if as_json:
            print_json(done.as_dict())
        else:
            show(done)
            note_not_run(done.not_run)
            say_notes(done.notes)
    return done.exit_code


def _all(request: UpdateRequest, found: list[Path], as_json: bool) -> ExitCode:
    from gindock.cli import many
    from gindock.updating.run import update_one

    outcomes = many.run(functools.partial(update_one, request), found, "Updating")
    code = many.exit_code(outcomes)
    with report_of(many.in_short(outcomes, in_short)):
        many.show_all(outcomes, code, as_json, ["project", "version", "outcome"], cells)
    return code


def _updated(request: UpdateRequest) -> Update:
    from gindock.updating.run import update

    if request.defaults:
        return update(request)
    # Late: it imports prompt_toolkit, which only questions need.
    from gindock.cli import keyboard

    with keyboard.attentive("Updating ..."):
        return update(request)


def _abort(found: list[Path]) -> ExitCode:
    from gindock.cli import many
    from gindock.updating import resuming

    code = ExitCode.DONE
    for project in found:
        where = f"{many.shown(project)}: " if len(found) > 1 else ""
        try:
            undone = resuming.abort(project)
        except UserError as error:
            if len(found) == 1:
                raise
            code = ExitCode.FAILED
            with unread_is_no_failure():
                typer.secho(f"{where}{spelling.error_of_update(error)}", err=True, fg="red")
            continue
        done = "The update is undone." if undone else "There is no update to undo."
        with report_of(where + done):
            typer.echo(where + done)
    return code
