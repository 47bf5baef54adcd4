"""The update of a service that a team has edited: its conflicts, and their resolution."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from helpers import releases
from helpers.earlier import created_by, offline
from helpers.machine import git, run
from helpers.projects import tree
from helpers.rendering import build_flags
from helpers.team.edit import Change, Edit
from helpers.update_cases import write

VERSION = "0.6.0"
#: A render in which every edit makes sense.
ANSWERS = ("--datastores=postgres", "--deploy=kubernetes", "--deploy=compose", "--ci=github")

_MARKER = re.compile(r"^<<<<<<< ", re.MULTILINE)


def replaced(text: str, change: Change, who: str) -> str:
    """Return `text` with `change`, whose old text stands there once."""
    assert text.count(change.old) == 1, (
        f"{who}: {change.path} has {text.count(change.old)} times {change.old!r}"
    )
    return text.replace(change.old, change.new)


def change(project: Path, changes: Iterable[Change], who: str) -> None:
    """Change files of the project."""
    for one in changes:
        path = project / one.path
        path.write_text(replaced(path.read_text(), one, who))


def edited(service: Path, project: Path, edits: Sequence[Edit]) -> Path:
    """Copy `service`, with these edits in a commit of the team."""
    shutil.copytree(service, project, symlinks=True)
    for edit in edits:
        write(project, edit.added)
        change(project, edit.changes, edit.name)
        for name in edit.removed:
            (project / name).unlink()
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Ours")
    return project


def edited_before(folder: Path, cases: Mapping[str, Sequence[Edit]]) -> dict[str, Path]:
    """A service of v0.6.0 for each case, in a folder `cases`, edited and not yet updated."""
    (folder / "first").mkdir()
    service = created_by(VERSION, folder / "first", *ANSWERS)
    (folder / "cases").mkdir()
    return {name: edited(service, folder / "cases" / name, edits) for name, edits in cases.items()}


def update(folder: Path) -> None:
    """Update each of the `cases` to the working tree's template."""
    command = (releases.installed(releases.NEXT) / "gindock", "update", "--defaults", "cases")
    done = offline(*command, cwd=folder)
    assert done.code in (0, 3), done.stdout + done.stderr


def conflicts(project: Path) -> dict[str, int]:
    """The files in conflict, each with its hunks; a file of which one side is removed has one."""
    found = {}
    for path in git(project, "diff", "--name-only", "--diff-filter=U").splitlines():
        file = project / path
        text = file.read_text() if file.is_file() else ""
        found[path] = len(_MARKER.findall(text)) or 1
    return found


def resolve(project: Path, edits: Sequence[Edit]) -> None:
    """Resolve every conflict as the team does: see `Edit`."""
    found = conflicts(project)
    for path in found:
        if run(["git", "checkout", "--theirs", "--", path], project, ok=False).returncode:
            git(project, "rm", "--quiet", "--", path)  # The template has removed it.
            continue
        for edit in edits:
            change(project, edit.changes_of(path, conflict=True), edit.name)
    for edit in edits:
        change(project, edit.mended, edit.name)
    if any(edit.is_go for edit in edits):
        run(["nice", "go", "mod", "tidy"], project)
    git(project, "add", "--all")


def lost(project: Path, edits: Sequence[Edit], resolved: Iterable[str]) -> list[str]:
    """Which lines of the edits are not in the project any more, and what should not be there."""
    found = []
    for edit in edits:
        texts = dict(edit.added)
        paths = dict.fromkeys(one.path for one in (*edit.changes, *edit.again))
        for path in paths:
            changes = edit.changes_of(path, conflict=path in resolved)
            texts[path] = "\n".join(one.new.replace(one.old, "") for one in changes)
        for path, text in texts.items():
            file = project / path
            now = file.read_text() if file.is_file() else ""
            mended = [one.old.strip() for one in edit.mended if one.path == path]
            found += [
                f"{edit.name}: {path} lacks {line!r}"
                for line in text.splitlines()
                if line.strip() and line not in now
                if not any(old in line or line.strip() in old for old in mended)
            ]
        found += [f"{edit.name}: {n} is back" for n in edit.removed if (project / n).exists()]
    return found + [
        f"{path} has a marker" for path, text in tree(project).items() if _MARKER.search(text)
    ]


def go_findings(project: Path) -> str:
    """What Go has against the project: vetting, testing, and building it as the image does."""
    return go_fails(project, ["vet"], ["test"], ["build", *build_flags(project)])


def go_fails(project: Path, *commands: Sequence[str]) -> str:
    """What the first of these commands of Go says that fails on the project."""
    for command in commands:
        done = run(["nice", "go", *command, "./..."], project, ok=False, timeout=1800)
        if done.returncode:
            return done.stdout
    return ""
