"""What Ctrl-C does: outside of a command's own work it ends gindock at once, in it it is raised."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


def _end(*_: object) -> None:
    os.write(2, b"Interrupted.\n")
    os._exit(130)


def end_at_once() -> None:
    """Let Ctrl-C end this process while there is nothing to clear, unless somebody ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


@contextmanager
def raised() -> Iterator[None]:
    """Let Ctrl-C raise a KeyboardInterrupt."""
    before = signal.getsignal(signal.SIGINT)
    if before is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if before is _end:
            signal.signal(signal.SIGINT, _end)


@contextmanager
def held_from_children() -> Iterator[None]:
    """Let no process that is started meanwhile get Ctrl-C: its parent decides."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
