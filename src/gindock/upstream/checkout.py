"""A version of gindock's own template as a folder, which Copier renders without git.

For an address, Copier refreshes a mirror of its own, makes a work tree of it and asks for
submodules; for each file that it renders, it asks git whether a mode counts. With the history in
the package, one git process does for all that.
"""

from __future__ import annotations

import functools
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from gindock.gitio.command import GitError, own_git
from gindock.upstream import source
from gindock.upstream.opened import Opened
from gindock.upstream.source import Source


@dataclass(frozen=True)
class Checkout:
    """The files of a version, until this process ends, and what a project records as its name."""

    folder: Path
    version: str

    def name_in(self, answers: Path) -> None:
        """Let the file `answers` record the template and the version, and not the folder.

        It then holds what it would if Copier had been given the template's address.
        """
        text = answers.read_bytes().decode()
        entries = yaml.safe_dump({"_commit": self.version, "_src_path": source.URL})
        # What is long, or has several lines, goes on in lines that are indented or empty.
        found = re.compile(r"^_src_path:.*\n(?:(?:[ \t]+.*)?\n)*", re.MULTILINE)
        answers.write_bytes(found.sub(lambda _: entries, text, count=1).encode())


@functools.cache
def of(template: Source) -> Checkout | None:
    """The version `template` of gindock's own; None for another template, or where there is none.

    Raises:
        UserError: the history cannot be had.

    """
    if not template.embedded or template.ref is None:
        return None
    repository = source.repository()
    commit = Opened(repository, bare=True, own=True).commit(template.ref)
    return _checked_out(repository, commit) if commit else None


@functools.cache
def _checked_out(repository: Path, commit: str) -> Checkout | None:
    above = Path(_folder().name, commit)
    folder = above / "template"
    folder.mkdir(parents=True)
    git = functools.partial(own_git, f"--git-dir={repository.absolute()}", folder=folder)
    index = {"GIT_INDEX_FILE": str(above / "index")}
    try:
        git(f"--work-tree={folder}", "read-tree", "--reset", "-u", commit, env=index)
    except GitError:
        return None  # Copier, with its mirror, can render it, or says why not.
    for file in folder.rglob("*"):
        # Copier takes modes from the folder, and a umask may have shortened these.
        if not file.is_symlink() and file.stat().st_mode & 0o100:
            file.chmod(file.stat().st_mode | 0o111)
    return Checkout(folder, git("describe", "--tags", "--always", commit).decode().strip())


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="gindock-")
