"""Where the template comes from: the embedded history, or the checkout that gindock runs from."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from gindock import history
from gindock.errors import UserError
from gindock.git import GitError

#: What a rendered project records as its source; git hands it to `git-remote-gindock`.
URL = "git+gindock::template"

_PACKAGE = Path(__file__).resolve().parent
_EMBEDDED = _PACKAGE / "_template"
_CHECKOUT = _PACKAGE.parent.parent


@dataclass(frozen=True)
class Source:
    """A template, as Copier is told of it: its address, and the version to render.

    `ref` is None for the newest version.
    """

    url: str
    ref: str | None = None

    @property
    def embedded(self) -> bool:
        """Whether this is gindock's own template."""
        return self.url == URL


def embedded() -> Source:
    """The newest release; in a checkout that is installed in place, its work tree.

    Raises:
        UserError: the checkout is shallow or no git repository.

    """
    return Source(URL, version_tag())


def version_tag() -> str:
    """The tag of the template version that `embedded` names; raises as it does."""
    if in_checkout():
        return history.development_tag(_checkout())
    return history.bundle_head(_EMBEDDED / "history.bundle")[1]


def in_checkout() -> bool:
    """Whether gindock runs from a checkout, installed in place, and so renders its work tree."""
    return not (_EMBEDDED / "copier.yml").is_file()


def questions_file() -> Path:
    """The `copier.yml` of the newest release, or of the checkout."""
    return (_CHECKOUT if in_checkout() else _EMBEDDED) / "copier.yml"


def is_development(tag: str) -> bool:
    """Whether `tag` names a checkout's work tree and no release."""
    return ".dev" in tag


def known(tag: str) -> bool:
    """Whether the template's history holds the version `tag`; raises as `embedded` does."""
    try:
        history.bare(repository(), "rev-parse", "--verify", "--quiet", f"refs/tags/{tag}")
    except GitError:
        return False
    return True


def repository() -> Path:
    """A bare git repository with the template's history, made once and kept in the user's cache.

    Raises:
        UserError: the cache cannot be written, or as `embedded` does.

    """
    if in_checkout():
        checkout = _checkout()
        key = history.development_tag(checkout)
        return _cached(key, lambda path: history.write_repository(checkout, path, work_tree=True))
    bundle = _EMBEDDED / "history.bundle"
    return _cached(history.bundle_head(bundle)[0], lambda path: history.unpack_bundle(bundle, path))


def _checkout() -> Path:
    if not (_CHECKOUT / ".git").exists():
        raise UserError(
            f"{_CHECKOUT} is no git checkout of gindock; install gindock from a release"
        )
    return _CHECKOUT


def _cached(key: str, write: Callable[[Path], None]) -> Path:
    cache = Path(
        os.environ.get("GINDOCK_CACHE_DIR")
        or platformdirs.user_cache_path("gindock", appauthor=False)
    )
    kept = cache / f"template-{key}.git"
    if kept.is_dir():
        return kept
    try:
        cache.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
    except OSError as error:
        raise UserError(
            f"cannot write the cache {cache} ({error.strerror}); set GINDOCK_CACHE_DIR to a folder "
            "that you can write"
        ) from error
    try:
        write(folder / "repository")
        # Renamed into place whole, so that several first runs at once cannot meet half of it.
        try:
            (folder / "repository").rename(kept)
        except OSError:
            if not kept.is_dir():
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return kept
