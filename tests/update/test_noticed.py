"""What is easily missed beside an update or a status, and is therefore told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from helpers.commands import gindock
from helpers.machine import run
from helpers.update_cases import ANSWERS, FIXED, TEXT, Case


def own_template(case: Case) -> Path:
    """The template of `case`, to be changed: a copy, which the project records."""
    recorded = yaml.safe_load((case.project / ANSWERS).read_text())["_src_path"]
    template = shutil.copytree(recorded, case.folder / "own-template")
    case.record("_src_path", str(template))
    return template


def notes(command: str, case: Case, **env: str) -> list[str]:
    done = gindock(*command.split(), "--json", cwd=case.project, env=env)
    assert done.code in (0, 3), done
    return list(json.loads(done.stdout)["notes"])


def test_a_record_has_its_version_once(case: Case) -> None:
    """Whatever attributes the project has for YAML, and whatever stands beside the version."""
    case.releases()
    text = (case.project / ANSWERS).read_text()
    pinned = text.replace("_commit: v1.0.0\n", "_commit: v1.0.0  # pinned by ada\n")
    case.edit({ANSWERS: pinned, ".gitattributes": "*.yml merge=union\n"})
    done = gindock("update", cwd=case.project)
    assert done.code == 0
    assert f"updated    {ANSWERS} (what you had changed in it is in git)" in done.stdout
    assert (case.project / ANSWERS).read_text() == text.replace("v1.0.0", "v2.0.0")
    # So is one that has it twice already.
    case.edit({ANSWERS: text.replace("v1.0.0\n", "v1.0.0\n_commit: v1.0.0\n")})
    assert gindock("update", cwd=case.project).code == 0
    assert (case.project / ANSWERS).read_text().count("_commit") == 1


def test_an_ignored_file_on_disk_is_not_called_deleted(case: Case) -> None:
    case.releases({"a.txt": TEXT, "b.txt": TEXT}, {"a.txt": FIXED, "b.txt": FIXED})
    case.edit({".gitignore": "a.txt\n", "b.txt": None})
    case.git("rm", "-q", "--cached", "a.txt")
    case.git("commit", "-qm", "Local")
    done = gindock("update", cwd=case.project)
    assert done.code == 0
    said = "  kept yours {} ({}, and the template changed it)\n"
    assert said.format("a.txt", "git does not have yours") in done.stdout
    assert said.format("b.txt", "you deleted it") in done.stdout
    assert (case.project / "a.txt").read_text() == TEXT


@pytest.mark.parametrize("command", ["update --diff", "update --to current", "status"])
def test_uncommitted_changes_of_a_local_template_are_told(command: str, case: Case) -> None:
    case.releases()
    template = own_template(case)
    assert notes(command, case) == []
    (template / "template" / "more.txt").write_text("more\n")
    note = (
        f"the template in {template} has uncommitted changes, which are in no version of it; "
        "commit them there to have them"
    )
    assert notes(command, case) == [note]


def test_a_template_in_the_home_folder_is_found(case: Case) -> None:
    case.releases()
    own_template(case)
    case.record("_src_path", "~/own-template")
    home = {"HOME": str(case.folder)}
    told = json.loads(gindock("status", "--json", cwd=case.project, env=home).stdout)
    assert (told["newest"], told["drift"]["changed"], told["problems"]) == ("v2.0.0", [], [])
    done = gindock("update", cwd=case.project, env=home)
    assert done.code == 0, done
    assert (case.project / "a.txt").read_text() == FIXED
    assert "_src_path: ~/own-template\n" in (case.project / ANSWERS).read_text()


def test_a_version_that_is_another_commit_now_is_told(case: Case) -> None:
    tag = ("git", "tag", "-f", "-m", "v1")  # With a message, it is no commit itself.
    case.releases()
    template = own_template(case)
    run([*tag, "v1.0.0", "v1.0.0^{}"], template)
    svc = ("--template", str(template), "--ref", "v1.0.0", "-y")
    assert gindock("new", "svc", *svc, cwd=case.folder).code == 0
    case.project = case.folder / "svc"
    assert [*notes("status", case), *notes("update --diff", case)] == []
    run(["git", "checkout", "-q", "-b", "again", "v1.0.0"], template)
    (template / "template" / "a.txt").write_text(f"{TEXT}re-pointed\n")
    run(["git", "commit", "-qam", "Another"], template)
    run([*tag, "v1.0.0"], template)
    for command in ("status", "update --diff"):
        [note] = notes(command, case)
        assert note.startswith("the template's v1.0.0 is another commit (")
    # Of a machine that sees it now, nothing is known.
    env = {"GINDOCK_CACHE_DIR": str(case.folder / "another-machine")}
    assert notes("status", case, **env) == []
