"""Roll an update back: all files that it wrote become HEAD's again, or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gindock.errors import BadInputError
from gindock.gitio.attributes import Attributes
from gindock.gitio.formats import RAW, Change, null_ended, parsed_changes
from gindock.gitio.ondisk import PLAIN, OnDisk
from gindock.gitio.paths import folders_above
from gindock.guard import undisturbed
from gindock.updating import finishing, indexes
from gindock.updating.journal import Journal, Note
from gindock.updating.obstacles import places_taken, tracked_and_hidden
from gindock.updating.placing import Placing, check_out, identity, stray
from gindock.updating.staged import staged_otherwise


@dataclass(frozen=True)
class _Sides:
    """The attributes of the work tree before an update and after it."""

    before: Attributes
    after: Attributes


def roll_back(journal: Journal, note: Note, begun: Sequence[str] | None = None) -> bool:
    """Bring the files of `note` back to HEAD's, in the index and in the work tree.

    Of the work tree, only what is in `begun`, if that is known. Returns whether anything was
    otherwise.

    Raises:
        BadInputError: some were changed since; nothing is touched then.
        GitError: git fails, for example because a filter of the user's does.

    """
    repository, top = journal.repository, journal.repository.top
    uncommitted = finishing.uncommitted(repository, note)
    sides = _sides(journal, note)
    looked_at = [c for c in uncommitted if begun is None or c.path in begun]
    seen = {c.path: identity(top / c.path) for c in looked_at}
    pending = _pending(journal, note, looked_at, sides)
    staged = indexes.digest(repository)
    if staged != note.index:
        _check_staged(journal, note, uncommitted)
    back = [c.path for c in pending if not c.is_new]
    files = _check_out_head(journal, back, sides.before)
    with undisturbed():
        indexes.unlock(repository, journal.folder / "index")
        if staged != note.index:
            _reset_index(journal, uncommitted)
        placing = Placing(top, files, seen)
        placing.remove([c.path for c in pending if c.is_new])
        placing.place(back)
        for change in note.changes:
            with suppress(OSError):
                stray(top / change.path).unlink()
        # Also those that were made and not filled yet.
        placing.tidy([change.path for change in note.changes])
    return bool(pending) or indexes.digest(repository) != staged


def is_gone(journal: Journal, note: Note) -> bool:
    """Whether nothing is left of an update, in the index or on disk: the user discarded it."""
    repository = journal.repository
    staged = repository.git(*PLAIN, "diff-index", "--cached", *RAW, "HEAD")
    paths = {change.path for change in parsed_changes(staged)}
    differing = [change for change in note.changes if change.differs]
    if any(change.path in paths for change in differing):
        return False
    after = _sides(journal, note).after
    return not OnDisk(repository).holds({c.path: c.new for c in differing}, after)


def _sides(journal: Journal, note: Note) -> _Sides:
    journal.scratch.mkdir(parents=True, exist_ok=True)
    folders = [Path(tempfile.mkdtemp(dir=journal.scratch), "files") for _ in range(2)]
    return _Sides(
        Attributes.before(journal.repository, folders[0], note.changes),
        Attributes.of(journal.repository, folders[1], note.changes),
    )


def _reset_index(journal: Journal, changes: Sequence[Change]) -> None:
    """Let the index have at the paths of `changes` what HEAD has."""
    names = null_ended(change.path for change in changes)
    journal.repository.git(
        *PLAIN, "reset", "-q", "HEAD", "--pathspec-from-file=-", "--pathspec-file-nul",
        stdin=names,
    )  # fmt: skip


def _check_out_head(journal: Journal, paths: Sequence[str], attributes: Attributes) -> Path:
    """Check `paths` of HEAD out beside the work tree; returns the folder."""
    files, index = journal.make_beside() / "old", journal.folder / "index.old"
    shutil.rmtree(files, ignore_errors=True)
    try:
        env = {"GIT_INDEX_FILE": str(index)}
        journal.repository.git(*PLAIN, "read-tree", "HEAD", env=env)
        check_out(paths, files, index, attributes)
    finally:
        index.unlink(missing_ok=True)
    return files


def _pending(
    journal: Journal, note: Note, changes: Sequence[Change], sides: _Sides
) -> list[Change]:
    """Which of the `changes` in `note` the work tree has.

    Raises:
        BadInputError: it has something else in the place of some.

    """
    repository, top = journal.repository, journal.repository.top
    disk = OnDisk(repository)
    _, hidden = tracked_and_hidden(repository)
    old = disk.holds({c.path: c.old for c in changes}, sides.before)
    pending = [
        change
        for change in changes
        if change.path not in old
        and not (change.path in hidden and not os.path.lexists(top / change.path))
    ]
    new = disk.holds({c.path: c.new for c in pending}, sides.after)
    foreign = [
        change.path
        for change in pending
        if change.path not in new
        or any((top / above).is_symlink() for above in folders_above(change.path))
    ]
    going = {change.path for change in pending if change.is_new}
    back = [change.path for change in pending if not change.is_new]
    foreign += places_taken(repository, back, going)
    if foreign:
        named = "\n".join(f"  {path}" for path in foreign)
        # What is staged is the update, once that is done, and HEAD's before.
        of = "" if note.phase == "done" else "HEAD "
        raise BadInputError(
            f"the update of {repository.project} cannot be undone: this was changed "
            f"since\n{named}\nKeep what you want elsewhere; bring each back by `git checkout "
            f"{of}-- FILE`, or, if it is new, move it away; and run `gindock update --abort`"
            f"{_discard(journal)}"
        )
    return pending


def _check_staged(journal: Journal, note: Note, changes: Sequence[Change]) -> None:
    """See that what is staged at the paths of `changes` is what the update of `note` staged.

    Raises:
        BadInputError: it is something else.

    """
    repository = journal.repository
    if note.phase == "done" and indexes.digest(repository, paths=note.changes) == note.staged:
        return
    others = staged_otherwise(repository, note, changes)
    if others or note.phase == "done":
        raise BadInputError(
            f"the update of {repository.project} cannot be undone: what is staged was "
            "changed since"
            + "".join(f"\n  {path}" for path in others)
            + "\nCommit it, or take it back by `git restore --staged`, and run "
            f"`gindock update --abort`{_discard(journal)}"
        )


def _discard(journal: Journal) -> str:
    if journal.repository.prefix:
        return ""
    return f"; or discard everything by `{journal.repository.way_back}`"
