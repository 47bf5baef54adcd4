"""Updates of rendered projects: to another version, from another source, with other answers.

The old and the new version are rendered with the project's answers, git merges the difference
into the project's HEAD, and only then is the work tree written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gindock.errors import BadInputError
from gindock.gitio.command import check_installed
from gindock.gitio.repository import Repository
from gindock.updating import committing, recovering, resuming
from gindock.updating.applying import apply
from gindock.updating.assignments import parsed
from gindock.updating.journal import Journal, Note
from gindock.updating.merge import Labels, Merged, merge
from gindock.updating.merge_repository import MergeRepository
from gindock.updating.obstacles import refuse_in_the_way
from gindock.updating.renders import Renders
from gindock.updating.report import FileChange, Update, changed_answers, file_changes
from gindock.updating.request import UpdateRequest
from gindock.updating.target import same_version, target
from gindock.upstream import answers, declared, noticing, seen
from gindock.upstream.source import Source


def update(request: UpdateRequest) -> Update:
    """Update a project, all of it or nothing; a project without news is left alone.

    Raises:
        BadInputError: the folder holds no rendered project, or an answer is refused.
        UserError: the project cannot be updated as it is; the text says what to do.
        KeyboardInterrupt: the user left a question with Ctrl-C; nothing was changed.

    """
    check_installed()
    project = request.project.absolute()
    recovering.check_project(project, request.answers_file)
    repository = Repository.around(project)
    if request.preview:
        # A preview writes nothing into the project.
        with tempfile.TemporaryDirectory(prefix="gindock-") as folder:
            scratch = Path(folder)
            rest = resuming.preview(request, repository, scratch)
            return rest or _Run(request, repository).preview(scratch)
    journal = Journal(repository)
    with journal.held():
        recovered = recovering.settle(journal)
        done = resuming.finish(request, repository, journal)
        done = done or _Run(request, repository).update(journal)
    return replace(done, recovered=recovered)


def update_one(request: UpdateRequest, project: Path) -> Update:
    """Update `project` as `request` says for another; for many at once. Raises as `update`."""
    return update(replace(request, project=project))


@dataclass(frozen=True)
class _Outcome:
    """The renders, and their merge."""

    merging: MergeRepository
    merged: Merged
    renders: Renders


class _Run:
    """One update of a project; `UserError` where it cannot be updated as it is."""

    def __init__(self, request: UpdateRequest, repository: Repository) -> None:
        self._request = request
        self._repository = repository
        # Computed before the update, which may remove the current folder.
        self._way_back = repository.way_back
        repository.check_at_rest()
        url, before, self._recorded = answers.origin(repository.project, request.answers_file)
        self._answers_file = self._committed_answers_file()
        self._before = Source(url, before)
        self._after = target(self._before, request)
        self._given = parsed(request.assigned, self._after)
        self._notes = self._noticed()

    def preview(self, scratch: Path) -> Update:
        """Tell what would change; everything that is made for that lies in `scratch`."""
        if self._has_no_news():
            return replace(self._unchanged(), diff="")
        found = self._merge(scratch)
        refuse_in_the_way(self._repository, found.merged.changes)
        patch = found.merging.diff(found.merged.tree, colour=self._request.colour)
        return replace(self._summary(found), diff=patch)

    def update(self, journal: Journal) -> Update:
        """Write what changes, and commit it where that is asked for."""
        if self._has_no_news():
            return self._unchanged()
        journal.write(Note("rendering"))
        journal.scratch.mkdir(exist_ok=True)
        found = self._merge(journal.scratch, journal)
        versions = (self._before.ref or "", self._after.ref or "")
        apply(journal, found.merged, before=versions[0], after=versions[1])
        done = self._summary(found)
        if self._request.commit and found.merged.changes and not done.conflicts:
            message = committing.message(done)
            done = replace(done, commit=committing.commit(done, found.merged, journal, message))
        return done

    def _committed_answers_file(self) -> Path:
        """Return the path of the answers file in the project; it must be a committed file."""
        project = self._repository.project
        file = answers.find(project, self._request.answers_file)
        assert file is not None
        if file.is_symlink():
            raise BadInputError(
                f"{file} is a link, which an update cannot follow; commit a file there"
            )
        name = file.relative_to(project)
        path = self._repository.prefix + name.as_posix()
        if path not in self._repository.entries("HEAD"):
            top = self._repository.top
            raise BadInputError(f"{path} is not committed in {top}; commit it first")
        return name

    def _has_no_news(self) -> bool:
        before, after = self._before, self._after
        return (
            before.url == after.url
            and same_version(before.ref or "", after.ref or "")
            and all(key in self._recorded and self._recorded[key] == value
                    for key, value in self._given.items())
        )  # fmt: skip

    def _unchanged(self) -> Update:
        version = self._before.ref or ""
        project = self._repository.project
        return Update(project, self._before.url, version, version, notes=self._notes)

    def _noticed(self) -> list[str]:
        project, file = self._repository.project, self._answers_file
        seen.remember(self._after)
        return [
            *noticing.other_records(project, file),
            *noticing.uncommitted(self._after),
            *seen.re_pointed(self._before),
            *noticing.secrets(self._after, self._given),
        ]

    def _merge(self, scratch: Path, journal: Journal | None = None) -> _Outcome:
        """Render both versions and merge their difference, in `scratch`.

        With a `journal`, what git makes is kept in the project's repository.
        """
        renders = Renders(self._repository, scratch, self._before, self._after, self._answers_file)
        renders.render(self._recorded, self._given, self._request)
        if journal:
            journal.write(Note("merging"))
        merging = MergeRepository(self._repository, scratch, lasting=journal is not None)
        old, new = f"template-{self._before.ref}", f"template-{renders.version}"
        merged = merge(
            self._repository,
            merging,
            renders.folders,
            labels=Labels(old, new if new != old else f"{old}-new-answers"),
            answers_file=self._answers_file.as_posix(),
        )
        return _Outcome(merging, merged, renders)

    def _summary(self, found: _Outcome) -> Update:
        recorded: Mapping[str, Any] = found.renders.recorded
        prefix = self._repository.prefix
        left = "the template leaves it to you from now on"
        files = [
            *file_changes(found.merged, self._repository),
            *(
                FileChange(path, "kept", left)
                for path in found.renders.handed_over
                if prefix + path in found.merged.ours
            ),
        ]
        return Update(
            self._repository.project,
            self._after.url,
            self._before.ref or "",
            found.renders.version,
            sorted(files, key=lambda file: file.path),
            changed_answers(self._recorded, recorded),
            found.renders.changelog,
            switched=self._before.url != self._after.url,
            not_run=self._not_run(found.renders.version),
            way_back=self._way_back,
            notes=self._notes,
        )

    def _not_run(self, version: str) -> list[str]:
        declares = declared.of(self._after) or {}
        commands = declared.tasks(declares)
        if self._before.url == self._after.url:
            commands += declared.migrations(declares, self._before.ref or "", version)
        return commands
