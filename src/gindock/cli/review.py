"""The review screen: what would be created, before anything is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import questionary
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from gindock.errors import UserError

if TYPE_CHECKING:
    from gindock.project import Draft

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
        if action != _CHANGE:
            return bool(action == _CREATE)
        key = questionary.select(
            "Which answer?",
            choices=[
                *(questionary.Choice(f"{_label(draft, k)}: {_said(v)}", k) for k, v in draft.answers.items()),
                questionary.Choice("back", _BACK),
            ],
            qmark="review     ",
        ).unsafe_ask()
        if key == _BACK:
            continue
        try:
            draft.change(key)
        except UserError as error:
            Console().print(f"{error}. Nothing was changed.", style="red", markup=False)


def show(draft: Draft) -> None:
    """Print the answers and the tree of files."""
    console = Console()
    answers = Table(box=None, pad_edge=False, show_header=False)
    answers.add_column(style="dim")
    answers.add_column(overflow="fold")
    for key, value in draft.answers.items():
        answers.add_row(_label(draft, key), _said(value))
    console.print()
    console.print(answers, markup=False)
    console.print()
    console.print(_tree(draft), markup=False)
    console.print(f"{len(draft.files)} files in {draft.destination}", markup=False, highlight=False)


def _tree(draft: Draft) -> Tree:
    root = Tree(draft.destination.name + "/", guide_style="dim", highlight=False)
    folders = {"": root}
    for file in draft.files:
        above = ""
        for part in file.split("/")[:-1]:
            path = f"{above}{part}/"
            if path not in folders:
                folders[path] = folders[above].add(part + "/")
            above = path
        folders[above].add(file.rsplit("/", 1)[-1])
    return root


def _label(draft: Draft, key: str) -> str:
    questions = draft.request.questions
    return questions.by_key[key].help if questions and key in questions.by_key else key


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value) or "(empty)"
