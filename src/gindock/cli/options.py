"""Options that are generated from the questions."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from typer.core import TyperCommand

from gindock.cli import spelling
from gindock.cli.output import said
from gindock.errors import BadInputError, RefusedAnswerError
from gindock.upstream import source
from gindock.upstream.questions import NOTHING, Question, Questions

#: How `new --help` calls the service that its defaults are those of.
_NAME = "NAME"


class Sectioned(TyperCommand):
    """A command whose help has its options by their sections."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Also take `--customise` without a section, for all of them, as it was once written."""
        return super().parse_args(ctx, [*_with_sections(args)])

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, section by section, each question with its default."""
        defaults = _shown_defaults()
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                title = getattr(parameter, "rich_help_panel", None) or "Options"
                text = record[1] + defaults.get(parameter.name, "")
                sections.setdefault(title, []).append((record[0], text))
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _with_sections(arguments: list[str]) -> Iterator[str]:
    for argument, following in itertools.pairwise([*arguments, "--"]):
        if argument == "--no-customise":
            yield "--customise=false"
        elif argument == "--customise" and following.startswith("-"):
            yield "--customise=true"
        else:
            yield argument


def parameters(questions: Questions) -> list[inspect.Parameter]:
    """The parameters of a Typer command that take the answers to `questions`, by their sections."""
    sections = list(dict.fromkeys(question.section for question in questions.all))
    ordered = sorted(questions.all, key=lambda question: sections.index(question.section))
    return [_parameter(question) for question in ordered]


def _shown_defaults() -> dict[str, str]:
    """What the help says of the default of each question, by its key."""
    questions = Questions.read(source.questions_file())
    defaults = questions.defaults({"_folder_name": _NAME, "service_name": _NAME})
    shown = {
        key: ",".join(value) or NOTHING if isinstance(value, list) else said(value)
        for key, value in defaults.items()
    }
    return {key: f" [default: {text}]" for key, text in shown.items()}


def _parameter(question: Question) -> inspect.Parameter:
    names = spelling.option(question.key)
    kind: Any = {"int": int, "bool": bool}.get(question.type, str)
    if question.type == "bool":
        names += "/" + names.replace("--", "--no-", 1)
    offered = [*question.choices.values(), *([NOTHING] if question.several else [])]
    if question.several:
        kind = list[str]
    elif offered:
        kind = StrEnum(question.key, {value: value for value in offered})  # type: ignore[misc, no-redef]
    return inspect.Parameter(
        question.key,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            kind | None,
            typer.Option(
                names,
                help=question.help,
                metavar=f"<{'|'.join(offered)}>,..." if question.several else None,
                show_default=False,
                rich_help_panel=question.section.capitalize(),
            ),
        ],
    )


def answers(
    questions: Questions | None,
    options: Mapping[str, Any],
    assignments: Iterable[str],
    file: Path | None,
) -> dict[str, Any]:
    """The answers given on the command line; an option goes before the file.

    Raises:
        BadInputError: one is unknown, ill-formed or given twice.

    """
    given = {
        key: _value(questions, key, value) for key, value in options.items() if value is not None
    }
    for key, text in spelling.assigned(assignments, "-d", "key=value"):
        if key in given:
            raise BadInputError(f"'{key}' is answered twice")
        if questions is None:
            given[key] = text
        else:
            given[key] = _known(questions, key).parse(text)
    return {**(_read(questions, file) if file else {}), **given}


def _known(questions: Questions, key: str) -> Question:
    if key not in questions.by_key:
        raise BadInputError(f"there is no question '{key}'; see `gindock new --help`")
    return questions.by_key[key]


def _read(questions: Questions | None, file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"cannot read the answers in {file}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError):
        raise BadInputError(f"the answers in {file} are no valid YAML") from None
    if not isinstance(content, dict):
        raise BadInputError(f"{file} must hold one `question: answer` a line")
    # An answers file of another project serves as well; _commit and _src_path are not answers.
    found = {str(key): value for key, value in content.items() if not str(key).startswith("_")}
    if questions is None:
        return found
    return {key: _checked(_known(questions, key), value) for key, value in found.items()}


def _value(questions: Questions | None, key: str, value: Any) -> Any:
    """The answer in the value that Typer parsed."""
    if questions is None:
        raise BadInputError(
            f"{spelling.option(key)} answers a question of gindock's own template; "
            "answer the questions of another one with -d key=value"
        )
    return _checked(questions.by_key[key], list(value) if isinstance(value, tuple) else value)


def _checked(question: Question, value: Any) -> Any:
    if isinstance(value, list) and question.several:
        return question.parse(",".join(map(str, value)))
    if isinstance(value, list | dict) or value is None:
        raise RefusedAnswerError(question.key, f"one value is wanted, got {value!r}")
    return question.parse(str(value))
