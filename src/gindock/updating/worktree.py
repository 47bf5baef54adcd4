"""The last step of an update: the merged tree goes into the work tree and the index, or nothing.

What is going to change is checked out beside the work tree, and noted in the git folder
(`update.json`), before the first file is put in place: a run that was killed can be undone, and
tells what is its own from what is the user's. The index is made beside the old one, too, and takes
its place at the end: no `index.lock` is ever left behind.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gindock.errors import UserError
from gindock.gitio.attributes import Attributes
from gindock.gitio.changes import RAW, Change, folders_above, index_info, parsed_changes
from gindock.gitio.command import GitError, commit
from gindock.gitio.ondisk import PLAIN, OnDisk
from gindock.gitio.repository import Repository
from gindock.guard import leave, undisturbed
from gindock.updating import finishing
from gindock.updating.finishing import Half
from gindock.updating.journal import Note, Notes
from gindock.updating.merging import Merged
from gindock.updating.obstacles import places_taken, refuse_in_the_way, tracked_and_hidden
from gindock.updating.placing import Identity, Placing, check_out, identity, stray
from gindock.updating.staged import hide_outside, staged_otherwise


@dataclass(frozen=True)
class _Ready:
    """What is ready to be put in place."""

    index: Path
    files: Path
    seen: dict[str, Identity]
    going: list[str]
    coming: list[str]


class State(Notes):
    """What one project's updates have noted, and what they do to the project."""

    def __init__(self, repository: Repository) -> None:
        super().__init__(repository)
        self.repository = repository

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
                self._drop(note)
            return False
        undone = self._roll_back(note)
        self._drop(note)
        return undone

    def half(self) -> Half | None:
        """The interrupted update of which a commit holds a part, if there is one."""
        note = self.read()
        if note is None or note.phase != "writing" or _digest(self.repository) == note.new_index:
            return None
        return finishing.half(self.repository, note)

    def interrupted(self) -> str | None:
        """What there is to do about an update that was interrupted; None where nothing was."""
        note = self.read()
        if note is None or note.phase != "writing":
            return None
        half = self.half()
        if half is None:
            return "update interrupted: run `gindock update --abort`"
        with tempfile.TemporaryDirectory(prefix="gindock-") as scratch:
            if not finishing.is_missing_something(self.repository, half, Path(scratch)):
                return None
        return (
            f"update to {note.after} interrupted, and commit {half.commit} holds a part of it: "
            "run `gindock update`, which finishes it"
        )

    def abort(self) -> bool:
        """Bring the project back to what it was before its last update; whether there was one.

        Raises:
            UserError: files that it wrote have been changed since, or are committed.

        """
        note = self._begun()
        if note is None:
            return False
        undone = False
        if note.phase == "writing" or not self._is_gone(note):
            undone = self._roll_back(note) or note.phase == "done"
        half = self.half()
        if half and finishing.is_missing_something(self.repository, half, self.scratch):
            rest = "What was not committed is undone. " if undone else ""
            raise UserError(
                f"{rest}Commit {half.commit} holds a part of the update from {note.before} to "
                f"{note.after}, which was interrupted: `git revert {half.commit}` takes it back, "
                "`gindock update` finishes the update"
            )
        self._drop(note)
        return undone

    def _begun(self) -> Note | None:
        """The note of an update that has begun to write; one that is committed is forgotten."""
        note = self.read()
        if note is not None and note.phase in ("writing", "done"):
            if self._uncommitted(note) or self.half():
                return note
            if note.phase == "writing" and not self._committed(note):
                self._drop(note)
                return None
        self.forget()
        return None

    def _drop(self, note: Note) -> None:
        """Forget `note`, unless a commit holds a part of it; what it finished is open again."""
        if self.half():
            return
        if note.finishes and not self._committed(note):
            self.write(Note.parse(note.finishes))
        else:
            self.forget()

    def _uncommitted(self, note: Note) -> list[Change]:
        """What HEAD has as it was: a commit of other things, or of a part, changes nothing else."""
        head = self.repository.entries("HEAD")
        found = [c for c in note.changes if finishing.holds(head, c.path, c.old)]
        return found if any(change.differs for change in found) else []

    def _committed(self, note: Note) -> bool:
        """Whether HEAD has anything that the update of `note` changed."""
        return finishing.is_committed(self.repository, note)

    def apply(
        self, merged: Merged, *, before: str, after: str, finishes: Note | None = None
    ) -> None:
        """Write what `merged` changes; nothing, where it fails.

        `finishes` is the note of the interrupted update that this is the rest of.

        Raises:
            UserError: files of the user's are in the way, or the project changed meanwhile.
            GitError: git fails, for example because a filter of the user's does.

        """
        refuse_in_the_way(self.repository, merged.changes)
        self._check_head(merged.head)
        index = _digest(self.repository)
        ready = self._prepare(merged)
        note = Note(
            "writing", merged.head, before, after, index, _digest(self.repository, ready.index),
            _digest(self.repository, ready.index, merged.changes), [*merged.changes],
            merged.tree, dict(merged.conflicts), finishing.noted(finishes),
        )  # fmt: skip
        placing = Placing(self.repository.top, ready.files, ready.seen)
        with undisturbed() as signals:
            self.write(note)
            self.prepare(replace(note, phase="done"))
            try:
                placing.remove(ready.going)
                placing.place(ready.coming)
                self._refresh(ready.index)
                if signals:
                    leave(signals[0])
                self._check_head(merged.head)
                self._replace_index(ready.index, index)
            except BaseException:
                self._undo(note, placing.begun)
                # Git gets a signal, too, and fails of it.
                if signals:
                    leave(signals[0])
                raise
            self.advance()

    def _prepare(self, merged: Merged) -> _Ready:
        """Make the new index and the files that change, beside what there is.

        Raises:
            UserError: some of these files changed meanwhile.

        """
        private, run = self.folder / "index", self.repository.git
        for left in (private, self.folder / "index.lock"):
            left.unlink(missing_ok=True)
        shutil.copy(self.repository.index, private)
        env = {"GIT_INDEX_FILE": str(private)}
        top, changes = self.repository.top, merged.changes
        # Before git looks at the files: what changes later is seen.
        seen = {c.path: None if c.is_new else identity(top / c.path) for c in changes}
        self._refresh(private)
        # Once more, since something may have come meanwhile.
        refuse_in_the_way(self.repository, changes)
        differing = run(*PLAIN, "diff-files", "--name-only", "-z", env=env).split(b"\0")
        if foreign := sorted(set(map(os.fsdecode, differing)) & seen.keys()):
            raise UserError(
                f"{', '.join(foreign)} in {self.repository.project} changed meanwhile; "
                "nothing was written, commit it and update again"
            )
        run(*PLAIN, "read-tree", "-m", merged.head, merged.tree, env=env)
        hide_outside(self.repository, self.folder, private, [c for c in changes if c.is_new])
        coming = self._coming(merged, private)
        files = self.make_beside() / "new"
        attributes = Attributes.of(self.repository, self.scratch / "attributes", changes)
        check_out(coming, files, private, attributes)
        self._add_conflicts(merged, private)
        going = [c.path for c in changes if c.goes and c.differs]
        return _Ready(private, files, seen, going, coming)

    def _coming(self, merged: Merged, private: Path) -> list[str]:
        """The paths that are to be written; those of conflicts that are hidden are shown."""
        _, hidden = tracked_and_hidden(self.repository, private)
        there = {c.path for c in merged.changes if os.path.lexists(self.repository.top / c.path)}
        shown = [
            change.path
            for change in merged.changes
            if change.path in merged.conflicts and not change.goes and change.path not in there
        ]
        if shown:  # Outside of a sparse checkout, as a rule.
            names = b"".join(os.fsencode(path) + b"\0" for path in shown)
            self.repository.git(
                *PLAIN, "update-index", "--no-skip-worktree", "-z", "--stdin",
                stdin=names, env={"GIT_INDEX_FILE": str(private)},
            )  # fmt: skip
        return [
            c.path
            for c in merged.changes
            if not c.goes
            and (c.path in shown or (c.differs and (c.path in there or c.path not in hidden)))
        ]

    def _add_conflicts(self, merged: Merged, private: Path) -> None:
        width = len(merged.tree)
        lines = index_info(((path, ("0", "")) for path in merged.conflicts), width)
        for path, conflict in merged.conflicts.items():
            for stage, entry in sorted(conflict.stages.items()):
                lines += index_info([(path, entry)], width, stage)
        env = {"GIT_INDEX_FILE": str(private)}
        self.repository.git(*PLAIN, "update-index", "-z", "--index-info", stdin=lines, env=env)

    def _refresh(self, index: Path) -> None:
        """Let `index` know the times of the files, where there is room for that."""
        env = {"GIT_INDEX_FILE": str(index)}
        update = ("update-index", "-q", "--refresh")
        with suppress(GitError):
            self.repository.git(*PLAIN, *update, env=env, accept=(0, 1))

    def _undo(self, note: Note, begun: Sequence[str]) -> None:
        """Undo what this run has `begun`.

        Raises:
            UserError: that fails; the note stays.

        """
        try:
            self._roll_back(note, begun)
        except GitError as failure:
            raise UserError(
                f"{failure}\nWhat the update had begun to write is not undone; mend this, "
                "and run `gindock update --abort`"
            ) from failure
        self._drop(note)

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
            self.repository.git(*PLAIN, "read-tree", "--reset", merged.tree, env=index)
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
                    self.repository.git(*PLAIN, *update, stdin=lines)
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

    def _head(self) -> str:
        return self.repository.git("rev-parse", "HEAD").decode().strip()

    def _is_gone(self, note: Note) -> bool:
        """Whether nothing is left of an update, in the index or on disk: the user discarded it."""
        staged = self.repository.git(*PLAIN, "diff-index", "--cached", *RAW, "HEAD")
        paths = {change.path for change in parsed_changes(staged)}
        differing = [change for change in note.changes if change.differs]
        if any(change.path in paths for change in differing):
            return False
        with self._attributes(note) as (_, after):
            return not OnDisk(self.repository).holds({c.path: c.new for c in differing}, after)

    @contextmanager
    def _attributes(self, note: Note) -> Iterator[tuple[Attributes, Attributes]]:
        """Those before and after the update of `note`."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        folders = [Path(tempfile.mkdtemp(dir=self.scratch), "files") for _ in range(2)]
        yield (
            Attributes.before(self.repository, folders[0], note.changes),
            Attributes.of(self.repository, folders[1], note.changes),
        )

    def _roll_back(self, note: Note, begun: Sequence[str] | None = None) -> bool:
        """Bring the files of `note` back to HEAD's, in the index and in the work tree.

        Of the work tree, only what is in `begun`, if that is known. Returns whether anything was
        otherwise.

        Raises:
            UserError: some were changed since; nothing is touched then.
            GitError: git fails, for example because a filter of the user's does.

        """
        top = self.repository.top
        uncommitted = self._uncommitted(note)
        with self._attributes(note) as (before, after):
            looked_at = [c for c in uncommitted if begun is None or c.path in begun]
            seen = {c.path: identity(top / c.path) for c in looked_at}
            pending = self._pending(note, looked_at, before, after)
            staged = _digest(self.repository)
            if staged != note.index:
                self._check_staged(note, uncommitted)
            back = [c.path for c in pending if not c.is_new]
            files = self._check_out_head(back, before)
        with undisturbed():
            with suppress(FileNotFoundError):
                if _same(self._index_lock, self.folder / "index"):
                    self._index_lock.unlink()
            if staged != note.index:
                names = b"".join(os.fsencode(change.path) + b"\0" for change in uncommitted)
                self.repository.git(
                    *PLAIN, "reset", "-q", "HEAD", "--pathspec-from-file=-",
                    "--pathspec-file-nul", stdin=names,
                )  # fmt: skip
            placing = Placing(top, files, seen)
            placing.remove([c.path for c in pending if c.is_new])
            placing.place(back)
            for change in note.changes:
                with suppress(OSError):
                    stray(top / change.path).unlink()
            # Also those that were made and not filled yet.
            placing.tidy([change.path for change in note.changes])
        return bool(pending) or _digest(self.repository) != staged

    def _check_out_head(self, paths: Sequence[str], attributes: Attributes) -> Path:
        """Check `paths` of HEAD out beside the work tree; returns the folder."""
        files, index = self.make_beside() / "old", self.folder / "index.old"
        shutil.rmtree(files, ignore_errors=True)
        try:
            env = {"GIT_INDEX_FILE": str(index)}
            self.repository.git(*PLAIN, "read-tree", "HEAD", env=env)
            check_out(paths, files, index, attributes)
        finally:
            index.unlink(missing_ok=True)
        return files

    def _pending(
        self, note: Note, changes: Sequence[Change], before: Attributes, after: Attributes
    ) -> list[Change]:
        """Which of the `changes` in `note` the work tree has.

        Raises:
            UserError: it has something else in the place of some.

        """
        top, disk = self.repository.top, OnDisk(self.repository)
        _, hidden = tracked_and_hidden(self.repository)
        old = disk.holds({c.path: c.old for c in changes}, before)
        pending = [
            change
            for change in changes
            if change.path not in old
            and not (change.path in hidden and not os.path.lexists(top / change.path))
        ]
        new = disk.holds({c.path: c.new for c in pending}, after)
        foreign = [
            change.path
            for change in pending
            if change.path not in new
            or any((top / above).is_symlink() for above in folders_above(change.path))
        ]
        going = {change.path for change in pending if change.is_new}
        back = [change.path for change in pending if not change.is_new]
        foreign += places_taken(self.repository, back, going)
        if foreign:
            named = "\n".join(f"  {path}" for path in foreign)
            # What is staged is the update, once that is done, and HEAD's before.
            of = "" if note.phase == "done" else "HEAD "
            raise UserError(
                f"the update of {self.repository.project} cannot be undone: this was changed "
                f"since\n{named}\nKeep what you want elsewhere; bring each back by `git checkout "
                f"{of}-- FILE`, or, if it is new, move it away; and run `gindock update --abort`"
                f"{self._discard}"
            )
        return pending

    def _check_staged(self, note: Note, changes: Sequence[Change]) -> None:
        """See that what is staged at the paths of `changes` is what the update of `note` staged.

        Raises:
            UserError: it is something else.

        """
        if note.phase == "done" and _digest(self.repository, paths=note.changes) == note.staged:
            return
        others = staged_otherwise(self.repository, note, changes)
        if others or note.phase == "done":
            raise UserError(
                f"the update of {self.repository.project} cannot be undone: what is staged was "
                "changed since"
                + "".join(f"\n  {path}" for path in others)
                + "\nCommit it, or take it back by `git restore --staged`, and run "
                f"`gindock update --abort`{self._discard}"
            )

    @property
    def _discard(self) -> str:
        if self.repository.prefix:
            return ""
        return f"; or discard everything by `{self.repository.way_back}`"


def _digest(
    repository: Repository, index: Path | None = None, paths: Sequence[Change] | None = None
) -> str:
    """What an index holds, at and below `paths` or all, whatever it knows of the files' times."""
    env = {"GIT_INDEX_FILE": str(index)} if index else None
    listing = repository.git(*PLAIN, "ls-files", "--stage", "-z", "--full-name", env=env)
    if paths is not None:
        wanted = {change.path for change in paths}

        def counts(entry: bytes) -> bool:
            path = os.fsdecode(entry.partition(b"\t")[2])
            return not wanted.isdisjoint((path, *folders_above(path)))

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


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()
