"""The git repository that a project lies in."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from gindock.errors import BadInputError, UserError
from gindock.gitio.command import LITERAL, GitError, UsersGit, git, line
from gindock.gitio.formats import Tree, parsed_index, parsed_tree

#: The first with `git merge-tree --write-tree`.
_OLDEST_GIT = (2, 38)
#: What git keeps in its folder while something waits for the user.
_UNDER_WAY = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}


@dataclass(frozen=True)
class Repository:
    """The git repository that a project lies in."""

    project: Path
    top: Path
    prefix: str
    """The project's folder relative to `top`: empty, or with a slash at its end."""
    git_dir: Path
    """Of this work tree; a linked one has its own."""
    objects: Path
    index: Path

    object_format: str
    """What its ids are made by: sha1 or sha256."""

    @classmethod
    def find(cls, project: Path) -> Repository | None:
        """The repository of `project`, whatever state it is in; None where it is in none.

        Raises:
            ForeignRepositoryError: another user owns it, and git does not look into it.
            GitError: it is broken, or git cannot tell.

        """
        asked = (
            "--show-object-format", "--show-prefix", "--show-toplevel", "--absolute-git-dir",
            "--git-path", "objects", "--git-path", "index",
        )  # fmt: skip
        try:
            said = git("rev-parse", "--path-format=absolute", *asked, folder=project)
        except GitError as error:
            if "must be run in a work tree" in str(error):
                return None
            if "not a git repository (or any " in str(error):
                _refuse_broken(project, None)
                return None
            if "not a git repository: " in str(error) or "invalid gitfile" in str(error):
                raise _broken(f"the git repository of {project}", str(error)) from error
            raise
        object_format, prefix, *places = os.fsdecode(said).split("\n")
        top, git_dir, objects, index = map(Path, places[:4])
        _refuse_broken(project, top)
        return cls(project, top, prefix, git_dir, objects, index, object_format)

    @classmethod
    def around(cls, project: Path) -> Repository:
        """The repository of `project`, fit for an update.

        Raises:
            BadInputError: there is none, or it has no commit.
            UserError: it is broken, or git is too old.

        """
        version = line("version", folder=project) or ""
        if tuple(map(int, re.findall(r"\d+", version)[:2])) < _OLDEST_GIT:
            raise UserError(f"{version} is too old for an update; install git 2.38 or newer")
        found = cls.find(project)
        if found is None:
            raise BadInputError(
                f"{project} is not in git, which an update needs; run `git init` and commit first"
            )
        if not found.has_commit():
            raise BadInputError(
                f"{project} has no commit yet, which an update needs; commit it first"
            )
        return found

    def has_commit(self) -> bool:
        """Whether there is a commit on the current branch.

        Raises:
            GitError: it is broken, or git cannot tell.

        """
        try:
            self.git("-c", "log.showSignature=false", "log", "--max-count=1", "--format=%H")
        except GitError as error:
            if "does not have any commits yet" in str(error):
                return False
            raise _broken(f"the git repository {self.top}", str(error)) from error
        return True

    @property
    def way_back(self) -> str:
        """The command that discards an update which is not committed, from where the user is."""
        here = Path(os.path.abspath(self.project)) == Path.cwd()  # noqa: PTH100
        where = shlex.quote(os.path.relpath(self.project))
        if self.prefix:  # `git restore` fails on conflicts in what HEAD does not have.
            return "gindock update --abort" + ("" if here else f" {where}")
        return f"git{'' if here else f' -C {where}'} reset --hard"

    @property
    def git(self) -> UsersGit:
        """Git at the top of the work tree."""
        return UsersGit(self.top, env=LITERAL)

    def entries(self, treeish: str) -> Tree:
        """The files below the project in a tree of the project's repository."""
        listing = self.git("ls-tree", "-r", "-z", "--full-tree", treeish, "--", self.prefix or ".")
        return parsed_tree(listing)

    def check_at_rest(self) -> None:
        """See that nothing is under way in the repository, and that the project is committed.

        Raises:
            BadInputError: it is not so.

        """
        for name, work in _UNDER_WAY.items():
            if (self.git_dir / name).exists():
                raise BadInputError(
                    f"{self.project} is in the middle of a {work}; finish or abort it first"
                )
        # Those of another project in the repository, perhaps of an update just now, may stay.
        unmerged = self.git("ls-files", "--unmerged", "-z", "--full-name", "--", self.prefix or ".")
        if unmerged:
            paths = {path for path, _, _ in parsed_index(unmerged)}
            raise BadInputError(
                f"there are conflicts in {', '.join(sorted(paths))} of {self.top}; resolve and "
                "commit them, or go back with `gindock update --abort`"
            )
        status = self.git(
            "-c", "core.fsmonitor=false", "status", "--porcelain", "--untracked-files=no",
            "--ignore-submodules=dirty", "--", self.prefix or ".",
        )  # fmt: skip
        if status.strip():
            raise BadInputError(
                f"{self.project} has uncommitted changes; commit or stash them first, or, if "
                "they are those of an update, go back with `gindock update --abort`"
            )


def _refuse_broken(project: Path, top: Path | None) -> None:
    """Refuse a `.git` that git passes over on its way up from `project` to `top`, or to the end.

    Of an empty one nothing is lost.
    """
    ceilings = os.environ.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep)
    place = Path(os.path.realpath(project))
    device = place.stat().st_dev
    for folder in (place, *place.parents):
        if (
            (top is not None and folder.samefile(top))
            or folder.stat().st_dev != device
            or (folder != place and str(folder) in ceilings)
        ):
            return
        git_dir = folder / ".git"
        if git_dir.is_dir() and any(git_dir.iterdir()):
            raise _broken(str(git_dir), "git takes it for no repository")


def _broken(what: str, reason: str) -> GitError:
    return GitError(f"{what} is broken ({reason}); mend it, or move it away")
