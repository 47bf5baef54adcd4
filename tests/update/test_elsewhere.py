"""What a template sees of the project, though gindock renders it elsewhere: Copier's own view."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import Terminal, gindock
from helpers.machine import run
from helpers.update_cases import ANSWERS, FIXED, LINK, MINE, TEXT, Case, Files, read, write

from gindock.upstream import answers

#: A template that reads a file of the project's.
EXTERNAL = "_external_data: {own: own.yml}\n"
NAMED = "own.txt.jinja"
SHOWN = "{{ _external_data.own.name }}\n"
HERE = "{{ _copier_conf.dst_path }}\n"


def template(folder: Path, *versions: Files) -> Path:
    """Return a template with these files as its versions v1.0.0, v2.0.0, …"""
    folder.mkdir()
    run(["git", "init", "--quiet"], folder)
    for number, files in enumerate(versions, 1):
        release(folder, number, files)
    return folder


def release(folder: Path, number: int, files: Files) -> None:
    """Let the template in `folder` have these files, and no others, as the version `number`."""
    for path in folder.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    questions = files.get("copier.yml", "")
    answers_template = "{{ _copier_conf.answers_file }}.jinja"
    write(
        folder,
        {
            "copier.yml": f"_subdirectory: template\n{questions}",
            f"template/{answers_template}": "{{ _copier_answers|to_nice_yaml }}",
            **{f"template/{path}": text for path, text in files.items() if path != "copier.yml"},
        },
    )
    run(["git", "add", "--all", "--force"], folder)
    run(["git", "commit", "--quiet", "--allow-empty", "-m", f"v{number}"], folder)
    run(["git", "tag", f"v{number}.0.0"], folder)


def updated(project: Path, *options: str, code: int = 0) -> dict[str, Any]:
    """Return what `gindock update --json` says."""
    done = gindock("update", "--json", *options, cwd=project)
    assert done.code == code, done
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def drift(project: Path) -> tuple[list[str], list[str]]:
    """Return what `gindock status` calls changed and deleted."""
    done = gindock("status", "--json", cwd=project)
    assert done.code == 0, done
    found = json.loads(done.stdout)["drift"]
    return found["changed"], found["deleted"]


# External data


def test_the_projects_data_reaches_both_renders(case: Case) -> None:
    """A fix beside a value from the data arrives; a new question's default is the data's."""
    old = {"copier.yml": EXTERNAL, NAMED: SHOWN + TEXT, "{{ _external_data.own.name }}.txt": "x\n"}
    new = {
        **old,
        "copier.yml": f"{EXTERNAL}title: {{default: '{{{{ _external_data.own.name }}}}'}}\n",
        NAMED: SHOWN + FIXED,
        "{{ _external_data.own.name }}.txt": "y\n",
    }
    case.releases(old, new)
    case.edit({"own.yml": "name: ada\n", "own.txt": "ada\n" + MINE, "ada.txt": "x\n"})
    said = updated(case.project)
    assert {file["path"]: file["change"] for file in said["files"]} == {
        ANSWERS: "updated",
        "ada.txt": "updated",
        "own.txt": "merged",
    }
    assert answers.read(case.project / ANSWERS)["title"] == "ada"
    assert read(case.project)["own.txt"] == "ada\n" + MINE.replace("seven", "seven, fixed")
    assert read(case.project)["ada.txt"] == "y\n"
    assert read(case.project)["own.yml"] == "name: ada\n"
    assert drift(case.project) == (["own.txt"], [])


def test_data_at_a_path_that_an_answer_names_is_found(case: Case) -> None:
    """The path is rendered with the answers, and what lies there names another."""
    external = """\
part: {type: str, default: web}
_external_data:
  first: "{{ part }}/first.json"
  second: "{{ _external_data.first.next }}"
"""
    shown = "{{ _external_data.second.name }}\n"
    case.releases(
        {"copier.yml": external, "a.txt.jinja": shown + TEXT},
        {"copier.yml": external, "a.txt.jinja": shown + FIXED},
    )
    own = {"web/first.json": '{"next": "web/x/second.yml"}', "web/x/second.yml": "name: ada"}
    case.edit({**own, "a.txt": "ada\n" + TEXT})
    assert drift(case.project) == ([], [])
    updated(case.project)
    assert read(case.project) == {
        **own, "a.txt": "ada\n" + FIXED, ANSWERS: read(case.project)[ANSWERS]
    }  # fmt: skip


@pytest.mark.parametrize("skip", ["", "_skip_if_exists: [own.yml]\n"])
def test_data_that_the_template_ships_is_merged_or_the_users(case: Case, skip: str) -> None:
    """The user edits the data; a release begins to read it."""
    own = {"own.yml": "name: ada\n\n\n\nage: 7\n", "a.txt.jinja": TEXT}
    case.releases(
        {**own, "copier.yml": skip},
        {
            **own,
            "copier.yml": EXTERNAL + skip,
            "own.yml": "name: ada\n\n\n\nage: 8\n",
            "a.txt.jinja": "{{ _external_data.own.name }}\n" + TEXT,
        },
    )
    case.edit({"own.yml": "name: eva\n\n\n\nage: 7\n"})
    said = updated(case.project)
    age = 7 if skip else 8
    assert read(case.project)["own.yml"] == f"name: eva\n\n\n\nage: {age}\n"
    if skip:
        assert read(case.project)["a.txt"] == "eva\n" + TEXT
    assert {file["change"] for file in said["files"]} <= {"updated", "merged"}


@pytest.mark.parametrize(
    ("own", "shown"),
    [
        ({"own.yml": LINK + "conf/real.yml", "conf/real.yml": "name: ada\n"}, "ada\n"),
        ({"own.yml/in.txt": "a folder\n"}, "\n"),
        ({}, "\n"),
    ],
)
def test_data_is_read_as_copier_reads_it(case: Case, own: Files, shown: str) -> None:
    """A link within the project is followed, a folder or nothing is empty."""
    old = {"copier.yml": EXTERNAL, NAMED: SHOWN + TEXT}
    case.releases(old, {**old, NAMED: SHOWN + FIXED})
    case.edit({**own, "own.txt": shown + TEXT, "mine.txt": "mine\n"})
    assert drift(case.project) == ([], [])
    updated(case.project)
    assert read(case.project)["own.txt"] == shown + FIXED


def test_data_outside_of_the_project_is_refused(case: Case) -> None:
    old = {"copier.yml": EXTERNAL, NAMED: SHOWN + TEXT}
    case.releases(old, {**old, NAMED: SHOWN + FIXED})
    write(case.folder, {"secret.yml": "name: secret\n"})
    case.edit({"own.yml": LINK + "../secret.yml"})
    before = read(case.project)
    done = gindock("update", cwd=case.project)
    assert done.code == 2
    assert "own.yml" in done.stderr
    assert read(case.project) == before


def test_a_status_notices_that_the_data_changed(case: Case) -> None:
    """What is remembered of a render is of no use once the data is another."""
    case.releases({"copier.yml": EXTERNAL, NAMED: SHOWN}, {"a.txt": TEXT})
    assert drift(case.project) == ([], [])
    case.edit({"own.yml": "name: ada\n"})
    assert drift(case.project) == (["own.txt"], [])
    case.edit({"own.txt": "ada\n"})
    assert drift(case.project) == ([], [])


def test_a_question_on_a_terminal_has_its_default_from_the_data(case: Case) -> None:
    """It is asked once, after the data is found, wherever an answer says that it lies."""
    external = """\
part: {type: str, default: web}
_external_data: {own: "{{ part }}.yml"}
"""
    title = "title: {type: str, default: '{{ _external_data.own.name }}'}\n"
    case.releases({"copier.yml": external, "a.txt": TEXT}, {"copier.yml": external + title})
    case.edit({"web.yml": "name: ada\n"})
    with Terminal("update", cwd=case.project) as terminal:
        terminal.answer("ada", " lovelace\r")
        assert terminal.exit_code() == 0, terminal.screen
    assert answers.read(case.project / ANSWERS)["title"] == "ada lovelace"


# The project's path


def test_the_template_sees_the_path_of_the_project(tmp_path: Path) -> None:
    """In texts, links, names and recorded answers; nothing is new right after `gindock new`."""
    questions = """\
where: {type: str, default: "{{ _copier_conf.dst_path }}"}
flat: {type: str, when: false, default: "{{ _copier_conf.dst_path|string|replace('/', '_') }}"}
"""
    flat = "{{ flat }}.txt"
    files = {
        "copier.yml": questions,
        "a.txt.jinja": HERE + TEXT,
        "above.txt.jinja": "{{ _copier_conf.dst_path.parent.name }} {{ _copier_conf.dst_path }}/x\n",
        flat: "flat\n",
    }
    origin = template(
        tmp_path / "template", files, {**files, "a.txt.jinja": HERE + FIXED, flat: "flat, new\n"}
    )
    # The folder exists, and is named by way of a link.
    (tmp_path / "in" / "shop").mkdir(parents=True)
    (tmp_path / "link").symlink_to("in")
    done = gindock(
        *("new", "link/shop", "-y", "--template", str(origin), "--ref", "v1.0.0"), cwd=tmp_path
    )
    assert done.code == 0, done.stderr
    project = tmp_path / "in" / "shop"
    name = str(project).replace("/", "_") + ".txt"
    expected = {
        "a.txt": f"{project}\n{TEXT}",
        "above.txt": f"in {project}/x\n",
        name: "flat\n",
    }
    found = read(project)
    record = found.pop(ANSWERS)
    assert found == expected
    assert f"where: {project}\n" in record
    assert drift(project) == ([], [])

    said = updated(project)
    assert {file["path"]: file["change"] for file in said["files"]} == {
        ANSWERS: "updated", "a.txt": "updated", name: "updated"
    }  # fmt: skip
    assert said["answers"] == {}
    found = read(project)
    assert f"where: {project}\n" in found.pop(ANSWERS)
    assert found == {**expected, "a.txt": f"{project}\n{FIXED}", name: "flat, new\n"}


# Exclusions


def test_what_a_release_excludes_is_the_users_from_then_on(case: Case) -> None:
    """As with plain Copier; an edited file stays as it is, a deleted one is not mentioned."""
    files = {f"{name}.txt": TEXT for name in ("a", "b", "c", "deleted", "gone")}
    case.releases(
        {**files, "copier.yml": "_exclude: [none]\n"},
        {**files, "copier.yml": "_exclude: [none, b.txt, c.txt, deleted.txt]\n", "a.txt": FIXED,
         "gone.txt": None},
    )  # fmt: skip
    case.edit({"b.txt": MINE, "deleted.txt": None})
    said = updated(case.project)
    assert [(f["path"], f["change"]) for f in said["files"] if f["path"] != ANSWERS] == [
        ("a.txt", "updated"),
        ("b.txt", "kept"),
        ("c.txt", "kept"),
        ("gone.txt", "removed"),
    ]
    notes = {f["note"] for f in said["files"] if f["change"] == "kept"}
    assert notes == {"the template leaves it to you from now on"}
    found = read(case.project)
    assert (found["b.txt"], found["c.txt"], found["a.txt"]) == (MINE, TEXT, FIXED)
    assert not found.keys() & {"gone.txt", "deleted.txt"}


@pytest.mark.parametrize(
    "questions",
    ["_exclude: !include more.yml\n", "!include more*.yml\n---\n_exclude: [other]\n"],
)
def test_exclusions_in_other_files_count(questions: str, tmp_path: Path) -> None:
    """The list of the new version lies in a file that `copier.yml` includes."""
    more = "[b.txt]\n" if questions.startswith("_") else "_exclude: [b.txt]\n"
    origin = template(tmp_path / "template", {"a.txt": TEXT, "b.txt": TEXT})
    write(origin, {"more.yml": more, "copier.yml": f"{questions}---\n_subdirectory: template\n"})
    write(origin, {"template/a.txt": FIXED})
    run(["git", "add", "--all"], origin)
    run(["git", "commit", "--quiet", "-m", "v2"], origin)
    run(["git", "tag", "v2.0.0"], origin)
    gindock("new", "shop", "-y", "--template", str(origin), "--ref", "v1.0.0", cwd=tmp_path)
    said = updated(tmp_path / "shop")
    changes = {file["path"]: file["change"] for file in said["files"]}
    assert changes == {ANSWERS: "updated", "a.txt": "updated", "b.txt": "kept"}
    assert read(tmp_path / "shop")["b.txt"] == TEXT


def test_an_answer_still_rules_a_file_out(case: Case) -> None:
    """The release has another list, and the answer is changed along with it."""
    rule = "kube: {type: bool, default: true}\n_exclude: ['{% if not kube %}kube.yaml{% endif %}'"
    files = {"a.txt": TEXT, "kube.yaml": TEXT}
    case.releases(
        {**files, "copier.yml": f"{rule}]\n"},
        {**files, "copier.yml": f"{rule}, a.txt]\n"},
    )
    said = updated(case.project, "--set", "kube=false")
    changes = {file["path"]: file["change"] for file in said["files"]}
    assert changes == {ANSWERS: "updated", "a.txt": "kept", "kube.yaml": "removed"}


def test_what_a_template_leaves_out_of_updates_is_the_users(case: Case) -> None:
    """As with plain Copier: an example is rendered once, and neither merged nor added later."""
    rule = "_exclude: [\"{% if _copier_operation == 'update' %}ex/*{% endif %}\"]\n"
    old = {"copier.yml": rule, "ex/a.txt": TEXT, "ex/b.txt": TEXT, "ex/c.txt": TEXT, "d.txt": TEXT}
    new = {"copier.yml": rule, "ex/a.txt": FIXED, "ex/b.txt": FIXED, "ex/n.txt": TEXT}
    case.releases({**old}, {**new, "d.txt": FIXED})
    case.edit({"ex/a.txt": TEXT.replace("seven", "mine"), "ex/b.txt": None})
    before = read(case.project)
    assert drift(case.project) == (["ex/a.txt"], ["ex/b.txt"])
    said = updated(case.project)
    assert [file["path"] for file in said["files"]] == [ANSWERS, "d.txt"]
    found = read(case.project)
    assert found == {**before, "d.txt": FIXED, ANSWERS: found[ANSWERS]}


# Other projects in a folder of the template's


def beside_others(case: Case, where: str) -> dict[str, str]:
    """Let a folder of the template's hold two other projects, and edit what is there."""
    others = {
        f"{where}.copier-answers.yml": "_commit: v1.0.0\n_src_path: elsewhere\n",
        f"{where}.copier-answers.more.yml": "_commit: v1.0.0\n_src_path: elsewhere\n",
        f"{where}theirs.txt": FIXED,
    }
    if not where:
        others.pop(".copier-answers.yml")
    case.edit(
        {**others, f"{where}merged.txt": MINE, f"{where}crlf.txt": TEXT.replace("\n", "\r\n")}
    )
    return others


@pytest.mark.parametrize(
    ("where", "prefix"), [("in/", ""), ("in/deep/", "services/shop"), ("", "")]
)
def test_the_templates_changes_arrive_beside_other_projects(
    where: str, prefix: str, case: Case
) -> None:
    names = ("gone", "merged", "crlf", "fixed", "edited")
    old = {f"{where}{name}.txt": TEXT for name in names} | {"old.txt": "old\n" * 9}
    new: dict[str, str | None] = {f"{where}{name}.txt": FIXED for name in names[1:-1]}
    new[f"{where}new.txt"] = "old\n" * 9
    case.releases({**old, f"{where}moved.txt": "a\n" * 9}, {**new, "moved.txt": "a\n" * 9})
    if prefix:
        repository = case.folder / "repository"
        (repository / prefix).parent.mkdir(parents=True)
        case.project = case.project.rename(repository / prefix)
        (case.project / ".git").rename(repository / ".git")
    others = beside_others(case, where)
    case.edit({f"{where}edited.txt": MINE})
    assert drift(case.project) == ([f"{where}{n}.txt" for n in ("crlf", "edited", "merged")], [])
    said = updated(case.project, code=3)
    assert {file["path"]: file["change"] for file in said["files"]} == {
        ANSWERS: "updated",
        f"{where}gone.txt": "removed",
        f"{where}merged.txt": "merged",
        f"{where}crlf.txt": "updated",
        f"{where}fixed.txt": "updated",
        f"{where}edited.txt": "conflict",
        f"{where}new.txt": "updated",
    } | ({"moved.txt": "updated"} if where else {})
    found = read(case.project)
    found.pop(ANSWERS)
    assert found == others | {
        f"{where}merged.txt": MINE.replace("seven", "seven, fixed"),
        f"{where}crlf.txt": FIXED.replace("\n", "\r\n"),
        f"{where}fixed.txt": FIXED,
        f"{where}edited.txt": MINE,
        f"{where}new.txt": "old\n" * 9,
        "moved.txt": "a\n" * 9,
    }


# Commands


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    def trust(origin: Path) -> None:
        settings = tmp_path / "settings.yml"
        settings.write_text(f"trust: ['{origin}']\ndefaults: {{who: ada}}\n")
        monkeypatch.setenv("COPIER_SETTINGS_PATH", str(settings))

    return trust


def commands(folder: Path) -> dict[str, str]:
    """Return a `copier.yml` whose commands would leave files in `folder`."""
    owned = folder / "owned"
    return {
        "copier.yml": f"""\
who: {{type: str, default: nobody}}
_tasks:
  - touch {owned}
  - [touch, "{owned} 2"]
  - {{command: "touch {{{{ _copier_conf.dst_path }}}}/3", when: true}}
_migrations:
  - version: v2.0.0
    before: [touch {owned}4]
  - version: v3.0.0
    command: touch {owned}5
  - {{command: touch {owned}6, when: true}}
""",
        "a.txt": TEXT,
    }


def test_the_commands_of_a_trusted_template_are_told_and_not_run(
    tmp_path: Path, trusted: Callable[[Path], None]
) -> None:
    old = commands(tmp_path)
    origin = template(tmp_path / "template", old, {**old, "a.txt": FIXED})
    trusted(origin)
    owned = tmp_path / "owned"
    tasks = [
        f"touch {owned}", f"touch '{owned} 2'", "touch {{ _copier_conf.dst_path }}/3"
    ]  # fmt: skip
    new = ("-y", "--template", str(origin), "--ref", "v1.0.0")
    done = gindock("new", "shop", *new, cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert done.stderr.startswith("Note: gindock runs no commands of a template.")
    assert done.stderr.splitlines()[1:] == [f"  {task}" for task in tasks]
    project = tmp_path / "shop"
    # The settings count otherwise.
    assert answers.read(project / ANSWERS)["who"] == "ada"
    assert json.loads(gindock("new", "b", "--json", *new, cwd=tmp_path).stdout)["not_run"] == tasks
    assert drift(project) == ([], [])

    migrations = [f"touch {owned}4", f"touch {owned}6"]
    preview = updated(project, "--diff")
    assert preview["not_run"] == tasks + migrations
    done = gindock("update", "--commit", cwd=project)
    assert done.code == 0, done.stderr
    assert done.stderr.splitlines()[1:] == [f"  {task}" for task in tasks + migrations]
    assert read(project)["a.txt"] == FIXED
    assert [*tmp_path.glob("owned*"), *project.glob("3")] == []


def test_the_commands_of_another_template_are_refused(
    tmp_path: Path, trusted: Callable[[Path], None]
) -> None:
    """Also those of a release, and of one whose tasks lie in a file that it includes."""
    origin = template(tmp_path / "template", {"a.txt": TEXT})
    done = gindock("new", "shop", "-y", "--template", str(origin), cwd=tmp_path)
    assert (done.code, done.stderr) == (0, "")
    write(origin, {"more.yml": f"_tasks: [touch {tmp_path}/owned]\n"})
    write(origin, {"copier.yml": "_subdirectory: template\n---\n!include more.yml\n"})
    run(["git", "add", "--all"], origin)
    run(["git", "commit", "--quiet", "-m", "v2"], origin)
    run(["git", "tag", "v2.0.0"], origin)
    for command in (["update"], ["new", "../b", "-y", "--template", str(origin)]):
        done = gindock(*command, cwd=tmp_path / "shop")
        assert done.code == 2
        assert "unsafe feature: tasks" in done.stderr
        assert "trust" in done.stderr
    assert not (tmp_path / "b").exists()
    trusted(origin)
    done = gindock("update", cwd=tmp_path / "shop")
    assert done.code == 0, done.stderr
    assert f"touch {tmp_path}/owned" in done.stderr
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("trust", [True, False])
def test_extensions_need_trust_and_work_with_it(
    trust: bool, tmp_path: Path, trusted: Callable[[Path], None]
) -> None:
    questions = f"_jinja_extensions: [jinja2.ext.do]\n_tasks: [touch {tmp_path}/owned]\n"
    text = "{% set found = [] %}{% do found.append('ada') %}{{ found[0] }}\n"
    origin = template(tmp_path / "template", {"copier.yml": questions, "a.txt.jinja": text})
    if trust:
        trusted(origin)
    done = gindock("new", "shop", "-y", "--template", str(origin), cwd=tmp_path)
    if trust:
        assert done.code == 0, done.stderr
        assert read(tmp_path / "shop")["a.txt"] == "ada\n"
    else:
        assert done.code == 2
        assert "unsafe features: jinja_extensions, tasks" in done.stderr
