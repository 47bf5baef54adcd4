"""The review screen: what would be created, before anything is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import questionary
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from gindock.cli.output import said
from gindock.cli.spelling import error_of_new
from gindock.errors import UserError

if TYPE_CHECKING:
    from gindock.creating.draft import Draft

_CREATE, _CHANGE, _CANCEL, _BACK = "create", "change", "cancel", "back"


def accepted(draft: Draft) -> bool:
    """Show the draft and let the user change it; whether to create it."""
    while True:
        show(draft)
        action = questionary.select(
            "Create this service?",
            choices=[
                questionary.Choice("create", _CREATE),
                questionary.Choice("change an answer", _CHANGE),
                questionary.Choice("cancel", _CANCEL),
            ],
            qmark="review     ",
        ).unsafe_ask()
        if action == _CANCEL:
            return False
        if action == _CREATE:
            try:
                draft.check_destination()
            except UserError as error:
                _complain(error)
                continue
            return True
        key = questionary.select(
            "Which answer?",
            choices=[
                *(
                    questionary.Choice(f"{_label(key)}: {said(answer)}", key)
                    for key, answer in draft.shown_answers.items()
                ),
                questionary.Choice("back", _BACK),
            ],
            qmark="review     ",
        ).unsafe_ask()
        if key == _BACK:
            continue
        try:
            draft.change(key)
        except UserError as error:
            _complain(error)


def _complain(error: UserError) -> None:
    Console().print(f"Error: {error_of_new(error)}", style="red", markup=False, highlight=False)


def show(draft: Draft) -> None:
    """Print the answers and the tree of files."""
    console = Console()
    answers = Table(box=None, pad_edge=False, show_header=False)
    answers.add_column(style="dim")
    answers.add_column(overflow="fold")
    for key, value in draft.shown_answers.items():
        answers.add_row(_label(key), Text(said(value)))
    hidden = len(draft.answers) - len(draft.shown_answers)
    if hidden:
        answers.add_row("", f"({hidden} more at their defaults)")
    console.print()
    console.print(answers, markup=False)
    console.print()
    console.print(_tree(draft), markup=False)
    console.print(f"{len(draft.files)} files in {draft.destination}", markup=False, highlight=False)


def _tree(draft: Draft) -> Tree:
    root = Tree(Text(draft.destination.name + "/"), guide_style="dim")
    folders = {"": root}
    for file in draft.files:
        above = ""
        for part in file.split("/")[:-1]:
            path = f"{above}{part}/"
            if path not in folders:
                folders[path] = folders[above].add(Text(part + "/"))
            above = path
        folders[above].add(Text(file.rsplit("/", 1)[-1]))
    return root


def _label(key: str) -> str:
    return key.replace("_", " ")
