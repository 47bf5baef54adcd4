"""Git, run with other `.gitattributes` than those that lie in the work tree.

Git looks for attributes in the work tree, and an update changes them there only at its end.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from gindock.gitio.command import LITERAL, UsersGit
from gindock.gitio.formats import Change, Entry, is_file, null_ended
from gindock.gitio.repository import Repository

_NAME = ".gitattributes"


class Attributes:
    """The attributes of a work tree in which `files` hold what git stores as these entries.

    `env` is what git needs to find them. Where there are `files`, `folder` becomes a work tree of
    links to the project's own, since the commands of filters may be in there.
    """

    def __init__(
        self,
        repository: Repository,
        folder: Path,
        files: Mapping[str, Entry],
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._repository = repository
        self._folder = folder
        self.files = files
        self._env = env or {}
        self._made = False

    @classmethod
    def of_work_tree(cls, repository: Repository) -> Attributes:
        """Those that are there."""
        return cls(repository, repository.top, {})

    @classmethod
    def of(
        cls,
        repository: Repository,
        folder: Path,
        changes: Iterable[Change],
        env: Mapping[str, str] | None = None,
    ) -> Attributes:
        """Those after `changes`."""
        return cls(repository, folder, {c.path: c.new for c in changed(changes)}, env)

    @classmethod
    def before(cls, repository: Repository, folder: Path, changes: Iterable[Change]) -> Attributes:
        """Those before `changes`."""
        return cls(repository, folder, {c.path: c.old for c in changed(changes)})

    @property
    def git(self) -> UsersGit:
        """Git as in the repository, with these attributes."""
        env = {**LITERAL, **self._env}
        if not self.files:
            return UsersGit(self._repository.top, env=env)
        if not self._made:
            self._make()
        where = (f"--git-dir={self._repository.git_dir}", f"--work-tree={self._folder}")
        return UsersGit(self._folder, where, env)

    def asked(self, paths: Iterable[str], *names: str) -> dict[str, dict[str, str]]:
        """The attributes `names` that `paths` have; those that are unset are left out."""
        plain = ("-c", "core.fsmonitor=false")  # It would look at the folder of links.
        said = self.git(*plain, "check-attr", "-z", "--stdin", *names, stdin=null_ended(paths))
        fields = said.split(b"\0")
        found: dict[str, dict[str, str]] = {}
        for path, name, value in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
            if value not in (b"unspecified", b"unset"):
                found.setdefault(os.fsdecode(path), {})[name.decode()] = os.fsdecode(value)
        return found

    def _make(self) -> None:
        self._folder.mkdir(parents=True)
        above = {folder.as_posix() for path in self.files for folder in Path(path).parents}
        self._link("", above)
        for path, (mode, identity) in self.files.items():
            file = self._folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            # Where there is no file, git would look into the index.
            stored = is_file(mode)
            ask = ("cat-file", "blob", identity)
            file.write_bytes(self._repository.git(*ask, env=self._env) if stored else b"")
        self._made = True

    def _link(self, prefix: str, above: Container[str]) -> None:
        """Link what lies in the folder `prefix` of the work tree; folders that differ are new."""
        with os.scandir(self._repository.top / prefix) as entries:
            for entry in entries:
                path = prefix + entry.name
                if path in self.files or entry.name == ".git":
                    continue
                if path in above and entry.is_dir(follow_symlinks=False):
                    (self._folder / path).mkdir()
                    self._link(f"{path}/", above)
                elif path not in above:
                    (self._folder / path).symlink_to(entry.path)


def changed(changes: Iterable[Change]) -> list[Change]:
    """The `.gitattributes` among `changes`."""
    return [c for c in changes if c.differs and c.path.rpartition("/")[2] == _NAME]
