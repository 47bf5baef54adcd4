"""What keeps two runs apart, and a signal from tearing one."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

#: What a file system without locks says, by its kind.
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def lock_folder(folder: Path) -> int | None:
    """Lock `folder` until what is returned is closed, or this process ends, however it does.

    Returns None where the file system has no locks.

    Raises:
        BlockingIOError: another run has it.
        OSError: it cannot be locked for another reason.

    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in _NO_LOCKS:
            return None
        raise
    return descriptor


@contextmanager
def undisturbed() -> Iterator[list[int]]:
    """Hold off Ctrl-C and the other polite signals, for as long as moving or removing takes.

    Those that come are in the list that it yields, and have no other effect; the processes that
    are started meanwhile do get them.
    """
    noted: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {
            number: signal.signal(number, lambda number, _: noted.append(number))
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) is not signal.SIG_IGN
        }
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave(number: int) -> NoReturn:
    """End as the signal `number` asks for: by an exception, so that everything is cleared."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)
