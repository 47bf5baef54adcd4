"""`gindock update` as its user sees it: what it says, and its options."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.commands import SCRIPTS, Terminal, gindock
from helpers.every_kind_of_change import MINE_NOW, NEW, OLD, questions
from helpers.machine import run
from helpers.update_cases import (
    AGAINST,
    BOTH,
    FIXED,
    LINK,
    MINE,
    TEXT,
    Case,
    read,
)

SUMMARY = """\
  conflict   a.txt (both changed the same lines)
  merged     b.txt
  merged     moved/c.txt (was c.txt)
  updated    .copier-answers.yml
  added      new.txt
  removed    leaves.txt
  kept yours gone.txt (you deleted it, and the template changed it)

Updated from v1.0.0 to v2.0.0, with conflicts in 1 file. Resolve them, `git add` or `git rm` each file \
and commit, or go back with `git reset --hard`.
"""


def test_the_summary_names_every_file_and_the_way_back(case: Case) -> None:
    case.releases(OLD, NEW)
    case.edit(MINE_NOW)
    done = gindock("update", cwd=case.project)
    assert (done.code, done.stdout, done.stderr) == (3, SUMMARY, "")
    assert (
        "<<<<<<< yours\nseven, mine\n||||||| template-v1.0.0\nseven\n"
        in (case.project / "a.txt").read_text()
    )
    case.git("reset", "--hard", "--quiet")
    assert case.git("status", "--porcelain", "--ignored") == ""


def test_diff_shows_what_would_change_and_writes_nothing(case: Case) -> None:
    case.releases(OLD, NEW)
    case.edit(MINE_NOW)
    before = {path: path.read_bytes() for path in case.project.rglob("*") if path.is_file()}
    done = gindock("update", "--diff", cwd=case.project)
    assert done.code == 3
    assert "+<<<<<<< yours\n" in done.stdout
    assert "rename from c.txt\nrename to moved/c.txt\n" in done.stdout
    assert done.stdout.endswith(
        "\nWould update from v1.0.0 to v2.0.0, with conflicts in 1 file; nothing was written.\n"
    )
    assert "\x1b[" not in done.stdout
    assert {p: p.read_bytes() for p in case.project.rglob("*") if p.is_file()} == before
    with Terminal("update", "--diff", cwd=case.project) as terminal:
        assert terminal.exit_code() == 3
        assert terminal.colours_of("+<<<<<<< yours") == {"green"}


def test_commit_commits_a_clean_result_only(case: Case) -> None:
    case.releases()
    case.edit({"a.txt": MINE})
    done = gindock("update", "--commit", cwd=case.project)
    commit = case.git("rev-parse", "--short", "HEAD").strip()
    assert (done.code, done.stdout.splitlines()[-1]) == (
        0,
        f"Updated from v1.0.0 to v2.0.0, commit {commit}.",
    )
    assert case.git("log", "--format=%s%n%an", "-1") == (
        "Update the template from v1.0.0 to v2.0.0\nTess Tester\n"
    )
    assert case.git("status", "--porcelain") == ""
    assert (case.project / "a.txt").read_text() == BOTH


def test_commit_leaves_a_conflict_to_its_user(case: Case) -> None:
    case.releases()
    case.edit({"a.txt": AGAINST})
    head = case.git("rev-parse", "HEAD")
    assert gindock("update", "--commit", cwd=case.project).code == 3
    assert case.git("rev-parse", "HEAD") == head
    assert case.git("ls-files", "--unmerged") != ""


def test_json_says_it_all(case: Case) -> None:
    case.releases(
        {"a.txt": TEXT, "copier.yml": "size: {type: int, default: 1}"},
        {"a.txt": FIXED, "copier.yml": "size: {type: int, default: 1}"},
    )
    case.edit({"a.txt": AGAINST})
    done = gindock("update", "--json", "--set", "size=2", cwd=case.project)
    result = json.loads(done.stdout)
    assert done.code == result.pop("exit_code") == 3
    assert result.pop("template").endswith("/template")
    assert result == {
        "directory": str(case.project),
        "before": "v1.0.0",
        "after": "v2.0.0",
        "files": [
            {"path": ".copier-answers.yml", "change": "updated", "note": ""},
            {"path": "a.txt", "change": "conflict", "note": "both changed the same lines"},
        ],
        "answers": {"size": {"before": 1, "after": 2}},
        "changelog": "",
        "commit": None,
        "recovered": False,
        "not_run": [],
        "notes": [],
    }
    failed = gindock("update", "--json", cwd=case.project)
    assert failed.code == json.loads(failed.stdout)["exit_code"] == 2
    assert "resolve and commit them" in json.loads(failed.stdout)["error"]


def test_a_folder_within_the_project_will_do(case: Case) -> None:
    files = {"a.txt": TEXT, "in/b.txt": TEXT}
    case.releases(files, {**files, "a.txt": FIXED})
    case.edit({"a.txt": AGAINST})
    assert "behind" in gindock("status", "--json", cwd=case.project / "in").stdout
    done = gindock("update", cwd=case.project / "in")
    assert done.code == 3
    assert "  conflict   a.txt" in done.stdout
    assert "go back with `git -C .. reset --hard`" in done.stdout


def test_the_sides_of_a_conflict_are_named_by_what_changed(case: Case) -> None:
    asked = "size: {type: int, default: 1}"
    files = {"copier.yml": asked, "b.txt": TEXT}
    rendered = TEXT.replace("seven", "seven {{ size }}")
    case.releases({**files, "a.txt.jinja": rendered}, {**files, "a.txt.jinja": rendered})
    case.edit({"a.txt": TEXT.replace("seven", "mine")})
    done = gindock("update", "--to", "current", "--set", "size=2", cwd=case.project)
    assert done.code == 3
    assert "Changed answers, at v1.0.0, with conflicts in 1 file." in done.stdout
    assert (
        (case.project / "a.txt")
        .read_text()
        .endswith(
            "<<<<<<< yours\nmine\n||||||| template-v1.0.0\nseven 1\n=======\nseven 2\n"
            ">>>>>>> template-v1.0.0-new-answers\n"
        )
    )


def test_json_is_json_whatever_the_answers_and_the_encoding_are(case: Case) -> None:
    asked = "since: {type: yaml, default: 2024-01-01}"
    old, new = questions(asked, asked)
    case.releases(old, {**new, "ünï.txt": "new\n"})
    done = gindock("update", "--json", cwd=case.project, env={"PYTHONIOENCODING": "latin-1"})
    assert done.code == 0
    assert "ünï.txt" in {file["path"] for file in json.loads(done.stdout)["files"]}


@pytest.mark.parametrize("how", ["| true", ">&- <&-", "--json | true", "--json >&- <&-"])
def test_the_exit_code_does_not_depend_on_a_reader(how: str, case: Case) -> None:
    case.releases()
    case.edit({"a.txt": AGAINST})
    command = f"set -o pipefail; '{SCRIPTS}/gindock' update . --diff {how}"
    for again in (command, command.replace("--diff", "")):
        done = subprocess.run(["bash", "-c", again], cwd=case.project, capture_output=True)
        assert (done.returncode, done.stderr) == (3, b"")


def test_it_goes_to_the_version_that_is_named(case: Case) -> None:
    case.releases(newest={"a.txt": FIXED + "eight\n"})
    for spelled in ("v2.0.0", "v3.0.0"):
        assert gindock("update", "--commit", "--to", spelled, cwd=case.project).code == 0
        assert f"_commit: {spelled}\n" in (case.project / ".copier-answers.yml").read_text()
    back = gindock("update", "--to", "v1.0.0", cwd=case.project)
    assert back.code == 2
    assert "would be a downgrade from v3.0.0" in back.stderr
    unknown = gindock("update", "--to", "v9", cwd=case.project)
    assert unknown.code == 2
    assert "no version 'v9'" in unknown.stderr
    assert case.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "size"), "write it as question=value"),
        (("--set", "size=1", "--set", "size=2"), "it takes one value, got 1 and 2"),
        (("--set", "size=many"), "--set size: "),
        (("--set", "size=0"), "--set size: too small"),
        (("--set", "colour=red"), "the template has no such question"),
        (("--template", "nowhere"), "there is no folder nowhere"),
        (("--template", ""), "name a template"),
        (("--diff", "--commit"), "choose one"),
        (("--abort", "--set", "size=2"), "--abort goes with no other option"),
        (("--template", "gindock", "--to", "current"), "--to current"),
        (("--template", "gindock", "--to", "0.0.7"), "has no such version"),
    ],
)
def test_bad_input_is_refused(arguments: tuple[str, ...], message: str, case: Case) -> None:
    asked = "size: {type: int, default: 1, validator: '{% if size < 1 %}too small{% endif %}'}"
    case.releases(*questions(asked, asked))
    before = read(case.project)
    done = gindock("update", *arguments, cwd=case.project)
    assert done.code == 2, done
    assert message in done.stderr
    assert read(case.project) == before
    assert case.git("status", "--porcelain", "--ignored") == ""


def test_an_answer_is_changed_without_another_version(case: Case) -> None:
    asked = "size: {type: int, default: 1}"
    case.releases(*questions(asked, asked))
    done = gindock("update", "--to", "current", "--set", "size=2", cwd=case.project)
    assert done.code == 0
    assert "\nChanged answers, at v1.0.0. Look at it" in done.stdout
    text = (case.project / ".copier-answers.yml").read_text()
    assert "size: 2\n" in text
    assert "_commit: v1.0.0\n" in text
    again = gindock("update", "--abort", cwd=case.project)
    assert (again.code, again.stdout) == (0, "The update is undone.\n")
    assert case.git("status", "--porcelain", "--ignored") == ""


def test_an_answer_that_is_refused_now_is_named(case: Case) -> None:
    case.releases(
        *questions(
            "size: {type: int, default: 1}",
            "size: {type: int, default: 5, validator: '{% if size < 3 %}too small{% endif %}'}",
        )
    )
    done = gindock("update", cwd=case.project)
    assert done.code == 0
    assert "  answer     size: 1 is now 5\n" in done.stdout


def test_a_commit_of_the_template_is_no_way_to_an_older_version(case: Case) -> None:
    case.releases()
    template = yaml.safe_load((case.project / ".copier-answers.yml").read_text())["_src_path"]
    old = run(["git", "rev-parse", "v1.0.0"], Path(template)).stdout.strip()
    assert gindock("update", "--commit", cwd=case.project).code == 0
    done = gindock("update", "--to", old, cwd=case.project)
    assert done.code == 2
    assert "would be a downgrade from v2.0.0" in done.stderr
    assert case.git("status", "--porcelain", "--ignored") == ""


def test_a_version_may_be_named_without_its_v(case: Case) -> None:
    case.releases()
    assert gindock("update", "--to", "2.0.0", cwd=case.project).code == 0


def test_a_secret_of_the_user_is_neither_shown_nor_stored(case: Case) -> None:
    skipped = {"copier.yml": "_skip_if_exists: [.env]"}
    case.releases({"a.txt": TEXT, **skipped}, {"a.txt": FIXED, ".env": "SECRET=\n", **skipped})
    case.edit({".gitignore": ".env\n"})
    (case.project / ".env").write_text("SECRET=hunter2\n")
    stored = case.git("hash-object", ".env").strip()
    shown = gindock("update", "--diff", cwd=case.project)
    assert (shown.code, "hunter2" in shown.stdout) == (0, False)
    assert gindock("update", cwd=case.project).code == 0
    assert (case.project / ".env").read_text() == "SECRET=hunter2\n"
    assert run(["git", "cat-file", "-e", stored], case.project, ok=False).returncode != 0


def test_a_commit_made_meanwhile_is_not_lost(case: Case) -> None:
    """A commit between the look at the project and the writing; a hook of git's makes it."""
    case.releases()
    bin_folder = case.folder / "bin"
    bin_folder.mkdir()
    git = shutil.which("git")
    (bin_folder / "git").write_text(
        f"""#!/bin/sh
{git} "$@"
code=$?
case "$*" in *merge-tree*)
    echo mine > {case.project}/mine.txt
    {git} -C {case.project} add mine.txt
    {git} -C {case.project} commit -qm Meanwhile >&2 ;;
esac
exit $code
"""
    )
    (bin_folder / "git").chmod(0o755)
    path = f"{bin_folder}:{os.environ['PATH']}"
    done = gindock("update", "--commit", cwd=case.project, env={"PATH": path})
    assert done.code == 1
    assert "got a commit meanwhile; try again" in done.stderr
    assert case.git("show", "--format=%s", "--name-only").split() == ["Meanwhile", "mine.txt"]
    assert case.git("status", "--porcelain") == ""


def test_an_update_may_remove_the_folder_that_its_user_is_in(case: Case) -> None:
    case.releases({"in/a.txt": TEXT, "in/b.txt": TEXT}, {"out/a.txt": FIXED, "out/b.txt": TEXT})
    done = gindock("update", "..", "--commit", cwd=case.project / "in")
    assert (done.code, "Updated from v1.0.0 to v2.0.0, commit" in done.stdout) == (0, True), done


def test_an_answer_that_is_no_longer_asked_is_said(case: Case) -> None:
    case.releases(*questions("port: {type: int, default: 9090}", "http: {type: int, default: 80}"))
    done = gindock("update", cwd=case.project)
    assert "  answer     http: 80, new\n  answer     port: 9090, no longer asked\n" in done.stdout


def test_commit_has_nothing_to_do_where_nothing_changes(case: Case) -> None:
    asked = "size: {type: int, default: 1}"
    case.releases(*questions(asked, asked))
    head = case.git("rev-parse", "HEAD")
    arguments = ("--to", "current", "--set", "size=1", "--commit")
    done = gindock("update", *arguments, cwd=case.project)
    assert (done.code, done.stdout) == (0, "Already at v1.0.0.\n")
    assert case.git("rev-parse", "HEAD") == head


def test_what_the_user_wrote_into_the_answers_file_is_kept(case: Case) -> None:
    case.releases()
    with (case.project / ".copier-answers.yml").open("a") as file:
        file.write("# Ask Tess.\nteam: shop\n")
    case.git("commit", "-qam", "Mine")
    assert gindock("update", cwd=case.project).code == 0
    text = (case.project / ".copier-answers.yml").read_text()
    assert text.endswith("# Ask Tess.\nteam: shop\n")
    assert "_commit: v2.0.0\n" in text


def test_what_the_user_wrote_where_the_answers_change_is_said(case: Case) -> None:
    case.releases()
    answers = case.project / ".copier-answers.yml"
    answers.write_text(answers.read_text().replace("_commit:", "# Ask Tess.\n_commit:"))
    case.git("commit", "-qam", "Mine")
    done = gindock("update", cwd=case.project)
    assert done.code == 0
    assert ".copier-answers.yml (what you had changed in it is in git)\n" in done.stdout
    assert yaml.safe_load(answers.read_text())["_commit"] == "v2.0.0"


def test_an_answers_file_that_is_a_link_is_refused(case: Case) -> None:
    case.releases()
    text = (case.project / ".copier-answers.yml").read_text()
    case.edit({".copier-answers.yml": LINK + "real.yml", "real.yml": text})
    done = gindock("update", cwd=case.project)
    assert (done.code, "is a link" in done.stderr) == (2, True)


def test_another_template_is_given_lists_as_well(case: Case) -> None:
    asked = "parts: {type: str, multiselect: true, choices: [a, b, c], default: []}"
    case.releases(*questions(asked, asked))
    for said, recorded in (("a,c", ["a", "c"]), ("none", []), ("[b]", ["b"])):
        done = gindock("update", "--set", f"parts={said}", "--commit", cwd=case.project)
        assert done.code == 0, done.stderr
        text = (case.project / ".copier-answers.yml").read_text()
        assert yaml.safe_load(text)["parts"] == recorded


def test_a_merge_in_progress_is_not_disturbed(case: Case) -> None:
    case.releases()
    case.git("checkout", "-q", "-b", "side")
    case.edit({"mine.txt": "mine\n"})
    case.git("checkout", "-q", "-")
    case.git("merge", "--no-ff", "--no-commit", "-s", "ours", "side")
    done = gindock("update", cwd=case.project)
    assert done.code == 2
    assert "in the middle of a merge; finish or abort it first" in done.stderr
    assert (case.project / ".git" / "MERGE_HEAD").exists()


def test_without_news_nothing_is_rendered_or_loaded(case: Case) -> None:
    case.releases()
    assert gindock("update", "--commit", cwd=case.project).code == 0
    # Copier would refuse to render with these settings.
    (case.folder / "settings.yml").write_text("'")
    env = {**os.environ, "COPIER_SETTINGS_PATH": str(case.folder / "settings.yml")}
    probe = (
        "import sys\n"
        "from gindock.cli import main\n"
        "sys.argv[1:] = ['update']\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(sorted({'copier', 'jinja2', 'questionary', 'rich'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=case.project, env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "Already at v2.0.0.\n[]\n"), done.stderr


def test_ctrl_c_at_a_new_question_changes_nothing(case: Case) -> None:
    case.releases(*questions("", "size: {type: int, default: 1}"))
    with Terminal("update", cwd=case.project) as terminal:
        terminal.wait_for("size")
        terminal.interrupt()
        assert terminal.exit_code() == 130
        assert "Interrupted." in terminal.screen
    assert case.git("status", "--porcelain", "--ignored") == ""
