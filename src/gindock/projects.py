"""Many projects at once: found in folders, and worked on in parallel."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Generic, TypeVar

from gindock import interrupts
from gindock.errors import ExitCode, UserError
from gindock.upstream import answers

_T = TypeVar("_T")

#: Folders in which nobody keeps projects, and which take long to search.
_SKIPPED = ("node_modules", "vendor")


@dataclass(frozen=True)
class Failure:
    """Why the work on one project failed."""

    error: UserError

    @property
    def exit_code(self) -> ExitCode:
        """What a command exits with after this."""
        return self.error.code


@dataclass(frozen=True)
class Outcome(Generic[_T]):
    """What came of the work on one project."""

    project: Path
    result: _T | Failure


def find(directories: Iterable[Path], answers_file: Path | None = None) -> list[Path]:
    """The projects that `directories` are or hold, each once, as absolute paths.

    They have an `answers_file` of that name, or of the usual one. A directory that neither is a
    project nor holds any is returned itself.
    """
    found: dict[Path, Path] = {}
    for directory in directories:
        directory = _absolute(directory)
        is_one = answers.find(directory, answers_file)
        below = [directory] if is_one else [*_below(directory, answers_file)]
        for project in below or [directory]:
            # Unlike Path.resolve(), without an error for a link that leads to itself.
            found.setdefault(Path(os.path.realpath(project)), project)
    return list(found.values())


def around(folder: Path, answers_file: Path | None = None) -> Path:
    """The project that `folder` is or lies in, as for `find`; itself where there is none."""
    above = (place for place in (folder, *folder.parents) if answers.find(place, answers_file))
    return next(above, folder)


def are_several(found: Sequence[Path], directories: Sequence[Path]) -> bool:
    """Whether `found` in `directories` is more than one project that was named itself."""
    return len(found) > 1 or found[0] != _absolute(directories[0])


def each(work: Callable[[Path], _T], projects: Sequence[Path]) -> Iterator[Outcome[_T]]:
    """Run `work` on each of `projects` in parallel processes; outcomes come as they are ready.

    Projects of one repository come one after the other, since they share its index. `work` must be
    picklable. A failure, even of a process, stops none of the others.
    """
    groups = [*_by_repository(projects)]
    unfinished = []
    with _pool(min(_cores(), len(groups))) as pool:
        try:
            with interrupts.held_from_children():
                running = {pool.submit(_all, work, group): group for group in groups}
            for done in as_completed(running):
                try:
                    yield from done.result()
                except BrokenProcessPool:
                    unfinished.append(running[done])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    # One of them has ended its process, and with it the pool; apart from each other, only that one
    # fails.
    for group in unfinished:
        with _pool(1) as pool:
            try:
                with interrupts.held_from_children():
                    running_alone = pool.submit(_all, work, group)
                yield from running_alone.result()
            except BrokenProcessPool:
                failure = Failure(UserError("its process was killed; try it by itself"))
                yield from (Outcome(project, failure) for project in group)


def _pool(size: int) -> ProcessPoolExecutor:
    # Not forked: a fork would take over locks that threads of this process hold.
    return ProcessPoolExecutor(size, get_context("spawn"), _attend)


def _attend() -> None:
    """Make this process one that its parent ends."""
    os.environ["GIT_TERMINAL_PROMPT"] = "0"  # Several may not ask for a password at once.
    parent = parent_process()
    if parent is not None:
        # A worker does not notice that its parent was killed, and would wait for ever.
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _absolute(directory: Path) -> Path:
    return Path(os.path.abspath(directory))  # noqa: PTH100 - keeps links, drops `..`


def _all(work: Callable[[Path], _T], projects: Sequence[Path]) -> list[Outcome[_T]]:
    return [Outcome(project, _one(work, project)) for project in projects]


def _one(work: Callable[[Path], _T], project: Path) -> _T | Failure:
    try:
        return work(project)
    except UserError as error:
        return Failure(error)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return Failure(UserError(f"{error.strerror or error}{where}"))
    except Exception as error:
        fault = f"this is a fault of gindock: {type(error).__name__}: {error}"
        return Failure(UserError(fault))


def _below(folder: Path, answers_file: Path | None) -> Iterator[Path]:
    for above, folders, _ in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in _SKIPPED
        )
        for name in list(folders):
            if answers.find(Path(above, name), answers_file):
                yield Path(above, name)
                folders.remove(name)


def _by_repository(projects: Sequence[Path]) -> Iterable[list[Path]]:
    groups: dict[Path, list[Path]] = {}
    for project in projects:
        around = (folder for folder in (project, *project.parents) if (folder / ".git").exists())
        groups.setdefault(next(around, project), []).append(project)
    return groups.values()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
