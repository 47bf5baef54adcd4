"""The three-way merge of two renders and a project's HEAD, without touching the work tree.

`git merge-tree` follows renames on both sides, and makes a conflict of what it cannot merge. The
attributes of the work tree count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gindock.errors import BadInputError
from gindock.gitio.formats import NOTHING, SUBMODULE, Change, Conflict, Entry, Tree
from gindock.gitio.repository import Repository
from gindock.updating import both_added, places, stored_renders
from gindock.updating.converting import Conversion
from gindock.updating.merge_repository import YOURS, MergeRepository
from gindock.upstream import answers


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
    """The differences between HEAD and the result, and conflicts in files that do not differ."""
    conflicts: Mapping[str, Conflict]
    declined: frozenset[str]
    """The files that the user deleted and the template changed: they stay deleted."""
    overruled: frozenset[str] = frozenset()
    """The files that the user changed and the template's version replaces."""
    moved: Mapping[str, str] = field(default_factory=dict)
    """Where HEAD has a file that the result has elsewhere: its former path by the new one."""
    refiltered: frozenset[str] = frozenset()
    """The files of the user's that only another filter stores differently."""


@dataclass(frozen=True)
class Labels:
    """The names of the versions in conflict markers."""

    old: str
    new: str

    @property
    def sides(self) -> tuple[str, str, str]:
        """Those of the user's side, of the old version and of the new one."""
        return YOURS, self.old, self.new


def merge(
    repository: Repository,
    merging: MergeRepository,
    renders: tuple[Path, Path],
    *,
    labels: Labels,
    answers_file: str,
) -> Merged:
    """Merge the difference between the `renders` of the old and of the new version into HEAD.

    Of the answers file, relative to the project, the new render's is taken unless the merged one
    records the same.

    Raises:
        BadInputError: the template has files in a submodule.
        GitError: git fails, for example to fetch what a partial clone lacks.

    """
    base, theirs = (stored_renders.store(render, repository, merging) for render in renders)
    head = repository.entries(merging.head)
    ours = _without_other_projects(head, repository.prefix, base.keys() | theirs.keys())
    _refuse_submodules(head, theirs)
    stored_renders.convert(repository, merging, zip(renders, (base, theirs), strict=True))
    stored_renders.fetch(repository, (e for path, e in ours.items() if base.get(path) != e))
    stored_renders.adapt_line_endings(merging, ours, base, theirs)
    run = _Run(repository, merging, head, ours, base, theirs, labels)
    return run.merged(repository.prefix + answers_file)


@dataclass
class _Run:
    repository: Repository
    merging: MergeRepository
    head: Tree
    """All of HEAD; `ours`, `base` and `theirs` are the project's files."""
    ours: Tree
    base: Tree
    theirs: dict[str, Entry]
    labels: Labels

    def merged(self, record: str) -> Merged:
        merging = self.merging
        old, new = (self._whole(files) for files in (self.base, self.theirs))
        ancestor = merging.commit(old)
        merging.name(YOURS, merging.commit(merging.head_tree, ancestor))
        merging.name(self.labels.new, merging.commit(new, ancestor))
        tree, conflicts = merging.merge(YOURS, self.labels.new)
        declined = {p for p, c in conflicts.items() if c.stages.keys() == {1, 3}}
        overruled = not self._records_the_same(tree, record)
        if overruled:
            declined.discard(record)
        changes: dict[str, Entry] = dict.fromkeys(declined, NOTHING)
        changes |= places.of_submodules(merging, tree, self.head, self.repository.prefix)
        changes |= {record: self.theirs[record]} if overruled else {}
        conflicts = {p: c for p, c in conflicts.items() if p not in changes}
        if declined:
            changes |= places.given_back(merging, tree, conflicts, declined, self.ours)
        changes |= merging.label_base(tree, conflicts, ancestor, self.labels.old)
        changes |= both_added.refined(merging, tree, conflicts, self.labels.sides)
        changes |= self._displaced(tree, conflicts, merging.moved(old, new))
        if changes:
            tree = merging.changed_tree(tree, changes)
        # Before conversion: git finds no renames in files that another filter has stored.
        moved = merging.moved(merging.head_tree, tree)
        tree, conflicts, refiltered = self._converted(tree, conflicts)
        return Merged(
            self.base, self.ours, self.theirs, merging.head, tree,
            merging.changes(merging.head_tree, tree, conflicts), conflicts, frozenset(declined),
            frozenset([record] if overruled else []), moved, refiltered,
        )  # fmt: skip

    def _whole(self, project: Tree) -> str:
        """HEAD's tree, with `project` in the place of `ours`."""
        gone = dict.fromkeys(self.ours.keys() - project.keys(), NOTHING)
        return self.merging.changed_tree(self.merging.head_tree, {**gone, **project})

    def _records_the_same(self, tree: str, file: str) -> bool:
        """Whether the answers `file` in `tree` records what `theirs` does, and perhaps more."""
        found = self.merging.held(tree, [file])[file]
        if file not in self.theirs or found == self.theirs[file]:
            return True
        texts = self.merging.contents({"new": self.theirs[file], "merged": found})
        return answers.agree(texts["new"], texts.get("merged", b""))

    def _displaced(
        self, tree: str, conflicts: dict[str, Conflict], moved: Mapping[str, str]
    ) -> dict[str, Entry]:
        """Return changes that keep the user's files in whose place the template moves another.

        Each becomes one of the `conflicts`.
        """
        changes: dict[str, Entry] = {}
        displaced = places.displaced(self.merging, tree, conflicts, self.theirs, moved)
        for path, source in displaced.items():
            mine, base = self.ours.get(source), self.base[source]
            if mine is not None and mine != base:
                changes[source] = mine
                reason = f"the template moved it to {path}, which you have"
                conflicts[source] = Conflict({1: base, 2: mine}, reason)
        return changes

    def _converted(
        self, tree: str, conflicts: dict[str, Conflict]
    ) -> tuple[str, dict[str, Conflict], frozenset[str]]:
        """Store `tree` and `theirs` by the attributes in `tree`; return it, and the conflicts left.

        The last value has the files that differ only by that.
        """
        merging, theirs = self.merging, self.theirs
        conversion = Conversion(
            self.repository, merging.git_dir.parent / "conversion", merging.environment,
            merging.changes(merging.head_tree, tree), self.labels.sides,
        )  # fmt: skip
        others = self.head.keys() - self.ours.keys()
        files = {
            path: entry
            for path, entry in merging.tree(tree).items()
            if path.startswith(self.repository.prefix) and path not in others
        }
        changes, conflicts = conversion.convert(files, conflicts, theirs)
        theirs |= {p: new for p, new in changes.items() if theirs.get(p) == files[p]}
        if changes:
            tree = merging.changed_tree(tree, changes)
        mine = {p for p in changes if self.ours.get(p) == files[p] and p not in conflicts}
        return tree, conflicts, frozenset(mine)


def _refuse_submodules(head: Tree, theirs: Tree) -> None:
    for path, (mode, _) in head.items():
        if mode == SUBMODULE and any(name.startswith(f"{path}/") for name in theirs):
            raise BadInputError(f"the template has files in {path}, which is a submodule; move it")


def _without_other_projects(head: Tree, prefix: str, rendered: Collection[str]) -> Tree:
    """Return the files of the project at `prefix`: those `rendered`, and no other project's."""
    records = [
        path for path in head if answers.is_called(path.rpartition("/")[2]) and path not in rendered
    ]
    folders = {path.rpartition("/")[0] + "/" for path in records} - {prefix, "/"}
    others = tuple(folders)
    return {p: entry for p, entry in head.items() if p in rendered or not p.startswith(others)}
