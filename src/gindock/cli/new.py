"""`gindock new`."""

from __future__ import annotations

import functools
import inspect
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gindock.cli import options, spelling
from gindock.cli.output import note_not_run, on_a_terminal, print_json, report_of, reports_errors
from gindock.cli.spelling import Invocation
from gindock.errors import BadInputError, RefusedSettingError
from gindock.upstream import config, source
from gindock.upstream.questions import Questions
from gindock.upstream.source import Source

if TYPE_CHECKING:
    from gindock.creating.creation import Created
    from gindock.creating.draft import Draft
    from gindock.creating.request import NewRequest


def command() -> Callable[..., None]:
    """The command, with an option for each question of the template."""
    questions = _own_questions()
    run = reports_errors(_new, spelling.error_of_new)
    fixed = list(inspect.signature(_new, eval_str=True).parameters.values())[:-1]
    parameters = [*fixed, *options.parameters(questions)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _new(
    directory: Annotated[
        Path | None,
        typer.Argument(
            show_default=False,
            help="Where to create it; may be any path. Its last part names the service.",
        ),
    ] = None,
    *,
    defaults: Annotated[
        bool,
        typer.Option(
            "--defaults", "-y", help="Ask nothing; take the default of what is not given."
        ),
    ] = False,
    answers_file: Annotated[
        Path | None,
        typer.Option(
            "--answers", metavar="FILE", show_default=False, help="Take answers from a YAML file."
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "-d",
            metavar="KEY=VALUE",
            show_default=False,
            help="Answer a question by its key; the way in for another template's questions.",
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            metavar="URL|PATH|gindock",
            show_default=False,
            help="Render another Copier template than gindock's, or than the configured one.",
        ),
    ] = None,
    ref: Annotated[
        str | None,
        typer.Option(show_default=False, help="Version of the template: a tag, branch or commit."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the answers and the tree of files; write nothing."),
    ] = False,
    git: Annotated[
        bool, typer.Option("--git/--no-git", help="Start a git repository with a first commit.")
    ] = True,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep files that are in the way, and leave out gindock's."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Ask nothing and print one JSON object.")
    ] = False,
    **values: Any,
) -> None:
    """Create a Gin service in DIRECTORY, ready for containers.

    On a terminal it asks what no option answers; "none" is the empty choice of several.
    """
    source_of = _chosen_template(template, told=not (quiet or as_json))
    own = source_of.url == source.URL
    if source_of.configured and not own:
        _refuse_own_options(values, source_of.configured)
    questions = _own_questions() if own else None
    given = options.answers(questions, values, assignments or [], answers_file)
    spelled = str(directory or "")
    proposed = None
    if directory is not None:
        directory = Path(os.path.abspath(directory))  # noqa: PTH100 - keeps links, drops `..`
        if questions is not None and "service_name" not in given:
            given["service_name"] = _name_of(directory)
            proposed = str(questions.defaults({"_folder_name": directory.name})["service_name"])
    interactive = on_a_terminal() and not (defaults or as_json)
    if not interactive and directory is None and "service_name" not in given:
        raise BadInputError("name the DIRECTORY to create, e.g. `gindock new myservice --defaults`")

    from gindock.creating.request import NewRequest

    request = NewRequest(
        directory=directory,
        template=source.embedded() if own and not ref else Source(source_of.url, ref),
        questions=questions,
        given=given,
        defaults=defaults,
        interactive=interactive,
        with_git=git,
        preview=dry_run,
        proposed_name=proposed,
        keep=keep,
    )
    invocation = Invocation(spelled, ref, names_own=own and template is not None)
    _run(request, invocation, quiet=quiet, as_json=as_json)


@dataclass(frozen=True)
class _ChosenTemplate:
    url: str
    configured: config.Setting | None


def _chosen_template(named: str | None, *, told: bool) -> _ChosenTemplate:
    """The template that is `named`, configured, or gindock's; one that is configured is `told`."""
    configured = config.template() if named is None else None
    if configured is None:
        return _ChosenTemplate(source.named("gindock" if named is None else named), None)
    if told:
        typer.echo(f"Template: {configured.value} (from {configured.origin})", err=True)
    try:
        return _ChosenTemplate(source.named(configured.value), configured)
    except RefusedSettingError as error:
        raise BadInputError(f"{configured.origin}: {error.reason}") from None


def _run(request: NewRequest, invocation: Invocation, *, quiet: bool, as_json: bool) -> None:
    from gindock.creating import creation
    from gindock.creating.draft import drafted

    with _questions_heard(request.interactive) as still, drafted(request) as draft:
        _refuse_open_questions(draft, as_json=as_json)
        if request.preview:
            still()
            _show(draft, invocation, quiet=quiet, as_json=as_json)
            return
        if request.interactive:
            from gindock.cli import review

            if not review.accepted(draft, still):
                still()
                typer.echo("Cancelled; nothing was created.")
                return
        draft.check_destination()
        command = invocation.again(draft)
        created = creation.create(draft)
    with report_of(f"Created {created.directory}."):
        _tell(created, command, own=request.questions is not None, quiet=quiet, as_json=as_json)


def _tell(created: Created, command: str, *, own: bool, quiet: bool, as_json: bool) -> None:
    """Report what is created, and what is to be known of it."""
    if as_json:
        print_json({**created.as_dict(), "command": command, "not_run": created.not_run})
        return
    for warning in created.warnings:
        typer.secho(f"Warning: {warning}", err=True, fg="yellow")
    if not quiet:
        _report(created, command, own=own)
    note_not_run(created.not_run)


def _refuse_open_questions(draft: Draft, *, as_json: bool) -> None:
    request = draft.request
    if request.interactive or request.defaults:
        return
    if missing := [spelling.option(key) for key in draft.open_questions]:
        why = "--json asks nothing" if as_json else "there is no terminal to ask on"
        raise BadInputError(f"{why}; add --defaults, or answer {', '.join(missing)}")


@contextmanager
def _questions_heard(interactive: bool) -> Iterator[Callable[[], None]]:
    """Ask on the terminal; yields what ends the spinner, before something is printed."""
    if not interactive:
        yield lambda: None
        return
    # Late: it imports prompt_toolkit, which only questions need.
    from gindock.cli import keyboard

    with keyboard.attentive("Rendering the service ...") as spinner:
        yield spinner.stop


@functools.cache
def _own_questions() -> Questions:
    return Questions.read(source.questions_file())


def _name_of(directory: Path) -> str:
    if not directory.name:
        raise BadInputError(
            f"{directory} has no name to give the service; choose another directory"
        )
    return directory.name


def _refuse_own_options(values: Mapping[str, Any], configured: config.Setting) -> None:
    if key := next((key for key, value in values.items() if value is not None), None):
        raise BadInputError(
            f"{spelling.option(key)} answers a question of gindock's own template, but "
            f"{configured.origin} names {configured.value}; answer its questions with "
            "-d key=value, or add --template gindock"
        )


def _show(draft: Draft, invocation: Invocation, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "directory": str(draft.destination),
                "files": draft.files,
                "answers": draft.answers,
                "version": draft.version,
                "command": invocation.again(draft),
                "not_run": draft.not_run,
            }
        )
    elif not quiet:
        from gindock.cli import review

        review.show(draft, whole=True)
        typer.echo("Nothing was written.")
    if not as_json:
        note_not_run(draft.not_run)


def _report(created: Created, command: str, *, own: bool) -> None:
    path = os.path.relpath(created.directory)
    path = str(created.directory) if path.startswith("..") else path
    where = created.directory.name if path == "." else path
    commit = f", first commit {created.commit}" if created.commit else ""
    typer.echo(f"Created {where}: {len(created.files)} files{commit}.")
    if created.kept:
        typer.echo(f"Kept as it was: {', '.join(created.kept)}.")
    steps = [] if path == "." else [f"cd {shlex.quote(spelling.path(path))}"]
    if "Makefile" in created.files:
        steps.append("make    # what the service can do")
    if steps:
        typer.echo("\nNext:\n" + "\n".join(f"  {step}" for step in steps))
    if own and str(created.answers.get("module_path", "")).startswith("example.com/"):
        typer.echo(
            "\nThe module path and the registry are examples; "
            "--module-path and --registry, or a git remote, tell your own."
        )
    typer.echo(f"\nThe same without questions:\n  {command}")
