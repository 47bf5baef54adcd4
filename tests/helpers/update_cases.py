"""What the scenarios of updates share."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import copier
import pytest

from helpers.commands import SCRIPTS
from helpers.machine import ROOT, run

PAGE = ROOT / "docs" / "measured" / "update-scenarios.md"

Tool = Literal["copier", "gindock"]
TOOLS: tuple[Tool, ...] = ("copier", "gindock")
#: What Copier does is no matter of every run: `make scenarios` tries both.
TRIED = TOOLS if os.environ.get("SCENARIOS") == "all" else ("gindock",)

#: Files by their paths: a text, `LINK` and a target, `EXECUTABLE` and a text, or None: there is none.
Files = Mapping[str, str | None]
LINK, EXECUTABLE = "-> ", "+x\n"

ANSWERS = ".copier-answers.yml"

#: A file of the template, its fix, and what the user makes of it.
TEXT = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"
FIXED = TEXT.replace("seven", "seven, fixed")
MINE = TEXT.replace("one", "one, mine")
BOTH = FIXED.replace("one", "one, mine")
FILES, FIXED_FILES = {"a.txt": TEXT}, {"a.txt": FIXED}
#: An edit that meets the fix.
AGAINST = TEXT.replace("seven", "seven, mine")

#: A line for a file in gindock's summary: what happened to it, its path, and perhaps a note.
_LISTED = re.compile(
    r"^  (added|updated|removed|merged|conflict|kept)(?: yours)? +(.+?)(?: \(.*\))?$", re.MULTILINE
)

_ABOVE = TEXT.removesuffix("seven\n")


def conflict(yours: str, theirs: str, *, above: str = _ABOVE, base: str | None = "seven\n") -> str:
    """Return what gindock leaves of a text in which the user and the template meet.

    `base` is None where both added it.
    """
    base = "" if base is None else f"||||||| template-v1.0.0\n{base}"
    return f"{above}<<<<<<< yours\n{yours}{base}=======\n{theirs}>>>>>>> template-v2.0.0\n"


def rejected(yours: str, theirs: str, *, above: str = _ABOVE) -> str:
    """Return what Copier leaves of it."""
    return f"{above}<<<<<<< before updating\n{yours}=======\n{theirs}>>>>>>> after updating\n"


@dataclass(frozen=True)
class Left:
    """What an update leaves: the files that differ from before it, and what it says.

    `changes` is gindock's own list of files, None where it ends in an error; `unmerged` are the files
    that git calls so, besides gindock's conflicts; `staged` is what Copier staged, which leaves all
    to the user as a rule.
    """

    files: Files = field(default_factory=dict)
    changes: Mapping[str, str] | None = field(default_factory=dict)
    unmerged: tuple[str, ...] = ()
    staged: tuple[str, ...] = ()
    code: int = 0
    says: str = ""
    updated: bool = True


def refused(says: str, code: int = 1) -> Left:
    """Return what an update leaves that did not take place."""
    return Left(code=code, says=says, updated=False)


@dataclass(frozen=True)
class Row:
    """A row of the page.

    That the words "lost", "refused", "traceback", "conflict" and "exit 3" are right is tested; a
    line of the user's is lost that is nowhere in the project any more.
    """

    group: str
    words: Mapping[Tool, str]


def scenario(group: str, *, copier: str, gindock: str) -> Callable[[Any], Any]:
    """Run the decorated test with each tool; its docstring and these words are a row of the page."""

    def decorate(test: Callable[[Case], None]) -> Any:
        test.row = Row(group, {"copier": copier, "gindock": gindock})  # type: ignore[attr-defined]
        return pytest.mark.parametrize("case", TRIED, indirect=True)(test)

    return decorate


class Case:
    """A template with two releases, a project of the first, and the update of it by one tool."""

    def __init__(self, tool: Tool, folder: Path, words: str) -> None:
        self.tool = tool
        self.project = folder / "project"
        self.folder = folder
        self.env: dict[str, str] = {}
        self._words = words
        self.in_subfolder = False
        self._before: tuple[str, Files] | None = None
        self._seen: dict[str, bool] = {}

    def releases(
        self,
        old: Files = FILES,
        new: Files = FIXED_FILES,
        newest: Files | None = None,
        **answers: str,
    ) -> None:
        """Release `old` as v1.0.0, `new` as v2.0.0, and commit a project of v1.0.0.

        `newest` is v3.0.0. `copier.yml` is the template's; the other files are what it renders.
        """
        versions = [old, new] if newest is None else [old, new, newest]
        rendered = _rendered(
            tuple(tuple(files.items()) for files in versions), tuple(answers.items())
        )
        shutil.copytree(rendered, self.project, symlinks=True)
        self.rendered = read(self.project)

    def git(self, *arguments: str | Path) -> str:
        """Return what git prints in the project."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.project,
            env={**os.environ, **self.env},
            capture_output=True,
            check=True,
        )
        return os.fsdecode(done.stdout)

    def edit(self, files: Files, message: str = "Mine") -> None:
        """Write `files` into the project, and commit them."""
        write(self.project, files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--no-verify", "-m", message)

    def record(self, key: str, value: str | None) -> None:
        """Let the answers file say `value` for `key`, or nothing, and commit it."""
        text = (self.project / ANSWERS).read_text()
        entry = "" if value is None else f"{key}: {value}\n"
        self.edit({ANSWERS: re.sub(rf"(?m)^{key}: .*\n", entry, text)})

    def update(
        self,
        copier: Left,
        gindock: Left,
        *,
        options: Mapping[Tool, tuple[str, ...]] | None = None,
        to: str = "v2.0.0",
    ) -> None:
        """Update the project; exactly what is expected is left."""
        expected = copier if self.tool == "copier" else gindock
        before, state = read(self.project), () if expected.updated else self._state()
        self._before = None
        head = self._head()
        code, screen = self.run(*(options or {}).get(self.tool, ()))
        after = read(self.project)
        files = {p: after.get(p) for p in {**before, **after} if before.get(p) != after.get(p)}
        files.pop(ANSWERS, None)
        assert (code, files) == (expected.code, expected.files), f"{code} {files}\n{screen}"
        assert expected.says in screen, screen
        if not expected.updated:
            # When it breaks off, Copier may have written its answers file.
            assert "Traceback" in screen or self._state() == state, screen
        else:
            assert f"_commit: {to}" in after[ANSWERS].splitlines()
            self._check_index(expected)
        if self.tool == "gindock" and expected.changes is not None:
            listed = {path: change for change, path in _LISTED.findall(screen)}
            listed.pop(ANSWERS, None)
            assert listed == expected.changes, screen
        self._seen = {
            "lost": bool(self._lost(before, after)),
            "refused": not expected.updated and "Traceback" not in screen,
            "traceback": "Traceback" in screen,
            "conflict": expected.updated and bool(self._unmerged()),
            "exit 3": code == 3,
        }
        if self.tool == "gindock" and expected.updated:
            self._before = head, before

    def run(self, *options: str) -> tuple[int, str]:
        """Run the tool as a script would; return its exit code and what it printed."""
        done = subprocess.run(
            [SCRIPTS / self.tool, "update", "--defaults", *options],
            cwd=self.project,
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        screen = (done.stdout + done.stderr).decode(errors="replace")
        assert self.tool == "copier" or "Traceback" not in screen, screen
        return done.returncode, screen

    def check_the_end(self) -> None:
        """The words are right, and the way back leads to what was before the last update."""
        assert {word: word in self._words for word in self._seen} == self._seen
        if self._before and self._before[0] == self._head():
            if self.in_subfolder:
                run([SCRIPTS / "gindock", "update", "--abort"], self.project)
            else:
                self.git("reset", "--hard", "--quiet")
            assert read(self.project) == self._before[1]

    def _head(self) -> str:
        found = run(["git", "rev-parse", "--verify", "--quiet", "HEAD"], self.project, ok=False)
        return found.stdout

    def _check_index(self, expected: Left) -> None:
        unmerged = self._unmerged()
        changes = expected.changes or {}
        conflicts = {path for path, change in changes.items() if change == "conflict"}
        assert unmerged == conflicts | set(expected.unmerged), unmerged
        if self.tool == "gindock":
            assert self._paths("diff", "--relative", "--name-only") == unmerged
            written = {path for path, change in changes.items() if change != "kept"}
            assert not self._paths("ls-files", "--others") & written
        else:
            staged = self._paths("diff", "--cached", "--name-only", "--no-renames", "--relative")
            assert staged == unmerged | set(expected.staged), staged

    def _paths(self, *arguments: str) -> set[str]:
        return {path for path in self.git(*arguments, "-z").split("\0") if path}

    def _unmerged(self) -> set[str]:
        return {entry.split("\t")[1] for entry in self._paths("ls-files", "--unmerged")}

    def _state(self) -> tuple[str, ...]:
        answers = self.project / ANSWERS
        state = (answers.read_text() if answers.exists() else "",)
        if not (self.project / ".git").exists():
            return state
        # Unlike `git status`, with what is hidden from it.
        commands = (
            ["status", "--porcelain", "--ignored"],
            ["ls-files", "--stage"],
            ["for-each-ref"],
        )
        return (*state, *(self.git(*command) for command in commands))

    def _lost(self, before: Files, after: Files) -> set[str]:
        """The user's own lines of `before` that are nowhere in `after`."""
        lines = [
            {
                line.rstrip("\r")
                for path, text in files.items()
                if path != ANSWERS and text
                for line in text.split("\n")
            }
            for files in (before, self.rendered, after)
        ]
        return lines[0] - lines[1] - lines[2]


def write(folder: Path, files: Files) -> None:
    """Write `files` below `folder`; those that are None are removed."""
    for name, text in files.items():
        path = folder / name
        if path.is_symlink() or path.is_file():
            path.unlink()
        if text is None:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith(LINK):
            path.symlink_to(text.removeprefix(LINK))
        else:
            path.write_bytes(os.fsencode(text.removeprefix(EXECUTABLE)))
            path.chmod(0o755 if text.startswith(EXECUTABLE) else 0o644)


def read(folder: Path) -> dict[str, str]:
    """Return every file below `folder`, but for those of git; see `Files`."""
    found = {}
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        for path in (Path(root, name) for name in [*folders, *names]):
            if path.is_symlink():
                text = LINK + str(path.readlink())
            elif path.is_dir() or path.name == ".git":
                continue
            else:
                mark = EXECUTABLE if path.stat().st_mode & 0o100 else ""
                text = mark + os.fsdecode(path.read_bytes())
            found[str(path.relative_to(folder))] = text
    return found


@functools.cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="gindock-scenarios-"))


@functools.cache
def _rendered(
    versions: tuple[tuple[tuple[str, str | None], ...], ...], answers: tuple[tuple[str, str], ...]
) -> Path:
    """Return a project of the first version, made once for all tests; see `Case.releases`."""
    folder = Path(tempfile.mkdtemp(dir=_folder()))
    template, project = folder / "template", folder / "project"
    template.mkdir()
    run(["git", "init", "--quiet"], template)
    for number, files in enumerate(versions, 1):
        shutil.rmtree(template / "template", ignore_errors=True)
        questions = dict(files).get("copier.yml") or ""
        write(
            template,
            {
                "copier.yml": f"_subdirectory: template\n_preserve_symlinks: true\n{questions}",
                "template/{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers|to_nice_yaml }}",
                **{f"template/{path}": text for path, text in files if path != "copier.yml"},
            },
        )
        run(["git", "add", "--all", "--force"], template)
        run(["git", "commit", "--quiet", "--allow-empty", "-m", f"v{number}"], template)
        run(["git", "tag", f"v{number}.0.0"], template)
    copier.run_copy(
        str(template),
        project,
        data=dict(answers),
        defaults=True,
        vcs_ref="v1.0.0",
        quiet=True,
        settings=copier.Settings(),
    )
    run(["git", "init", "--quiet"], project)
    run(["git", "add", "--all"], project)
    run(["git", "commit", "--quiet", "-m", "Rendered"], project)
    return project
