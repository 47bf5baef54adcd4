"""`gindock new`."""

from __future__ import annotations

import functools
import inspect
import os
import shlex
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from gindock.cli import options
from gindock.cli.output import note_not_run, on_a_terminal, print_json, reports_errors
from gindock.errors import BadInputError
from gindock.upstream import config, source
from gindock.upstream.questions import Questions
from gindock.upstream.source import Source


def command() -> Callable[..., None]:
    """The command, with an option for each question of the template."""
    questions = _own_questions()
    run = reports_errors(_new)
    fixed = list(inspect.signature(_new, eval_str=True).parameters.values())[:-1]
    parameters = [*fixed, *map(options.parameter, questions.all)]
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
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Ask nothing and print one JSON object.")
    ] = False,
    **values: Any,
) -> None:
    """Create a Gin service in DIRECTORY, ready for containers.

    On a terminal it asks what no option answers; "none" is the empty choice of several.
    """
    configured = config.template() if template is None else None
    if configured and not (quiet or as_json):
        typer.echo(f"Template: {configured.value} (from {configured.origin})", err=True)
    url = (
        source.named(configured.value, configured.origin)
        if configured
        else source.named("gindock" if template is None else template)
    )
    own = url == source.URL
    if configured and not own:
        _refuse_own_options(values, configured)
    questions = _own_questions() if own else None
    given = options.answers(questions, values, assignments or [], answers_file)
    spelled = str(directory or "")
    if directory is not None:
        directory = Path(os.path.abspath(directory))  # noqa: PTH100 - keeps links, drops `..`
        if questions is not None:
            given.setdefault("service_name", _name_of(directory))
    interactive = on_a_terminal() and not (defaults or as_json)

    from gindock.creating import draft as project

    request = project.Request(
        directory=directory,
        spelled=spelled,
        template=source.embedded() if own and not ref else Source(url, ref),
        questions=questions,
        asked_ref=ref,
        names_own=own and template is not None,
        given=given,
        defaults=defaults,
        interactive=interactive,
        with_git=git,
        preview=dry_run,
    )
    if not interactive and directory is None and "service_name" not in given:
        raise BadInputError("name the DIRECTORY to create, e.g. `gindock new myservice --defaults`")
    with _questions_heard(interactive), project.draft(request) as draft:
        if not (interactive or defaults) and (
            missing := project.missing_answers(request, draft.answers)
        ):
            why = "--json asks nothing" if as_json else "there is no terminal to ask on"
            raise BadInputError(f"{why}; add --defaults, or answer {', '.join(missing)}")
        if interactive and not dry_run:
            from gindock.cli import review

            if not review.accepted(draft):
                typer.echo("Cancelled; nothing was created.")
                return
        if dry_run:
            _show(draft, quiet=quiet, as_json=as_json)
            if not as_json:
                note_not_run(draft.not_run)
            return
        created = draft.create()
    if as_json:
        print_json(created.as_dict())
        return
    if created.warning:
        typer.secho(f"Warning: {created.warning}", err=True, fg="yellow")
    if not quiet:
        _report(created, own=own)
    note_not_run(created.not_run)


def _questions_heard(interactive: bool) -> AbstractContextManager[None]:
    if not interactive:
        return nullcontext()
    # Late: it imports prompt_toolkit, which only questions need.
    from gindock.cli import keyboard

    return keyboard.attentive()


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
            f"--{key.replace('_', '-')} answers a question of gindock's own template, but "
            f"{configured.origin} names {configured.value}; answer its questions with "
            "-d key=value, or add --template gindock"
        )


def _show(draft: Any, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "directory": str(draft.destination),
                "files": draft.files,
                "answers": draft.answers,
                "version": draft.version,
                "command": draft.command,
                "not_run": draft.not_run,
            }
        )
    elif not quiet:
        from gindock.cli import review

        review.show(draft)
        typer.echo("Nothing was written.")


def _report(created: Any, *, own: bool) -> None:
    from gindock.creating import draft as project

    path = os.path.relpath(created.directory)
    path = str(created.directory) if path.startswith("..") else path
    where = created.directory.name if path == "." else path
    commit = f", first commit {created.commit}" if created.commit else ""
    typer.echo(f"Created {where}: {len(created.files)} files{commit}.")
    steps = [] if path == "." else [f"cd {shlex.quote(project.spelled_path(path))}"]
    if "Makefile" in created.files:
        steps.append("make    # what the service can do")
    if steps:
        typer.echo("\nNext:\n" + "\n".join(f"  {step}" for step in steps))
    if own and str(created.answers.get("module_path", "")).startswith("example.com/"):
        typer.echo(
            "\nThe module path and the registry are examples; "
            "--module-path and --registry, or a git remote, tell your own."
        )
    typer.echo(f"\nThe same without questions:\n  {created.command}")
