"""A question on the terminal: it hears only what is typed after it is asked, and fits the screen.

Copier asks by questionary, and questionary by prompt_toolkit, whose public parts these are.
"""

from __future__ import annotations

import itertools
import re
import sys
import termios
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prompt_toolkit.application import Application, create_app_session, get_app
from prompt_toolkit.filters import Always
from prompt_toolkit.formatted_text import AnyFormattedText, StyleAndTextTuples, to_formatted_text
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.utils import get_cwidth

from gindock.cli.waiting import Spinner
from gindock.upstream import refusals


class _Attentive(Vt100Input):
    """A terminal that forgets what was typed while nobody had asked."""

    _numbers = itertools.count()

    def __init__(self, spinner: Spinner) -> None:
        super().__init__(sys.stdin)
        self._spinner = spinner

    @contextmanager
    def raw_mode(self) -> Iterator[None]:
        """Be asked: drop what waits to be read, and what was read in part."""
        self._spinner.stop()
        self.flush_keys()
        termios.tcflush(self.fileno(), termios.TCIFLUSH)
        app = get_app()
        _heed_signals(app)
        _fit(app)
        try:
            with super().raw_mode():
                yield
        finally:
            self._spinner.start()

    def typeahead_hash(self) -> str:
        """Another name each time, so that no key is kept for the next question."""
        return f"{super().typeahead_hash()}-{next(self._numbers)}"


def _heed_signals(app: Application[Any]) -> None:
    """Let SIGINT end the present question, as Ctrl-C does.

    Ctrl-C is a signal until the question has the keyboard. questionary binds the key alone.
    """
    bindings = KeyBindings()

    @bindings.add("<sigint>")
    def _(event: KeyPressEvent) -> None:
        event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

    app.key_bindings = merge_key_bindings([app.key_bindings or KeyBindings(), bindings])


def _fit(app: Application[Any]) -> None:
    """Break the lines of a question, and of what is said of a refused answer, between words."""
    width = app.output.get_size().columns
    for window in app.layout.find_all_windows():
        if window.get_line_prefix is not None:
            window.get_line_prefix = _broken(window.get_line_prefix, width)
        control = window.content
        if type(control) is FormattedTextControl:  # Not a list of choices, which is a subclass.
            control.text = _folded(control.text, width)
            if window.height == 1:
                window.height, window.dont_extend_height = None, Always()


def _broken(
    prefix: Callable[[int, int], AnyFormattedText], width: int
) -> Callable[[int, int], AnyFormattedText]:
    return lambda line, wrapped: _between_words(to_formatted_text(prefix(line, wrapped)), width)


def _between_words(fragments: StyleAndTextTuples, width: int) -> StyleAndTextTuples:
    """The `fragments` with spaces up to where prompt_toolkit breaks a line, which is anywhere."""
    characters = explode_text_fragments(fragments)
    broken: StyleAndTextTuples = []
    column = 0
    for word in re.finditer(r"\S+\s*|\s+", fragment_list_to_text(fragments)):
        length = get_cwidth(word[0].rstrip())
        if column and column + length > width >= length:
            broken.append(("", " " * (width - column)))
            column = 0
        broken += characters[word.start() : word.end()]
        column = (column + get_cwidth(word[0])) % width
    return broken


def _folded(text: AnyFormattedText, width: int) -> Callable[[], AnyFormattedText]:
    def folded() -> AnyFormattedText:
        fragments = to_formatted_text(text)
        said = fragment_list_to_text(fragments)
        if get_cwidth(said) <= width and said == refusals.reason(said):
            return fragments
        lines = textwrap.wrap(refusals.reason(said), width - 1)
        return [(fragments[0][0], "\n".join(lines))]

    return folded


@contextmanager
def attentive(message: str) -> Iterator[Spinner]:
    """Let every question that is asked meanwhile, also by Copier, hear only its own answer.

    A key that is typed while a render runs would otherwise accept what nobody has seen; nor is it
    echoed, or left to the shell. A spinner says `message` in between. Standard input must be a
    terminal.
    """
    spinner = Spinner(message)
    before = termios.tcgetattr(sys.stdin)
    silent = [*before]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSANOW, silent)
    spinner.start()
    try:
        with create_app_session(input=_Attentive(spinner)):
            yield spinner
    finally:
        spinner.stop()
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, before)
