"""A template, whatever version of it, read through git."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from gindock.gitio.command import fetching_git, own_git


@dataclass(frozen=True)
class Opened:
    """A template whose history git can read."""

    folder: Path
    bare: bool
    own: bool
    """It is gindock's."""

    def read(self, version: str, name: str) -> str | None:
        """The file `name` of a version; None where there is no such file or version.

        Raises:
            GitError: git cannot tell, or cannot fetch the file.

        """
        commit = self.commit(version)
        if commit is None:
            return None
        listing = self._git("ls-tree", "-z", "--full-tree", commit, "--", name)
        if not listing:
            return None
        return self._git("cat-file", "blob", listing.split()[2].decode()).decode(errors="replace")

    def names(self, version: str) -> list[str] | None:
        """The paths of a version's files; None and errors as for `read`."""
        commit = self.commit(version)
        if commit is None:
            return None
        listing = self._git("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
        return os.fsdecode(listing).split("\0")[:-1]

    def commit(self, version: str) -> str | None:
        """The id of the commit that a version names, if there is one; raises as `read`."""
        if "\n" in version:
            return None
        asked = f"{version}^{{commit}}\n".encode()
        said = self._git("cat-file", "--batch-check=%(objectname)", stdin=asked).decode().strip()
        # Git repeats what it does not know.
        return said if re.fullmatch(r"[0-9a-f]{40,64}", said) else None

    def has_tag(self, name: str) -> bool:
        """Whether there is such a tag; raises as `read`."""
        return self.commit(f"refs/tags/{name}") is not None

    def _git(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        # Named, because of `safe.bareRepository=explicit`.
        where = [f"--git-dir={self.folder.absolute()}"] if self.bare else []
        run = own_git if self.own else fetching_git
        return run(*where, *arguments, folder=self.folder, stdin=stdin)
