"""Store the result of a merge, and its conflicts, by the filters that the result asks for.

The sides of a merge are stored as HEAD's attributes have it. Where an update changes these, each
file goes the way that it would go through the work tree: out by the old ones, in by the new ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from gindock.errors import UserError
from gindock.gitio.attributes import Attributes, changed
from gindock.gitio.command import GitError, git
from gindock.gitio.formats import Change, Conflict, Entry, Tree, is_file
from gindock.gitio.ondisk import PLAIN
from gindock.gitio.repository import Repository
from gindock.updating.both_added import TWO_SIDES

_ENCODING = "working-tree-encoding"
_NAMES = ("filter", "ident", _ENCODING)
_BINARY = "both changed it, and it is no text: yours is in place"


class Conversion:
    """Stores files again after `changes`; works in `folder`, which it makes.

    `env` is where git finds and puts objects. `labels` are for conflict markers: of the user's
    side, of the old version and of the new one.
    """

    def __init__(
        self,
        repository: Repository,
        folder: Path,
        env: Mapping[str, str],
        changes: Sequence[Change],
        labels: tuple[str, str, str],
    ) -> None:
        self._folder = folder
        folder.mkdir()
        self._env = env
        self._labels = labels
        self._same = not changed(changes)
        self._old = Attributes.of_work_tree(repository)
        self._new = Attributes.of(repository, folder / "attributes", changes, env)

    def convert(
        self, files: Tree, conflicts: Mapping[str, Conflict], rendered: Collection[str]
    ) -> tuple[dict[str, Entry], dict[str, Conflict]]:
        """Return the entries that differ from those of `files`, and the `conflicts` that are left.

        Raises:
            UserError: a filter that git may not do without fails, or is missing.

        """
        left = dict(conflicts)
        regular = [path for path, (mode, _) in files.items() if is_file(mode)]
        if self._same:
            regular = [path for path in regular if path in conflicts]
        if not regular:
            return {}, left
        old = self._old.asked(regular, *_NAMES)
        new = old if self._same else self._new.asked(regular, *_NAMES)
        found: dict[str, Entry] = {}
        for path in regular:
            mode, identity = files[path]
            before, after = old.get(path, {}), new.get(path, {})
            try:
                if "filter" in before and path in conflicts:
                    found[path] = (mode, self._merged_again(path, files[path], left))
                elif self._is_other(before, after, identity, written=path in rendered):
                    found[path] = (mode, self._stored(path, self._plain(path, identity)))
                if path in left and before != after:
                    left[path] = self._conflict(path, left[path])
            except GitError as error:
                raise UserError(
                    f"{error}\nThat is the filter that .gitattributes has for {path}. Mend it, or "
                    "install what it needs, and update again. Nothing was changed."
                ) from error
        return {path: entry for path, entry in found.items() if entry != files[path]}, left

    def _is_other(
        self, before: Mapping[str, str], after: Mapping[str, str], identity: str, *, written: bool
    ) -> bool:
        """Whether git stores the file differently by `after`; a render has `written` it."""
        if before.get("filter") != after.get("filter") or ("ident" in after.keys() - before.keys()):
            return True
        if before.get(_ENCODING) == after.get(_ENCODING):
            return False
        # Copier writes text in UTF-8, whatever the project has, as git stores it.
        blob = self._old.git("cat-file", "blob", identity, env=self._env)
        return not written or b"\0" in blob

    def _conflict(self, path: str, conflict: Conflict) -> Conflict:
        stages = {
            stage: (mode, self._stored(path, self._plain(path, identity)))
            if is_file(mode)
            else (mode, identity)
            for stage, (mode, identity) in conflict.stages.items()
        }
        return Conflict(stages, conflict.reason)

    def _merged_again(self, path: str, entry: Entry, conflicts: dict[str, Conflict]) -> str:
        """Merge a file in conflict as it is on disk, for readable markers; return its id.

        Where that is no conflict, it is none of `conflicts` any more.
        """
        stages = conflicts[path].stages
        both = {2, 3} <= stages.keys()
        if not both or not all(is_file(mode) for mode, _ in stages.values()):
            return self._stored(path, self._plain(path, entry[1]))
        sides = [self._folder / name for name in ("yours", "base", "template")]
        for side, stage in zip(sides, (2, 1, 3), strict=True):
            side.write_bytes(self._plain(path, stages[stage][1]) if stage in stages else b"")
        labels = [part for label in self._labels for part in ("-L", label)]
        how = ("merge-file", "-p", "-q", "--diff3") if 1 in stages else TWO_SIDES
        ask: list[str | Path] = [*how, *labels, *sides]
        # The exit code is the number of conflicts; 128 and above is a failure.
        try:
            content = git(*ask, folder=self._folder)
            del conflicts[path]
        except GitError:
            try:
                content = git(*ask, folder=self._folder, accept=range(1, 128))
            except GitError:
                content = sides[0].read_bytes()
                conflicts[path] = Conflict(stages, _BINARY)
        return self._stored(path, content)

    def _plain(self, path: str, identity: str) -> bytes:
        """Return the content of `identity` as git checks it out at `path`."""
        ask = ("cat-file", "--filters", f"--path={path}", identity)
        return self._old.git(*PLAIN, *ask, env=self._env)

    def _stored(self, path: str, content: bytes) -> str:
        """The id of `content` at `path`, as the new attributes have it stored."""
        ask = ("hash-object", "-w", "--stdin", f"--path={path}")
        return self._new.git(*PLAIN, *ask, stdin=content, env=self._env).decode().strip()
