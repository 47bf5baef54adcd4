"""The last step of an update: the merged tree goes into the work tree and the index, or nothing.

What is about to change is noted in the git folder first (`update.json`), so that a run that was
killed can be undone. The index is made beside the old one and takes its place at the end: no
`index.lock` is ever left behind, and the old index tells what there was.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from gindock.errors import UserError
from gindock.git import GitError, commit
from gindock.guard import leave, lock_folder, undisturbed
from gindock.merging import (
    ABSENT,
    RAW,
    Change,
    Merged,
    files_below,
    index_info,
    parsed_changes,
)
from gindock.repository import Repository

Phase = Literal["rendering", "merging", "writing", "done"]

#: Settings of the user's that would let git do more to the index than it is told.
_PLAIN = (
    "-c", "core.fsmonitor=false", "-c", "core.splitIndex=false", "-c", "index.sparse=false",
    "-c", f"core.hooksPath={os.devnull}", "-c", "submodule.recurse=false",
    "-c", "advice.updateSparsePath=false",
)  # fmt: skip


@dataclass
class Note:
    """How far the last update of a project has come, as it is noted in the git folder."""

    phase: Phase
    head: str = ""
    before: str = ""
    after: str = ""
    index: str = ""
    """A digest of the index as it was."""
    new_index: str = ""
    staged: str = ""
    """The same of the new index, of the paths that change alone."""
    changes: list[Change] = field(default_factory=list)


class State:
    """The folder within the git folder that one project's updates use, locked while open."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.folder = repository.git_dir / "gindock"
        if repository.prefix:
            name = hashlib.sha256(os.fsencode(repository.prefix)).hexdigest()
            self.folder /= name[:16]
        self._file = self.folder / "update.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs out; at the end only the note of an update that is done stays.

        Raises:
            UserError: another run is at work, or the folder cannot be written.

        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = lock_folder(self.folder)
        except BlockingIOError:
            raise UserError(
                f"another update of {self.repository.project} is running; wait for it"
            ) from None
        try:
            yield
        finally:
            with undisturbed():
                shutil.rmtree(self.scratch, ignore_errors=True)
                note = self.read()
                if note is not None and note.phase in ("rendering", "merging"):
                    self.forget()
                if descriptor is not None:
                    os.close(descriptor)

    @property
    def scratch(self) -> Path:
        """Where renders lie until they are merged."""
        return self.folder / "scratch"

    def read(self) -> Note | None:
        """The note of the last update, if it is not committed yet."""
        try:
            noted = json.loads(self._file.read_text(encoding="utf-8"))
            return Note(**{**noted, "changes": [Change(**change) for change in noted["changes"]]})
        except (OSError, ValueError, TypeError, LookupError):
            return None

    def write(self, note: Note) -> None:
        """Note `note`, whole or not at all."""
        beside = self._file.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(asdict(note), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._file)

    def forget(self) -> None:
        """Remove the note, and what an update that was killed has left beside it."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        for name in ("update.json", "update.new", "index", "index.lock"):
            (self.folder / name).unlink(missing_ok=True)

    def settle(self) -> bool:
        """Undo what a killed update has begun to write; whether there was such a thing.

        Raises:
            UserError: what it had written has been changed since.

        """
        note = self._begun()
        if note is None:
            return False
        if note.phase == "done" or _digest(self.repository) == note.new_index:
            if self._is_gone(note):
                self.forget()
            return False
        self._roll_back(note)
        self.forget()
        return True

    def abort(self) -> bool:
        """Bring the project back to what it was before its last update; whether there was one.

        Raises:
            UserError: files that it wrote have been changed since.

        """
        note = self._begun()
        if note is None:
            return False
        undo = note.phase == "writing" or not self._is_gone(note)
        if undo:
            self._roll_back(note)
        self.forget()
        return undo

    def _begun(self) -> Note | None:
        """The note of an update that has begun to write; one that is committed is forgotten."""
        note = self.read()
        if note is not None and note.phase in ("writing", "done") and self._uncommitted(note):
            return note
        self.forget()
        return None

    def _uncommitted(self, note: Note) -> list[Change]:
        """What HEAD has as it was: a commit of other things, or of a part, changes nothing else."""
        head = self.repository.entries("HEAD")
        found = [
            change
            for change in note.changes
            if head.get(change.path, (ABSENT, change.old_id)) == (change.old_mode, change.old_id)
        ]
        return found if any(change.differs for change in found) else []

    def apply(self, merged: Merged, *, before: str, after: str) -> None:
        """Write what `merged` changes; nothing, where it fails.

        Raises:
            UserError: files of the user's are in the way, or the project changed meanwhile.

        """
        self.refuse_in_the_way(merged.changes)
        self._check_head(merged.head)
        index = _digest(self.repository)
        note = Note("writing", merged.head, before, after, index, changes=[*merged.changes])
        private = self.folder / "index"
        for left in (private, self.folder / "index.lock"):
            left.unlink(missing_ok=True)
        with undisturbed() as signals:
            self.write(note)
            try:
                shutil.copy(self.repository.index, private)
                self._write(merged, private)
                if signals:
                    leave(signals[0])
                note.new_index = _digest(self.repository, private)
                note.staged = _digest(self.repository, private, note.changes)
                self.write(note)
                self._check_head(merged.head)
                self._replace_index(private, index)
            except BaseException as error:
                if foreign := self._refused(note):
                    self.forget()
                    raise UserError(
                        f"{', '.join(foreign)} in {self.repository.project} changed meanwhile; "
                        "nothing was written, commit it and update again"
                    ) from error
                try:
                    self._roll_back(note)
                except GitError as failure:
                    raise UserError(
                        f"{failure}\nWhat the update had begun to write is not undone; mend this, "
                        "and run `gindock update --abort`"
                    ) from failure
                self.forget()
                # Git gets a signal, too, and fails of it.
                if signals:
                    leave(signals[0])
                raise
            note.phase = "done"
            self.write(note)

    def commit(self, merged: Merged, message: str) -> None:
        """Commit the update that was applied, and nothing else that is staged.

        Raises:
            GitError: a hook or a signature failed; the update stays staged.
            UserError: there is another commit since; likewise.

        """
        if not self.repository.prefix:
            commit(message, folder=self.repository.top)
            return
        # Elsewhere in the repository something else may be staged.
        self._check_head(merged.head)
        private = self.folder / "index"
        index = {"GIT_INDEX_FILE": str(private)}
        shutil.copy(self.repository.index, private)
        try:
            self.repository.git(*_PLAIN, "read-tree", "--reset", merged.tree, env=index)
            commit(message, folder=self.repository.top, env=index)
        finally:
            private.unlink()

    def adopt_commit(self, merged: Merged) -> None:
        """Have in the index what hooks added to the commit of a project in a subfolder.

        Raises:
            UserError: another git command keeps the index locked.

        """
        if not self.repository.prefix:
            return
        added = parsed_changes(self.repository.git("diff-tree", *RAW, merged.tree, "HEAD"))
        if added:
            entries = ((change.path, (change.new_mode, change.new_id)) for change in added)
            lines = index_info(entries, len(merged.tree))
            update = ("update-index", "-z", "--index-info")
            for pause in (0.1, 0.3, 1, 3, 0):
                try:
                    self.repository.git(*_PLAIN, *update, stdin=lines)
                    return
                except GitError as error:
                    if not pause:
                        paths = " ".join(shlex.quote(change.path) for change in added)
                        raise UserError(
                            f"{error}\nThe update is committed; run `git reset -q -- {paths}` in "
                            f"{self.repository.top} to have what hooks added"
                        ) from error
                time.sleep(pause)

    def _check_head(self, expected: str) -> None:
        if self._head() != expected:
            raise UserError(f"{self.repository.project} got a commit meanwhile; try again")

    def _refused(self, note: Note) -> list[str]:
        """The files that were changed meanwhile, and for which git has not begun to write."""
        changed = [c for c in note.changes if not self._is(c.path, c.old_mode, c.old_id)]
        foreign = [change.path for change in changed if not self._is_ours(change, note)]
        return foreign if len(foreign) == len(changed) else []

    def _write(self, merged: Merged, private: Path) -> None:
        env = {"GIT_INDEX_FILE": str(private)}
        run = self.repository.git
        run(*_PLAIN, "update-index", "-q", "--refresh", env=env, accept=(0, 1))
        # Once more, since git would write over an ignored file that has come meanwhile.
        self.refuse_in_the_way(merged.changes)
        run(*_PLAIN, "read-tree", "-m", "-u", merged.head, merged.tree, env=env)
        if not merged.conflicts:
            return
        missing = [
            change.path
            for change in merged.changes
            if change.path in merged.conflicts
            and not change.goes
            and not os.path.lexists(self.repository.top / change.path)
        ]
        if missing:  # Outside of a sparse checkout.
            names = b"".join(os.fsencode(path) + b"\0" for path in missing)
            run(
                *_PLAIN, "update-index", "--no-skip-worktree", "-z", "--stdin", stdin=names, env=env
            )
            run(*_PLAIN, "checkout-index", "-f", "-z", "--stdin", stdin=names, env=env)
        width = len(merged.tree)
        lines = index_info(((path, ("0", "")) for path in merged.conflicts), width)
        for path, conflict in merged.conflicts.items():
            for stage, entry in sorted(conflict.stages.items()):
                lines += index_info([(path, entry)], width, stage)
        run(*_PLAIN, "update-index", "-z", "--index-info", stdin=lines, env=env)

    def _replace_index(self, private: Path, expected: str) -> None:
        """Put the new index in the old one's place, as git does, unless it has changed.

        The lock is a second name of the new index: if a kill leaves it there, it is known as ours.
        Nothing slow happens while it is held, so that next to no kill does.
        """
        index, held = self.repository.index, self._index_lock
        while True:
            seen = _identity(index)
            if _digest(self.repository) != expected:
                raise UserError(f"{self.repository.project} was changed meanwhile; try again")
            try:
                _link(private, held)
            except FileExistsError:
                raise UserError(
                    f"another git command is at work in {self.repository.top}; try again, or, "
                    f"if there is none any more, remove {held}"
                ) from None
            if _identity(index) == seen:
                held.replace(index)
                # Where it was a second name, it would be one of the index now.
                private.unlink()
                return
            held.unlink()

    @property
    def _index_lock(self) -> Path:
        return self.repository.index.with_name(self.repository.index.name + ".lock")

    def refuse_in_the_way(self, changes: Sequence[Change]) -> None:
        """Refuse to write over what git does not have, or has otherwise.

        Raises:
            UserError: there is such a thing; it is named.

        """
        top = self.repository.top
        tracked, hidden = self._tracked()
        gone = {change.path for change in changes if change.goes}
        found = set()
        for change in changes:
            path = change.path
            if not change.goes and path not in tracked and self._blocks(path, tracked, gone):
                found.add(path)
            for above in _above(path):
                file = top / above
                is_folder = file.is_dir() and not file.is_symlink()
                if os.path.lexists(file) and (
                    (file / ".git").exists() if is_folder else above not in tracked
                ):
                    found.add(above)  # Another repository, a file, or a link out of this one.
            if (
                path in hidden
                and os.path.lexists(top / path)
                and not self._is(path, change.old_mode, change.old_id)
            ):
                found.add(path)
        if found:
            named = "\n".join(f"  {path}" for path in sorted(found))
            raise UserError(
                "the update would write over what git does not have:\n"
                f"{named}\nMove it away, or commit it, and update again. Nothing was changed."
            )

    def _blocks(self, path: str, tracked: set[str], gone: set[str]) -> bool:
        """Whether something untracked lies at `path`, which nothing tracked has."""
        file = self.repository.top / path
        if not os.path.lexists(file):
            return False
        if file.is_dir() and not file.is_symlink():
            # A folder makes room where all that it holds is tracked and goes.
            return any(f"{path}/{name}" not in gone for name in files_below(file))
        # Where case does not count, it may be a tracked file of another spelling.
        spelled = (name for name in gone & tracked if name.casefold() == path.casefold())
        return not any(_is_same_file(self.repository.top / name, file) for name in spelled)

    def _tracked(self) -> tuple[set[str], set[str]]:
        """The paths in the index, and those whose state git is told not to look at."""
        listing = self.repository.git(*_PLAIN, "ls-files", "-v", "-z", "--full-name")
        entries = [(e[:1], os.fsdecode(e[2:])) for e in listing.split(b"\0") if e]
        return (
            {path for _, path in entries},
            {path for tag, path in entries if tag.islower() or tag == b"S"},
        )

    def _head(self) -> str:
        return self.repository.git("rev-parse", "HEAD").decode().strip()

    def _is_gone(self, note: Note) -> bool:
        """Whether nothing is left of an update, in the index or on disk: the user discarded it."""
        staged = self.repository.git(*_PLAIN, "diff-index", "--cached", *RAW, "HEAD")
        paths = {change.path for change in parsed_changes(staged)}
        return not any(
            change.path in paths or self._is(change.path, change.new_mode, change.new_id)
            for change in note.changes
            if change.differs
        )

    def _roll_back(self, note: Note) -> None:
        """Bring the files of `note` back to HEAD's, in the index and in the work tree.

        Raises:
            UserError: some were changed since; nothing is touched then.
            GitError: git fails, for example because a filter of the user's does.

        """
        top = self.repository.top
        _, hidden = self._tracked()
        pending, foreign = [], []
        for change in self._uncommitted(note):
            if self._is(change.path, change.old_mode, change.old_id):
                continue
            if change.path in hidden and not os.path.lexists(top / change.path):
                continue
            pending.append(change)
            if not self._is_ours(change, note):
                foreign.append(change.path)
        going = {change.path for change in pending if change.is_new}
        foreign += self._places_taken([c.path for c in pending if not c.is_new], going)
        discard = (
            "" if self.repository.prefix
            else f"; or discard everything by `{self.repository.way_back}`"
        )  # fmt: skip
        if foreign:
            named = "\n".join(f"  {path}" for path in foreign)
            raise UserError(
                f"the update of {self.repository.project} cannot be undone: this was changed "
                f"since\n{named}\nBring it back by `git checkout -- FILE`, or move it away, and "
                f"run `gindock update --abort`{discard}"
            )
        if note.phase == "done" and _digest(self.repository, paths=note.changes) != note.staged:
            raise UserError(
                f"the update of {self.repository.project} cannot be undone: what is staged was "
                f"changed since; commit it, or take it back by `git restore`{discard}"
            )
        with undisturbed():
            with suppress(FileNotFoundError):
                if _same(self._index_lock, self.folder / "index"):
                    self._index_lock.unlink()
            if _digest(self.repository) != note.index:
                names = b"".join(os.fsencode(change.path) + b"\0" for change in note.changes)
                self.repository.git(
                    *_PLAIN, "reset", "-q", "HEAD", "--pathspec-from-file=-",
                    "--pathspec-file-nul", stdin=names,
                )  # fmt: skip
            # What is new goes first: a folder may have taken a file's place, or the reverse.
            for change in sorted(pending, key=lambda change: not change.is_new):
                with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                    (top / change.path).unlink()
            # Also those that git has made and not filled yet.
            folders = {above for change in note.changes for above in _above(change.path)}
            for above in sorted(folders, key=len, reverse=True):
                with suppress(OSError):
                    (top / above).rmdir()
            names = b"".join(
                os.fsencode(change.path) + b"\0" for change in pending if not change.is_new
            )
            if names:
                self.repository.git(
                    *_PLAIN, "checkout-index", "-f", "-q", "--ignore-skip-worktree-bits",
                    "-z", "--stdin", stdin=names,
                )  # fmt: skip

    def _places_taken(self, paths: Sequence[str], going: set[str]) -> list[str]:
        """What lies where `paths` are to be, but for what is `going`.

        That is all that a folder in the place of a file holds, and a file in the place of a folder.
        """
        found = set()
        for path in paths:
            place = self.repository.top / path
            if place.is_dir() and not place.is_symlink():
                found |= {f"{path}/{name}" for name in files_below(place)}
            found |= {
                above
                for above in _above(path)
                if os.path.lexists(file := self.repository.top / above)
                and (file.is_symlink() or not file.is_dir())
            }
        return sorted(found - going)

    def _is_ours(self, change: Change, note: Note) -> bool:
        """Whether a file is as the update of `note` left it; half written, if that was killed."""
        file = self.repository.top / change.path
        if any((self.repository.top / above).is_symlink() for above in _above(change.path)):
            return False
        if self._is(change.path, change.new_mode, change.new_id):
            return True
        if note.phase == "done":
            return False
        if not os.path.lexists(file):
            return True
        if change.goes or file.is_symlink() or not file.is_file():
            return False
        half = file.read_bytes()
        whole = self._checked_out(change.path, change.new_id)
        old = b"" if change.is_new else self._checked_out(change.path, change.old_id)
        return whole.startswith(half) or old.startswith(half)

    def _is(self, path: str, mode: str, identity: str) -> bool:
        """Whether the work tree holds at `path` what git stores as `mode` and `identity`."""
        file = self.repository.top / path
        if mode == ABSENT:
            return not os.path.lexists(file) or (file.is_dir() and not file.is_symlink())
        if not os.path.lexists(file):
            return False
        if mode == "160000":
            return file.is_dir()
        if file.is_dir() and not file.is_symlink():
            return False
        if mode == "120000":
            target = self._target(file)
            return target is not None and self._hashed(target) == identity
        if file.is_symlink():
            return False
        if bool(file.stat().st_mode & 0o100) != (mode == "100755") and self._has("core.fileMode"):
            return False
        if self._hashed(file.read_bytes(), f"--path={path}") == identity:
            return True
        # Git leaves a file alone that is committed with line endings which it would not store.
        with suppress(GitError):
            return file.read_bytes() == self._checked_out(path, identity)
        return False

    def _checked_out(self, path: str, identity: str) -> bytes:
        """What git writes into the work tree at `path` of what it stores as `identity`."""
        return self.repository.git(*_PLAIN, "cat-file", "--filters", f"--path={path}", identity)

    def _hashed(self, content: bytes, *options: str) -> str:
        stored = self.repository.git(*_PLAIN, "hash-object", *options, "--stdin", stdin=content)
        return stored.decode().strip()

    def _target(self, file: Path) -> bytes | None:
        """Where the link `file` leads; None where it is none."""
        if file.is_symlink():
            return os.fsencode(file.readlink())
        # Without links, git writes a file that holds the target.
        return None if self._has("core.symlinks") else file.read_bytes()

    def _has(self, setting: str) -> bool:
        """Whether the work tree has what `setting` names, as it has unless git found otherwise."""
        try:
            return self.repository.git("config", "--type=bool", setting).strip() != b"false"
        except GitError:
            return True


def _above(path: str) -> list[str]:
    """The folders above `path`, the nearest first."""
    return [above.as_posix() for above in Path(path).parents if above != Path()]


def _digest(
    repository: Repository, index: Path | None = None, paths: Sequence[Change] | None = None
) -> str:
    """What an index holds, at and below `paths` or all, whatever it knows of the files' times."""
    env = {"GIT_INDEX_FILE": str(index)} if index else None
    listing = repository.git(*_PLAIN, "ls-files", "--stage", "-z", "--full-name", env=env)
    if paths is not None:
        wanted = {change.path for change in paths}

        def counts(entry: bytes) -> bool:
            path = os.fsdecode(entry.partition(b"\t")[2])
            return not wanted.isdisjoint((path, *_above(path)))

        listing = b"\0".join(entry for entry in listing.split(b"\0") if counts(entry))
    return hashlib.sha256(listing).hexdigest()


def _identity(file: Path) -> tuple[int, int, int]:
    """What tells one state of a file from another, as git has it replaced and not rewritten."""
    status = file.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _link(source: Path, target: Path) -> None:
    """Make `target` a second name of `source`, or a copy where there are no such names."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        with target.open("xb") as file:
            file.write(source.read_bytes())


def _is_same_file(one: Path, other: Path) -> bool:
    return os.path.lexists(one) and os.path.samestat(one.lstat(), other.lstat())


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()
