"""How a project stands to its template: versions, answers, and how far its files have drifted.

Nothing of the project is written. What its template renders is kept in the user's cache, as a
listing, so that a second status renders nothing and does not import Copier.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from gindock.errors import BadInputError, ExitCode, UserError
from gindock.gitio.command import check_installed, git, own_git
from gindock.gitio.repository import Repository
from gindock.updating.merging import YOURS
from gindock.updating.worktree import State
from gindock.upstream import answers, source
from gindock.upstream.away import Away
from gindock.upstream.source import Source

#: The mode and the blob id of each file by its path, as in git's index.
Listing = Mapping[str, tuple[str, str]]

_ABSENT = ("000000", "")
_UNCOMMITTED = "uncommitted changes"
#: Settings of the user's that are not for a render. Filters are: so is what their project stores.
_PLAIN = (
    "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}",
    "-c", "core.safecrlf=false", "-c", "core.sparseCheckout=false", "-c", "core.splitIndex=false",
)  # fmt: skip

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Answers:
    """What a version of the template says of a project's answers."""

    refused: dict[str, str]
    """Those that are not valid, each with the reason."""
    new: list[str]
    """The questions that are not answered."""


@dataclass(frozen=True)
class Drift:
    """Which of the files that the template renders the project has otherwise, or not at all."""

    rendered: int
    changed: list[str]
    deleted: list[str]


@dataclass
class Status:
    """How a project stands to its template."""

    directory: Path
    template: str
    version: str
    newest: str | None
    """None where the template cannot be reached."""
    behind: bool = False
    answers: Answers | None = None
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


def status(project: Path, *, with_diff: bool = False, colour: bool = False) -> Status:
    """How `project` stands to its template; `with_diff`, also its drift as a patch.

    Raises:
        BadInputError: the folder holds no rendered project.
        UserError: its answers file is broken, or git fails in it.

    """
    check_installed()
    project = project.absolute()
    url, version, recorded = answers.origin(project)
    newest, unreachable = _newest(url)
    work_tree = _WorkTree.read(project)
    found = Status(project, url, version, newest, notes=work_tree.notes)
    if unreachable:
        found.problems.append(unreachable)
    if url == source.URL and version != newest and not source.known(version):
        found.notes.append(_unknown(version))
        return found
    found.behind = newest is not None and _is_behind(version, newest)
    with tempfile.TemporaryDirectory(prefix="gindock-") as scratch:
        origin = _Origin(
            project,
            Source(url, version),
            recorded,
            (answers.find(project) or project).relative_to(project),
            work_tree.object_format,
            Path(scratch),
        )
        try:
            files, said = origin.pristine()
            found.drift = work_tree.drift(files)
            found.diff = origin.diff(found.drift, colour=colour) if with_diff else None
            marked = [path for path in found.drift.changed if _holds_markers(project / path)]
            if marked and found.notes in ([], [_UNCOMMITTED]):
                found.notes.append(f"conflict markers in {', '.join(marked)}")
            if newest is not None:
                found.answers = origin.answers_in(newest) if found.behind else said
        except UserError as error:
            # A version that is gone from the template is no failure to read the project.
            told = found.notes if isinstance(error, BadInputError) else found.problems
            if not unreachable:
                told.append(str(error))
    return found


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


@dataclass(frozen=True)
class _WorkTree:
    """What a project's files are, as git would store them."""

    project: Path
    prefix: str
    """The project's folder in its repository: empty, or with a slash at its end."""
    object_format: str
    unmodified: Listing
    """The tracked files that are as in the index."""
    modified: Mapping[str, str]
    """The modes of the tracked files that are not, as they are on disk."""
    notes: list[str]

    @classmethod
    def read(cls, project: Path) -> _WorkTree:
        """Ask git; a project outside of it has no tracked files."""
        repository = Repository.find(project)
        if repository is None:
            return cls(project, "", "sha1", {}, {}, ["not in git"])
        tracked = {}
        for entry, path in _entries(git("ls-files", "--stage", "-z", folder=project)):
            mode, identity, _ = entry.split()
            tracked[path] = (mode, identity)
        modified: dict[str, str] = {}
        conflicts: list[str] = []
        changes = False
        for entry in _fields(
            git(
                *("--no-optional-locks", "status", "--porcelain=v2", "-z"),
                *("--untracked-files=no", "--no-renames", "--ignore-submodules=dirty", "--", "."),
                folder=project,
            )
        ):
            # Ordinary entries have 8 fields before the path, unmerged ones 10.
            unmerged = entry.startswith("u")
            about = entry.split(" ", 10 if unmerged else 8)
            path = about[-1].removeprefix(repository.prefix)
            if unmerged:
                conflicts.append(path)
            if about[1][1] != ".":
                modified[path] = about[6 if unmerged else 5]
            changes = True
        notes = []
        interrupted = State(repository).interrupted()
        if interrupted:
            notes.append(interrupted)
        elif conflicts:
            notes.append(f"conflicts in {', '.join(conflicts)}")
        elif changes:
            notes.append(_UNCOMMITTED)
        unmodified = {path: entry for path, entry in tracked.items() if path not in modified}
        return cls(
            project, repository.prefix, repository.object_format, unmodified, modified, notes
        )

    def drift(self, files: Listing) -> Drift:
        """How the project differs from `files`; what these do not name is the user's own."""
        other = {path: self._mode(path) for path in files if path not in self.unmodified}
        regular = [path for path, mode in other.items() if mode.startswith("100")]
        stored = {
            **self.unmodified,
            **{p: (other[p], i) for p, i in zip(regular, self._hashed(regular), strict=True)},
        }
        for path, mode in other.items():
            if mode == "120000":
                stored[path] = (mode, self._link(path))
        now = {path: stored.get(path, _ABSENT) for path in files}
        return Drift(
            len(files),
            [path for path in files if now[path] not in (_ABSENT, files[path])],
            [path for path in files if now[path] == _ABSENT],
        )

    def _mode(self, path: str) -> str:
        if path in self.modified:
            return self.modified[path]
        try:
            mode = (self.project / path).lstat().st_mode
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return _ABSENT[0]
            raise
        if stat.S_ISLNK(mode):
            return "120000"
        if stat.S_ISREG(mode):
            return "100755" if mode & stat.S_IXUSR else "100644"
        return _ABSENT[0]

    def _hashed(self, paths: list[str]) -> list[str]:
        if not paths:
            return []
        # With the line endings and filters that the project's attributes ask for. Git takes these
        # paths from the top of the work tree.
        return (
            git(
                *("-c", "core.safecrlf=false", "hash-object", "--stdin-paths"),
                folder=self.project,
                stdin=b"".join(_quoted(self.prefix + path) + b"\n" for path in paths),
            )
            .decode()
            .split()
        )

    def _link(self, path: str) -> str:
        target = os.fsencode((self.project / path).readlink())
        return hashlib.new(self.object_format, b"blob %d\0" % len(target) + target).hexdigest()


@dataclass(frozen=True)
class _Origin:
    """What a project was rendered from; rendered in `scratch` where the cache does not know."""

    project: Path
    template: Source
    recorded: Mapping[str, Any]
    answers_file: Path
    """Relative to the project."""
    object_format: str
    scratch: Path

    def pristine(self) -> tuple[Listing, Answers]:
        """The files that the template renders, and what it says of the answers.

        Raises:
            BadInputError: there is no such version of the template.
            UserError: the template cannot be had, or cannot be rendered.

        """

        def make() -> dict[str, Any]:
            away = self._rendered()
            listed = _entries(own_git("ls-files", "--stage", "-z", folder=away.folder))
            files = {path: about.split()[:2] for about, path in listed}
            files.pop(self.answers_file.as_posix(), None)
            return {"files": files, **self._said(self.template, away)}

        def read(kept: Any) -> tuple[Listing, Answers]:
            files = {path: (mode, identity) for path, (mode, identity) in kept["files"].items()}
            return files, self._answers(kept)

        return _cached(["files", self.object_format, *self._key(self.template)], make, read)

    def answers_in(self, newest: str) -> Answers:
        """What the version `newest` of the template says of the answers; raises as `pristine`."""

        def make() -> dict[str, Any]:
            from gindock.upstream import rendering

            template = Source(self.template.url, newest)
            if template.embedded:
                template = rendering.questionnaire(self.scratch)
            return self._said(template, self._render(template, "newest"))

        key = ["answers", *self._key(Source(self.template.url, newest))]
        return _cached(key, make, self._answers)

    def diff(self, drift: Drift, *, colour: bool) -> str:
        """The `drift` as a patch; raises as `pristine` does."""
        paths = sorted(drift.changed + drift.deleted)
        if not paths:
            return ""
        patch = git(
            *(f"--git-dir={self._rendered().folder / '.git'}", f"--work-tree={self.project}"),
            *(*_PLAIN, "diff", "--no-ext-diff", "--no-renames"),
            *("--src-prefix=a/", "--dst-prefix=b/", f"--color={'always' if colour else 'never'}"),
            *("--", *paths),
            folder=self.project,
            env={"GIT_LITERAL_PATHSPECS": "1"},
        )
        return patch.decode(errors="replace")

    def _rendered(self) -> Away:
        """A render in whose folder the index of a git repository holds it, made once."""
        away = self._away("pristine")
        if not away.folder.exists():
            away = self._render(self.template, "pristine")
            init = ("init", "--quiet", "--template=", f"--object-format={self.object_format}")
            own_git(*init, ".", folder=away.folder)
            git(*_PLAIN, "add", "--all", "--force", "--", ".", folder=away.folder)
        return away

    def _away(self, name: str) -> Away:
        return Away(self.scratch / name, self.project)

    def _render(self, template: Source, name: str) -> Away:
        # Late: it imports Copier.
        from gindock.upstream import rendering

        away = self._away(name)
        rendering.rerender(template, away, answers_file=self.answers_file, given=self.recorded)
        return away

    def _said(self, template: Source, render: Away) -> dict[str, Any]:
        """What `template` says of the answers in its `render`, and what that has consulted."""
        now = answers.asked(answers.read(render.folder / self.answers_file))
        given = answers.asked(self.recorded)
        refused = [key for key in given if key in now and now[key] != given[key]]
        reasons = {key: self._reason(template, {**now, key: given[key]}, key) for key in refused}
        said = Answers(reasons, [key for key in now if key not in given])
        return {"answers": vars(said), "consulted": render.consulted}

    def _answers(self, kept: Any) -> Answers:
        """What `_said` says; of no use once the files that its render consulted are others."""
        if self._away("").changed_since(kept["consulted"]):
            raise ValueError
        return Answers(**kept["answers"])

    def _reason(self, template: Source, data: Mapping[str, Any], key: str) -> str:
        from gindock.upstream import rendering

        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            away = Away(Path(folder), self.project)
            try:
                rendering.render(template, away, data=data, defaults=True, on_a_terminal=False)
            except BadInputError as error:
                return re.sub(r"\A--[\w-]+: ", "", str(error))
        return "it does not go with other answers"

    def _key(self, template: Source) -> list[Any]:
        about = [template.url, template.ref, str(self._away("").project), str(self.answers_file)]
        return [*about, answers.asked(self.recorded), metadata.version("copier")]


def _cached(key: list[Any], make: Callable[[], Any], read: Callable[[Any], _Read]) -> _Read:
    """What `make` makes, as `read` reads it; kept in the user's cache, if that can be written."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
    file = source.cache_folder() / f"status-{digest[:32]}.json"
    # A broken file is made anew.
    with suppress(OSError, ValueError, TypeError, LookupError, AttributeError):
        return read(json.loads(file.read_text(encoding="utf-8")))
    made = make()
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, prefix=".status-", delete=False
        ) as beside:
            json.dump(made, beside)
        Path(beside.name).replace(file)
    return read(made)


def _fields(listing: bytes) -> list[str]:
    return [os.fsdecode(field) for field in listing.split(b"\0") if field]


def _entries(listing: bytes) -> list[tuple[str, str]]:
    """What `git ls-files --stage -z` says of each path, and the path."""
    split = (entry.split("\t", 1) for entry in _fields(listing))
    return [(about, path) for about, path in split]


def _quoted(path: str) -> bytes:
    """`path` on a line of its own, as git reads it from standard input."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return b'"' + os.fsencode(escaped) + b'"'
