"""A question hears only what is typed after it is asked."""

from __future__ import annotations

import itertools
import sys
import termios
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from prompt_toolkit.application import create_app_session, get_app
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings


class _Attentive(Vt100Input):
    """A terminal that forgets what was typed while nobody had asked."""

    _numbers = itertools.count()

    def raw_mode(self) -> AbstractContextManager[None]:
        """Begin a question: drop what waits to be read, and what was read in part."""
        self.flush_keys()
        termios.tcflush(self.fileno(), termios.TCIFLUSH)
        _heed_signals()
        return super().raw_mode()

    def typeahead_hash(self) -> str:
        """Another name each time, so that no key is kept for the next question."""
        return f"{super().typeahead_hash()}-{next(self._numbers)}"


def _heed_signals() -> None:
    """Let SIGINT end the present question, as Ctrl-C does.

    Ctrl-C is a signal until the question has the keyboard. questionary binds the key alone.
    """
    bindings = KeyBindings()

    @bindings.add("<sigint>")
    def _(event: KeyPressEvent) -> None:
        event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

    app = get_app()
    app.key_bindings = merge_key_bindings([app.key_bindings or KeyBindings(), bindings])


@contextmanager
def attentive() -> Iterator[None]:
    """Let every question that is asked meanwhile, also by Copier, hear only its own answer.

    A key that is typed while a render runs would otherwise accept what nobody has seen. Standard
    input must be a terminal.
    """
    with create_app_session(input=_Attentive(sys.stdin)):
        yield
