"""Projects with several answers files, or one of another name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from helpers.commands import gindock
from helpers.machine import run
from helpers.update_cases import ANSWERS, FIXED, MINE, TEXT, Case, write

SECOND = ".copier-answers.b.yml"
NOTE = f"also has {SECOND}, of another template: `gindock update --answers-file {SECOND}`"


def second_template(folder: Path) -> Path:
    """Another template, with two releases, whose record is the second one."""
    template = folder / "second"
    template.mkdir()
    run(["git", "init", "-q"], template)
    for number, text in enumerate((TEXT, FIXED), 1):
        write(
            template,
            {
                "copier.yml": "_subdirectory: template\n",
                "template/{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers|to_nice_yaml }}",
                "template/b.txt": text,
            },
        )
        run(["git", "add", "--all"], template)
        run(["git", "commit", "-qm", f"v{number}"], template)
        run(["git", "tag", f"v{number}.0.0"], template)
    return template


@pytest.fixture
def both(case: Case) -> Case:
    """A project of two templates, each with a fix to come."""
    case.releases()
    template = second_template(case.folder)
    case.edit({SECOND: f"_commit: v1.0.0\n_src_path: {template}\n", "b.txt": TEXT})
    return case


def version(case: Case, file: str) -> str:
    return str(yaml.safe_load((case.project / file).read_text())["_commit"])


def test_each_is_updated_by_its_name(both: Case) -> None:
    both.edit({"a.txt": MINE, "b.txt": MINE})
    (both.project / "in").mkdir()
    done = gindock("update", "--answers-file", SECOND, "--commit", cwd=both.project / "in")
    assert done.code == 0, done
    assert (version(both, ANSWERS), version(both, SECOND)) == ("v1.0.0", "v2.0.0")
    assert (both.project / "a.txt").read_text() == MINE
    assert "seven, fixed" in (both.project / "b.txt").read_text()
    assert f"Note: also has {ANSWERS}, of another template" in done.stderr
    done = gindock("update", cwd=both.project)
    assert (done.code, done.stderr) == (0, f"Note: {NOTE}\n")
    assert (version(both, ANSWERS), version(both, SECOND)) == ("v2.0.0", "v2.0.0")
    done = gindock("update", "--abort", cwd=both.project)
    assert (done.code, version(both, ANSWERS)) == (0, "v1.0.0")


def test_the_others_are_told(both: Case) -> None:
    told = json.loads(gindock("status", "--json", cwd=both.project).stdout)
    assert (told["version"], told["notes"]) == ("v1.0.0", [NOTE])
    assert told["drift"]["rendered"] == 1
    command = ("status", "--json", "--answers-file", SECOND)
    told = json.loads(gindock(*command, cwd=both.project).stdout)
    assert told["template"].endswith("/second")
    assert told["drift"] == {"rendered": 1, "changed": [], "moved": {}, "deleted": []}
    done = gindock("update", both.folder, cwd=both.folder)
    assert NOTE in done.stdout
    assert json.loads(gindock("update", "--json", "--diff", cwd=both.project).stdout)["error"]


def test_one_of_another_name_is_found_where_it_is_named(case: Case) -> None:
    case.releases()
    named = "config/template.yml"
    text = (case.project / ANSWERS).read_text()
    case.edit({ANSWERS: None, named: text})
    for command in ("update", "status"):
        done = gindock(command, cwd=case.project)
        assert (done.code, "--answers-file" in done.stderr) == (2, True), done
    told = json.loads(gindock("status", "--json", "--answers-file", named, cwd=case.project).stdout)
    assert (told["version"], told["behind"]) == ("v1.0.0", True)
    # In a folder of projects, too.
    done = gindock("update", "--answers-file", named, case.folder, cwd=case.folder)
    assert (done.code, "v1.0.0 to v2.0.0" in done.stdout) == (0, True), done
    assert (version(case, named), (case.project / "a.txt").read_text()) == ("v2.0.0", FIXED)
    assert not (case.project / ANSWERS).exists()


@pytest.mark.parametrize("command", ["update", "status"])
@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("nothing.yml", "has no nothing.yml with a version"),
        ("../x.yml", "--answers-file ../x.yml: name a file within the project"),
        ("/tmp/x.yml", "name a file within the project"),
        ("a.txt", "a.txt is no valid answers file"),
    ],
)
def test_a_name_that_is_none_is_refused(named: str, message: str, command: str, case: Case) -> None:
    case.releases()
    done = gindock(command, "--answers-file", named, cwd=case.project)
    assert (done.code, message in done.stderr) == (2, True), done
