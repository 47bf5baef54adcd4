"""The review screen: what would be created, before anything is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import zip_longest
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

_CREATE, _CHANGE, _FILES, _CANCEL, _BACK = "create", "change", "files", "cancel", "back"
#: The lines of a screen that the answers leave to the rest.
_OTHER_LINES = 14


def accepted(draft: Draft, still: Callable[[], None]) -> bool:
    """Show the draft and let the user change it; whether to create it.

    `still` ends the spinner, which would be in the way.
    """
    while True:
        still()
        show(draft)
        action = _action(draft)
        if action == _CANCEL:
            return False
        if action == _CREATE:
            draft.keep_what_is_there()
            return True
        still()
        if action == _FILES:
            Console().print(_tree(draft), markup=False)
        else:
            _change(draft)


def _action(draft: Draft) -> str:
    """What the user wants to do with the draft."""
    try:
        found = draft.in_the_way
    except UserError as error:
        _complain(error)
        found, create = [], []
    else:
        create = [
            questionary.Choice("create" + (", and keep these files" if found else ""), _CREATE)
        ]
    if found:
        text = f"Exists already: {', '.join(found[:5])}{_more(found[5:])}"
        Console().print(text, style="yellow", markup=False, highlight=False)
    return str(
        questionary.select(
            "Create this service?",
            choices=[
                *create,
                questionary.Choice("change an answer", _CHANGE),
                questionary.Choice("show every file", _FILES),
                questionary.Choice("cancel", _CANCEL),
            ],
            qmark="review       ",
        ).unsafe_ask()
    )


def _more(left: Sequence[str]) -> str:
    return f" and {len(left)} more" if left else ""


def _change(draft: Draft) -> None:
    """Ask which answer to change, and then for the answer."""
    key = questionary.select(
        "Which answer?",
        choices=[
            *(
                questionary.Choice(f"{_label(key)}: {said(answer)}", key)
                for key, answer in draft.open_to_change.items()
            ),
            questionary.Choice("back", _BACK),
        ],
        qmark="review       ",
    ).unsafe_ask()
    if key == _BACK:
        return
    try:
        draft.change(key)
    except UserError as error:
        _complain(error)


def _complain(error: UserError) -> None:
    Console().print(f"Error: {error_of_new(error)}", style="red", markup=False, highlight=False)


def show(draft: Draft, *, whole: bool = False) -> None:
    """Print the answers, in two columns where one is too long for the screen, and the files.

    These are counted, or, where it is the `whole` that is wanted, listed.
    """
    console = Console()
    rows = [(_label(key), Text(said(value))) for key, value in draft.shown_answers.items()]
    side_by_side = console.is_terminal and len(rows) > console.height - _OTHER_LINES
    half = (len(rows) + 1) // 2 if side_by_side else len(rows)
    answers = Table.grid(padding=(0, 2))
    for _ in range(2 if side_by_side else 1):
        answers.add_column(style="dim")
        answers.add_column(overflow="fold")
    for left, right in zip_longest(rows[:half], rows[half:], fillvalue=("", Text())):
        answers.add_row(*left, *(right if side_by_side else ()))
    console.print()
    console.print(answers, markup=False)
    hidden = len(draft.answers) - len(draft.shown_answers)
    if hidden:
        console.print(f"({hidden} more at their defaults)", style="dim", highlight=False)
    if not side_by_side:
        console.print()
    if whole:
        console.print(_tree(draft), markup=False)
    console.print(_summary(draft), markup=False, highlight=False)


def _summary(draft: Draft) -> str:
    """The files, counted by folder."""
    folders = Counter(file.split("/")[0] + "/" if "/" in file else "" for file in draft.files)
    top = folders.pop("", 0)
    counted = [f"{folder} {number}" for folder, number in sorted(folders.items())]
    return (
        f"{len(draft.files)} files in {draft.destination}: {', '.join([*counted, f'{top} more'])}"
    )


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
