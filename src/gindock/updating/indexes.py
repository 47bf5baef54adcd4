"""Read the user's index, and replace it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gindock.errors import UserError
from gindock.gitio.command import GitError
from gindock.gitio.formats import NOTHING, Change, index_info, parsed_index
from gindock.gitio.ondisk import PLAIN
from gindock.gitio.paths import folders_above
from gindock.gitio.repository import Repository


def digest(
    repository: Repository, index: Path | None = None, paths: Sequence[Change] | None = None
) -> str:
    """Return a digest of an index, or of what it has at and below `paths`; times do not count."""
    env = {"GIT_INDEX_FILE": str(index)} if index else None
    listing = repository.git(*PLAIN, "ls-files", "--stage", "-z", "--full-name", env=env)
    if paths is not None:
        wanted = {change.path for change in paths}

        def counts(entry: str) -> bool:
            path = entry.partition("\t")[2]
            return path in wanted or not wanted.isdisjoint(folders_above(path))

        found = [entry for entry in os.fsdecode(listing).split("\0") if counts(entry)]
        listing = os.fsencode("\0".join(found))
    return hashlib.sha256(listing).hexdigest()


def refresh(repository: Repository, index: Path) -> None:
    """Refresh the files' times in `index`, if the disk has room for that."""
    env = {"GIT_INDEX_FILE": str(index)}
    with suppress(GitError):
        repository.git(*PLAIN, "update-index", "-q", "--refresh", env=env, accept=(0, 1))


def read_tree(repository: Repository, index: Path, head: str, tree: str) -> None:
    """Let `index` go on from `head` to `tree`, as `git read-tree -m` does.

    Conflicts in it stay, which git would refuse: the project has none, another in the same
    repository may.
    """
    env = {"GIT_INDEX_FILE": str(index)}
    listing = repository.git(*PLAIN, "ls-files", "--unmerged", "-z", "--full-name", env=env)
    unmerged = [*parsed_index(listing)]
    gone = index_info(((path, NOTHING) for path, _, _ in unmerged), len(tree))
    back = (index_info([(path, entry)], len(tree), stage) for path, entry, stage in unmerged)
    update = ("update-index", "-z", "--index-info")
    if unmerged:
        repository.git(*PLAIN, *update, stdin=gone, env=env)
    repository.git(*PLAIN, "read-tree", "-m", head, tree, env=env)
    if unmerged:
        repository.git(*PLAIN, *update, stdin=b"".join(back), env=env)


def check_head(repository: Repository, expected: str) -> None:
    """Raise a `UserError` where HEAD is another commit than `expected`."""
    if repository.git("rev-parse", "HEAD").decode().strip() != expected:
        raise UserError(f"{repository.project} got a commit meanwhile; try again")


def lock_file(repository: Repository) -> Path:
    """The file by which git locks the index."""
    return repository.index.with_name(repository.index.name + ".lock")


def replace(repository: Repository, new: Path, expected: str) -> None:
    """Put the index `new` in the old one's place, as git does, unless that has changed.

    `expected` is the digest of the old one. The lock is a second name of the new index: if a kill
    leaves it there, it is known as ours. Nothing slow happens while it is held, so that next to no
    kill does.

    Raises:
        UserError: the index has changed, or another git command holds its lock.

    """
    index, held = repository.index, lock_file(repository)
    while True:
        seen = _identity(index)
        if digest(repository) != expected:
            raise UserError(f"{repository.project} was changed meanwhile; try again")
        try:
            _link(new, held)
        except FileExistsError:
            raise UserError(
                f"another git command is at work in {repository.top}; try again, or, "
                f"if there is none any more, remove {held}"
            ) from None
        if _identity(index) == seen:
            held.replace(index)
            # A second name of the lock would now be one of the index.
            new.unlink()
            return
        held.unlink()


def unlock(repository: Repository, new: Path) -> None:
    """Remove the lock that a killed `replace` of the index by `new` has left."""
    held = lock_file(repository)
    with suppress(FileNotFoundError):
        if held.read_bytes() == new.read_bytes():
            held.unlink()


def _identity(file: Path) -> tuple[int, int, int]:
    """Return what identifies one state of a file; git replaces an index, it does not rewrite it."""
    status = file.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _link(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`, or a copy if the file system has none."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        with target.open("xb") as file:
            file.write(source.read_bytes())
