"""Compare the files of a work tree with git's objects."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from gindock.gitio.attributes import Attributes
from gindock.gitio.command import GitError
from gindock.gitio.formats import ABSENT, Entry, is_file, quoted
from gindock.gitio.repository import Repository

#: Overrides of the user's settings by which git would do more than it is told.
PLAIN = (
    "-c", "core.fsmonitor=false", "-c", "core.splitIndex=false", "-c", "index.sparse=false",
    "-c", f"core.hooksPath={os.devnull}", "-c", "submodule.recurse=false",
    "-c", "advice.updateSparsePath=false", "-c", "core.safecrlf=false",
)  # fmt: skip


class OnDisk:
    """The files of a work tree."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def holds(self, entries: Mapping[str, Entry], attributes: Attributes) -> set[str]:
        """Return the paths whose files are exactly what git checks out for their entries."""
        found, regular = set(), {}
        for path, (mode, identity) in entries.items():
            file = self._repository.top / path
            if is_file(mode):
                if not file.is_symlink() and file.is_file() and self._has_mode(file, mode):
                    regular[path] = identity
            elif self._is_other(file, mode, identity):
                found.add(path)
        stored = dict(zip(regular, self._stored([*regular], attributes), strict=True))
        for path, identity in regular.items():
            if stored[path] == identity:
                found.add(path)
                continue
            content = (self._repository.top / path).read_bytes()
            # Git keeps line endings that are committed, even if it would not store them today.
            if self._hashed(content) != stored[path]:
                with suppress(GitError):
                    if content == self._checked_out(path, identity, attributes):
                        found.add(path)
        return found

    def _is_other(self, file: Path, mode: str, identity: str) -> bool:
        """Whether `file` matches an entry that is no regular file."""
        is_folder = file.is_dir() and not file.is_symlink()
        if mode == ABSENT:
            return is_folder or not os.path.lexists(file)
        if mode == "160000":
            return file.is_dir()
        if is_folder or not os.path.lexists(file):
            return False
        target = self._target(file)
        return target is not None and self._hashed(target) == identity

    def _has_mode(self, file: Path, mode: str) -> bool:
        is_executable = bool(file.stat().st_mode & 0o100)
        return is_executable == (mode == "100755") or not self._has_file_modes

    def _stored(self, paths: list[str], attributes: Attributes) -> list[str]:
        """Return the ids under which git would store the files `paths`."""
        # Given the path, git would read the file with these attributes from the work tree.
        own = [path for path in paths if path in attributes.files]
        names = b"".join(quoted(path) + b"\n" for path in paths if path not in own)
        found = {}
        if names:
            said = attributes.git(*PLAIN, "hash-object", "--stdin-paths", stdin=names)
            others = (path for path in paths if path not in own)
            found = dict(zip(others, said.decode().split(), strict=True))
        for path in own:
            ask = ("hash-object", "--stdin", f"--path={path}")
            content = (self._repository.top / path).read_bytes()
            found[path] = attributes.git(*PLAIN, *ask, stdin=content).decode().strip()
        return [found[path] for path in paths]

    def _checked_out(self, path: str, identity: str, attributes: Attributes) -> bytes:
        """Return what git checks out at `path` for the object `identity`."""
        return attributes.git(*PLAIN, "cat-file", "--filters", f"--path={path}", identity)

    def _hashed(self, content: bytes) -> str:
        header = b"blob %d\0" % len(content)
        return hashlib.new(self._repository.object_format, header + content).hexdigest()

    def _target(self, file: Path) -> bytes | None:
        """Return the target of the link `file`; None if it is no link."""
        if file.is_symlink():
            return os.fsencode(file.readlink())
        # On a file system without links, git writes the target into a file.
        return None if self._has_links else file.read_bytes()

    @cached_property
    def _has_links(self) -> bool:
        return self._has("core.symlinks")

    @cached_property
    def _has_file_modes(self) -> bool:
        return self._has("core.fileMode")

    def _has(self, setting: str) -> bool:
        """Whether the file system can do what `setting` names; git has tested that."""
        said = self._repository.git("config", "--type=bool", setting, accept=(0, 1))
        return said.strip() != b"false"
