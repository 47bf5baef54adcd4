"""Trees of files, as git sees them: read from a folder, and written to one."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import NamedTuple

PLAIN, EXECUTABLE, LINK = "100644", "100755", "120000"


class File(NamedTuple):
    """A file as git sees it; the content of a link is its target."""

    mode: str
    content: bytes

    @property
    def text(self) -> bool:
        return self.mode != LINK and b"\0" not in self.content


Tree = dict[str, File]


def snapshot(folder: Path) -> Tree:
    """Return every file below `folder`, byte for byte, but for those of git."""
    found = {}
    for above, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        for path in (Path(above, name) for name in (*folders, *names) if name != ".git"):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink():
                found[name] = File(LINK, os.fsencode(path.readlink()))
            elif path.is_file():
                mode = EXECUTABLE if path.stat().st_mode & stat.S_IXUSR else PLAIN
                found[name] = File(mode, path.read_bytes())
    return found


def write(folder: Path, tree: Tree) -> None:
    """Let `folder` hold exactly `tree` beside git's own files."""
    for path in folder.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for name, file in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.mode == LINK:
            path.symlink_to(os.fsdecode(file.content))
        else:
            path.write_bytes(file.content)
            path.chmod(0o755 if file.mode == EXECUTABLE else 0o644)
