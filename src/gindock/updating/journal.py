"""The journal of updates in the git folder, by which a killed run can be undone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from gindock.errors import UserError
from gindock.gitio.formats import Change, Conflict
from gindock.gitio.repository import Repository
from gindock.guard import lock_folder, undisturbed

Phase = Literal["rendering", "merging", "writing", "done"]


@dataclass
class Note:
    """How far the last update of a project has come, as it is noted in the git folder."""

    phase: Phase
    head: str = ""
    before: str = ""
    after: str = ""
    index: str = ""
    """A digest of the index as it was."""
    new_index: str = ""
    staged: str = ""
    """The same of the new index, of the paths that change alone."""
    changes: list[Change] = field(default_factory=list)
    tree: str = ""
    """The id of the result's tree."""
    conflicts: dict[str, Conflict] = field(default_factory=dict)
    finishes: dict[str, Any] | None = None
    """The note of the interrupted update that this one finishes."""

    @classmethod
    def parse(cls, noted: dict[str, Any]) -> Note:
        """The note that `asdict` made `noted` of.

        Raises:
            TypeError, LookupError: another version of gindock has written it.

        """
        conflicts = {
            path: Conflict(
                {int(stage): (mode, identity) for stage, (mode, identity) in c["stages"].items()},
                c["reason"],
            )
            for path, c in noted.get("conflicts", {}).items()
        }
        changes = [Change(**change) for change in noted["changes"]]
        return cls(**{**noted, "changes": changes, "conflicts": conflicts})


class Journal:
    """The folder within the git folder that one project's updates use, locked while open."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.folder = repository.git_dir / "gindock"
        if repository.prefix:
            name = hashlib.sha256(os.fsencode(repository.prefix)).hexdigest()
            self.folder /= name[:16]
        self.file = self.folder / "update.json"
        self._next = self.folder / "update.next"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs out; at the end only the note of an update that is done stays.

        Raises:
            UserError: another run is at work, or the folder cannot be written.

        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = lock_folder(self.folder)
        except BlockingIOError:
            raise UserError(
                f"another update of {self.repository.project} is running; wait for it"
            ) from None
        try:
            self.clear()
            yield
        finally:
            with undisturbed():
                try:
                    self.clear()
                    note = self.read()
                    if note is not None and note.phase in ("rendering", "merging"):
                        self.forget()
                finally:
                    if descriptor is not None:
                        os.close(descriptor)

    @property
    def scratch(self) -> Path:
        """Where renders lie until they are merged."""
        return self.folder / "scratch"

    @property
    def beside(self) -> Path:
        """A folder on the work tree's file system, where files lie until they are put in place."""
        project = self.repository.project
        if self.folder.stat().st_dev == project.stat().st_dev:
            return self.scratch / "files"
        return project / ".gindock-scratch"

    def make_beside(self) -> Path:
        """Make the folder `beside`, in which git sees nothing."""
        self.beside.mkdir(parents=True, exist_ok=True)
        (self.beside / ".gitignore").write_text("*\n", encoding="utf-8")
        return self.beside

    def clear(self) -> None:
        """Remove what a run makes for itself."""
        for folder in (self.scratch, self.beside):
            shutil.rmtree(folder, ignore_errors=True)

    def read(self) -> Note | None:
        """The note of the last update, if it is not committed yet.

        Raises:
            UserError: there is one that cannot be read, so that nothing may be done or undone.

        """
        try:
            return Note.parse(json.loads(self.file.read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise UserError(
                f"{self.file}, which notes the last update of {self.repository.project}, cannot "
                f"be read ({error}); see by `git status` what that update has left, commit or "
                "restore it, and remove the note"
            ) from error

    def write(self, note: Note) -> None:
        """Note `note`, whole or not at all."""
        self.prepare(note)
        self.advance()

    def prepare(self, note: Note) -> None:
        """Write `note` beside the present one, so that `advance` needs no room on the disk."""
        beside = self._next.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(asdict(note), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._next)

    def advance(self) -> None:
        """Let the note that was prepared be the present one."""
        self._next.replace(self.file)

    def forget(self) -> None:
        """Remove the note, and what an update that was killed has left beside it."""
        self.clear()
        names = ("update.json", "update.next", "update.new", "index", "index.lock")
        for name in names:
            (self.folder / name).unlink(missing_ok=True)
