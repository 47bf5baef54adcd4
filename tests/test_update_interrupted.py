"""`gindock update`, killed at any moment, or out of space: all of it, or what there was before."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import copier
import pytest
from commands import SCRIPTS, gindock
from support import git, run
from test_interrupted import small_disk
from test_update_properties import EXECUTABLE, PLAIN, File, Tree, write

#: The phases that an update notes in the git folder, in their order.
PHASES = ["not begun", "rendering", "merging", "writing", "done"]

FILES = 200
KILLS = 100

#: What git does not have, and no update may touch.
UNTRACKED = {".env": "SECRET=mine\n", "notes.txt": "mine\n", "build/out.bin": "mine\n"}


def released(template: Path) -> None:
    """Release a template twice: of its files, the second changes, adds, moves and removes many."""

    def lines(n: int, fix: str = "") -> bytes:
        return "".join(f"{n}-{line} {fix if line == 7 else ''}\n" for line in range(15)).encode()

    first: Tree = {f"part{n % 10}/file{n}.txt": File(PLAIN, lines(n)) for n in range(FILES)}
    second: Tree = {f"new/file{n}.txt": File(PLAIN, lines(n)) for n in range(FILES, FILES + 30)}
    for n, (path, file) in enumerate(first.items()):
        if n % 10 == 8:
            path = path.replace("part8", "moved/part8")
        if n % 10 != 9:
            mode = EXECUTABLE if n % 10 == 7 else PLAIN
            second[path] = File(mode, lines(n, "fixed") if n % 2 == 0 else file.content)
    template.mkdir()
    git(template, "init", "-q")
    for version, tree in (("v1.0.0", first), ("v2.0.0", second)):
        own = {
            "copier.yml": File(PLAIN, b"_subdirectory: template\n"),
            "template/{{ _copier_conf.answers_file }}.jinja": File(
                PLAIN, b"{{ _copier_answers|to_nice_yaml }}"
            ),
        }
        write(template, {**own, **{f"template/{path}": file for path, file in tree.items()}})
        git(template, "add", "--all")
        git(template, "commit", "-qm", version)
        git(template, "tag", version)


class State(NamedTuple):
    """All that an update may change: files and folders with their modes, and the index."""

    entries: dict[str, tuple[int, bytes]]
    staged: str
    status: str


def state(project: Path) -> State:
    entries = {}
    for above, folders, names in os.walk(project):
        folders[:] = [name for name in folders if name != ".git"]
        for path in (Path(above, name) for name in (*folders, *names)):
            content = b"" if path.is_dir() else path.read_bytes()
            entries[path.relative_to(project).as_posix()] = (path.lstat().st_mode, content)
    # The status first: it has git look at the files.
    status = git(project, "status", "--porcelain", "--ignored")
    return State(entries, git(project, "ls-files", "--stage"), status)


@dataclass(frozen=True)
class Prepared:
    """A project that is to be copied, updated and disturbed."""

    project: Path
    before: State
    whole: State
    """After an update that nothing disturbed."""
    seconds: dict[str, float]
    """How long each phase of that took."""

    def copy(self, folder: Path) -> Path:
        shutil.copytree(self.project, folder, symlinks=True)
        return folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A project with edits, one of which the update cannot merge."""
    folder = tmp_path_factory.mktemp("prepared")
    released(folder / "template")
    project = folder / "project"
    copier.run_copy(str(folder / "template"), project, vcs_ref="v1.0.0", defaults=True, quiet=True)
    git(project, "init", "-q")
    git(project, "add", "--all")
    git(project, "commit", "-qm", "Rendered")
    for n, line in ((0, 7), (2, 1), (17, 2), (18, 3), (9, 4)):
        file = project / f"part{n % 10}" / f"file{n}.txt"
        text = file.read_text()
        assert f"{n}-{line} \n" in text
        file.write_text(text.replace(f"{n}-{line} \n", f"mine {n}\n"))
    (project / "part4" / "file4.txt").unlink()
    (project / "part6" / "file6.txt").rename(project / "mine.txt")
    (project / ".gitignore").write_text(".env\nbuild\n")
    git(project, "add", "--all")
    git(project, "commit", "-qm", "Mine")
    git(project, "gc", "-q")
    for name, text in UNTRACKED.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    before = state(project)

    undisturbed = folder / "undisturbed"
    shutil.copytree(project, undisturbed, symlinks=True)
    process = start(undisturbed)
    began = {"not begun": time.monotonic()}
    while process.poll() is None:
        began.setdefault(phase(undisturbed), time.monotonic())
        time.sleep(0.0005)
    assert process.returncode == 3
    assert list(began) == PHASES
    times = [*began.values(), time.monotonic()]
    seconds = {p: after - at for p, at, after in zip(began, times, times[1:], strict=False)}
    whole = state(undisturbed)
    for part in ("UU part0/file0.txt", "DU part9/file9.txt", "R  part8/file18.txt"):
        assert part[3:] in whole.status
    return Prepared(project, before, whole, seconds)


def phase(project: Path) -> str:
    """How far the update of `project` has come, as it says itself."""
    try:
        noted = json.loads((project / ".git" / "gindock" / "update.json").read_text())
    except FileNotFoundError:
        return "not begun"
    return str(noted["phase"])


def start(project: Path) -> subprocess.Popen[bytes]:
    """Start an update in a process group of its own."""
    return subprocess.Popen(
        [str(SCRIPTS / "gindock"), "update", "--defaults"],
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=project.with_suffix(".out").open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
        # A shell starts what it puts in the background with Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def stop(project: Path, number: signal.Signals, wanted: str, seconds: float) -> int:
    """Start an update, send it the signal `seconds` after `wanted` began; return its exit code."""
    process = start(project)
    while process.poll() is None and PHASES.index(phase(project)) < PHASES.index(wanted):
        time.sleep(0.0005)
    time.sleep(seconds)
    os.killpg(process.pid, number) if process.poll() is None else None
    return process.wait()


def killed_once(prepared: Prepared, folder: Path, attempt: int) -> str:
    """Stop an update at a random moment, and see that nothing is lost; return where it was."""
    chance = random.Random(attempt)
    turn, case = divmod(attempt, len(PHASES))
    wanted = PHASES[case]
    project = prepared.copy(folder)
    number = {7: signal.SIGINT, 8: signal.SIGTERM}.get(turn % 9, signal.SIGKILL)
    code = stop(project, number, wanted, chance.uniform(0, prepared.seconds[wanted]))
    found = phase(project)
    assert {name: (project / name).read_text() for name in UNTRACKED} == UNTRACKED
    assert not (project / ".git" / "index.lock").exists(), found
    left = state(project)
    finished = left == prepared.whole
    if found == "done":
        assert finished
    if number != signal.SIGKILL:
        # Whoever asks politely finds the project at rest.
        assert finished or left == prepared.before, found
        # While it starts, Python itself may be told, and exits as it likes.
        if wanted != "not begun":
            assert code in (3, 128 + number, -number), project.with_suffix(".out").read_text()
    check_recovery(prepared, project, turn, found, finished=finished)
    shutil.rmtree(project)
    return found


def check_recovery(
    prepared: Prepared, project: Path, turn: int, found: str, *, finished: bool
) -> None:
    """What is left leads back to what was before, or on to the whole update, by turns."""
    if turn % 3 == 0:
        done = gindock("update", "--abort", cwd=project)
        assert (done.code, state(project)) == (0, prepared.before), found
    elif turn % 3 == 1:
        # An update that has no news clears up as well.
        done = gindock("update", "--to", "current", "--defaults", cwd=project)
        expected = prepared.whole if finished else prepared.before
        assert (done.code, state(project)) == (1 if finished else 0, expected), found
    else:
        done = gindock("update", "--defaults", cwd=project)
        assert (done.code, state(project)) == (1 if finished else 3, prepared.whole), found


def test_killed_at_any_moment_nothing_is_lost(
    prepared: Prepared, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with ThreadPoolExecutor(max_workers=2) as pool:
        hits = Counter(
            pool.map(lambda n: killed_once(prepared, tmp_path / str(n), n), range(KILLS))
        )
    record_property("killed while", ", ".join(f"{p} {hits[p]} times" for p in PHASES))
    assert set(hits) == set(PHASES)


def half_written(prepared: Prepared, folder: Path) -> Path:
    """Return a copy of the project in which an update was killed when it had changed some files."""
    chance = random.Random(1)
    for attempt in range(100):
        project = prepared.copy(folder / f"project{attempt}")
        stop(project, signal.SIGKILL, "writing", chance.uniform(0, prepared.seconds["writing"]))
        whole = state(project).entries == prepared.whole.entries
        if phase(project) == "writing" and not whole and written(prepared, project):
            return project
        shutil.rmtree(project)
    raise AssertionError("no kill hit the writing")


def written(prepared: Prepared, project: Path) -> list[str]:
    """Return the files that the killed update has changed already."""
    return [
        path
        for path, entry in state(project).entries.items()
        if path in prepared.before.entries and entry != prepared.before.entries[path]
    ]


@pytest.mark.parametrize("options", [["--abort"], ["--defaults"]], ids=["abort", "next update"])
def test_what_was_edited_since_the_kill_is_named_and_kept(
    options: list[str], prepared: Prepared, tmp_path: Path
) -> None:
    project = half_written(prepared, tmp_path)
    edited = project / written(prepared, project)[0]
    edited.write_text("mine, since\n")
    left = state(project)
    done = gindock("update", *options, cwd=project)
    assert done.code == 1
    assert edited.relative_to(project).as_posix() in done.stderr
    assert state(project) == left
    edited.rename(tmp_path / "kept")
    assert gindock("update", "--abort", cwd=project).code == 0
    assert state(project) == prepared.before
    assert (tmp_path / "kept").read_text() == "mine, since\n"


def test_what_was_added_since_the_kill_is_kept(prepared: Prepared, tmp_path: Path) -> None:
    project = half_written(prepared, tmp_path)
    (project / "new" / "mine.txt").parent.mkdir(exist_ok=True)
    (project / "new" / "mine.txt").write_text("mine, since\n")
    assert gindock("update", "--abort", cwd=project).code == 0
    assert (project / "new" / "mine.txt").read_text() == "mine, since\n"
    shutil.rmtree(project / "new")
    assert state(project) == prepared.before


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder = small_disk(tmp_path / "disk", size="64m")
    yield folder
    run(["umount", folder], tmp_path)


def test_a_full_disk_changes_nothing(
    prepared: Prepared, disk: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    ends: Counter[str] = Counter()
    for spare in (0, 64, 256, 512, 768, 1024, 1152, 1280, 1408, 1536, 2048, 3072):
        run(["mount", "-o", "remount,size=64m", disk], tmp_path)
        project = prepared.copy(disk / "project")
        usage = shutil.disk_usage(disk)
        run(["mount", "-o", f"remount,size={usage.used // 1024 + spare}k", disk], tmp_path)
        done = gindock("update", "--defaults", cwd=project)
        found = phase(project)
        run(["mount", "-o", "remount,size=64m", disk], tmp_path)
        if done.code == 3:
            assert state(project) == prepared.whole
        else:
            assert done.code == 1, done
            # In Python's words, or in git's.
            assert re.search("No space left on device|Out of diskspace", done.stderr), done
            assert len(done.stderr.strip().splitlines()) <= 3
            assert state(project) == prepared.before, found
        ends[str(done.code)] += 1
        shutil.rmtree(project)
    record_property("exit codes", ", ".join(f"{code} {n} times" for code, n in ends.items()))
    assert ends.keys() == {"1", "3"}
