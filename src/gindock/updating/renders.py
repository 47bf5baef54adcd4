"""What becomes of the two renders of an update before they are merged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gindock.gitio.repository import Repository
from gindock.upstream import declared
from gindock.upstream.away import Away
from gindock.upstream.source import Source


def hand_over(
    before: Away, after: Away, old: Source, new: Source, same: Mapping[str, Any]
) -> frozenset[str]:
    """Leave out of `before` what the template has handed over to the user; returns the paths.

    These are the files that the new version's list of exclusions leaves out with the answers of
    before, and the old version's did not. That an answer rules a file out is another matter. `same`
    is what the renders have in common; raises as `rendering.rerender` does.
    """
    from gindock.upstream import rendering

    lists = [declared.excluded(declared.of(template) or {}) for template in (old, new)]
    gone = [path for path in _files(before) if not os.path.lexists(after.folder / path)]
    if not gone or not lists[1] or lists[0] == lists[1]:
        return frozenset()
    without = Away(before.root.with_name("without"), before.project)
    rendering.rerender(old, without, exclude=lists[1], **same)
    handed_over = {path for path in gone if not os.path.lexists(without.folder / path)}
    for path in handed_over:
        (before.folder / path).unlink()
    return frozenset(path.as_posix() for path in handed_over)


def keep_what_exists(
    before: Away, after: Away, new: Source, same: Mapping[str, Any], repository: Repository
) -> None:
    """Let the new render have what the project has, where the template would skip it.

    Only Copier knows these files: they are the ones that a render over others leaves alone. `same`
    as in `hand_over`, and so are the errors.
    """
    from gindock.upstream import rendering

    if not (declared.of(new) or {}).get("_skip_if_exists"):
        return
    held = [
        path
        for path in _files(after)
        if path != same["answers_file"]
        and not (after.folder / path).is_symlink()
        and os.path.lexists(before.project / path)
    ]
    marker = b"what a template skips if it exists\n"
    probe = Away(
        after.root.with_name("probe"), after.project, {path.as_posix(): marker for path in held}
    )
    rendering.rerender(new, probe, **same)
    tracked = repository.entries("HEAD")
    for path in held:
        if path.as_posix() not in probe.untouched:
            continue
        (after.folder / path).unlink()
        if os.path.lexists(before.folder / path):
            _copy(before.folder / path, after.folder / path)
        elif repository.prefix + path.as_posix() in tracked:
            _copy(before.project / path, after.folder / path)


def _files(render: Away) -> list[Path]:
    """The files and links of a render, relative to the project."""
    return [
        path.relative_to(render.folder)
        for path in render.folder.rglob("*")
        if path.is_symlink() or path.is_file()
    ]


def _copy(original: Path, target: Path) -> None:
    """Copy a file, a link as it is, or a folder."""
    if original.is_dir() and not original.is_symlink():
        shutil.copytree(original, target, symlinks=True)
    else:
        shutil.copy2(original, target, follow_symlinks=False)
