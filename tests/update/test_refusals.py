"""The exit code of a refusal: 2, where the project is not ready and nothing was begun."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from helpers.commands import gindock
from helpers.update_cases import AGAINST, ANSWERS, LINK, TEXT, Case, read

OWN = "git+gindock::template"


def in_conflict(case: Case) -> None:
    case.edit({"a.txt": AGAINST})
    assert gindock("update", cwd=case.project).code == 3


def edited_since(case: Case) -> None:
    assert gindock("update", cwd=case.project).code == 0
    (case.project / "a.txt").write_text("mine since\n")


def staged_since(case: Case) -> None:
    edited_since(case)
    case.git("add", "a.txt")
    (case.project / "a.txt").write_text(TEXT)


def answers_not_committed(case: Case) -> None:
    case.git("rm", "-q", "--cached", ANSWERS)
    case.git("commit", "-qm", "Mine")


def recorded(url: str, version: str) -> Callable[[Case], None]:
    def record(case: Case) -> None:
        case.record("_src_path", url)
        case.record("_commit", version)

    return record


def text(path: str, content: str) -> Callable[[Case], object]:
    return lambda case: (case.project / path).write_text(content)


def git(*arguments: str) -> Callable[[Case], object]:
    return lambda case: case.git(*arguments)


def a_link(case: Case) -> None:
    case.edit({ANSWERS: f"{LINK}real.yml", "real.yml": (case.project / ANSWERS).read_text()})


@pytest.mark.parametrize(
    ("prepare", "command", "message"),
    [
        (text("a.txt", "mine\n"), "update", "has uncommitted changes"),
        (git("update-ref", "-d", "HEAD"), "update", "has no commit yet"),
        (lambda case: shutil.rmtree(case.project / ".git"), "update", "is not in git"),
        (git("update-ref", "MERGE_HEAD", "HEAD"), "update", "in the middle of a merge"),
        (in_conflict, "update", "resolve and commit them"),
        (text("new.txt", "mine\n"), "update", "Move it away, or commit it"),
        (text("new.txt", "mine\n"), "update --diff", "Move it away, or commit it"),
        (a_link, "update", "is a link"),
        (answers_not_committed, "update", "commit it first"),
        (text(ANSWERS, "'"), "update", "restore it from git"),
        (text(ANSWERS, "'"), "status", "restore it from git"),
        (recorded(OWN, "v999.0.0"), "update", "install gindock 999.0.0 or newer"),
        (recorded(OWN, "v0.1.1.dev0+g0123456789ab"), "update", "render it anew"),
        (edited_since, "update --abort", "cannot be undone"),
        (staged_since, "update --abort", "cannot be undone"),
        (git("status"), "update --to v1.5.0", "v1.5.0"),
        (git("status"), "update --template nowhere", "there is no folder nowhere"),
        (git("status"), "update --set nothing=1", "no such question"),
    ],
)
def test_what_is_refused_has_exit_code_2(
    prepare: Callable[[Case], object], command: str, message: str, case: Case
) -> None:
    case.releases({"a.txt": TEXT}, {"a.txt": f"{TEXT}more\n", "new.txt": "new\n"})
    prepare(case)
    before = read(case.project)
    done = gindock(*command.split(), cwd=case.project)
    assert (done.code, done.stdout) == (2, ""), done
    assert message in done.stderr
    assert read(case.project) == before


@pytest.mark.parametrize("command", ["update", "update --diff"])
def test_what_fails_on_the_way_has_exit_code_1(command: str, case: Case) -> None:
    case.releases()
    case.record("_src_path", str(case.folder / "gone.git"))
    done = gindock(*command.split(), cwd=case.project)
    assert (done.code, "check its address" in done.stderr) == (1, True), done
    case.record("_src_path", "https://127.0.0.1:1/template.git")
    done = gindock(*command.split(), cwd=case.project)
    assert (done.code, "check its address" in done.stderr) == (1, True), done
