"""Where the template comes from: the embedded history, or the checkout that gindock runs from."""

from __future__ import annotations

import functools
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from gindock.errors import RefusedSettingError, UserError
from gindock.gitio.command import GitError, fetching_git, own_git
from gindock.gitio.repository import Repository
from gindock.upstream import history

#: What a rendered project records as its source; git hands it to `git-remote-gindock`.
URL = "git+gindock::template"

if TYPE_CHECKING:
    from packaging.version import Version

_PACKAGE = Path(__file__).resolve().parents[1]
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


def named(template: str) -> str:
    """The address that `template` names: its own, or gindock's for `gindock`.

    Raises:
        RefusedSettingError: it is the path of a folder that there is not.

    """
    if template in ("gindock", URL):
        return URL
    path = Path(template).expanduser()
    if not template:
        raise RefusedSettingError("template", "", "name a template, or `gindock` for its own")
    if not path.exists() and not re.match(r"[\w+]+:|[^/]+@|.*\.git$", template):
        raise RefusedSettingError("template", "", f"there is no folder {template}")
    # A relative path would be no use to a later update.
    return str(path.resolve()) if path.exists() else template


def newest(url: str) -> str:
    """The version of the template at `url` that Copier would take: a tag, or else a commit.

    Raises:
        UserError: the template cannot be reached, or as `embedded` does.

    """
    if url == URL:
        return version_tag()
    listing = _remote("ls-remote", "--", _address(url), url=url)
    refs = [line.split("\t", 1) for line in listing.decode().splitlines()]
    tags = [ref.removeprefix("refs/tags/") for _, ref in refs if ref.startswith("refs/tags/")]
    versions = {tag: version_of(tag) for tag in tags}
    released = {t: v for t, v in versions.items() if v is not None and not v.is_prerelease}
    if released:
        return max(released, key=lambda tag: released[tag])
    head = next((commit for commit, ref in refs if ref == "HEAD"), None)
    if head is None:
        raise UserError(f"the template at {url} has no commit; check its address")
    return head


def tagged(url: str, version: str) -> str:
    """What the template at `url` calls `version`: it may have a v before the number, or none."""
    other = version[1:] if version.startswith("v") else f"v{version}"
    if version_of(version) is None:
        return version
    listing = _remote("ls-remote", "--tags", "--refs", "--", _address(url), url=url)
    tags = {entry.rpartition("refs/tags/")[2] for entry in listing.decode().splitlines()}
    return other if other in tags and version not in tags else version


def version_of(tag: str) -> Version | None:
    """The version that `tag`, or what `git describe` makes of a commit after it, stands for."""
    from packaging.version import InvalidVersion, Version

    described = re.fullmatch(r"(.+)-(\d+)-g[0-9a-f]{4,}", tag)
    try:
        return Version(f"{described[1]}.post{described[2]}" if described else tag)
    except InvalidVersion:
        return None


@dataclass(frozen=True)
class Opened:
    """A template whose history git can read."""

    folder: Path
    bare: bool
    own: bool
    """It is gindock's."""

    def read(self, version: str, name: str) -> str | None:
        """The file `name` of a version; None where there is no such file or version.

        Raises:
            GitError: git cannot tell, or cannot fetch the file.

        """
        commit = self.commit(version)
        if commit is None:
            return None
        listing = self._git("ls-tree", "-z", "--full-tree", commit, "--", name)
        if not listing:
            return None
        return self._git("cat-file", "blob", listing.split()[2].decode()).decode(errors="replace")

    def names(self, version: str) -> list[str] | None:
        """The paths of a version's files; None and errors as for `read`."""
        commit = self.commit(version)
        if commit is None:
            return None
        listing = self._git("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
        return os.fsdecode(listing).split("\0")[:-1]

    def questions(self, version: str) -> str | None:
        """The file with the questions of a version; None as `read`, and raises as it does."""
        return self.read(version, "copier.yml") or self.read(version, "copier.yaml")

    def commit(self, version: str) -> str | None:
        """The id of the commit that a version names, if there is one; raises as `read`."""
        if "\n" in version:
            return None
        asked = f"{version}^{{commit}}\n".encode()
        said = self._git("cat-file", "--batch-check=%(objectname)", stdin=asked).decode().strip()
        # Git repeats what it does not know.
        return said if re.fullmatch(r"[0-9a-f]{40,64}", said) else None

    def has_tag(self, name: str) -> bool:
        """Whether there is such a tag; raises as `read`."""
        return self.commit(f"refs/tags/{name}") is not None

    def _git(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        # Named, because of `safe.bareRepository=explicit`.
        where = [f"--git-dir={self.folder.absolute()}"] if self.bare else []
        run = own_git if self.own else fetching_git
        return run(*where, *arguments, folder=self.folder, stdin=stdin)


def check_readable(url: str) -> None:
    """Refuse a repository that git cannot read; Copier takes it for a folder without versions.

    Raises:
        GitError: it is broken, or another user owns it.

    """
    folder = Path(url).expanduser()
    if os.path.lexists(folder / ".git"):
        Repository.find(folder)


@contextmanager
def opened(url: str) -> Iterator[Opened]:
    """The template at `url`, to be read; raises as `newest` does."""
    where = repository() if url == URL else Path(_address(url))
    if not where.is_dir():
        where = Path(_cloned(url).name, "template.git")
    yield Opened(where, bare=not (where / ".git").exists(), own=url == URL)


@functools.cache
def _cloned(url: str) -> tempfile.TemporaryDirectory[str]:
    """A clone of the template at `url` without its files, until this process ends."""
    folder = tempfile.TemporaryDirectory(prefix="gindock-")
    clone = ("clone", "--quiet", "--bare", "--filter=blob:none", "--", _address(url))
    _remote(*clone, str(Path(folder.name, "template.git")), url=url)
    return folder


def _address(url: str) -> str:
    """What git is told for what Copier calls `url`."""
    url = re.sub(r"\Agh:/*", "https://github.com/", url.removeprefix("git+"))
    return re.sub(r"\Agl:/*", "https://gitlab.com/", url)


def _remote(*arguments: str, url: str) -> bytes:
    try:
        return fetching_git(*arguments, folder=Path.cwd())
    except GitError as error:
        words = next(
            (each for each in str(error).splitlines() if re.search("fatal:|error:", each)),
            str(error),
        )
        raise UserError(
            f"git could not fetch the template at {url} ({words.strip()}); check its address, "
            "which a project has as _src_path in its answers file"
        ) from error


def questions_file() -> Path:
    """The `copier.yml` of the newest release, or of the checkout."""
    return (_CHECKOUT if in_checkout() else _EMBEDDED) / "copier.yml"


def changelog() -> str:
    """What gindock's own changelog says of its releases."""
    folder = _CHECKOUT if in_checkout() else _EMBEDDED
    return (folder / "CHANGELOG.md").read_text(encoding="utf-8")


def is_development(tag: str) -> bool:
    """Whether `tag` names a checkout's work tree and no release."""
    return ".dev" in tag


def known(tag: str) -> bool:
    """Whether the template's history holds the version `tag`; raises as `repository` does."""
    kept = repository()
    try:
        return Opened(kept, bare=True, own=True).has_tag(tag)
    except GitError as error:
        raise UserError(
            f"the template's history in the cache is broken ({error}); remove {kept}, which is "
            "made anew"
        ) from error


def cache_folder() -> Path:
    """Where gindock keeps what it can make again."""
    named = os.environ.get("GINDOCK_CACHE_DIR")
    return Path(named or platformdirs.user_cache_path("gindock", appauthor=False))


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
    cache = cache_folder()
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
