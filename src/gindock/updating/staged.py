"""Compare what is staged with what an update staged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from gindock.gitio.command import git
from gindock.gitio.formats import Change, Entry, index_info
from gindock.gitio.ondisk import PLAIN
from gindock.gitio.paths import folders_above
from gindock.gitio.repository import Repository
from gindock.updating.journal import Note


def staged_otherwise(repository: Repository, note: Note, changes: Sequence[Change]) -> list[str]:
    """Return the paths at or below `changes` where neither HEAD's nor the update's is staged."""
    of_path = {change.path: change for change in changes}
    staged: dict[str, dict[int, Entry]] = {path: {} for path in of_path}
    listing = repository.git(*PLAIN, "ls-files", "--stage", "-z", "--full-name")
    for entry in listing.split(b"\0"):
        about, _, name = entry.partition(b"\t")
        path = os.fsdecode(name)
        if not of_path.keys().isdisjoint((path, *folders_above(path))):
            mode, identity, stage = about.decode().split()
            staged.setdefault(path, {})[int(stage)] = (mode, identity)

    def is_known(path: str, found: Mapping[int, Entry]) -> bool:
        change = of_path.get(path)
        if change is None:
            return False
        conflict = note.conflicts.get(path)
        known = [{0: change.old} if not change.is_new else {}]
        known += [{0: change.new} if not change.goes else {}]
        return found in known or (conflict is not None and found == conflict.stages)

    return [path for path, found in sorted(staged.items()) if not is_known(path, found)]


def hide_outside(
    repository: Repository, folder: Path, index: Path, changes: Sequence[Change]
) -> None:
    """Mark the new files of `changes` that a sparse checkout leaves out, in `index`.

    Only git knows its patterns: it checks out empty files of these names below `folder`.
    """
    sparse = ("config", "--type=bool", "core.sparseCheckout")
    if not changes or repository.git(*sparse, accept=(0, 1)).strip() != b"true":
        return
    trial, names = folder / "sparse", folder / "index.sparse"
    shutil.rmtree(trial, ignore_errors=True)
    trial.mkdir()
    names.unlink(missing_ok=True)
    env = {"GIT_INDEX_FILE": str(names)}
    empty = repository.git("hash-object", "-w", "--stdin").decode().strip()
    lines = index_info(((c.path, ("100644", empty)) for c in changes), len(empty))
    where = (f"--git-dir={repository.git_dir}", f"--work-tree={trial}", *PLAIN)
    try:
        repository.git(*PLAIN, "update-index", "-z", "--index-info", stdin=lines, env=env)
        tree = repository.git(*PLAIN, "write-tree", env=env).decode().strip()
        names.unlink()
        git(*where, "read-tree", "-m", "-u", tree, folder=trial, env=env)
        listing = git(*where, "ls-files", "-v", "-z", folder=trial, env=env)
    finally:
        names.unlink(missing_ok=True)
        shutil.rmtree(trial, ignore_errors=True)
    outside = b"".join(entry[2:] + b"\0" for entry in listing.split(b"\0") if entry[:1] == b"S")
    if outside:
        update = ("update-index", "--skip-worktree", "-z", "--stdin")
        repository.git(*PLAIN, *update, stdin=outside, env={"GIT_INDEX_FILE": str(index)})
