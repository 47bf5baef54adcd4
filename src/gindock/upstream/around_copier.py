"""What Copier finds around it while it runs: an environment, mirrors, and nobody to ask."""

from __future__ import annotations

import functools
import io
import itertools
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import cast

from plumbum import local

from gindock.gitio import environments
from gindock.guard import lock_folder
from gindock.upstream import cache


@contextmanager
def environment(*, own: bool, git: bool = True) -> Iterator[None]:
    """Let Copier run git where the template can be reached, or, without `git`, not at all.

    `own` tells that the template is gindock's.
    """
    if git:
        take_mirrors()
    with local.env():
        # Copier reads the environment once, when it is imported; plumbum's copy is what it uses.
        local.env.clear()
        local.env.update(environments.for_own_repository() if own else environments.to_fetch())
        path = [*_helper_folders(), os.environ.get("PATH", os.defpath)] if git else [os.devnull]
        local.env["PATH"] = os.pathsep.join(path)
        yield


def alone(folder: Path) -> AbstractContextManager[None]:
    """Hide from Copier the repository that `folder` may lie in: it would change its index."""
    ceilings = [str(folder.parent), os.environ.get("GIT_CEILING_DIRECTORIES", "")]
    hidden = local.env(GIT_CEILING_DIRECTORIES=os.pathsep.join(filter(None, ceilings)))
    return cast("AbstractContextManager[None]", hidden)


def _helper_folders() -> list[str]:
    """Where `git-remote-gindock` may lie when its environment is not activated."""
    folders = [
        str(Path(sys.argv[0]).resolve().parent),
        sysconfig.get_path("scripts"),
        str(Path(sys.executable).parent),
        sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")),
    ]
    return [
        folder
        for folder in dict.fromkeys(folders)
        if shutil.which("git-remote-gindock", path=folder)
    ]


@functools.cache
def take_mirrors() -> None:
    """Give Copier a folder for its mirrors of templates that no other process uses meanwhile.

    Copier refreshes them on every use, and two that do so at once make git fail.
    """
    above = Path(os.environ.get("COPIER_CACHE_DIR") or cache.folder())
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
