"""Put files into the work tree by renames, so that each is either the old one or the new one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from gindock.errors import UserError
from gindock.gitio.attributes import Attributes
from gindock.gitio.command import GitError
from gindock.gitio.formats import null_ended
from gindock.gitio.ondisk import PLAIN
from gindock.gitio.paths import folders_above

#: Identifies one state of a file; None if there is no file.
Identity = tuple[int, ...] | None


def check_out(paths: Sequence[str], folder: Path, index: Path, attributes: Attributes) -> None:
    """Write the files `paths` of `index` below `folder`, as git would into the work tree.

    Raises:
        GitError: git fails, for example because a filter of the user's does.
        OSError: the disk is full.

    """
    if not paths:
        return
    folder.mkdir(parents=True)
    names = null_ended(paths)
    try:
        attributes.git(
            *PLAIN, "checkout-index", "-f", "-q", "--ignore-skip-worktree-bits",
            f"--prefix={folder}/", "-z", "--stdin",
            stdin=names, env={"GIT_INDEX_FILE": str(index)},
        )  # fmt: skip
    except GitError as error:
        if "unable to write file" in str(error):
            # Git gives no reason. Writing another file shows whether the disk is full.
            (folder / ".gindock-probe").write_bytes(bytes(1 << 20))
        raise GitError(str(error).splitlines()[0]) from error
    missing = [path for path in paths if not os.path.lexists(folder / path)]
    if missing:
        raise GitError(f"git checkout-index did not write {', '.join(missing)}")


def identity(file: Path) -> Identity:
    """Return what identifies the state of `file`; None for a folder, or no file."""
    try:
        status = file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if file.is_dir() and not file.is_symlink():
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode


class Placing:
    """Moves files from `beside` to their places below `top`, unless these changed meanwhile.

    `seen` has what each of them was.
    """

    def __init__(self, top: Path, beside: Path, seen: dict[str, Identity]) -> None:
        self._top = top
        self._beside = beside
        self._seen = seen
        self.begun: list[str] = []
        """The paths that have changed, or may have."""

    def remove(self, paths: Iterable[str]) -> None:
        """Remove the files `paths`, and the folders that are empty then.

        Raises as `place` does.
        """
        for path in paths:
            self._check(path, self._seen[path])
            self.begun.append(path)
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                (self._top / path).unlink()
            self.tidy([path])

    def place(self, paths: Iterable[str]) -> None:
        """Put the files `paths` in place.

        Raises:
            UserError: one of them, or what is above it, is something else now.

        """
        for path in paths:
            self._check(path, self._seen[path])
            target = self._top / path
            self.begun.append(path)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.is_dir() and not target.is_symlink():
                    _remove_empty(target)
            except (FileExistsError, NotADirectoryError) as error:
                raise self._changed(path) from error
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
                raise self._changed(path) from error
            _move(self._beside / path, target)

    def tidy(self, paths: Iterable[str]) -> None:
        """Remove the folders above `paths` that are empty."""
        folders = {above for path in paths for above in folders_above(path)}
        for above in sorted(folders, key=len, reverse=True):
            with suppress(OSError):
                (self._top / above).rmdir()

    def _check(self, path: str, expected: Identity) -> None:
        changed = identity(self._top / path) != expected
        if changed or any((self._top / above).is_symlink() for above in folders_above(path)):
            raise self._changed(path)

    def _changed(self, path: str) -> UserError:
        return UserError(
            f"{path} in {self._top} changed meanwhile; nothing was written, commit it and update "
            "again"
        )


def _remove_empty(folder: Path) -> None:
    for above, _, _ in os.walk(folder, topdown=False):
        Path(above).rmdir()


def stray(file: Path) -> Path:
    """Return where `file` is copied to first if it comes from another file system."""
    return file.with_name(f".gindock-{file.name}"[:200])


def _move(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = stray(target)
        try:
            shutil.copy2(source, beside, follow_symlinks=False)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
