"""All or nothing: killed, interrupted, out of space; then tried again."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.commands import SCRIPTS, gindock
from helpers.machine import run, small_disk
from helpers.projects import tree

from gindock.creating.destination import PREFIX


def phase(home: Path, destination: Path) -> str:
    """How far a run has come, told from what is on the disk."""
    folders = list(home.glob(PREFIX + "*"))
    if (
        destination.is_dir()
        and (destination / ".git" / "HEAD").is_file()
        and (destination / "go.mod").is_file()
    ):
        return "placed" if not folders else "placed, not cleared"
    if not folders:
        return "not begun"
    if (folders[0] / "journal.json").is_file():
        return "moving"
    projects = [p for p in folders[0].glob("project/*/*") if p.is_dir()]
    if not projects:
        return "staging made"
    return "committing" if (projects[0] / ".git").exists() else "rendering"


def start(directory: str, cwd: Path) -> subprocess.Popen[bytes]:
    """Start `gindock new` in a process group of its own."""
    return subprocess.Popen(
        [str(SCRIPTS / "gindock"), "new", directory, "--service-name", "svc", "-y", "-q"],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # A shell starts what it puts in the background with Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


#: The phases of a run, in their order.
PHASES = ["not begun", "staging made", "rendering", "committing", "moving", "placed, not cleared"]


def wait_for(wanted: str, process: subprocess.Popen[bytes], home: Path, destination: Path) -> None:
    """Wait until the run has come as far as the phase `wanted`, or has ended."""
    while process.poll() is None:
        found = phase(home, destination)
        if found not in PHASES or PHASES.index(found) >= PHASES.index(wanted):
            return
        time.sleep(0.0005)


@pytest.mark.parametrize("into_folder", [False, True], ids=["new folder", "existing folder"])
def test_killed_at_any_moment_there_is_the_whole_project_or_nothing(
    into_folder: bool, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    whole = set(tree_of_a_run(tmp_path / "whole"))
    phases: Counter[str] = Counter()
    chance = random.Random(7)
    for number, wanted in enumerate(PHASES * 3):
        home = tmp_path / str(number)
        destination = home if into_folder else home / "svc"
        home.mkdir()
        process = start("." if into_folder else "svc", home)
        wait_for(wanted, process, home, destination)
        time.sleep(chance.uniform(0, 0.6 if wanted == "not begun" else 0.02))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        found = phase(home, destination)
        phases[found] += 1
        if destination.is_dir() and not found.startswith(("moving", "placed")):
            assert {f for f in tree(destination) if not f.startswith(PREFIX)} == set()
        # The next run clears what is left, and succeeds or finds the whole project.
        again = gindock(
            "new", "." if into_folder else "svc", "--service-name", "svc", "-y", cwd=home
        )
        assert set(tree(destination)) == whole, found
        assert again.code == (2 if found.startswith("placed") else 0), (found, again)
        assert not list(home.rglob(PREFIX + "*")), found
    record_property("killed during", ", ".join(f"{p} {n} times" for p, n in phases.items()))
    assert len(phases) >= 4, f"the kills hit too few phases: {phases}"


def tree_of_a_run(folder: Path) -> dict[str, str]:
    """What an undisturbed run creates."""
    folder.mkdir()
    assert gindock("new", "svc", "-y", cwd=folder).code == 0
    return tree(folder / "svc")


def killed_while_moving(folder: Path, *, after: int) -> None:
    """Leave `folder` as a run does that is killed by the kernel after it moved `after` entries."""
    probe = (
        "import os, pathlib, signal, sys\n"
        "from gindock.cli import main\n"
        "rename, moved = pathlib.Path.rename, []\n"
        "def counted(self, target):\n"
        "    if pathlib.Path(target).parent == pathlib.Path.cwd():\n"
        f"        if len(moved) == {after}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        moved.append(target)\n"
        "    return rename(self, target)\n"
        "pathlib.Path.rename = counted\n"
        "sys.argv = ['gindock', 'new', '.', '--service-name', 'svc', '-y', '-q']\n"
        "main()\n"
    )
    folder.mkdir()
    done = subprocess.run([SCRIPTS / "python", "-c", probe], cwd=folder, check=False)
    assert done.returncode == -signal.SIGKILL
    assert phase(folder, folder) == "moving"


@pytest.mark.parametrize("after", [0, 1, 5, 9])
def test_killed_while_moving_the_next_run_starts_over(after: int, tmp_path: Path) -> None:
    folder = tmp_path / "svc"
    killed_while_moving(folder, after=after)
    moved = [p for p in folder.iterdir() if not p.name.startswith(PREFIX)]
    assert len(moved) == after
    assert gindock("new", ".", "-y", cwd=folder).code == 0
    assert run(["git", "status", "--porcelain"], folder).stdout == ""
    assert not list(folder.glob(PREFIX + "*"))


def test_killed_while_moving_an_edit_made_since_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "svc"
    killed_while_moving(folder, after=6)
    edited = next(p for p in sorted(folder.iterdir()) if p.is_file())
    edited.write_text("mine")
    done = gindock("new", ".", "-y", cwd=folder)
    assert done.code == 2
    assert edited.name in done.stderr
    assert edited.read_text() == "mine"
    edited.rename(tmp_path / "kept")
    assert gindock("new", ".", "-y", cwd=folder).code == 0


def test_killed_while_moving_a_file_added_since_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "svc"
    killed_while_moving(folder, after=6)
    (folder / "mine.txt").write_text("mine")
    (folder / ".github" / "mine.txt").write_text("mine")
    done = gindock("new", ".", "-y", cwd=folder)
    assert done.code == 0, done.stderr
    assert (folder / "mine.txt").read_text() == "mine"
    assert (folder / ".github" / "mine.txt").read_text() == "mine"
    assert (folder / "go.mod").is_file()
    assert not list(folder.glob(PREFIX + "*"))


def test_killed_while_moving_any_next_run_takes_it_back(tmp_path: Path) -> None:
    folder = tmp_path / "svc"
    killed_while_moving(folder, after=6)
    assert gindock("new", "sub", "-y", "--no-git", cwd=folder).code == 0
    assert [p.name for p in folder.iterdir()] == ["sub"]


def test_a_forged_journal_reaches_nothing_outside(tmp_path: Path) -> None:
    folder = tmp_path / "svc"
    killed_while_moving(folder, after=6)
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    journal = next(folder.glob(PREFIX + "*")) / "journal.json"
    forged = json.loads(journal.read_text())
    forged["files"]["../victim.txt"] = hashlib.sha256(b"mine").hexdigest()
    journal.write_text(json.dumps(forged))
    assert gindock("new", ".", "-y", cwd=folder).code == 2
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_or_all(number: signal.Signals, tmp_path: Path) -> None:
    whole = set(tree_of_a_run(tmp_path / "whole"))
    for attempt, moment in enumerate((0.2, 0.35, 0.5, 0.8, 1.1)):
        home = tmp_path / str(attempt)
        home.mkdir()
        process = start("svc", home)
        time.sleep(moment)
        process.send_signal(number)
        code = process.wait()
        if code == 0:
            continue  # It was done before.
        assert code in ((130, -2) if number == signal.SIGINT else (128 + number, -number))
        # While it reports, the service is in place.
        left = set(tree(home))
        assert left in (set(), {f"svc/{path}" for path in whole})
        assert left or list(home.iterdir()) == []


@pytest.mark.parametrize("size", ["8k", "64k", "128k", "200k"])
@pytest.mark.parametrize("into_folder", [False, True], ids=["new folder", "existing folder"])
def test_a_full_disk_leaves_nothing(size: str, into_folder: bool, tmp_path: Path) -> None:
    disk = small_disk(tmp_path / "disk", size=size)
    try:
        directory = "." if into_folder else "svc"
        done = gindock("new", directory, "--service-name", "svc", "-y", cwd=disk)
        assert done.code == 1, done
        assert "No space left" in done.stderr
        assert len(done.stderr.strip().splitlines()) <= 2
        assert list(disk.iterdir()) == []
    finally:
        run(["umount", disk], tmp_path)


def test_two_runs_at_once_make_one_project(tmp_path: Path) -> None:
    runs = [start("svc", tmp_path) for _ in range(3)]
    codes = sorted(process.wait() for process in runs)
    assert codes == [0, 2, 2] or codes == [0, 1, 2] or codes == [0, 1, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["svc"]
    assert run(["git", "status", "--porcelain"], tmp_path / "svc").stdout == ""
