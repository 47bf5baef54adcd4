"""Store two renders as git stores the project's files: filtered, and with its line endings."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable
from pathlib import Path

from gindock.gitio.command import GitError
from gindock.gitio.formats import LINK, Entry, Tree, is_file, null_ended
from gindock.gitio.paths import files_below
from gindock.gitio.repository import Repository
from gindock.updating.merge_repository import MergeRepository

_ENCODING = "working-tree-encoding"
#: The attributes by which git converts a file that it stores.
_CONVERTING = ("filter", "ident", _ENCODING)


def store(render: Path, repository: Repository, merging: MergeRepository) -> dict[str, Entry]:
    """Store the files of `render` as they are; returns what a tree of them would hold."""
    modes: dict[str, str] = {}
    plain: list[str] = []
    stored: dict[str, Entry] = {}
    for path in files_below(render):
        mode = (render / path).lstat().st_mode
        if stat.S_ISLNK(mode):
            stored[path] = (LINK, merging.store(os.fsencode((render / path).readlink())))
            continue
        modes[path] = "100755" if mode & stat.S_IXUSR else "100644"
        if "\n" in path:
            stored[path] = (modes[path], merging.store((render / path).read_bytes()))
        else:
            plain.append(path)
    lines = b"".join(os.fsencode(f"{render}{os.sep}{path}\n") for path in plain)
    ids = merging.git("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=lines)
    stored |= {p: (modes[p], i) for p, i in zip(plain, ids.decode().split(), strict=True)}
    return {repository.prefix + path: stored[path] for path in sorted(stored)}


def fetch(repository: Repository, entries: Iterable[Entry]) -> None:
    """Fetch the objects that a partial clone lacks; the merge cannot.

    Raises:
        GitError: it cannot.

    """
    wanted = "".join(f"{identity}\n" for mode, identity in entries if is_file(mode)).encode()
    if b" missing\n" in repository.git("cat-file", "--batch-check", stdin=wanted):
        raise GitError("the repository lacks objects of its own; run `git fsck` to see which")


def convert(
    repository: Repository,
    merging: MergeRepository,
    renders: Iterable[tuple[Path, dict[str, Entry]]],
) -> None:
    """Store each file as git converts it for the project (line endings, Git LFS)."""
    renders = [*renders]
    paths = {path for _, stored in renders for path in stored}
    said = repository.git("check-attr", "-z", "--stdin", *_CONVERTING, stdin=null_ended(paths))
    fields = said.split(b"\0")
    asked: dict[str, set[str]] = {}
    for name, attribute, value in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        if value not in (b"unspecified", b"unset"):
            asked.setdefault(os.fsdecode(name), set()).add(attribute.decode())
    for render, stored in renders:
        for path, (mode, identity) in stored.items():
            if is_file(mode):
                file = _File(repository, merging, render, path)
                stored[path] = (mode, file.converted(identity, asked.get(path, set())))


class _File:
    """A file of a render, and its `path` from the top of the repository."""

    def __init__(
        self, repository: Repository, merging: MergeRepository, render: Path, path: str
    ) -> None:
        self._repository = repository
        self._merging = merging
        self._render = render
        self._path = path
        self._within = path.removeprefix(repository.prefix)
        self._content = (render / self._within).read_bytes()

    def converted(self, identity: str, asked: Collection[str]) -> str:
        """The id of the file, stored as is `identity`, with the attributes that are `asked`."""
        content, before = self._content, identity
        has_crlf = b"\r\n" in content
        # Copier writes text in UTF-8, whatever the encoding of the project's work tree is.
        utf8 = set() if b"\0" in content else {_ENCODING}
        if has_crlf or b"$Id: " in content:
            # The template's own attributes may convert CRLF or an expanded $Id$.
            identity = self._stored_by_template()
        if set(asked) - utf8 or (has_crlf and identity == before):
            identity = self._stored_by_project()
        return identity

    def _stored_by_template(self) -> str:
        ask = ("hash-object", "-w", "--stdin", f"--path={self._within}")
        said = self._merging.git(*ask, stdin=self._content, attributes=self._render)
        return said.decode().strip()

    def _stored_by_project(self) -> str:
        said = self._repository.git(
            "-c", "core.safecrlf=false", "hash-object", "-w", "--stdin", f"--path={self._path}",
            stdin=self._content, env=self._merging.environment,
        )  # fmt: skip
        return said.decode().strip()


def adapt_line_endings(merging: MergeRepository, ours: Tree, *renders: dict[str, Entry]) -> None:
    """Give a file CRLF in all renders if the user has committed it with CRLF throughout."""
    differing = {
        path: ours[path]
        for stored in renders
        for path, entry in stored.items()
        if path in ours and ours[path][1] != entry[1]
    }
    crlf = {
        path
        for path, content in merging.contents(differing).items()
        if b"\r\n" in content
        and content.count(b"\n") == content.count(b"\r\n")
        and b"\0" not in content
    }
    for stored in renders:
        wanted = {path: stored[path] for path in crlf if path in stored}
        for path, content in merging.contents(wanted).items():
            if b"\r" not in content and b"\0" not in content:
                stored[path] = (stored[path][0], merging.store(content.replace(b"\n", b"\r\n")))
