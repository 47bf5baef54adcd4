"""Correct the places that a merge gives to files."""

from __future__ import annotations

from collections.abc import Mapping

from gindock.gitio.formats import NOTHING, SUBMODULE, Conflict, Entry, Tree
from gindock.updating.merge_repository import YOURS, MergeRepository


def of_submodules(merging: MergeRepository, tree: str, head: Tree, prefix: str) -> dict[str, Entry]:
    """Return changes that leave the submodules of `head` in place: `.gitmodules` names their paths.

    `prefix` is the project's; other submodules stay as the merge has them.
    """
    submodules = {path: entry for path, entry in head.items() if entry[0] == SUBMODULE}
    if not submodules:
        return {}
    listing = merging.tree(tree)
    found = {p for p, (mode, _) in listing.items() if mode == SUBMODULE and p.startswith(prefix)}
    gone = {path: entry for path, entry in submodules.items() if path not in found}
    return {**dict.fromkeys(found - submodules.keys(), NOTHING), **gone}


def given_back(
    merging: MergeRepository,
    tree: str,
    conflicts: dict[str, Conflict],
    declined: set[str],
    ours: Tree,
) -> dict[str, Entry]:
    """Return changes that move the user's files back which made room for `declined` ones.

    Where the user has put a link or a file in the place of one of the template's, or of a folder,
    git moves it away, and calls it a conflict. It is none of the `conflicts` any more.
    """
    mine = [path for path, conflict in conflicts.items() if conflict.stages.keys() == {2}]
    if not mine:
        return {}
    listing = merging.tree(tree)
    left = listing.keys() - declined
    changes: dict[str, Entry] = {}
    for path in mine:
        home = path.removesuffix(f"~{YOURS}")
        if home == path:
            if listing.get(path) == ours.get(path):
                del conflicts[path]
        elif home in ours and not any(p == home or p.startswith(f"{home}/") for p in left):
            changes |= {path: NOTHING, home: ours[home]}
            del conflicts[path]
    return changes


def displaced(
    merging: MergeRepository,
    tree: str,
    conflicts: Mapping[str, Conflict],
    theirs: Tree,
    moved: Mapping[str, str],
) -> dict[str, str]:
    """Return the old paths, by the new ones, of files that the template `moved` to a place in use.

    Of two files that both want a name and are no text, git keeps the user's in the work tree. The
    other may hold edits of the user's, too, which came along with the template's move.
    """
    wanted = {
        path: conflict.stages
        for path, conflict in conflicts.items()
        if path in moved and {2, 3} <= conflict.stages.keys()
    }
    held = merging.held(tree, wanted) if wanted else {}
    return {
        path: moved[path]
        for path, stages in wanted.items()
        if held[path] == stages[2] and stages[3] != theirs.get(path)
    }
