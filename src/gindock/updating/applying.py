"""The last step of an update: the merged tree goes into the work tree and the index, or nothing.

What is going to change is checked out beside the work tree, and noted in the git folder
(`update.json`), before the first file is put in place: a run that was killed can be undone, and
tells what is its own from what is the user's. The index is made beside the old one, too, and takes
its place at the end: no `index.lock` is ever left behind.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gindock.errors import UserError
from gindock.gitio.attributes import Attributes
from gindock.gitio.command import GitError
from gindock.gitio.formats import index_info, null_ended
from gindock.gitio.ondisk import PLAIN
from gindock.guard import leave, undisturbed
from gindock.updating import finishing, indexes
from gindock.updating.journal import Journal, Note
from gindock.updating.merge import Merged
from gindock.updating.obstacles import refuse_in_the_way, tracked_and_hidden
from gindock.updating.placing import Identity, Placing, check_out, identity
from gindock.updating.recovering import drop
from gindock.updating.rolling_back import roll_back
from gindock.updating.staged import hide_outside


@dataclass(frozen=True)
class _Ready:
    """What is ready to be put in place."""

    index: Path
    files: Path
    seen: dict[str, Identity]
    going: list[str]
    coming: list[str]


def apply(
    journal: Journal, merged: Merged, *, before: str, after: str, finishes: Note | None = None
) -> None:
    """Write what `merged` changes in the update from version `before` to `after`, or nothing.

    `finishes` is the note of the interrupted update that this is the rest of.

    Raises:
        UserError: files of the user's are in the way, or the project changed meanwhile.
        GitError: git fails, for example because a filter of the user's does.

    """
    repository = journal.repository
    refuse_in_the_way(repository, merged.changes)
    indexes.check_head(repository, merged.head)
    index = indexes.digest(repository)
    ready = _prepare(journal, merged)
    note = Note(
        "writing", merged.head, before, after, index, indexes.digest(repository, ready.index),
        indexes.digest(repository, ready.index, merged.changes), [*merged.changes],
        merged.tree, dict(merged.conflicts), finishing.noted(finishes),
    )  # fmt: skip
    placing = Placing(repository.top, ready.files, ready.seen)
    with undisturbed() as signals:
        journal.write(note)
        journal.prepare(replace(note, phase="done"))
        try:
            placing.remove(ready.going)
            placing.place(ready.coming)
            indexes.refresh(repository, ready.index)
            if signals:
                leave(signals[0])
            indexes.check_head(repository, merged.head)
            indexes.replace(repository, ready.index, index)
        except BaseException:
            _undo(journal, note, placing.begun)
            if signals:  # Git gets it, too, and fails of it.
                leave(signals[0])
            raise
        journal.advance()


def _prepare(journal: Journal, merged: Merged) -> _Ready:
    """Make the new index and the files that change, beside what there is.

    Raises:
        UserError: some of these files changed meanwhile.

    """
    repository, changes = journal.repository, merged.changes
    index = journal.folder / "index"
    for left in (index, journal.folder / "index.lock"):
        left.unlink(missing_ok=True)
    shutil.copy(repository.index, index)
    # Before git looks at the files: what changes later is seen.
    seen = {c.path: None if c.is_new else identity(repository.top / c.path) for c in changes}
    indexes.refresh(repository, index)
    # Once more, since something may have come meanwhile.
    refuse_in_the_way(repository, changes)
    env = {"GIT_INDEX_FILE": str(index)}
    differing = repository.git(*PLAIN, "diff-files", "--name-only", "-z", env=env).split(b"\0")
    if foreign := sorted(set(map(os.fsdecode, differing)) & seen.keys()):
        raise UserError(
            f"{', '.join(foreign)} in {repository.project} changed meanwhile; "
            "nothing was written, commit it and update again"
        )
    indexes.read_tree(repository, index, merged.head, merged.tree)
    hide_outside(repository, journal.folder, index, [c for c in changes if c.is_new])
    coming = _coming(journal, merged, index)
    files = journal.make_beside() / "new"
    attributes = Attributes.of(repository, journal.scratch / "attributes", changes)
    check_out(coming, files, index, attributes)
    _add_conflicts(journal, merged, index)
    going = [c.path for c in changes if c.goes and c.differs]
    return _Ready(index, files, seen, going, coming)


def _coming(journal: Journal, merged: Merged, index: Path) -> list[str]:
    """The paths that are to be written; those of conflicts that are hidden are shown."""
    repository = journal.repository
    _, hidden = tracked_and_hidden(repository, index)
    there = {c.path for c in merged.changes if os.path.lexists(repository.top / c.path)}
    shown = [
        change.path
        for change in merged.changes
        if change.path in merged.conflicts and not change.goes and change.path not in there
    ]
    if shown:  # Outside of a sparse checkout, as a rule.
        names = null_ended(shown)
        repository.git(
            *PLAIN, "update-index", "--no-skip-worktree", "-z", "--stdin",
            stdin=names, env={"GIT_INDEX_FILE": str(index)},
        )  # fmt: skip
    return [
        c.path
        for c in merged.changes
        if not c.goes
        and (c.path in shown or (c.differs and (c.path in there or c.path not in hidden)))
    ]


def _add_conflicts(journal: Journal, merged: Merged, index: Path) -> None:
    width = len(merged.tree)
    lines = index_info(((path, ("0", "")) for path in merged.conflicts), width)
    for path, conflict in merged.conflicts.items():
        for stage, entry in sorted(conflict.stages.items()):
            lines += index_info([(path, entry)], width, stage)
    env = {"GIT_INDEX_FILE": str(index)}
    update = ("update-index", "-z", "--index-info")
    journal.repository.git(*PLAIN, *update, stdin=lines, env=env)


def _undo(journal: Journal, note: Note, begun: Sequence[str]) -> None:
    """Undo what this run has `begun`.

    Raises:
        UserError: that fails; the note stays.

    """
    try:
        roll_back(journal, note, begun)
    except GitError as failure:
        raise UserError(
            f"{failure}\nWhat the update had begun to write is not undone; mend this, "
            "and run `gindock update --abort`"
        ) from failure
    drop(journal, note)
