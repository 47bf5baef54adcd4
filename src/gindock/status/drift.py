"""How the files of a project differ from what its template renders."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gindock.gitio.command import git
from gindock.gitio.formats import ABSENT, LINK, Entry, Tree, is_file, parsed_index, quoted
from gindock.gitio.repository import Repository
from gindock.status import moves
from gindock.updating import recovering
from gindock.updating.journal import Journal

_NONE = (ABSENT, "")
#: What is told of a project that has them.
UNCOMMITTED = "uncommitted changes"


@dataclass(frozen=True)
class Drift:
    """The files of the template that the project has changed, moved or deleted."""

    rendered: int
    changed: list[str]
    """By the template's path, also of those that were moved."""
    moved: dict[str, str]
    """The new places by the template's paths, where git knows them."""
    deleted: list[str]


@dataclass(frozen=True)
class WorkTree:
    """What a project's files are, as git would store them."""

    project: Path
    prefix: str
    """The project's folder in its repository: empty, or with a slash at its end."""
    object_format: str
    tracked: Tree
    """The files in the index."""
    modified: Mapping[str, str]
    """The modes of those that are not as in the index, as they are on disk."""
    notes: list[str]
    repository: Repository | None = None

    @classmethod
    def read(cls, project: Path) -> WorkTree:
        """Ask git; a project outside of it has no tracked files."""
        repository = Repository.find(project)
        if repository is None:
            return cls(project, "", "sha1", {}, {}, ["not in git"])
        tracked = {}
        for path, entry, _ in parsed_index(git("ls-files", "--stage", "-z", folder=project)):
            tracked[path] = entry
        modified: dict[str, str] = {}
        conflicts: list[str] = []
        changes = False
        said = git(
            *("--no-optional-locks", "status", "--porcelain=v2", "-z"),
            *("--untracked-files=no", "--no-renames", "--ignore-submodules=dirty", "--", "."),
            folder=project,
        )
        for change in os.fsdecode(said).split("\0")[:-1]:
            # Ordinary entries have 8 fields before the path, unmerged ones 10.
            unmerged = change.startswith("u")
            about = change.split(" ", 10 if unmerged else 8)
            path = about[-1].removeprefix(repository.prefix)
            if unmerged:
                conflicts.append(path)
            if about[1][1] != ".":
                modified[path] = about[6 if unmerged else 5]
            changes = True
        notes = []
        interrupted = recovering.interrupted(Journal(repository))
        if interrupted:
            notes.append(interrupted)
        elif conflicts:
            notes.append(f"conflicts in {', '.join(conflicts)}")
        elif changes:
            notes.append(UNCOMMITTED)
        return cls(
            project, repository.prefix, repository.object_format, tracked, modified, notes,
            repository,
        )  # fmt: skip

    def drift(self, files: Tree) -> Drift:
        """How the project differs from `files`; what these do not name is the user's own."""
        now = self._now(files)
        moved = self._moved({path: files[path] for path in files if now[path] == _NONE}, files)
        there = self._now(moved.values())
        now |= {old: there[new] for old, new in moved.items()}
        return Drift(
            len(files),
            [path for path in files if now[path] not in (_NONE, files[path])],
            moved,
            [path for path in files if now[path] == _NONE],
        )

    def _now(self, paths: Iterable[str]) -> dict[str, Entry]:
        """What is at `paths`, as git would store it."""
        found = {}
        regular = []
        for path in paths:
            found[path] = self.tracked.get(path, _NONE)
            if path not in self.tracked or path in self.modified:
                mode = self._mode(path)
                found[path] = (mode, self._link(path)) if mode == LINK else _NONE
                if is_file(mode):
                    found[path] = (mode, "")
                    regular.append(path)
        for path, identity in zip(regular, self._hashed(regular), strict=True):
            found[path] = (found[path][0], identity)
        return found

    def _moved(self, gone: Tree, files: Tree) -> dict[str, str]:
        """The new places of what is `gone` of `files`, among the files that are the user's own."""
        if not gone or self.repository is None:
            return {}
        others = {
            path: entry
            for path, entry in self.tracked.items()
            if path not in files and self.modified.get(path) != ABSENT
        }
        return moves.found(self.repository, gone, others)

    def _mode(self, path: str) -> str:
        if path in self.modified:
            return self.modified[path]
        try:
            mode = (self.project / path).lstat().st_mode
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return ABSENT
            raise
        if stat.S_ISLNK(mode):
            return LINK
        if stat.S_ISREG(mode):
            return "100755" if mode & stat.S_IXUSR else "100644"
        return ABSENT

    def _hashed(self, paths: list[str]) -> list[str]:
        if not paths:
            return []
        # By path, so that the project's attributes apply; paths start at the top of the work tree.
        return (
            git(
                *("-c", "core.safecrlf=false", "hash-object", "--stdin-paths"),
                folder=self.project,
                stdin=b"".join(quoted(self.prefix + path) + b"\n" for path in paths),
            )
            .decode()
            .split()
        )

    def _link(self, path: str) -> str:
        target = os.fsencode((self.project / path).readlink())
        return hashlib.new(self.object_format, b"blob %d\0" % len(target) + target).hexdigest()
