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
from helpers.commands import SCRIPTS, gindock
from helpers.file_trees import EXECUTABLE, PLAIN, File, Tree, write
from helpers.machine import git, run, small_disk
from helpers.update_cases import FIXED, TEXT, Case, read

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
    deed = chance.choice(DEEDS)
    if deed == "nothing":
        check_recovery(prepared, project, turn, found, finished=finished)
    else:
        check_deed(prepared, project, deed, turn, chance)
    shutil.rmtree(project)
    return f"{found}, then {deed}"


#: What a user, or a bot, may do to a project in which an update was killed.
EDITS = ["shortens", "empties", "deletes", "edits", "adds"]
DEEDS = ["nothing", "nothing", *EDITS, "edits and stages", "edits and commits", "commits"]

#: The line that the user writes.
LINE = b"mine, since the kill\n"


def act(prepared: Prepared, project: Path, deed: str, chance: random.Random) -> dict[str, bytes]:
    """Do `deed`; return what the files hold that the user has written, nothing where deleted."""
    texts = [
        path
        for path, (mode, _) in prepared.before.entries.items()
        if re.search(r"/file\d+\.txt", path) and (project / path).is_file()
    ]
    path = chance.choice(texts) if deed != "adds" else f"{chance.choice(['new', 'own'])}/mine.txt"
    file = project / path
    content = file.read_bytes() if deed != "adds" else b""
    log = {}
    if deed == "deletes":
        file.unlink()
        log[path] = b""
    elif deed != "commits":
        file.parent.mkdir(exist_ok=True)
        shorter = {"shortens": content[: chance.randrange(1, 90)], "empties": b""}
        file.write_bytes(shorter.get(deed, content + LINE))
        log[path] = file.read_bytes()
    if "stages" in deed or "commits" in deed:
        git(project, "add", "--all")
    if "commits" in deed:
        git(project, "commit", "-qm", "A bot's")
    return log


def held(project: Path, path: str) -> list[bytes]:
    """What the work tree, the index and HEAD hold at `path`; nothing where there is nothing."""
    found = [(project / path).read_bytes() if (project / path).is_file() else b""]
    for name in (f":{path}", f"HEAD:{path}"):
        found.append(
            subprocess.run(
                ["git", "cat-file", "blob", name], cwd=project, capture_output=True, check=False
            ).stdout
        )
    return found


def check_deed(
    prepared: Prepared, project: Path, deed: str, turn: int, chance: random.Random
) -> None:
    """Nothing is lost of what somebody does after the kill, whatever the next command is."""
    is_at_rest = state(project) in (prepared.before, prepared.whole)
    log = act(prepared, project, deed, chance)
    left = state(project)
    options = (["--abort"], ["--to", "current", "--defaults"], ["--defaults"])[turn % 3]
    done = gindock("update", *options, cwd=project)
    for path, content in log.items():
        kept = held(project, path)
        assert content in kept or any(LINE in text for text in kept if LINE in content), done
    if done.code == 2 and not is_at_rest:
        # What is the update's alone may be undone by then; what was written since stays.
        def others(found: State) -> dict[str, tuple[int, bytes]]:
            mine = {part for path in log for part in (path, *map(str, Path(path).parents))}
            return {path: entry for path, entry in found.entries.items() if path not in mine}

        assert "--abort" in options or others(state(project)) in (
            others(left), others(prepared.before),
        )  # fmt: skip
        named = [*log, "uncommitted changes", "conflicts in", "holds a part of"]
        assert any(word in done.stderr for word in named), done
    if deed == "commits" and options != ["--abort"]:
        after = state(project).entries
        if f"Already at {'v2' if after == prepared.whole.entries else 'v1'}" not in done.stdout:
            assert (done.code, after) == (3, prepared.whole.entries), done


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
        assert (done.code, state(project)) == (2 if finished else 0, expected), found
    else:
        done = gindock("update", "--defaults", cwd=project)
        assert (done.code, state(project)) == (2 if finished else 3, prepared.whole), found


def test_killed_at_any_moment_nothing_is_lost(
    prepared: Prepared, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with ThreadPoolExecutor(max_workers=2) as pool:
        hits = Counter(
            pool.map(lambda n: killed_once(prepared, tmp_path / str(n), n), range(KILLS))
        )
    record_property("killed while", ", ".join(f"{h} {n} times" for h, n in sorted(hits.items())))
    assert {hit.partition(",")[0] for hit in hits} == set(PHASES)


@pytest.fixture(scope="module")
def half_written(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which an update was killed when it had changed some files, and others not."""
    folder = tmp_path_factory.mktemp("half")
    for attempt in range(100):
        project = prepared.copy(folder / f"project{attempt}")
        process = start(project)
        seen = identity(project)
        while process.poll() is None and identity(project) == seen:
            pass
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.wait()
        if phase(project) == "writing" and written(prepared, project) and missing(project):
            return project
        shutil.rmtree(project)
    raise AssertionError("no kill hit the writing")


def identity(project: Path) -> int:
    """What changes when a file amid those with a fix does."""
    try:
        return (project / "part2" / "file102.txt").stat().st_ino
    except FileNotFoundError:
        return 0


def written(prepared: Prepared, project: Path) -> list[str]:
    """Return the files that the killed update has changed already."""
    return [
        path
        for path, entry in state(project).entries.items()
        if path in prepared.before.entries
        and entry != prepared.before.entries[path]
        and path.startswith("part")
        and not path.endswith(("part8", "part9"))
    ]


def missing(project: Path) -> bool:
    """Whether a file has not got its fix yet."""
    return b"fixed" not in (project / "part6" / "file96.txt").read_bytes()


@pytest.fixture
def half(half_written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(half_written, tmp_path / "half", symlinks=True))


CHANGES: dict[str, Callable[[bytes], bytes | None]] = {
    "edited": lambda text: text + LINE,
    "shortened": lambda text: text[:20],
    "emptied": lambda _: b"",
    "deleted": lambda _: None,
}


@pytest.mark.parametrize("options", [["--abort"], ["--defaults"]], ids=["abort", "next update"])
@pytest.mark.parametrize("how", CHANGES)
def test_what_was_changed_since_the_kill_is_named_and_kept(
    how: str, options: list[str], prepared: Prepared, half: Path
) -> None:
    path = written(prepared, half)[-1]
    content = CHANGES[how]((half / path).read_bytes())
    (half / path).unlink() if content is None else (half / path).write_bytes(content)
    left = state(half)
    done = gindock("update", *options, cwd=half)
    assert done.code == 2, done
    assert f"\n  {path}\n" in done.stderr
    assert state(half) == left
    # As it says.
    git(half, "checkout", "HEAD", "--", path)
    assert gindock("update", "--abort", cwd=half).code == 0
    assert state(half) == prepared.before


def test_what_was_added_since_the_kill_is_kept(prepared: Prepared, half: Path) -> None:
    (half / "new" / "mine.txt").parent.mkdir(exist_ok=True)
    (half / "new" / "mine.txt").write_bytes(LINE)
    assert gindock("update", "--abort", cwd=half).code == 0
    assert (half / "new" / "mine.txt").read_bytes() == LINE
    shutil.rmtree(half / "new")
    assert state(half) == prepared.before


def test_what_was_staged_since_the_kill_is_named_and_kept(prepared: Prepared, half: Path) -> None:
    path = written(prepared, half)[-1]
    text = (half / path).read_bytes()
    (half / path).write_bytes(text + LINE)
    git(half, "add", path)
    (half / path).write_bytes(text)
    left = state(half)
    done = gindock("update", "--abort", cwd=half)
    assert (done.code, f"\n  {path}\n" in done.stderr) == (2, True), done
    assert state(half) == left
    git(half, "restore", "--staged", path)
    assert gindock("update", "--abort", cwd=half).code == 0
    assert state(half) == prepared.before


def test_what_a_bot_staged_of_the_half_is_undone(prepared: Prepared, half: Path) -> None:
    git(half, "add", "--all", "--", "part0", "part2", ".copier-answers.yml")
    assert gindock("update", "--abort", cwd=half).code == 0
    assert state(half) == prepared.before


@pytest.fixture
def committed(half: Path) -> Path:
    """The project after a bot has committed the half."""
    git(half, "add", "--all")
    git(half, "commit", "-qm", "A bot's")
    return half


def finish(project: Path, *options: str, code: int = 3) -> str:
    """Finish the update of `project`; return what gindock says."""
    done = gindock("update", "--defaults", *options, cwd=project)
    assert done.code == code, done
    commit = git(project, "rev-parse", "--short", "HEAD")
    assert f"of which commit {commit} holds a part" in done.stdout
    assert "undone" not in done.stdout
    return done.stdout


def check_notes(project: Path, *words: str) -> None:
    """The status says these words of an interrupted update."""
    told = json.loads(gindock("status", "--json", cwd=project).stdout)["notes"]
    notes = [note for note in told if "interrupted" in note]
    assert len(notes) == bool(words)
    assert all(word in notes[0] for word in words)


def test_an_update_that_was_committed_over_is_finished(prepared: Prepared, committed: Path) -> None:
    commit = git(committed, "rev-parse", "--short", "HEAD")
    left = state(committed)
    check_notes(committed, commit, "v2.0.0")
    said = finish(committed, "--diff")
    assert "Would finish the update from v1.0.0 to v2.0.0" in said
    assert "+++ b/part6/file96.txt" in said
    done = gindock("update", "--abort", cwd=committed)
    assert done.code == 2
    assert f"git revert {commit}" in done.stderr
    assert state(committed) == left
    said = finish(committed)
    assert "  updated    part6/file96.txt\n" in said
    assert "  conflict   part0/file0.txt (both changed the same lines)\n" in said
    assert state(committed).entries == prepared.whole.entries
    git(committed, "checkout", "--ours", "part0/file0.txt")
    assert "mine 0" in (committed / "part0" / "file0.txt").read_text()
    git(committed, "add", "--all")
    git(committed, "commit", "-qm", "Finished")
    assert gindock("update", cwd=committed).stdout == "Already at v2.0.0.\n"
    check_notes(committed)


@pytest.mark.parametrize("back", [["gindock", "update", "--abort"], ["git", "reset", "--hard"]])
def test_the_rest_of_an_update_can_be_undone_and_had_again(
    back: list[str], prepared: Prepared, committed: Path
) -> None:
    before = state(committed)
    finish(committed)
    run([SCRIPTS / "gindock" if back[0] == "gindock" else "git", *back[1:]], committed)
    assert state(committed) == before
    done = gindock("update", "--json", "--to", "current", cwd=committed)
    assert json.loads(done.stdout)["finished"] == git(committed, "rev-parse", "--short", "HEAD")
    assert state(committed).entries == prepared.whole.entries


def test_a_commit_that_is_reverted_leaves_nothing_to_finish(
    prepared: Prepared, committed: Path
) -> None:
    git(committed, "revert", "--no-edit", "HEAD")
    (committed / "notes.txt").write_text(UNTRACKED["notes.txt"])
    assert gindock("update", "--defaults", cwd=committed).code == 3
    assert state(committed).entries == prepared.whole.entries


def test_edits_since_a_half_was_committed_stand(prepared: Prepared, committed: Path) -> None:
    arrived, deleted = written(prepared, committed)[1:3]
    texts = {
        arrived: re.sub("fixed", "fixed, mine", (committed / arrived).read_text()),
        "part6/file96.txt": LINE.decode() + (committed / "part6" / "file96.txt").read_text(),
        "part6/file86.txt": (committed / "part6" / "file86.txt")
        .read_text()
        .replace("86-7 ", "86-7 mine"),
    }
    for path, text in texts.items():
        (committed / path).write_text(text)
    (committed / deleted).unlink()
    git(committed, "commit", "-qam", "Mine")
    done = gindock("update", "--defaults", cwd=committed)
    assert "  conflict   part6/file86.txt (both changed the same lines)\n" in done.stdout
    assert "  merged     part6/file96.txt\n" in done.stdout
    assert (committed / arrived).read_text() == texts[arrived]
    assert not (committed / deleted).exists()
    merged = texts["part6/file96.txt"].replace("96-7 \n", "96-7 fixed\n")
    assert (committed / "part6" / "file96.txt").read_text() == merged
    assert "<<<<<<< yours\n86-7 mine\n" in (committed / "part6" / "file86.txt").read_text()


def test_an_edit_amid_the_writing_is_kept(tmp_path: Path) -> None:
    case = Case("gindock", tmp_path, "")
    case.releases({"a.txt": TEXT, "z.txt": TEXT}, {"a.txt": FIXED, "z.txt": FIXED})
    # An editor that saves while git writes.
    case.git("config", "filter.slow.smudge", "echo mine, meanwhile >z.txt; cat")
    case.edit({".gitattributes": "a.txt filter=slow\n"})
    before = read(case.project)
    done = gindock("update", cwd=case.project)
    assert (done.code, "z.txt" in done.stderr) == (1, True), done
    assert read(case.project) == {**before, "z.txt": "mine, meanwhile\n"}
    assert case.git("status", "--porcelain") == " M z.txt\n"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder = small_disk(tmp_path / "disk", size="64m")
    yield folder
    run(["umount", folder], tmp_path)


@pytest.mark.parametrize("mounted", ["project", "folder in it"])
def test_another_file_system_is_written_to(mounted: str, disk: Path, tmp_path: Path) -> None:
    case = Case("gindock", tmp_path, "")
    files = ("a.txt", "disk/b.txt")
    case.releases(dict.fromkeys(files, TEXT), dict.fromkeys(files, FIXED))
    if mounted == "project":
        case.git("worktree", "add", "-q", disk / "linked")
        case.project = disk / "linked"
    else:
        run(["mount", "--bind", disk, case.project / "disk"], tmp_path)
        case.git("checkout", "--", ".")
    try:
        before = read(case.project)
        assert gindock("update", cwd=case.project).code == 0
        assert {path: read(case.project)[path] for path in files} == dict.fromkeys(files, FIXED)
        assert gindock("update", "--abort", cwd=case.project).code == 0
        assert read(case.project) == before
        assert case.git("status", "--porcelain", "--ignored") == ""
    finally:
        run(["umount", case.project / "disk"], tmp_path, ok=False)


def test_a_full_disk_changes_nothing(
    prepared: Prepared, disk: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    ends: Counter[str] = Counter()
    for spare in (0, 256, 512, 1024, 1536, 1792, 2048, 2304, 2432, 2560, 2816, 3072):
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
