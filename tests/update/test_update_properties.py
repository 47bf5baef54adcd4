"""Whatever the user and the template did: no line that the user wrote is lost in an update."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import copier
import pytest
import yaml
from helpers.commands import gindock
from helpers.file_trees import EXECUTABLE, LINK, PLAIN, File, Tree, snapshot, write
from helpers.machine import git
from hypothesis import HealthCheck, Phase, example, find, given, settings
from hypothesis import strategies as st

from gindock.errors import UserError
from gindock.updating.request import UpdateRequest
from gindock.updating.run import update

ANSWERS_FILE = ".copier-answers.yml"
# -- edits -----------------------------------------------------------------------------------

#: What files are added as, or renamed to, by the user as by the template. What begins with
#: "feature" or "plain" is rendered where the answer `feature` is true, or false.
NAMES = [
    "new.txt",
    "src/new.txt",
    "src/deep/new.txt",
    "docs/ünï [x].md",
    "clash",
    "clash/inner.txt",
    "feature-new.txt",
    ".env",
]
FOLDERS = ["lib", "docs/inner", "clash"]
KINDS = ["insert", "replace", "delete lines", "rename", "move", "remove", "add", "chmod",
         "crlf", "no newline", "binary", "link"]  # fmt: skip


class Edit(NamedTuple):
    """One edit; which file or folder of those that there are, and where in it."""

    kind: str
    which: int
    where: int
    name: str


def edited(tree: Tree, edits: Sequence[Edit], who: str) -> Tree:
    """Return `tree` after `edits`; every line that they write begins with `who` and is unique."""
    tree = dict(tree)
    for number, edit in enumerate(edits):
        _edit(tree, edit, f"{who} {number} {edit.kind}".encode())
    return tree


def _edit(tree: Tree, edit: Edit, mark: bytes) -> None:
    files = sorted(path for path in tree if path != ANSWERS_FILE)
    texts = [path for path in files if tree[path].text]
    folders = sorted({path.rpartition("/")[0] for path in files} - {""})
    if edit.kind in ("add", "link"):
        added = File(PLAIN, b"".join(b"%s %d\n" % (mark, n) for n in range(5)))
        if free(tree, edit.name):
            tree[edit.name] = added if edit.kind == "add" else File(LINK, mark)
    elif edit.kind == "move" and folders:
        old, new = folders[edit.which % len(folders)], FOLDERS[edit.where % len(FOLDERS)]
        if free(tree, new) and not new.startswith(f"{old}/"):
            for path in [path for path in files if path.startswith(f"{old}/")]:
                tree[new + path.removeprefix(old)] = tree.pop(path)
    elif edit.kind in ("rename", "remove", "chmod") and files:
        path = files[edit.which % len(files)]
        file = tree.pop(path)
        if edit.kind == "rename":
            tree[edit.name if free(tree, edit.name) else path] = file
        elif edit.kind == "chmod":
            modes = {PLAIN: EXECUTABLE, EXECUTABLE: PLAIN, LINK: LINK}
            tree[path] = File(modes[file.mode], file.content)
    elif texts:
        path = texts[edit.which % len(texts)]
        tree[path] = tree[path]._replace(content=_rewritten(tree[path].content, edit, mark))


def _rewritten(content: bytes, edit: Edit, mark: bytes) -> bytes:
    if edit.kind == "binary":
        return b"\0\xff\n" + mark + b"\n" + content
    if edit.kind == "crlf":
        content = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    end = b"\r\n" if b"\r\n" in content else b"\n"
    lines = content.splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        lines[-1] += end
    if edit.kind == "no newline":
        return b"".join([*lines, mark])
    at, count = edit.where % (len(lines) + 1), edit.which % 3 + 1
    new = [] if edit.kind == "delete lines" else [b"%s %d%s" % (mark, n, end) for n in range(count)]
    replaced = 0 if edit.kind in ("insert", "crlf") else count
    return b"".join([*lines[:at], *new, *lines[at + replaced :]])


def free(tree: Tree, name: str) -> bool:
    """Whether a file or folder can be called `name` beside those of `tree`."""
    return not any(clash(name, path) for path in tree)


def clash(one: str, other: str) -> bool:
    """Whether two paths cannot both be files."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


EDITS = st.lists(
    st.builds(
        Edit,
        kind=st.sampled_from(KINDS),
        which=st.integers(0, 11),
        where=st.integers(0, 11),
        name=st.sampled_from(NAMES),
    ),
    min_size=1,
    max_size=8,
)
ANSWERS = {"feature": st.booleans(), "flavour": st.sampled_from(["sweet", "sour"])}


@dataclass(frozen=True)
class Scenario:
    """What the user and the template did since the project was rendered."""

    answers: Mapping[str, Any]
    template: Sequence[Edit]
    mine: Sequence[Edit]
    changed: Mapping[str, Any]
    """The answers that are given anew."""
    untracked: Sequence[str]
    """The user's files that git does not have; what begins with a dot is ignored."""


SCENARIOS = st.builds(
    Scenario,
    answers=st.fixed_dictionaries(ANSWERS),
    template=EDITS,
    mine=EDITS,
    changed=st.just({}) | st.fixed_dictionaries({}, optional=ANSWERS),
    untracked=st.lists(st.sampled_from(NAMES), max_size=2),
)


# -- the template ----------------------------------------------------------------------------


def _lines(name: str, *more: str) -> bytes:
    # No two lines alike: what is similar would be taken for a rename.
    digests = [hashlib.sha256(f"{name}{n}".encode()).hexdigest()[:20] for n in range(10)]
    return "".join(f"{line}\n" for line in [*digests[:5], *more, *digests[5:]]).encode()


FIRST: Tree = {
    "README.md": File(PLAIN, _lines("README.md", "flavour: {{ flavour }}")),
    "feature.txt": File(PLAIN, _lines("feature.txt", "flavour: {{ flavour }}")),
    "plain.txt": File(PLAIN, _lines("plain.txt")),
    "run.sh": File(EXECUTABLE, _lines("run.sh")),
    "logo.bin": File(PLAIN, b"\0\xff" + _lines("logo.bin")),
    "crlf.txt": File(PLAIN, _lines("crlf.txt").replace(b"\n", b"\r\n")),
    "no-newline.txt": File(PLAIN, _lines("no-newline.txt").rstrip()),
    "src/one.txt": File(PLAIN, _lines("one.txt")),
    "src/two.txt": File(PLAIN, _lines("two.txt")),
    "src/deep/three.txt": File(PLAIN, _lines("three.txt")),
    "docs/four.md": File(PLAIN, _lines("four.md", "flavour: {{ flavour }}")),
}

_COPIER = """\
_subdirectory: template
_preserve_symlinks: true
feature: {type: bool, default: true}
flavour: {type: str, choices: [sweet, sour]}
"""
_MORE = "extra: {type: str, default: plain}\n"


def substituted(file: File) -> bool:
    """Whether the template's `file` has answers in it; Jinja reads CRLF as a line feed."""
    return b"{{" in file.content and file.text and b"\r" not in file.content


def templated(tree: Tree, questions: str) -> Tree:
    """Return the repository of a template that renders `tree`."""
    files = {
        "copier.yml": File(PLAIN, questions.encode()),
        "template/{{ _copier_conf.answers_file }}.jinja": File(
            PLAIN, b"{{ _copier_answers|to_nice_yaml }}"
        ),
    }
    for path, file in tree.items():
        folder, slash, name = path.rpartition("/")
        if name.startswith(("feature", "plain")):
            wanted = "feature" if name.startswith("feature") else "not feature"
            name = f"{{% if {wanted} %}}{name}{{% endif %}}"
        files[f"template/{folder}{slash}{name}{'.jinja' if substituted(file) else ''}"] = file
    return files


def rendered(tree: Tree, answers: Mapping[str, Any]) -> Tree:
    """Return what Copier makes of `tree`."""
    off = "plain" if answers["feature"] else "feature"
    flavour = answers["flavour"].encode()
    return {
        path: file._replace(content=file.content.replace(b"{{ flavour }}", flavour))
        if substituted(file)
        else file
        for path, file in tree.items()
        if not path.rpartition("/")[2].startswith(off)
    }


# -- a project and its update ----------------------------------------------------------------


@dataclass(frozen=True)
class Project:
    """A project with its user's edits, and the three trees that an update merges."""

    folder: Path
    scenario: Scenario
    base: Tree
    mine: Tree
    theirs: Tree
    untracked: Tree
    answers: Mapping[str, Any]
    """What the answers file records after the update."""


def made(scenario: Scenario, folder: Path) -> Project:
    """Release the template twice, render its first release, and commit the user's edits."""
    template, project = folder / "template", folder / "project"
    template.mkdir(parents=True)
    git(template, "init", "-q")
    second = edited(FIRST, scenario.template, "theirs")
    for version, tree, more in (("v1.0.0", FIRST, ""), ("v2.0.0", second, _MORE)):
        write(template, templated(tree, _COPIER + more))
        git(template, "add", "--all", "--force")
        git(template, "commit", "-qm", version)
        git(template, "tag", version)
    copier.run_copy(
        str(template),
        project,
        data=dict(scenario.answers),
        defaults=True,
        vcs_ref="v1.0.0",
        quiet=True,
        settings=copier.Settings(),
    )
    base = snapshot(project)
    assert {p: f for p, f in base.items() if p != ANSWERS_FILE} == rendered(FIRST, scenario.answers)
    git(project, "init", "-q")
    (project / ".git" / "info" / "exclude").write_text(".*\n!.copier*\n")
    git(project, "add", "--all", "--force")
    git(project, "commit", "-qm", "Rendered")
    mine = edited(base, scenario.mine, "mine")
    write(project, mine)
    git(project, "add", "--all", "--force")
    git(project, "commit", "-qm", "Mine", "--allow-empty")
    untracked: Tree = {}
    for number, name in enumerate(scenario.untracked):
        if free({**mine, **untracked}, name):
            untracked[name] = File(PLAIN, b"mine, untracked %d\n" % number)
    for name, file in untracked.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(file.content)
    assert snapshot(project) == {**mine, **untracked}
    answers = {**scenario.answers, **scenario.changed}
    recorded = {"_commit": "v2.0.0", "_src_path": str(template), **answers, "extra": "plain"}
    theirs = rendered(second, answers)
    return Project(project, scenario, base, mine, theirs, untracked, recorded)


def assigned(project: Project) -> dict[str, str]:
    """Return the answers that change, as the user spells them."""
    return {key: str(value) for key, value in project.scenario.changed.items()}


def in_process(project: Project) -> int:
    """Update as the command does; return its exit code."""
    answers = {key: [text] for key, text in assigned(project).items()}
    return update(UpdateRequest(project.folder, assigned=answers)).exit_code


def by_command(project: Project) -> int:
    """Update with the installed command; return its exit code."""
    changed = [f"--set={key}={value}" for key, value in assigned(project).items()]
    done = gindock("update", "--defaults", *changed, cwd=project.folder)
    if done.code not in (0, 3):
        raise UserError(done.stderr)
    return done.code


def plain_copier(project: Project) -> int:
    """Update with Copier alone."""
    copier.run_update(
        project.folder,
        data=dict(project.scenario.changed),
        defaults=True,
        overwrite=True,
        quiet=True,
        settings=copier.Settings(),
    )
    return 0


def lost(mine: Tree, left: Sequence[File]) -> set[bytes]:
    """Return the lines that the user wrote, and the files that are no text, that are not `left`."""
    written = {
        line
        for file in mine.values()
        for line in file.content.split(b"\n")
        if line.startswith(b"mine ")
    }
    kept = {line for file in left for line in file.content.split(b"\n")}
    # Within markers git ends a last line that had no end, as the other lines do.
    kept |= {line.removesuffix(b"\r") for line in kept}
    binaries = {f.content for f in mine.values() if not f.text and b"mine " in f.content}
    return (written - kept) | (binaries - {file.content for file in left})


def staged(project: Path) -> list[File]:
    """Return every file in the index; of one in conflict, the user's."""
    with tempfile.TemporaryDirectory(prefix="gindock-property-") as folder:
        for stage in ([], ["--stage=2"]):
            git(
                project,
                "checkout-index",
                "--all",
                "--quiet",
                *stage,
                f"--prefix={folder}/{len(stage)}/",
            )
        return list(snapshot(Path(folder)).values())


def paths(project: Path, *command: str) -> set[str]:
    """Return the paths that a git command prints."""
    return set(git(project, *command, "--name-only", "-z").split("\0")) - {""}


def check(project: Project, update: Callable[[Project], int]) -> str:
    """Update the project, and see that every promise is kept; return how the update ended."""
    folder = project.folder
    before, status = snapshot(folder), git(folder, "status", "--porcelain", "--ignored")
    try:
        code = update(project)
    except UserError as error:
        check_refused(project, str(error))
        assert snapshot(folder) == before
        assert git(folder, "status", "--porcelain", "--ignored") == status
        return "refused"
    after = snapshot(folder)
    assert lost(project.mine, list(after.values())) == set()
    assert lost(project.mine, staged(folder)) == set()
    check_untouched(project, after)
    assert yaml.safe_load(after[ANSWERS_FILE].content) == project.answers

    unmerged = paths(folder, "diff", "--diff-filter=U")
    assert code == (3 if unmerged else 0)
    assert paths(folder, "diff") == unmerged
    others = git(folder, "ls-files", "--others", "-z").split("\0")
    assert set(others) - {""} == project.untracked.keys()

    check_no_news(project)
    git(folder, "reset", "-q", "--hard")
    assert snapshot(folder) == before
    assert git(folder, "status", "--porcelain", "--ignored") == status
    return "conflicts" if unmerged else "clean"


def check_refused(project: Project, message: str) -> None:
    """Only a file that git does not have stops an update, and it is named."""
    named = [name for name in project.untracked if f"  {name}\n" in message]
    assert named, message
    moved = {"rename", "move"} & {
        e.kind for e in (*project.scenario.mine, *project.scenario.template)
    }
    if not moved:
        assert all(any(clash(name, path) for path in project.theirs) for name in named), message


def check_untouched(project: Project, after: Tree) -> None:
    """What the user left alone is as the template now has it; what the template added is there."""
    base, mine, theirs = project.base, project.mine, project.theirs
    for path in base.keys() - {ANSWERS_FILE}:
        if mine.get(path) == base[path]:
            assert after.get(path) == theirs.get(path), path
    if any(path not in mine and path not in theirs for path in base):
        return  # What was added may be taken for that, renamed.
    left = {line for file in after.values() for line in file.content.split(b"\n")}
    for path, file in theirs.items():
        if path not in base and path not in mine and file.text:
            added = {line for line in file.content.split(b"\n") if line.startswith(b"theirs ")}
            assert added <= left, path


def check_no_news(project: Project) -> None:
    """Once the update is committed, the next one has nothing to do."""
    again = project.folder.with_name("again")
    shutil.copytree(project.folder, again, symlinks=True)
    git(again, "add", "--all")
    git(again, "commit", "-qm", "Updated", "--no-verify")
    before = snapshot(again)
    done = update(UpdateRequest(again))
    assert done.before == done.after == "v2.0.0"
    assert not done.files
    assert snapshot(again) == before
    assert git(again, "status", "--porcelain") == ""


#: The template gives a file, which the user made a binary, the name of another one of the user's.
ONTO_THE_USERS = Scenario(
    answers={"feature": True, "flavour": "sweet"},
    template=[Edit("rename", sorted(FIRST).index("run.sh"), 0, ".env")],
    mine=[Edit("binary", 5, 0, "run.sh"), Edit("add", 0, 0, ".env")],
    changed={},
    untracked=[],
)

# -- the promise -----------------------------------------------------------------------------

#: More of them, and others each time, are tried by `GINDOCK_EXAMPLES=1000 make test ARGS=…`.
ASKED = os.environ.get("GINDOCK_EXAMPLES")
PROFILE = settings(
    max_examples=int(ASKED or 50),
    derandomize=ASKED is None,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(
    ("update", "profile"),
    [(in_process, PROFILE), (by_command, settings(PROFILE, max_examples=5))],
    ids=["in process", "by the command"],
)
def test_every_line_of_the_users_is_in_the_result_or_within_markers(
    update: Callable[[Project], int],
    profile: settings,
    record_property: Callable[[str, object], None],
) -> None:
    ends: Counter[str] = Counter()

    @profile
    @given(SCENARIOS)
    @example(ONTO_THE_USERS)
    def holds(scenario: Scenario) -> None:
        with tempfile.TemporaryDirectory(prefix="gindock-property-") as folder:
            ends[check(made(scenario, Path(folder)), update)] += 1

    holds()
    record_property("ended", ", ".join(f"{end} {n} times" for end, n in sorted(ends.items())))
    if update is in_process:
        assert ends.keys() == {"clean", "conflicts", "refused"}


def test_plain_copier_is_caught_losing_a_line() -> None:
    """The property can fail."""

    def loses(scenario: Scenario) -> bool:
        with tempfile.TemporaryDirectory(prefix="gindock-property-") as folder:
            # Copier calls a project dirty that has untracked files.
            project = made(replace(scenario, untracked=()), Path(folder))
            try:
                plain_copier(project)
            except OSError:
                return False  # It broke off, and said so.
            return lost(project.mine, list(snapshot(project.folder).values())) != set()

    tries = settings(
        PROFILE,
        max_examples=100,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    assert find(SCENARIOS, loses, settings=tries)
