"""Where the user has moved files of the template to, as far as git can tell without a render.

What the template renders is in the project's object store, as a rule: it was committed once, or an
update has put it there. What is not, and what git does not track, is not looked for.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from gindock.gitio.formats import Tree
from gindock.gitio.repository import Repository
from gindock.updating.merge_repository import MergeRepository


def found(repository: Repository, gone: Tree, others: Tree) -> dict[str, str]:
    """The new places, by the old ones, of the files in `gone` that are among `others`.

    Raises:
        GitError: git cannot tell.

    """
    if not gone or not others or not repository.has_commit():
        return {}
    with tempfile.TemporaryDirectory(prefix="gindock-") as scratch:
        git = MergeRepository(repository, Path(scratch), lasting=False)
        ids = "".join(f"{identity}\n" for _, identity in gone.values()).encode()
        said = git.git("cat-file", "--batch-check=%(objecttype)", stdin=ids).split(b"\n")
        known = {p: e for (p, e), kind in zip(gone.items(), said, strict=False) if kind == b"blob"}
        empty = git.git("mktree").decode().strip()
        before, after = (git.changed_tree(empty, files) for files in (known, others))
        return {old: new for new, old in git.moved(before, after).items()}
