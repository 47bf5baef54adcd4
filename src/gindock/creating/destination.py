"""All or nothing: a project is rendered in a staging folder and moved into place whole.

The staging folder lies on the destination's file system: in the destination, where that exists,
and in the nearest folder above it otherwise. A run that was killed leaves it behind, unlocked, and
the next run with the same destination clears it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gindock.creating.places import check_place, is_folder, nearest_folder
from gindock.errors import BadInputError, UserError
from gindock.guard import lock_folder, undisturbed
from gindock.upstream.away import Away

#: How the names of staging folders begin.
PREFIX = ".gindock-staging-"
_JOURNAL = "journal.json"
_PROJECT = "project"


class StagingFolder:
    """The staging folder of one destination."""

    def __init__(self, destination: Path, folder: Path) -> None:
        self.destination = destination
        self.folder = Path(os.path.realpath(folder))
        self.keep = False
        self._renders = 0

    def new_project(self) -> Away:
        """A place for one more render of the destination."""
        self._renders += 1
        return Away(self.folder / _PROJECT / str(self._renders), self.destination)

    def place(self, project: Path, *, without: Sequence[str] = ()) -> None:
        """Move the rendered `project` to the destination: all of it, or, on an error, nothing.

        The files `without` stay where they are, and so does what the destination has.

        Raises:
            UserError: something has appeared at the destination.

        """
        for path in without:
            _remove(project / path)
        if self.destination.is_dir():
            self._move_into(project)
        else:
            made = _make_parents(self.destination)
            try:
                project.rename(self.destination)
            except BaseException:
                _remove_empty(made)
                raise

    def _move_into(self, project: Path) -> None:
        journal = {
            "destination": str(self.destination),
            "project": str(project.relative_to(self.folder)),
            "files": _digests(project),
        }
        with (self.folder / _JOURNAL).open("w", encoding="utf-8") as file:
            json.dump(journal, file)
            file.flush()
            os.fsync(file.fileno())
        with undisturbed():
            moved: list[tuple[Path, Path]] = []
            try:
                for entry, target in _moves(project, self.destination):
                    if os.path.lexists(target):
                        raise UserError(f"{target} has appeared; move it away and try again")
                    entry.rename(target)
                    moved.append((entry, target))
            except BaseException:
                # If moving back fails, the next run does it by the journal.
                self.keep = True
                for entry, target in reversed(moved):
                    target.rename(entry)
                self.keep = False
                raise


def _moves(folder: Path, destination: Path) -> Iterator[tuple[Path, Path]]:
    """What to move from `folder`, and to where, into the folders that `destination` has."""
    # .git comes last: a service with a .git is complete.
    for entry in sorted(folder.iterdir(), key=lambda entry: (entry.name == ".git", entry.name)):
        target = destination / entry.name
        if is_folder(entry) and is_folder(target):
            yield from _moves(entry, target)
        else:
            yield entry, target


def _remove(path: Path) -> None:
    if is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def staging_folder(destination: Path, *, elsewhere: bool = False) -> Iterator[StagingFolder]:
    """A staging folder for `destination`, removed at the end, whatever happens.

    With `elsewhere`, it lies in the system's temporary folder, from which nothing can be placed.

    Raises:
        BadInputError: the destination is no place for a folder.
        UserError: an earlier run left something that has been changed since.

    """
    home = Path(tempfile.gettempdir()) if elsewhere else nearest_folder(destination)
    if not elsewhere:
        _clear(destination)
    check_place(destination)
    folder, lock = _new_folder(home)
    held = StagingFolder(destination, folder)
    try:
        yield held
    finally:
        with undisturbed():
            if not held.keep:
                shutil.rmtree(folder, ignore_errors=True)
            if lock is not None:
                os.close(lock)


def _make_parents(destination: Path) -> list[Path]:
    missing = [p for p in destination.parents if not p.exists()]
    destination.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _digests(project: Path) -> dict[str, str]:
    return {
        file.relative_to(project).as_posix(): _digest(file)
        for file in sorted(project.rglob("*"))
        if file.is_symlink() or file.is_file()
    }


def _digest(file: Path) -> str:
    if file.is_symlink():
        return f"link {file.readlink()}"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _new_folder(home: Path) -> tuple[Path, int | None]:
    """A new staging folder in `home`, and the lock on it, where the file system has locks."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=home))
        with suppress(FileNotFoundError):
            lock = lock_folder(folder)
            # Before it was locked, another run may have removed it as a leftover.
            if lock is None or folder.exists():
                return folder, lock
            os.close(lock)


def _clear(destination: Path) -> None:
    """Clear what killed runs left, and take back what they had moved by then.

    Raises:
        UserError: some of that has been changed since.

    """
    # A killed run cannot tell which folders above it had made, so look in all of them.
    for folder in _leftovers(destination):
        with suppress(BlockingIOError, FileNotFoundError, PermissionError):
            lock = lock_folder(folder)
            try:
                # On a file system without locks, a day is longer than any run.
                if lock is not None or time.time() - folder.stat().st_mtime > 86_400:
                    _take_back(folder)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                if lock is not None:
                    os.close(lock)


def _leftovers(destination: Path) -> Iterator[Path]:
    for home in (destination, *destination.parents):
        with suppress(OSError):
            yield from [folder for folder in home.glob(PREFIX + "*") if folder.is_dir()]


def _take_back(folder: Path) -> None:
    """Remove what a killed run had moved to its destination, unless it had moved everything.

    Raises:
        UserError: some of it has been changed since.

    """
    try:
        journal = json.loads((folder / _JOURNAL).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return  # It had moved nothing yet.
    destination = Path(journal["destination"])
    waiting = folder / journal["project"]
    if all(is_folder(each) for each in waiting.rglob("*")):
        return  # It had moved everything: the project is whole, and the user's.
    ours = []
    for path, digest in journal["files"].items():
        file = destination / path
        if os.path.lexists(waiting / path) or not os.path.lexists(file):
            continue
        # Do not follow links out of the destination.
        inside = (
            file.parent.resolve().is_relative_to(destination.resolve()) and ".." not in file.parts
        )
        if not inside or _digest(file) != digest:
            raise BadInputError(
                f"an interrupted run left half a project in {destination}, and {file} was changed "
                "since; move that file away and try again"
            )
        ours.append(file)
    for file in ours:
        file.unlink()
        above = [p for p in file.parents if p != destination and p.is_relative_to(destination)]
        _remove_empty(above)
