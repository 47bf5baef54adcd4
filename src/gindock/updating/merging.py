"""Three-way merges of two renders and a project's HEAD, by git, without touching the work tree.

`git merge-tree` follows renames on both sides, and makes a conflict of what it cannot merge. It
runs in a scratch repository that borrows the project's objects, so that no setting of the user's
(`merge.*`, drivers, `core.*`) changes the outcome; the attributes of the work tree count.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gindock.errors import UserError
from gindock.gitio.changes import (
    ABSENT,
    RAW,
    Change,
    Conflict,
    files_below,
    index_info,
    parsed_changes,
)
from gindock.gitio.command import GitError, own_git
from gindock.gitio.repository import Entry, Repository, Tree, parsed_tree
from gindock.updating.converting import Conversion
from gindock.upstream import answers

_NOTHING = ("0", "")
_SUBMODULE = "160000"
#: What the user's side is called in conflict markers.
YOURS = "yours"


@dataclass(frozen=True)
class Merged:
    """The outcome of a merge: the project's files in the trees merged, and the result."""

    base: Tree
    ours: Tree
    theirs: Tree
    head: str
    """The commit that the template's changes were merged into."""
    tree: str
    """The id of the result's tree; conflicted files hold markers there."""
    changes: Sequence[Change]
    """What differs between HEAD and the result, and what is in conflict though it does not."""
    conflicts: Mapping[str, Conflict]
    declined: frozenset[str]
    """What the user had deleted and the template has changed: it stays deleted."""
    overruled: frozenset[str]
    """What the user had changed and the template's is taken of, whole."""
    moved: Mapping[str, str]
    """Where HEAD has a file that the result has elsewhere: its former path by the new one."""
    refiltered: frozenset[str] = frozenset()
    """What is the user's as it was, and stored as another filter has it."""


class Merge:
    """Merges in `scratch`; what it makes goes into the project's object store if `lasting`."""

    def __init__(self, repository: Repository, scratch: Path, *, lasting: bool) -> None:
        self._repository = repository
        self._git_dir = scratch / "merge.git"
        self._indexes = 0
        init = ("init", "--quiet", "--bare", "--template=")
        object_format = f"--object-format={repository.object_format}"
        own_git(*init, object_format, self._git_dir, folder=scratch)
        store = {
            "GIT_OBJECT_DIRECTORY": str(repository.objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
        }
        borrowed = {
            "GIT_OBJECT_DIRECTORY": str(self._git_dir / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(str(repository.objects)),
        }
        self.environment = store if lasting else borrowed
        # Once: a commit of the user's meanwhile is not to be merged by half.
        ids = repository.git("rev-parse", "HEAD", "HEAD^{tree}").decode().split()
        self._head, self._tree = ids

    def merge(
        self, before: Path, after: Path, *, labels: tuple[str, str], answers_file: str
    ) -> Merged:
        """Merge the difference between the renders `before` and `after` into HEAD.

        `labels` name them in conflict markers; of the answers file, relative to the project, the
        new render's is taken unless the merged one records the same.

        Raises:
            GitError: git fails, for example to fetch what a partial clone lacks.

        """
        prefix = self._repository.prefix
        base, theirs = self._listed(before), self._listed(after)
        head = self._repository.entries(self._head)
        ours = _without_other_projects(head, prefix, base.keys() | theirs.keys())
        submodules = {path: entry for path, entry in head.items() if entry[0] == _SUBMODULE}
        for path in submodules:
            if any(name.startswith(f"{path}/") for name in theirs):
                raise UserError(f"the template has files in {path}, which is a submodule; move it")
        self._convert((before, base), (after, theirs))
        self._fetch(entry for path, entry in ours.items() if base.get(path) != entry)
        self._adapt_line_endings(ours, base, theirs)
        old, new = (self._write_tree(ours, files) for files in (base, theirs))
        ancestor = self._commit(old)
        yours, template = YOURS, labels[1]
        self._name(yours, self._commit(self._tree, ancestor))
        self._name(template, self._commit(new, ancestor))
        tree, conflicts = self._merge_tree(yours, template)
        declined = {p for p, c in conflicts.items() if c.stages.keys() == {1, 3}}
        changes: dict[str, Entry] = dict.fromkeys(declined, _NOTHING)
        if submodules:
            changes |= self._submodules_where_they_were(tree, submodules)
        record = prefix + answers_file
        overruled = not self._records_the_same(tree, record, theirs)
        if overruled:
            changes[record] = theirs[record]
            declined.discard(record)
        conflicts = {p: c for p, c in conflicts.items() if p not in changes}
        if declined:
            changes |= self._restored(tree, conflicts, declined, ours)
        changes |= self._named_base(tree, conflicts, ancestor, labels[0])
        for path, source in self._displaced(tree, conflicts, theirs, self._moved(old, new)).items():
            if source in ours and ours[source] != base[source]:
                changes[source] = ours[source]
                reason = f"the template moved it to {path}, which you have"
                conflicts[source] = Conflict({1: base[source], 2: ours[source]}, reason)
        if changes:
            tree = self._changed_tree(tree, changes)
        # Of that, and not of what is stored anew for another filter, renames can be told.
        moved = self._moved(self._tree, tree)
        tree, conflicts, refiltered = self._converted(tree, conflicts, head, ours, theirs, labels)
        return Merged(
            base, ours, theirs, self._head, tree, self._changes(self._tree, tree, conflicts),
            conflicts, frozenset(declined), frozenset([record] if overruled else []), moved,
            refiltered,
        )  # fmt: skip

    def diff(self, merged: Merged, *, colour: bool) -> str:
        """What the merge changes in the project, as a patch."""
        how = ("--color=always" if colour else "--color=never", "--find-renames", "--no-ext-diff")
        patch = self._git(
            "diff-tree", "-r", "-p", "--src-prefix=a/", "--dst-prefix=b/", *how,
            self._tree, merged.tree,
        )  # fmt: skip
        return patch.decode(errors="replace")

    def _changes(self, head: str, tree: str, conflicts: Iterable[str]) -> list[Change]:
        changes = parsed_changes(self._git("diff-tree", *RAW, head, tree))
        held = self._held(tree, set(conflicts) - {change.path for change in changes})
        return [*changes, *(Change(path, *entry, *entry) for path, entry in held.items())]

    def _held(self, tree: str, paths: Iterable[str]) -> dict[str, Entry]:
        """The entries of `paths` in `tree`; those that are not there have none."""
        listing = parsed_tree(self._git("ls-tree", "-r", "-z", "--full-tree", tree))
        return {path: listing.get(path, (ABSENT, "")) for path in sorted(paths)}

    def _submodules_where_they_were(self, tree: str, submodules: Tree) -> dict[str, Entry]:
        """Changes that leave submodules where they are: `.gitmodules` names their places."""
        listing = parsed_tree(self._git("ls-tree", "-r", "-z", "--full-tree", tree))
        found = {
            path
            for path, (mode, _) in listing.items()
            if mode == _SUBMODULE and path.startswith(self._repository.prefix)
        }
        gone = {path: entry for path, entry in submodules.items() if path not in found}
        return {**dict.fromkeys(found - submodules.keys(), _NOTHING), **gone}

    def _records_the_same(self, tree: str, file: str, theirs: Tree) -> bool:
        """Whether the answers `file` in `tree` records what `theirs` does, and perhaps more."""
        found = self._held(tree, [file])[file]
        if file not in theirs or found == theirs[file]:
            return True
        texts = self._contents({"new": theirs[file], "merged": found})
        return answers.agree(texts["new"], texts.get("merged", b""))

    def _fetch(self, entries: Iterable[Entry]) -> None:
        """Let git fetch what a partial clone has not fetched, since the merge cannot."""
        wanted = "".join(f"{i}\n" for mode, i in entries if mode.startswith("100")).encode()
        if b" missing\n" in self._repository.git("cat-file", "--batch-check", stdin=wanted):
            raise GitError("the repository lacks objects of its own; run `git fsck` to see which")

    def _restored(
        self,
        tree: str,
        conflicts: dict[str, Conflict],
        declined: set[str],
        ours: Tree,
    ) -> dict[str, Entry]:
        """Changes that undo what only made room for files that are `declined`.

        Where the user has put a link or a file in the place of one of the template's, or of a
        folder, git moves it away, and calls it a conflict.
        """
        mine = [path for path, conflict in conflicts.items() if conflict.stages.keys() == {2}]
        if not mine:
            return {}
        listing = parsed_tree(self._git("ls-tree", "-r", "-z", "--full-tree", tree))
        left = listing.keys() - declined
        changes: dict[str, Entry] = {}
        for path in mine:
            home = path.removesuffix(f"~{YOURS}")
            if home == path:
                if listing.get(path) == ours.get(path):
                    del conflicts[path]
            elif home in ours and not any(p == home or p.startswith(f"{home}/") for p in left):
                changes |= {path: _NOTHING, home: ours[home]}
                del conflicts[path]
        return changes

    def _displaced(
        self, tree: str, conflicts: Mapping[str, Conflict], theirs: Tree, moved: Mapping[str, str]
    ) -> dict[str, str]:
        """The files, by where the template has `moved` them, for which there was no place.

        Of two files that both want a name and are no text, git keeps the user's in the work tree.
        The other may hold edits of the user's, too, which came along with the template's move.
        """
        wanted = {
            path: conflict.stages
            for path, conflict in conflicts.items()
            if path in moved and {2, 3} <= conflict.stages.keys()
        }
        held = self._held(tree, wanted) if wanted else {}
        return {
            path: moved[path]
            for path, stages in wanted.items()
            if held[path] == stages[2] and stages[3] != theirs.get(path)
        }

    def _moved(self, before: str, after: str) -> dict[str, str]:
        renames = ("--find-renames", "--diff-filter=R", "--name-status", "-z")
        fields = self._git("diff-tree", "-r", *renames, before, after).split(b"\0")
        paths = [os.fsdecode(path) for path in fields]
        return dict(zip(paths[2::3], paths[1::3], strict=False))

    def _listed(self, render: Path) -> dict[str, Entry]:
        """Store the files of `render`; returns what a tree of them would hold."""
        modes: dict[str, str] = {}
        plain: list[str] = []
        listed: dict[str, Entry] = {}
        for path in files_below(render):
            mode = (render / path).lstat().st_mode
            if stat.S_ISLNK(mode):
                target = os.fsencode((render / path).readlink())
                listed[path] = ("120000", self._stored(target))
                continue
            modes[path] = "100755" if mode & stat.S_IXUSR else "100644"
            if "\n" in path:
                listed[path] = (modes[path], self._stored((render / path).read_bytes()))
            else:
                plain.append(path)
        names = b"".join(os.fsencode(f"{render}{os.sep}{path}\n") for path in plain)
        ids = self._git("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names)
        listed |= {p: (modes[p], i) for p, i in zip(plain, ids.decode().split(), strict=True)}
        return {self._repository.prefix + path: listed[path] for path in sorted(listed)}

    def _stored(self, content: bytes) -> str:
        return self._git("hash-object", "-w", "--stdin", stdin=content).decode().strip()

    def _convert(self, *renders: tuple[Path, dict[str, Entry]]) -> None:
        """Store what git converts for the project (line endings, Git LFS) as it does there."""
        paths = {path for _, listed in renders for path in listed}
        names = b"".join(os.fsencode(path) + b"\0" for path in paths)
        attributes = ("filter", "ident", "working-tree-encoding")
        said = self._repository.git("check-attr", "-z", "--stdin", *attributes, stdin=names)
        fields = said.split(b"\0")
        asked: dict[str, set[bytes]] = {}
        for name, attribute, value in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
            if value not in (b"unspecified", b"unset"):
                asked.setdefault(os.fsdecode(name), set()).add(attribute)
        for render, listed in renders:
            for path, (mode, identity) in listed.items():
                if not mode.startswith("100"):
                    continue
                file = render / path.removeprefix(self._repository.prefix)
                content = file.read_bytes()
                store = ("hash-object", "-w", "--stdin")
                # Copier writes text in UTF-8, whatever the project has.
                utf8 = set() if b"\0" in content else {b"working-tree-encoding"}
                wanted = asked.get(path, set()) - utf8
                if b"\r\n" in content or b"$Id: " in content:
                    # Where the template's own attributes ask for these, git does not store them.
                    own = f"--path={file.relative_to(render)}"
                    stored = self._git(*store, own, stdin=content, attributes=render)
                    listed[path] = (mode, stored.decode().strip())
                if wanted or (b"\r\n" in content and listed[path][1] == identity):
                    stored = self._repository.git(
                        "-c", "core.safecrlf=false", *store, f"--path={path}",
                        stdin=content, env=self.environment,
                    )  # fmt: skip
                    listed[path] = (mode, stored.decode().strip())

    def _converted(
        self,
        tree: str,
        conflicts: dict[str, Conflict],
        head: Tree,
        ours: Tree,
        theirs: dict[str, Entry],
        labels: tuple[str, str],
    ) -> tuple[str, dict[str, Conflict], frozenset[str]]:
        """`tree` stored as the attributes in it ask for, `theirs` too, and the conflicts left.

        Last, the files that are as they were but for that.
        """
        conversion = Conversion(
            self._repository, self._git_dir.parent / "conversion", self.environment,
            self._changes(self._tree, tree, ()), (YOURS, *labels),
        )  # fmt: skip
        others = head.keys() - ours.keys()
        listing = parsed_tree(self._git("ls-tree", "-r", "-z", "--full-tree", tree))
        files = {
            path: entry
            for path, entry in listing.items()
            if path.startswith(self._repository.prefix) and path not in others
        }
        changes, conflicts = conversion.convert(files, conflicts, theirs)
        theirs |= {p: new for p, new in changes.items() if theirs.get(p) == files[p]}
        if changes:
            tree = self._changed_tree(tree, changes)
        mine = {p for p in changes if ours.get(p) == files[p] and p not in conflicts}
        return tree, conflicts, frozenset(mine)

    def _adapt_line_endings(self, ours: Tree, *renders: dict[str, Entry]) -> None:
        """Give the renders of a file CRLF where the user has committed it so throughout."""
        base = renders[0]
        differing = [p for p in base if p in ours and ours[p][1] != base[p][1]]
        crlf = {
            path
            for path, content in self._contents({p: ours[p] for p in differing}).items()
            if b"\r\n" in content
            and content.count(b"\n") == content.count(b"\r\n")
            and b"\0" not in content
        }
        for listed in renders:
            wanted = {path: listed[path] for path in crlf if path in listed}
            for path, content in self._contents(wanted).items():
                if b"\r" not in content and b"\0" not in content:
                    converted = self._stored(content.replace(b"\n", b"\r\n"))
                    listed[path] = (listed[path][0], converted)

    def _contents(self, files: Tree) -> dict[str, bytes]:
        regular = {path: entry[1] for path, entry in files.items() if entry[0].startswith("100")}
        if not regular:
            return {}
        wanted = "".join(f"{identity}\n" for identity in regular.values()).encode()
        read = self._git("cat-file", "--batch", stdin=wanted)
        contents, position = {}, 0
        for path in regular:
            end = read.index(b"\n", position)
            size = int(read[position:end].split()[2])
            contents[path] = read[end + 1 : end + 1 + size]
            position = end + 1 + size + 1
        return contents

    def _write_tree(self, ours: Tree, project: Tree) -> str:
        """HEAD's tree, with `project` in the place of `ours`."""
        gone = dict.fromkeys(set(ours) - set(project), _NOTHING)
        return self._changed_tree(self._tree, {**gone, **project})

    def _changed_tree(self, tree: str, changes: Tree) -> str:
        self._indexes += 1
        index = {"GIT_INDEX_FILE": str(self._git_dir / f"index-{self._indexes}")}
        self._git("read-tree", tree, env=index)
        # What goes comes first: a file may have to make room for a folder, or the reverse.
        ordered = sorted(changes.items(), key=lambda change: change[1] != _NOTHING)
        lines = index_info(ordered, len(tree))
        self._git("update-index", "-z", "--index-info", stdin=lines, env=index)
        # A partial clone may lack what lies elsewhere in the repository.
        return self._git("write-tree", "--missing-ok", env=index).decode().strip()

    def _commit(self, tree: str, parent: str | None = None) -> str:
        parents = ["-p", parent] if parent else []
        return self._git("commit-tree", *parents, "-m", "gindock", tree).decode().strip()

    def _name(self, label: str, commit: str) -> None:
        self._git("update-ref", f"refs/heads/{label}", commit)

    def _merge_tree(
        self, yours: str, template: str, *, renames: bool = True
    ) -> tuple[str, dict[str, Conflict]]:
        options = (
            "-c", "merge.conflictStyle=diff3", "-c", f"merge.renames={str(renames).lower()}",
            "-c", f"merge.directoryRenames={str(renames).lower()}",
            "-c", "merge.renameLimit=7000", "-c", "diff.renameLimit=7000",
        )  # fmt: skip
        done = self._git(
            *options, "merge-tree", "--write-tree", "-z", "--messages", yours, template,
            attributes=self._repository.top, accept=(0, 1),
        )  # fmt: skip
        fields = done.split(b"\0")
        tree, fields = fields[0].decode(), fields[1:]
        stages: dict[str, dict[int, Entry]] = {}
        while fields and fields[0]:
            about, path = fields.pop(0).split(b"\t", 1)
            mode, identity, stage = about.decode().split()
            stages.setdefault(os.fsdecode(path), {})[int(stage)] = (mode, identity)
        reasons = dict(_messages(fields[1:]))
        return tree, {
            path: Conflict(of_path, reasons.get(path, "both changed it"))
            for path, of_path in stages.items()
        }

    def _named_base(
        self, tree: str, conflicts: Mapping[str, Conflict], base: str, label: str
    ) -> dict[str, Entry]:
        """The conflicted files with the old version's label where git writes a commit's id."""
        held = self._held(tree, conflicts)
        named = {}
        for path, content in self._contents(held).items():
            better = re.sub(
                rb"(?m)^(\|{7,} )([0-9a-f]{4,64})(?=[:\r\n])",
                lambda m: m[1] + label.encode() if base.startswith(m[2].decode()) else m[0],
                content,
            )
            if better != content:
                named[path] = (held[path][0], self._stored(better))
        return named

    def _git(
        self,
        *arguments: str | Path,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        attributes: Path | None = None,
        accept: Container[int] = (0,),
    ) -> bytes:
        """Run git on the scratch repository, with the `attributes` in a work tree or without."""
        where = [f"--git-dir={self._git_dir}"]
        if attributes:
            where.append(f"--work-tree={attributes}")
        return own_git(
            *where, *arguments, folder=attributes or self._repository.top, stdin=stdin,
            accept=accept, env={**self._who(), **self.environment, **(env or {})},
        )  # fmt: skip

    @staticmethod
    def _who() -> dict[str, str]:
        return {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (
                ("NAME", "gindock"),
                ("EMAIL", "gindock@localhost"),
                ("DATE", "@0 +0000"),
            )
        }


def _without_other_projects(head: Tree, prefix: str, rendered: Container[str]) -> Tree:
    """The files of the project at `prefix`: `rendered` ones, and what is no other project's."""
    records = [
        path for path in head if answers.is_called(path.rpartition("/")[2]) and path not in rendered
    ]
    folders = {path.rpartition("/")[0] + "/" for path in records} - {prefix, "/"}
    others = tuple(folders)
    return {p: entry for p, entry in head.items() if p in rendered or not p.startswith(others)}


def _messages(fields: list[bytes]) -> Iterator[tuple[str, str]]:
    """For each path, the reason of its conflict, from what `git merge-tree -z` says."""
    position = 0
    while position < len(fields) and fields[position]:
        count = int(fields[position])
        paths = fields[position + 1 : position + 1 + count]
        kind = fields[position + 1 + count].decode()
        position += count + 3
        if not kind.startswith("CONFLICT"):
            continue
        reason = _REASONS.get(kind, kind.partition(" ")[2].strip("()") or "both changed it")
        for path in paths:
            yield os.fsdecode(path), reason


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


def _quoted(path: str) -> str:
    """`path` for a list of paths in git's environment, where a colon separates."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if os.pathsep in path or path.startswith('"') else path
