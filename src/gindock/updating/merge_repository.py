"""The scratch repository in which an update is merged.

It borrows the project's objects, or writes into them, and no setting of the user's (`merge.*`,
drivers, `core.*`) reaches it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

from gindock.gitio.command import LITERAL, own_git
from gindock.gitio.formats import (
    ABSENT,
    NOTHING,
    RAW,
    Change,
    Conflict,
    Entry,
    Tree,
    index_info,
    is_file,
    parsed_changes,
    parsed_objects,
    parsed_tree,
)
from gindock.gitio.repository import Repository

#: What the user's side is called in conflict markers.
YOURS = "yours"

#: By the short types of messages, which git keeps stable.
_REASONS = {
    "CONFLICT (contents)": "both changed the same lines",
    "CONFLICT (binary)": "both changed it, and it is no text: yours is in place",
    "CONFLICT (modify/delete)": "the template removed it, you changed it",
    "CONFLICT (rename/delete)": "the template removed it, you renamed it",
    "CONFLICT (rename/rename)": "both renamed it",
    "CONFLICT (file/directory)": "a file here, a folder there",
    "CONFLICT (distinct modes)": "a file here, a link there",
}
_UNKNOWN_REASON = "both changed it"

#: How many paths git is asked for by name.
_FEW = 100


class MergeRepository:
    """Trees, commits and merges of `repository`'s files, in the folder `scratch`.

    What it makes goes into the project's object store if `lasting`. Its methods raise `GitError`.
    """

    def __init__(self, repository: Repository, scratch: Path, *, lasting: bool) -> None:
        self.git_dir = scratch / "merge.git"
        self._top = repository.top
        self._indexes = 0
        # Once: a commit of the user's meanwhile is not to be merged by half.
        ids = repository.git("rev-parse", "HEAD", "HEAD^{tree}").decode().split()
        self.head, self.head_tree = ids
        init = ("init", "--quiet", "--bare", "--template=")
        object_format = f"--object-format={repository.object_format}"
        own_git(*init, object_format, self.git_dir, folder=scratch)
        objects, borrowed = repository.objects, ""
        if not lasting:
            objects, borrowed = self.git_dir / "objects", _listed(str(repository.objects))
        self.environment = {
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": borrowed,
        }

    def git(
        self,
        *arguments: str | Path,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        attributes: Path | None = None,
        accept: Container[int] = (0,),
    ) -> bytes:
        """Run git on this repository, with the `attributes` in a work tree or without."""
        where = [f"--git-dir={self.git_dir}"]
        if attributes:
            where.append(f"--work-tree={attributes}")
        return own_git(
            *where, *arguments, folder=attributes or self._top, stdin=stdin, accept=accept,
            env={**_author(), **self.environment, **(env or {})},
        )  # fmt: skip

    def store(self, content: bytes) -> str:
        """Store `content` as it is; returns its id."""
        return self.git("hash-object", "-w", "--stdin", stdin=content).decode().strip()

    def contents(self, files: Tree) -> dict[str, bytes]:
        """What the regular ones of `files` hold."""
        regular = {path: entry[1] for path, entry in files.items() if is_file(entry[0])}
        if not regular:
            return {}
        wanted = "".join(f"{identity}\n" for identity in regular.values()).encode()
        read = parsed_objects(self.git("cat-file", "--batch", stdin=wanted))
        return dict(zip(regular, read, strict=True))

    def tree(self, name: str) -> dict[str, Entry]:
        """The files of the tree `name`."""
        return parsed_tree(self.git("ls-tree", "-r", "-z", "--full-tree", name))

    def held(self, tree: str, paths: Iterable[str]) -> dict[str, Entry]:
        """The entries of `paths` in `tree`; those that are not there have none."""
        paths = sorted(paths)
        if not paths:
            return {}
        # A command line has room for so many; above that, the whole tree is read.
        named = ("--", *paths) if len(paths) <= _FEW else ()
        listing = parsed_tree(
            self.git("ls-tree", "-r", "-z", "--full-tree", tree, *named, env=LITERAL)
        )
        return {path: listing.get(path, (ABSENT, "")) for path in paths}

    def changed_tree(self, tree: str, changes: Tree) -> str:
        """The id of `tree` with `changes`."""
        self._indexes += 1
        index = {"GIT_INDEX_FILE": str(self.git_dir / f"index-{self._indexes}")}
        self.git("read-tree", tree, env=index)
        # What goes comes first: a file may have to make room for a folder, or the reverse.
        ordered = sorted(changes.items(), key=lambda change: change[1] != NOTHING)
        lines = index_info(ordered, len(tree))
        self.git("update-index", "-z", "--index-info", stdin=lines, env=index)
        # A partial clone may lack what lies elsewhere in the repository.
        return self.git("write-tree", "--missing-ok", env=index).decode().strip()

    def changes(self, before: str, after: str, conflicts: Iterable[str] = ()) -> list[Change]:
        """What differs between two trees, and the `conflicts` that do not differ."""
        changes = parsed_changes(self.git("diff-tree", *RAW, before, after))
        unchanged = set(conflicts) - {change.path for change in changes}
        held = self.held(after, unchanged) if unchanged else {}
        return [*changes, *(Change(path, *entry, *entry) for path, entry in held.items())]

    def moved(self, before: str, after: str) -> dict[str, str]:
        """The files that `after` has elsewhere: their paths in `before` by those in `after`."""
        renames = ("--find-renames", "--diff-filter=R", "--name-status", "-z")
        fields = self.git("diff-tree", "-r", *renames, before, after).split(b"\0")
        paths = [os.fsdecode(path) for path in fields]
        return dict(zip(paths[2::3], paths[1::3], strict=False))

    def commit(self, tree: str, parent: str | None = None) -> str:
        """The id of a new commit."""
        parents = ["-p", parent] if parent else []
        return self.git("commit-tree", *parents, "-m", "gindock", tree).decode().strip()

    def name(self, label: str, commit: str) -> None:
        """Give `commit` the name that conflict markers have."""
        self.git("update-ref", f"refs/heads/{label}", commit)

    def merge(
        self, yours: str, template: str, *, renames: bool = True
    ) -> tuple[str, dict[str, Conflict]]:
        """The tree that `git merge-tree` makes of two commits by their names, and the conflicts."""
        follow = str(renames).lower()
        options = (
            "-c", "merge.conflictStyle=diff3", "-c", f"merge.renames={follow}",
            "-c", f"merge.directoryRenames={follow}",
            "-c", "merge.renameLimit=7000", "-c", "diff.renameLimit=7000",
        )  # fmt: skip
        done = self.git(
            *options, "merge-tree", "--write-tree", "-z", "--messages", yours, template,
            attributes=self._top, accept=(0, 1),
        )  # fmt: skip
        return _parsed_merge(done)

    def diff(self, tree: str, *, colour: bool) -> str:
        """What `tree` changes in HEAD, as a patch."""
        how = ("--color=always" if colour else "--color=never", "--find-renames", "--no-ext-diff")
        prefixes = ("--src-prefix=a/", "--dst-prefix=b/")
        patch = self.git("diff-tree", "-r", "-p", *prefixes, *how, self.head_tree, tree)
        return patch.decode(errors="replace")

    def label_base(
        self, tree: str, conflicts: Mapping[str, Conflict], base: str, label: str
    ) -> dict[str, Entry]:
        """The conflicted files with `label` where git has written the id of the commit `base`."""
        held = self.held(tree, conflicts)
        labelled = {}
        for path, content in self.contents(held).items():
            better = re.sub(
                rb"(?m)^(\|{7,} )([0-9a-f]{4,64})(?=[:\r\n])",
                lambda m: m[1] + label.encode() if base.startswith(m[2].decode()) else m[0],
                content,
            )
            if better != content:
                labelled[path] = (held[path][0], self.store(better))
        return labelled


def _parsed_merge(said: bytes) -> tuple[str, dict[str, Conflict]]:
    """The tree and the conflicts in what `git merge-tree -z` says."""
    fields = said.split(b"\0")
    tree, fields = fields[0].decode(), fields[1:]
    stages: dict[str, dict[int, Entry]] = {}
    while fields and fields[0]:
        about, path = fields.pop(0).split(b"\t", 1)
        mode, identity, stage = about.decode().split()
        stages.setdefault(os.fsdecode(path), {})[int(stage)] = (mode, identity)
    reasons = dict(_messages(fields[1:]))
    return tree, {
        path: Conflict(of_path, reasons.get(path, _UNKNOWN_REASON))
        for path, of_path in stages.items()
    }


def _messages(fields: list[bytes]) -> Iterator[tuple[str, str]]:
    """For each path, the reason of its conflict."""
    position = 0
    while position < len(fields) and fields[position]:
        count = int(fields[position])
        paths = fields[position + 1 : position + 1 + count]
        kind = fields[position + 1 + count].decode()
        position += count + 3
        if not kind.startswith("CONFLICT"):
            continue
        reason = _REASONS.get(kind, kind.partition(" ")[2].strip("()") or _UNKNOWN_REASON)
        for path in paths:
            yield os.fsdecode(path), reason


def _author() -> dict[str, str]:
    about = {"NAME": "gindock", "EMAIL": "gindock@localhost", "DATE": "@0 +0000"}
    return {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in about.items()
    }


def _listed(path: str) -> str:
    """`path` for a list of paths in git's environment, where a colon separates."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if os.pathsep in path or path.startswith('"') else path
