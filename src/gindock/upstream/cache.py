"""What gindock keeps in the user's cache, and can make again."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

from gindock.errors import UserError


def folder() -> Path:
    """Where gindock's cache is."""
    named = os.environ.get("GINDOCK_CACHE_DIR")
    return Path(named or platformdirs.user_cache_path("gindock", appauthor=False))


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, which `make` makes at the path that it gets.

    Raises:
        UserError: the cache cannot be written.

    """
    cache = folder()
    kept = cache / name
    if kept.is_dir():
        return kept
    try:
        cache.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
    except OSError as error:
        raise UserError(
            f"cannot write the cache {cache} ({error.strerror}); set GINDOCK_CACHE_DIR to a folder "
            "that you can write"
        ) from error
    try:
        make(new / "made")
        # Renamed into place whole, so that several first runs at once cannot meet half of it.
        try:
            (new / "made").rename(kept)
        except OSError:
            if not kept.is_dir():
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return kept
