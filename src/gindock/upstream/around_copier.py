"""What Copier finds around it while it runs: mirrors of its own, and nobody to ask."""

from __future__ import annotations

import functools
import io
import itertools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

from gindock.guard import lock_folder
from gindock.upstream import source


@functools.cache
def take_mirrors() -> None:
    """Give Copier a folder for its mirrors of templates that no other process uses meanwhile.

    Copier refreshes them on every use, and two that do so at once make git fail.
    """
    above = Path(os.environ.get("COPIER_CACHE_DIR") or source.cache_folder())
    # Where the cache cannot be written, Copier says so.
    with suppress(OSError):
        for number in itertools.count(1):
            folder = above / f"mirrors-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(BlockingIOError):
                lock_folder(folder)  # Until this process ends.
                os.environ["COPIER_CACHE_DIR"] = str(folder)
                return


@contextmanager
def nobody_to_ask() -> Iterator[None]:
    """Let a question fail at once, unseen, whatever standard input and output are."""
    stdin = sys.stdin
    with Path(os.devnull).open() as nothing, redirect_stdout(io.StringIO()):
        sys.stdin = nothing
        try:
            yield
        finally:
            sys.stdin = stdin
