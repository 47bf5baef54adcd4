"""Updates of rendered projects: to another version, from another source, with other answers.

The old and the new version are rendered with the project's answers, git merges the difference
into the project's HEAD, and only then is the work tree written.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from gindock.errors import BadInputError, ExitCode, RefusedAnswerError, UserError
from gindock.gitio.command import check_installed, line
from gindock.gitio.repository import Repository
from gindock.updating import renders, resuming
from gindock.updating.journal import Note
from gindock.updating.merging import Merge, Merged
from gindock.updating.obstacles import refuse_in_the_way
from gindock.updating.worktree import State
from gindock.upstream import answers, changelog, declared, source
from gindock.upstream.away import Away
from gindock.upstream.questions import Questions, listed, takes_several
from gindock.upstream.source import Source

#: The word for a project's own version.
CURRENT = "current"

Kind = Literal["added", "updated", "removed", "merged", "conflict", "kept"]


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    project: Path
    template: str | None = None
    """Another source than the project's, as `source.named` takes it."""
    to: str | None = None
    """A version of the template, or `CURRENT`; None for the newest."""
    assignments: Sequence[str] = ()
    """Answers to change, each as `question=value`."""
    defaults: bool = True
    """Answer new questions by their defaults; they are asked otherwise."""
    preview: bool = False
    """Only tell what would change."""
    colour: bool = False
    """Colour the patch that a preview has."""
    commit: bool = False


@dataclass(frozen=True)
class FileChange:
    """What an update does to one file, relative to the project."""

    path: str
    kind: Kind
    note: str = ""


@dataclass(frozen=True)
class Update:
    """What an update did to a project, or would do."""

    project: Path
    template: str
    before: str
    after: str
    files: Sequence[FileChange] = ()
    answers: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """Answers that are others now, with the old and the new one; None where it is not asked."""
    changelog: str = ""
    commit: str | None = None
    diff: str | None = None
    recovered: bool = False
    """An earlier update that was killed has been undone first."""
    switched: bool = False
    """`template` is another than before."""
    not_run: Sequence[str] = ()
    """The template's commands that Copier would have run, as they are written."""
    finished: str | None = None
    """The commit that holds a part of an interrupted update, of which this is the rest."""
    way_back: str = "git reset --hard"

    @property
    def conflicts(self) -> list[str]:
        """The files with a conflict."""
        return [file.path for file in self.files if file.kind == "conflict"]

    @property
    def exit_code(self) -> ExitCode:
        """What a command exits with after this."""
        return ExitCode.CONFLICTS if self.conflicts else ExitCode.DONE

    def as_dict(self) -> dict[str, Any]:
        """This result for a machine."""
        return {
            "directory": str(self.project),
            "template": self.template,
            "before": self.before,
            "after": self.after,
            "files": [
                {"path": file.path, "change": file.kind, "note": file.note} for file in self.files
            ],
            "answers": {k: {"before": b, "after": a} for k, (b, a) in self.answers.items()},
            "changelog": self.changelog,
            "commit": self.commit,
            "recovered": self.recovered,
            "not_run": list(self.not_run),
            **({} if self.diff is None else {"diff": self.diff}),
            **({} if self.finished is None else {"finished": self.finished}),
            "exit_code": int(self.exit_code),
        }


def update(request: Request) -> Update:
    """Update a project, all of it or nothing; a project without news is left alone.

    Raises:
        BadInputError: the folder holds no rendered project, or an answer is refused.
        UserError: the project cannot be updated as it is; the text says what to do.
        KeyboardInterrupt: the user left a question with Ctrl-C; nothing was changed.

    """
    check_installed()
    project = request.project.absolute()
    check_project(project)
    repository = Repository.around(project)
    if request.preview:
        # Away from the project, where nothing is to be written.
        with tempfile.TemporaryDirectory(prefix="gindock-") as folder:
            scratch = Path(folder)
            rest = resuming.preview(request, repository, scratch)
            return rest or _Run(request, repository, scratch).preview()
    state = State(repository)
    with state.held():
        recovered = state.settle()
        done = resuming.finish(request, repository, state)
        done = done or _Run(request, repository, state.scratch).update(state)
    return replace(done, recovered=recovered)


def update_one(request: Request, project: Path) -> Update:
    """Update `project` as `request` says for another; for many at once. Raises as `update`."""
    return update(replace(request, project=project))


def check_project(project: Path) -> None:
    """Raise where `project` is none; an update that was killed may have left it without answers."""
    repository = Repository.find(project) if project.is_dir() else None
    if repository is None or State(repository).read() is None:
        answers.origin(project)


class _Run:
    def __init__(self, request: Request, repository: Repository, scratch: Path) -> None:
        self._request = request
        self._repository = repository
        self._scratch = scratch
        self._project = repository.project
        # Now: the update may remove the folder that the user is in.
        self._way_back = repository.way_back
        repository.check_at_rest()
        url, before, self._recorded = answers.origin(self._project)
        file = answers.find(self._project)
        assert file is not None
        if file.is_symlink():
            raise UserError(f"{file} is a link, which an update cannot follow; commit a file there")
        self._answers_file = file.relative_to(self._project)
        self._check_committed(self._repository.prefix + self._answers_file.as_posix())
        self._before = Source(url, before)
        self._after = self._target()
        self._given = self._assigned()

    def preview(self) -> Update:
        if self._has_no_news():
            return replace(self._unchanged(), diff="")
        with self._merged(lasting=False) as (merge, merged, recorded):
            refuse_in_the_way(self._repository, merged.changes)
            done = self._summary(merged, recorded)
            return replace(done, diff=merge.diff(merged, colour=self._request.colour))

    def update(self, state: State) -> Update:
        if self._has_no_news():
            return self._unchanged()
        state.write(Note("rendering"))
        state.scratch.mkdir(exist_ok=True)
        with self._merged(lasting=True, state=state) as (_, merged, recorded):
            state.apply(merged, before=self._before.ref or "", after=self._after.ref or "")
            done = self._summary(merged, recorded)
        if self._request.commit and merged.changes and not done.conflicts:
            done = replace(done, commit=self._commit(done, merged, state))
        return done

    def _target(self) -> Source:
        named = self._request.template
        url = self._before.url if named is None else source.named(named)
        if self._before.embedded:
            _check_known(self._before.ref or "")
        if self._request.to == CURRENT:
            if url != self._before.url:
                raise BadInputError(
                    "--to current: another template has versions of its own; name one of those"
                )
            return self._before
        wanted = self._request.to
        if wanted is None:
            return self._refuse_downgrade(Source(url, source.newest(url)), self._request.to)
        if url != source.URL:
            wanted = source.tagged(url, wanted)
        else:
            wanted = f"v{wanted.removeprefix('v')}"
            if not source.known(wanted):
                raise BadInputError(
                    f"--to {self._request.to}: this gindock has no such version; "
                    f"the newest is {source.version_tag()}"
                )
        return self._refuse_downgrade(Source(url, wanted), self._request.to)

    def _refuse_downgrade(self, target: Source, asked: str | None) -> Source:
        old, new = (source.version_of(s.ref or "") for s in (self._before, target))
        if target.url != self._before.url or old is None or new is None or new >= old:
            return target
        if asked is None and target.embedded:
            raise UserError(
                f"this project is at {self._before.ref}, newer than the newest version that this "
                f"gindock has, {target.ref}; install a newer gindock"
            )
        if asked is None:
            return self._before  # A pre-release, or a commit after the newest release.
        raise BadInputError(
            f"--to {asked} would be a downgrade from {self._before.ref}; "
            "to go back, revert the commit of the update"
        )

    def _refuse_moved_tag(self, template: source.Opened) -> None:
        """Refuse a version like v1 that the template has moved to the commit to go to."""
        before, after = self._before.ref or "", self._after.ref or ""
        version = source.version_of(before)
        if (
            self._before.url == self._after.url
            and not _same_version(before, after)
            and (version is None or len(version.release) < 3)
            and template.has_tag(before)
            and template.commit(before) == template.commit(after)
        ):
            raise UserError(
                f"the template has {before} and {after} on one commit, so that what this project "
                f"was rendered from cannot be told; let _commit in {self._answers_file} name that "
                "version by a tag that stays, and commit it"
            )

    def _assigned(self) -> dict[str, Any]:
        if not self._request.assignments:
            return {}
        given: dict[str, Any] = {}
        parse = self._parser()
        for assignment in self._request.assignments:
            key, equals, text = assignment.partition("=")
            key = key.replace("-", "_")  # As the options of `gindock new` are spelled.
            if not equals or not key:
                raise BadInputError(f"--set {assignment}: write it as question=value")
            if key in given:
                raise BadInputError(
                    f"--set answers '{key}' twice; several values go together: --set {key}=A,B"
                )
            with _refused(key):
                given[key] = parse(key, text)
        return given

    def _parser(self) -> Callable[[str, str], Any]:
        """A function that reads the answer to a question from what the user wrote.

        Of another template than gindock's it only knows what takes a list; Copier does the rest.
        """
        if self._after.embedded:
            own = Questions.read(source.questions_file())
            return lambda key, text: own.known(key).parse(text)
        with source.opened(self._after.url) as template:
            several = takes_several(template.questions(self._after.ref or "HEAD") or "")
        return lambda key, text: listed(text) if key in several else text

    def _check_committed(self, path: str) -> None:
        if path not in self._repository.entries("HEAD"):
            raise UserError(f"{path} is not committed in {self._repository.top}; commit it first")

    def _has_no_news(self) -> bool:
        before, after = self._before, self._after
        return (
            before.url == after.url
            and _same_version(before.ref or "", after.ref or "")
            and all(key in self._recorded and self._recorded[key] == value
                    for key, value in self._given.items())
        )  # fmt: skip

    def _unchanged(self) -> Update:
        version = self._before.ref or ""
        return Update(self._project, self._before.url, version, version)

    @contextmanager
    def _merged(
        self, *, lasting: bool, state: State | None = None
    ) -> Iterator[tuple[Merge, Merged, Mapping[str, Any]]]:
        # Late: it imports Copier, which a project without news does not need.
        from gindock.upstream import rendering

        before, after = (Away(self._scratch / n, self._project) for n in ("before", "after"))
        recorded = answers.asked(self._recorded)
        same: dict[str, Any] = {
            "answers_file": self._answers_file,
            "given": recorded,
            "updates": True,
        }
        with source.opened(self._after.url) as template:
            self._refuse_moved_tag(template)
            # Of several tags on a commit, Copier would record any.
            version = self._after.ref if template.has_tag(self._after.ref or "") else None
            self._news = self._changelog(template)
        with _refused(", ".join(self._given)):
            new = rendering.rerender(
                self._after, after, data=self._given, defaults=self._request.defaults,
                version=version, **same,
            )  # fmt: skip
        for key in self._given:
            if key not in new or key.startswith("_"):
                raise BadInputError(
                    f"--set {key}: the template has no such question, or the other answers rule "
                    "it out"
                )
        if "_commit" not in new:
            raise UserError(
                f"the template at {self._after.url} does not record its version; let its "
                f"{self._answers_file} hold `_copier_answers|to_nice_yaml`"
            )
        # What names a commit tells its version only now.
        self._refuse_downgrade(Source(self._after.url, str(new["_commit"])), self._request.to)
        rendering.rerender(self._before, before, version=self._before.ref, **same)
        self._handed_over = renders.hand_over(before, after, self._before, self._after, same)
        same = {**same, "given": new}
        renders.keep_what_exists(before, after, self._after, same, self._repository)
        if state:
            state.write(Note("merging"))
        merge = Merge(self._repository, self._scratch, lasting=lasting)
        labels = (f"template-{self._before.ref}", f"template-{new['_commit']}")
        file = self._answers_file.as_posix()
        if labels[0] == labels[1]:
            labels = (labels[0], f"{labels[0]}-new-answers")
        yield (
            merge,
            merge.merge(before.folder, after.folder, labels=labels, answers_file=file),
            new,
        )

    def _changelog(self, template: source.Opened) -> str:
        before, after = self._before, self._after
        text = (
            source.changelog()
            if after.embedded
            else template.read(after.ref or "HEAD", "CHANGELOG.md") or ""
        )
        same = before.url == after.url
        return changelog.between(text, before.ref or "", after.ref or "") if same else ""

    def _summary(self, merged: Merged, recorded: Mapping[str, Any]) -> Update:
        changed = {
            key: (self._recorded.get(key), recorded.get(key))
            for key in {**recorded, **self._recorded}
            if not key.startswith("_") and self._recorded.get(key) != recorded.get(key)
        }
        return Update(
            self._project,
            self._after.url,
            self._before.ref or "",
            str(recorded.get("_commit", self._after.ref)),
            sorted(self._files(merged), key=lambda file: file.path),
            changed,
            self._news,
            switched=self._before.url != self._after.url,
            not_run=self._not_run(str(recorded["_commit"])),
            way_back=self._way_back,
        )

    def _not_run(self, version: str) -> list[str]:
        declares = declared.of(self._after) or {}
        commands = declared.tasks(declares)
        if self._before.url == self._after.url:
            commands += declared.migrations(declares, self._before.ref or "", version)
        return commands

    def _files(self, merged: Merged) -> Iterator[FileChange]:
        prefix = self._repository.prefix
        yield from file_changes(merged, prefix)
        for path in self._handed_over:
            if prefix + path in merged.ours:
                yield FileChange(path, "kept", "the template leaves it to you from now on")

    def _commit(self, done: Update, merged: Merged, state: State) -> str | None:
        message = f"Update the template from {done.before} to {done.after}"
        if done.switched:
            message = f"Switch the template from {done.before} to {done.after} of {done.template}"
        elif done.before == done.after:
            message = "Answer the template's questions anew"
        return commit(done, merged, state, message)


def commit(done: Update, merged: Merged, state: State, message: str) -> str | None:
    """Commit what was `done`; returns the commit's short id.

    Raises:
        UserError: a hook or a signature failed; the update stays staged.

    """
    repository = state.repository
    try:
        state.commit(merged, message)
    except UserError as error:
        only = f" -- {shlex.quote(repository.prefix)}" if repository.prefix else ""
        raise UserError(
            f"{error}\nThe update is staged and not committed; run in {repository.top} "
            f'`git commit -m "{message}"{only}`, or go back with `{done.way_back}`'
        ) from error
    state.adopt_commit(merged)
    return line("rev-parse", "--short", "HEAD", folder=repository.project)


@contextmanager
def _refused(keys: str) -> Iterator[None]:
    """Say of an answer that is refused that `--set` gave it."""
    try:
        yield
    except RefusedAnswerError as error:
        found = re.match(r"--([\w-]+): (.*)", str(error), re.DOTALL)
        key, reason = (found[1].replace("-", "_"), found[2]) if found else (keys, str(error))
        raise BadInputError(f"--set {key}: {reason}" if key else reason) from error


def _check_known(version: str) -> None:
    if source.is_development(version):
        raise UserError(
            f"this project was rendered from a checkout of gindock ({version}), not from a "
            "release, and there is no way from there to one; render it anew with a released gindock"
        )
    if not source.known(version):
        raise UserError(
            f"this project was rendered by gindock {version.removeprefix('v')}, which this gindock "
            f"({source.version_tag().removeprefix('v')}) does not know; install "
            f"gindock {version.removeprefix('v')} or newer"
        )


def _same_version(recorded: str, target: str) -> bool:
    """Whether what Copier recorded names `target`: a tag, or a commit by its first digits."""
    commit = recorded.rpartition("-g")[2]
    return recorded == target or (len(target) >= 40 and target.startswith(commit))


def file_changes(merged: Merged, prefix: str) -> Iterator[FileChange]:
    """What `merged` does to each file of the project at `prefix`."""
    base, ours, theirs = merged.base, merged.ours, merged.theirs

    def shown(path: str) -> str:
        return path.removeprefix(prefix)

    for path, conflict in merged.conflicts.items():
        yield FileChange(shown(path), "conflict", conflict.reason)
    for path in merged.declined:
        # Where something else is in its place, git has given it another name.
        name = path if path in base else path.rpartition("~")[0] or path
        if name not in merged.conflicts:
            yours = "have something else there" if name in ours else "deleted it"
            yield FileChange(shown(name), "kept", f"you {yours}, and the template changed it")
    settled = merged.conflicts.keys() | merged.declined
    touched = {change.path for change in merged.changes}
    for change in merged.changes:
        path = change.path
        if path in settled or path in merged.moved.values():
            continue
        former = merged.moved.get(path)
        note = f"was {shown(former)}" if former else ""
        if change.goes:
            yield FileChange(shown(path), "removed")
        elif former is None and change.is_new:
            yield FileChange(shown(path), "added")
        elif path in merged.refiltered:
            yield FileChange(shown(path), "updated", "stored as its new filter has it")
        elif path in merged.overruled and path in base and base[path] != ours.get(path):
            yield FileChange(shown(path), "updated", "what you had changed in it is in git")
        else:
            whole = (change.new_mode, change.new_id) == theirs.get(path)
            yield FileChange(shown(path), "updated" if whole else "merged", note)
    declined = {path.rpartition("~")[0] for path in merged.declined} | merged.declined
    for path in base.keys() & theirs.keys() & ours.keys():
        if path not in touched | declined and base[path] != theirs[path] != ours[path]:
            yield FileChange(shown(path), "kept", "the template changed it")
