"""Where the template comes from: the embedded history, or the checkout that gindock runs from."""

from __future__ import annotations

import functools
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gindock.errors import RefusedSettingError, UserError
from gindock.gitio.command import GitError, fetching_git
from gindock.gitio.repository import Repository
from gindock.upstream import cache, history, refusals
from gindock.upstream.opened import Opened

#: What a rendered project records as its source; git hands it to `git-remote-gindock`.
URL = "git+gindock::template"

_ANSWERS_TEMPLATE = "[[ _copier_conf.answers_file ]].jinja"

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
    refs = _refs(url)
    versions = {tag: version_of(tag) for tag in _tags(refs)}
    released = {t: v for t, v in versions.items() if v is not None and not v.is_prerelease}
    if released:
        return max(released, key=lambda tag: released[tag])
    if "HEAD" not in refs:
        raise UserError(f"the template at {url} has no commit; check its address")
    return refs["HEAD"]


def tagged(url: str, version: str) -> str:
    """What the template at `url` calls `version`: it may have a v before the number, or none."""
    other = version[1:] if version.startswith("v") else f"v{version}"
    if version_of(version) is None:
        return version
    tags = _tags(_refs(url))
    return other if other in tags and version not in tags else version


def commit_of_tag(url: str, tag: str) -> str | None:
    """The commit that `tag` names at `url`; None where there is no such tag. Raises as `newest`."""
    return _refs(url).get(f"refs/tags/{tag}")


def _tags(refs: Iterable[str]) -> set[str]:
    return {ref.removeprefix("refs/tags/") for ref in refs if ref.startswith("refs/tags/")}


@functools.cache
def _refs(url: str) -> dict[str, str]:
    """The commits at `url` by the names of its refs; asked once in a process."""
    listing = _remote("ls-remote", "--", _address(url), url=url)
    lines = (line.split("\t", 1) for line in listing.decode().splitlines())
    # What a tag with a message is of comes after it.
    return {ref.removesuffix("^{}"): commit for commit, ref in lines}


def version_of(tag: str) -> Version | None:
    """The version that `tag`, or what `git describe` makes of a commit after it, stands for."""
    from packaging.version import InvalidVersion, Version

    described = re.fullmatch(r"(.+)-(\d+)-g[0-9a-f]{4,}", tag)
    try:
        return Version(f"{described[1]}.post{described[2]}" if described else tag)
    except InvalidVersion:
        return None


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


def work_tree(url: str) -> Path | None:
    """The template at `url` where it is a work tree on this machine, and not gindock's own."""
    place = Path(_address(url))
    return place if url != URL and (place / ".git").exists() else None


@functools.cache
def _cloned(url: str) -> tempfile.TemporaryDirectory[str]:
    """A clone of the template at `url` without its files, until this process ends."""
    folder = tempfile.TemporaryDirectory(prefix="gindock-")
    clone = ("clone", "--quiet", "--bare", "--filter=blob:none", "--", _address(url))
    _remote(*clone, str(Path(folder.name, "template.git")), url=url)
    return folder


def _address(url: str) -> str:
    """What git is told for what Copier calls `url`."""
    if url.startswith("~"):  # For Copier, too; git has left it to a shell.
        return str(Path(url).expanduser())
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
            f"git could not fetch the template at {url} ({words.strip()}); "
            f"{refusals.next_step(words)}"
        ) from error


def questions_file() -> Path:
    """The `copier.yml` of the newest release, or of the checkout."""
    return (_CHECKOUT if in_checkout() else _EMBEDDED) / "copier.yml"


def questionnaire(folder: Path) -> Source:
    """A template in `folder` that asks what gindock's own asks, and renders the answers alone."""
    template = folder / "questionnaire" / "template"
    template.mkdir(parents=True)
    shutil.copy(questions_file(), template.parent)
    shutil.copy(questions_file().parent / "template" / _ANSWERS_TEMPLATE, template)
    return Source(str(template.parent))


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


def repository() -> Path:
    """A bare git repository with the template's history, made once and kept in the user's cache.

    Raises:
        UserError: the cache cannot be written, or as `embedded` does.

    """
    if in_checkout():
        checkout = _checkout()
        key = history.development_tag(checkout)
        return cache.made_once(
            f"template-{key}.git",
            lambda path: history.write_repository(checkout, path, work_tree=True),
        )
    bundle = _EMBEDDED / "history.bundle"
    commit = history.bundle_head(bundle)[0]
    return cache.made_once(
        f"template-{commit}.git", lambda path: history.unpack_bundle(bundle, path)
    )


def _checkout() -> Path:
    if not (_CHECKOUT / ".git").exists():
        raise UserError(
            f"{_CHECKOUT} is no git checkout of gindock; install gindock from a release"
        )
    return _CHECKOUT
