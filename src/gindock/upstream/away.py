"""A render away from its project: what it reads of the project, and the path that it shows.

Copier reads external data in the folder that it renders into, and tells the template the path of
that folder. Nothing in its public names says otherwise for a render elsewhere: `_copier_conf` and
`_external_data` cannot be given as data, and a path is taken as it is. So the files that it looks
for are lent to the render, and the path is mended in what it leaves.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gindock.errors import UserError

#: No file has these modes in git. So Copier writes each file of the template that has them, also
#: one that says the same already, and what it has not written is told by them.
_LENT = 0o601


@dataclass
class Away:
    """A render of `project` in a folder below `root`, which is the render's alone."""

    root: Path
    project: Path
    put: Mapping[str, bytes] = field(default_factory=dict)
    """Files that are there before the render, by their paths relative to the project."""
    untouched: frozenset[str] = frozenset()
    """Which of these, and of what was lent, the render has left alone."""
    consulted: dict[str, str | None] = field(default_factory=dict)
    """The project's files that the render has asked for, by digest; None where there is none."""

    def __post_init__(self) -> None:
        """Resolve links in the folders above: Copier would take what is below for outside."""
        self.root = Path(os.path.realpath(self.root))
        self.project = Path(os.path.realpath(self.project.parent), self.project.name)

    @property
    def folder(self) -> Path:
        """Where the render is: the project's whole path, below `root`."""
        below = self.project.relative_to(self.project.anchor)
        return self.root / (below if below.parts else "service")

    def render(
        self, once: Callable[[list[str]], None], *, asked: Iterable[str], own: Path, skips: bool
    ) -> None:
        """Render by `once`, anew for as long as it asks for more files of the project.

        `once` appends the files that it has missed to a list. Those in `asked`, if the project has
        them, are there from the beginning; never `own`, the answers file, which is the render's.
        With `skips`, the template may leave out what is there already.

        Raises as `once` does.
        """
        self._consult(asked, own)
        while True:
            self._clear()
            lent = self._lend()
            missed: list[str] = []
            try:
                once(missed)
            except UserError:
                # What is empty for want of a file may be what made it fail.
                if not self._consult(missed, own):
                    raise
                continue
            if not self._consult(missed, own):
                break
        self.untouched = frozenset(path for path in lent if self._is_lent(path))
        for path in self.untouched:
            (self.folder / path).unlink()
        if skips and (left_out := self.untouched - self.put.keys()):
            self._fill_in(once, left_out)
        self._show_project()

    def changed_since(self, consulted: Mapping[str, str | None]) -> bool:
        """Whether files of the project, as a render has `consulted` them, are others now."""
        return any(_digest(self.project / path) != found for path, found in consulted.items())

    def _clear(self) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)

    def _fill_in(self, once: Callable[[list[str]], None], paths: Iterable[str]) -> None:
        """Take `paths`, which were left out for being there, from a render where nothing is."""
        aside = self.root.with_name(f"{self.root.name}-aside")
        self.folder.rename(aside)
        self._clear()
        with suppress(UserError):
            once([])
        for path in paths:
            if (self.folder / path).is_file():
                (aside / path).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / path).rename(aside / path)
        shutil.rmtree(self.folder)
        aside.rename(self.folder)

    def _consult(self, asked: Iterable[str], own: Path) -> bool:
        """Take note of the files `asked` for; returns whether the project has new ones of them."""
        new = False
        for name in asked:
            with suppress(ValueError):
                # As the template may write it: from the top.
                name = str(Path(name).relative_to(self.folder))
            path = os.path.normpath(name)
            if name in self.consulted or path.startswith(("..", os.sep)) or path == str(own):
                continue
            self.consulted[name] = _digest(self.project / name)
            new = new or self.consulted[name] is not None
        return new

    def _lend(self) -> list[str]:
        """Put what is to be there into the folder; returns the paths."""
        lent = dict(self.put)
        for path, digest in self.consulted.items():
            if digest is not None:
                lent[path] = (self.project / path).read_bytes()
        for path, content in lent.items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            origin = (self.project / path).resolve()
            outside = not origin.is_relative_to(self.project.resolve())
            if outside and self.consulted.get(path) is not None:
                target.symlink_to(origin)  # Copier refuses to read it, as it would there.
                continue
            target.write_bytes(content)
            target.chmod(_LENT)
        return [*lent]

    def _is_lent(self, path: str) -> bool:
        file = self.folder / path
        if file.is_symlink():
            return file.readlink() == (self.project / path).resolve()
        return file.is_file() and file.stat().st_mode & 0o111 == _LENT & 0o111

    def _show_project(self) -> None:
        """Mend this render's path in texts, names and links: it is the project's, without `root`.

        A template may have put other marks between the parts of a path, to name a file by it.
        """
        pieces = re.findall(rb"[A-Za-z0-9]+|[^A-Za-z0-9]+", os.fsencode(self.root).lstrip(b"/"))
        between = rb"(?:%%2[Ff]|[^A-Za-z0-9]{0,%d})"
        pattern = rb"(?<![A-Za-z0-9])" + b"".join(
            re.escape(piece) if piece.isalnum() else between % max(3, len(piece))
            for piece in pieces
        )
        pattern += rb"(?:%2[Ff]|[-/\\_.:])?"
        ours = re.compile(pattern, re.IGNORECASE)
        for above, folders, files in os.walk(os.fsencode(self.folder), topdown=False):
            for name in (*files, *folders):
                _replace(ours, Path(os.fsdecode(above), os.fsdecode(name)))


def _replace(ours: re.Pattern[bytes], path: Path) -> None:
    """Take `ours` out of a file, a link or the name of a folder."""
    if path.is_symlink():
        target = os.fsencode(path.readlink())
        if ours.search(target):
            path.unlink()
            path.symlink_to(os.fsdecode(ours.sub(b"", target)))
    elif path.is_file():
        content = path.read_bytes()
        if ours.search(content):
            path.write_bytes(ours.sub(b"", content))
    name = os.fsencode(path.name)
    if ours.search(name):
        path.rename(path.with_name(os.fsdecode(ours.sub(b"", name))))


def _digest(file: Path) -> str | None:
    """What `file` holds; None where there is none that Copier would read."""
    # Path.is_file() raises where the folder cannot be read.
    if not os.path.isfile(file):  # noqa: PTH113
        return None
    return hashlib.sha256(file.read_bytes()).hexdigest()
