"""Conflicts in files that both sides added.

They have no version in common, so that `git merge-tree`, which is to show such a version, calls
all of their lines one conflict. Here it is only the lines that differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from gindock.gitio.formats import Conflict, Entry, is_file
from gindock.updating.merge_repository import MergeRepository

#: `git merge-file` so that a conflict holds two sides, and ends where they agree again.
TWO_SIDES = ("-c", "merge.conflictStyle=merge", "merge-file", "-p", "-q")
#: How a text begins that is one conflict from its first line on; git may take longer markers.
_WHOLE = re.compile(rb"(<{7,}) ")


def refined(
    merging: MergeRepository, tree: str, conflicts: Mapping[str, Conflict], labels: Sequence[str]
) -> dict[str, Entry]:
    """The files in `conflicts` that both added, with markers around what differs.

    `tree` has them with markers around everything. `labels` are for the user's side, for what both
    come from, and for the template's.
    """
    added = {
        path: conflict.stages
        for path, conflict in conflicts.items()
        if conflict.stages.keys() == {2, 3}
        and all(is_file(mode) for mode, _ in conflict.stages.values())
    }
    held = merging.held(tree, added)
    found = {}
    for path, content in merging.contents(held).items():
        if whole := _WHOLE.match(content):
            sides = merging.contents({str(n): added[path][n] for n in (2, 3)})
            better = _two_sides(merging, sides["2"], sides["3"], labels, len(whole[1]))
            found[path] = (held[path][0], merging.store(better))
    return found


def _two_sides(
    merging: MergeRepository, yours: bytes, theirs: bytes, labels: Sequence[str], marker: int
) -> bytes:
    folder = merging.git_dir.parent / "added"
    folder.mkdir(exist_ok=True)
    files = [folder / name for name in ("yours", "base", "template")]
    for file, content in zip(files, (yours, b"", theirs), strict=True):
        file.write_bytes(content)
    named = [part for label in labels for part in ("-L", label)]
    # The exit code is the number of conflicts; 128 and above is a failure.
    return merging.git(
        *TWO_SIDES, f"--marker-size={marker}", *named, *map(Path.absolute, files),
        accept=range(128),
    )  # fmt: skip
