"""How a project stands to its template: versions, answers, and how far its files have drifted.

Nothing of the project is written.
"""

from __future__ import annotations

import functools
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gindock.errors import ExitCode, NoSuchVersionError, UserError
from gindock.gitio.command import check_installed
from gindock.status.drift import UNCOMMITTED, Drift, WorkTree
from gindock.status.pristine import AnswerCheck, Origin
from gindock.updating.merge_repository import YOURS
from gindock.upstream import answers, noticing, seen, source
from gindock.upstream.source import Source


@dataclass
class Status:
    """How a project stands to its template."""

    directory: Path
    template: str
    version: str
    newest: str | None
    """None where the template cannot be reached."""
    behind: bool = False
    answers: AnswerCheck | None = None
    """As the newest version sees them; None where that cannot be told."""
    drift: Drift | None = None
    """From the render of the project's own version; None where that cannot be rendered."""
    diff: str | None = None
    notes: list[str] = field(default_factory=list)
    """What else there is to know."""
    problems: list[str] = field(default_factory=list)
    """Why something could not be told."""

    @property
    def exit_code(self) -> ExitCode:
        """Whether everything could be told; to be behind is no failure."""
        return ExitCode.FAILED if self.problems else ExitCode.DONE

    def as_dict(self) -> dict[str, Any]:
        """This status for a machine."""
        diff = {} if self.diff is None else {"diff": self.diff}
        return {
            "directory": str(self.directory),
            "template": self.template,
            "version": self.version,
            "newest": self.newest,
            "behind": self.behind,
            "answers": vars(self.answers) if self.answers else None,
            "drift": vars(self.drift) if self.drift else None,
            **diff,
            "notes": self.notes,
            "problems": self.problems,
            "exit_code": int(self.exit_code),
        }


def status(
    project: Path,
    answers_file: Path | None = None,
    *,
    with_diff: bool = False,
    colour: bool = False,
) -> Status:
    """How `project` stands to its template; `with_diff`, also its drift as a patch.

    `answers_file` is the record to go by, relative to the project, if it is not the usual one.

    Raises:
        BadInputError: the folder holds no rendered project, or its answers file is broken.
        UserError: git fails in it.

    """
    check_installed()
    project = project.absolute()
    url, version, recorded = answers.origin(project, answers_file)
    record = (answers.find(project, answers_file) or project).relative_to(project)
    newest, unreachable = _newest(url)
    work_tree = WorkTree.read(project)
    found = Status(project, url, version, newest, notes=[*work_tree.notes])
    _add_notes(found, record, unreachable)
    if url == source.URL and version != newest and not source.known(version):
        found.notes.append(_unknown(version))
        return found
    found.behind = newest is not None and _is_behind(version, newest)
    with tempfile.TemporaryDirectory(prefix="gindock-") as folder:
        origin = Origin(
            project, Source(url, version), recorded, record, work_tree.object_format, Path(folder)
        )
        try:
            _compare(found, work_tree, origin)
            if with_diff and found.drift:
                found.diff = origin.diff(found.drift, colour=colour)
        except UserError as error:
            if not unreachable:
                _add(error, found)
    return found


def _add(error: UserError, found: Status) -> None:
    # A version that the template no longer has is a note, not a failure.
    told = found.notes if isinstance(error, NoSuchVersionError) else found.problems
    told.append(str(error))


def _add_notes(found: Status, record: Path, unreachable: str | None) -> None:
    """Note what is easily missed of a project with the answers file `record`."""
    found.notes += noticing.other_records(found.directory, record)
    if unreachable:
        found.problems.append(unreachable)
    else:
        template = Source(found.template, found.version)
        found.notes += noticing.uncommitted(template) + seen.re_pointed(template)


def _compare(found: Status, work_tree: WorkTree, origin: Origin) -> None:
    """Complete what is `found` of a project by its files and by what its template renders.

    Raises:
        UserError: the template cannot be rendered.

    """
    files, check = origin.pristine()
    found.drift = work_tree.drift(files)
    marked = [path for path in found.drift.changed if _holds_markers(found.directory / path)]
    if marked and work_tree.notes in ([], [UNCOMMITTED]):
        found.notes.append(f"conflict markers in {', '.join(marked)}")
    if found.newest is not None:
        found.answers = origin.answers_in(found.newest) if found.behind else check


def _holds_markers(file: Path) -> bool:
    """Whether a conflict of an update was left in `file`."""
    if file.is_symlink():
        return False
    try:
        return re.search(rf"(?m)^<{{7,}} {YOURS}\r?$".encode(), file.read_bytes()) is not None
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return False


@functools.cache
def _newest(url: str) -> tuple[str | None, str | None]:
    """The newest version at `url`, or else why it cannot be told; asked once in a process."""
    try:
        return source.newest(url), None
    except UserError as error:
        return None, str(error)


def _is_behind(version: str, newest: str) -> bool:
    ours, theirs = source.version_of(version), source.version_of(newest)
    if ours and theirs:
        return ours < theirs
    # Copier records what `git describe` makes of a commit.
    commit = re.fullmatch(r"(?:.*-g)?([0-9a-f]{7,})", version)
    return not (version == newest or (commit and newest.startswith(commit[1])))


def _unknown(version: str) -> str:
    if source.is_development(version):
        return "rendered from a checkout of gindock, from which there is no update"
    return (
        f"this gindock does not know {version}: install gindock {version.removeprefix('v')} "
        "or newer"
    )
