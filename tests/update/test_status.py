"""`gindock status`: versions, answers and drift, told without a render where none is needed."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest
from helpers import releases
from helpers.commands import Outcome
from helpers.commands import gindock as run_gindock
from helpers.machine import git, run
from helpers.projects import tree
from helpers.releases import AFTER_NEXT, FIXED, NEXT

from gindock.gitio.repository import Repository
from gindock.updating.journal import Journal, Note

ANSWERS = ".copier-answers.yml"


def gindock(*arguments: str | Path, cwd: Path, version: str = NEXT, **env: str) -> Outcome:
    """Run the release `version` of gindock."""
    return run_gindock(*arguments, cwd=cwd, env=env, scripts=releases.installed(version))


def status(project: Path, *options: str, version: str = NEXT, **env: str) -> dict[str, Any]:
    """Return what `gindock status` tells of a project that it can read."""
    done = gindock("status", "--json", *options, cwd=project, version=version, **env)
    assert done.code == 0, done
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def differing(told: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the changed files and the deleted ones."""
    return told["drift"]["changed"], told["drift"]["deleted"]


@functools.cache
def _rendered(version: str) -> Path:
    folder = releases.folder() / f"status-{version}"
    folder.mkdir()
    done = gindock("new", "svc", "--defaults", cwd=folder, version=version)
    assert done.code == 0, done.stderr
    return folder / "svc"


def service(folder: Path, name: str = "svc", version: str = NEXT) -> Path:
    """Return a fresh service of the release `version`."""
    return shutil.copytree(_rendered(version), folder / name, symlinks=True)


def edit(project: Path) -> None:
    """Change what the template renders in every way, and add what it does not."""
    with (project / "Makefile").open("a") as file:
        file.write("\nmine:\n\techo mine\n")
    (project / "renovate.json").unlink()
    (project / "README.md").chmod(0o755)
    (project / ".golangci.yml").unlink()
    (project / ".golangci.yml").symlink_to("Makefile")
    (project / "mine.txt").write_text("mine\n")


EDITED = (["Makefile", "README.md", ".golangci.yml"], ["renovate.json"])


def test_a_fresh_service_is_as_its_template_renders_it(tmp_path: Path) -> None:
    project = service(tmp_path)
    done = gindock("status", cwd=project)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == (
        "svc\n"
        "  template  gindock's own\n"
        f"  version   v{NEXT}, the newest\n"
        "  answers   valid\n"
        "  files     unchanged\n"
    )
    told = status(project)
    # The answers file is no drift.
    nothing: dict[str, object] = {"changed": [], "moved": {}, "deleted": []}
    assert told["drift"] == {"rendered": len(tree(project)) - 1, **nothing}


def test_a_service_that_is_behind_is_told_what_to_run(tmp_path: Path) -> None:
    project = service(tmp_path)
    done = gindock("status", cwd=project, version=AFTER_NEXT)
    assert done.code == 0
    assert f"v{NEXT}; v{AFTER_NEXT} is the newest: run `gindock update`" in done.stdout
    assert "valid\n" in done.stdout
    # Drift is from the version that the project has, not from the newest.
    assert "unchanged\n" in done.stdout


@pytest.mark.parametrize("kept", ["on disk", "staged", "committed", "not in git", "untracked"])
def test_drift_counts_what_differs_from_the_render(kept: str, tmp_path: Path) -> None:
    project = service(tmp_path)
    edit(project)
    if kept in ("staged", "committed"):
        git(project, "add", "--all")
    if kept == "committed":
        git(project, "commit", "-qm", "Mine")
    if kept == "untracked":
        git(project, "rm", "-rq", "--cached", ".")
    if kept == "not in git":
        shutil.rmtree(project / ".git")
    told = status(project)
    changed, deleted = differing(told)
    assert (sorted(changed), deleted) == (sorted(EDITED[0]), EDITED[1])
    notes = {"committed": [], "not in git": ["not in git"]}
    assert told["notes"] == notes.get(kept, ["uncommitted changes"])


def test_a_file_brought_back_is_no_drift(tmp_path: Path) -> None:
    project = service(tmp_path)
    makefile = (project / "Makefile").read_text()
    edit(project)
    git(project, "add", "--all")
    git(project, "commit", "-qm", "Mine")
    (project / "Makefile").write_text(makefile)
    assert "Makefile" not in status(project)["drift"]["changed"]


def test_the_diff_taken_back_is_the_render(tmp_path: Path) -> None:
    project = service(tmp_path)
    fresh = tree(project)
    assert "diff" not in status(project)
    assert status(project, "--diff")["diff"] == ""
    edit(project)
    git(project, "add", "--all")
    git(project, "commit", "-qm", "Mine")
    patch = status(project, "--diff")["diff"]
    subprocess.run(["git", "apply", "--reverse"], input=patch, text=True, cwd=project, check=True)
    (project / "mine.txt").unlink()
    assert tree(project) == fresh
    assert not os.access(project / "README.md", os.X_OK)
    assert gindock("status", cwd=project).stdout.endswith("uncommitted changes\n")
    assert differing(status(project)) == ([], [])


def test_a_terminal_shows_colours_and_a_file_does_not(tmp_path: Path) -> None:
    project = service(tmp_path)
    (project / "Makefile").write_text("mine\n")
    assert "\x1b[" not in gindock("status", "--diff", cwd=project).stdout
    command = f"{releases.installed(NEXT)}/gindock status --diff"
    shown = str(pexpect.run(command, cwd=str(project), timeout=60, encoding="utf-8"))
    assert "\x1b[32m+" in shown


def sub_folder(folder: Path) -> Path:
    """A service in a sub-folder of its repository, beside another change."""
    project = service(folder / "repository" / "services")
    shutil.rmtree(project / ".git")
    run(["git", "init", "-q"], folder / "repository")
    git(folder / "repository", "add", "--all")
    git(folder / "repository", "commit", "-qm", "All")
    (folder / "repository" / "other.txt").write_text("other\n")
    git(folder / "repository", "add", "other.txt")
    return project


def work_tree(folder: Path) -> Path:
    """A linked work tree, whose git folder is elsewhere."""
    project = service(folder)
    git(project, "worktree", "add", "-q", str(folder / "linked" / "svc"))
    return folder / "linked" / "svc"


def sha256(folder: Path) -> Path:
    """A repository with long object ids."""
    project = service(folder)
    shutil.rmtree(project / ".git")
    git(project, "init", "-q", "--object-format=sha256")
    git(project, "add", "--all")
    git(project, "commit", "-qm", "All")
    return project


def crlf(folder: Path) -> Path:
    """A checkout with CRLF, as on Windows."""
    project = service(folder)
    (project / FIXED).write_text("* text=auto\n")
    git(project, "commit", "-qam", "CRLF")
    git(project, "config", "core.autocrlf", "true")
    git(project, "rm", "-rq", "--cached", ".")
    git(project, "reset", "-q", "--hard")
    assert b"\r\n" in (project / "Makefile").read_bytes()
    # What git has not looked at since is hashed.
    os.utime(project / "Makefile", (1, 1))
    return project


def sparse(folder: Path) -> Path:
    """A sparse checkout, where files are missing by intent."""
    project = service(folder)
    git(project, "status")  # Git only hides what it knows to be unchanged.
    git(project, "sparse-checkout", "set", "internal")
    assert not (project / "deploy").exists()
    return project


def no_modes(folder: Path) -> Path:
    """A file system without modes."""
    project = service(folder)
    git(project, "config", "core.fileMode", "false")
    for file in project.rglob("*.sh"):
        file.chmod(0o644)
    (project / "Makefile").chmod(0o755)
    return project


@pytest.mark.parametrize("place", [sub_folder, work_tree, sha256, crlf, sparse, no_modes])
def test_drift_is_what_git_would_store(place: Callable[[Path], Path], tmp_path: Path) -> None:
    project = place(tmp_path)
    told = status(project)
    assert differing(told) == ([FIXED] if place is crlf else [], [])
    assert told["notes"] == []
    with (project / "internal" / "api" / "api.go").open("a") as file:
        file.write("// mine\n")
    (project / "go.mod").unlink()
    changed, deleted = differing(status(project))
    assert sorted(changed) == [*([FIXED] if place is crlf else []), "internal/api/api.go"]
    assert deleted == ["go.mod"]


def test_nothing_of_the_project_is_written(tmp_path: Path) -> None:
    project = service(tmp_path)
    edit(project)
    before = {f: (f.lstat().st_mtime_ns, f.lstat().st_size) for f in project.rglob("*")}
    status(project, "--diff")
    assert {f: (f.lstat().st_mtime_ns, f.lstat().st_size) for f in project.rglob("*")} == before


def test_a_second_status_renders_nothing(tmp_path: Path) -> None:
    project = service(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "copier.py").write_text("raise SystemExit('Copier was imported')\n")
    env = {
        "PYTHONPATH": str(tmp_path / "broken"),
        "GINDOCK_CACHE_DIR": str(tmp_path / "cache"),
    }
    for version in (NEXT, AFTER_NEXT):
        done = gindock("status", cwd=project, version=version, **env)
        assert "Copier was imported" in done.stderr, done
        told = status(project, version=version, GINDOCK_CACHE_DIR=env["GINDOCK_CACHE_DIR"])
        assert status(project, version=version, **env) == told
    edit(project)
    assert sorted(differing(status(project, **env))[0]) == sorted(EDITED[0])
    # Other answers are another render.
    recorded = project / ANSWERS
    recorded.write_text(recorded.read_text().replace("http_port: 8080", "http_port: 8081"))
    assert "Copier was imported" in gindock("status", cwd=project, **env).stderr


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": {"a": 1}}', '{"files": [1]}'])
def test_a_broken_cache_is_made_anew(content: str, tmp_path: Path) -> None:
    project = service(tmp_path)
    cache = {"GINDOCK_CACHE_DIR": str(tmp_path / "cache")}
    told = status(project, **cache)
    kept = [*(tmp_path / "cache").glob("status-*")]
    assert kept
    for file in kept:
        file.write_text(content)
    assert status(project, **cache) == told
    assert content not in [file.read_text() for file in kept]
    assert not [*(tmp_path / "cache").glob(".*")]


def small_template(folder: Path) -> Path:
    """A template of another's with two releases; the second asks more, and refuses more."""
    template = folder / "template"
    template.mkdir()
    run(["git", "init", "-q"], template)
    (template / "[[ _copier_conf.answers_file ]].jinja").write_text(
        "[[ _copier_answers | to_nice_yaml ]]"
    )
    (template / 'odd\n"name".txt').write_text("odd\n")
    (template / "colour.txt.jinja").write_text("[[ colour ]]\n")
    start = "_envops: {variable_start_string: '[[', variable_end_string: ']]'}\n"
    first = start + "colour: {type: str, default: blue}\nsize: {type: int, default: 1}\n"
    second = first.replace(
        "default: blue}",
        "default: green, choices: [green, red]}",
    ).replace(
        "default: 1}",
        'default: 1, validator: "[% if size > 9 %]at most 9[% endif %]"}',
    )
    second = second.replace(
        start, start.replace("}", ", block_start_string: '[%', block_end_string: '%]'}")
    )
    for version, text in (
        ("v1.0.0", first),
        ("v2.0.0", second + "shape: {type: str, default: x}\n"),
    ):
        (template / "copier.yml").write_text(text)
        git(template, "add", "--all")
        git(template, "commit", "-qm", version)
        git(template, "tag", version)
    return template


def test_answers_that_the_newest_version_refuses_are_told_with_the_reason(tmp_path: Path) -> None:
    template = small_template(tmp_path)
    made = gindock(
        "new", "svc", "--template", template, "--ref", "v1.0.0", "-d", "size=12", "-y", cwd=tmp_path
    )
    assert made.code == 0, made.stderr
    project = tmp_path / "svc"
    told = status(project)
    assert (told["version"], told["newest"], told["behind"]) == ("v1.0.0", "v2.0.0", True)
    assert set(told["answers"]["refused"]) == {"colour", "size"}
    assert "at most 9" in told["answers"]["refused"]["size"]
    assert told["answers"]["new"] == ["shape"]
    assert differing(told) == ([], [])
    shown = gindock("status", cwd=project).stdout
    for line in ("answers   2 not valid any more", "size: ", "at most 9", "new       shape"):
        assert line in shown
    # Odd names hold, hashed and tracked.
    (project / 'odd\n"name".txt').write_text("mine\n")
    assert differing(status(project)) == (['odd\n"name".txt'], [])


def test_answers_of_gindocks_own_template_are_checked_too(tmp_path: Path) -> None:
    project = service(tmp_path)
    recorded = (project / ANSWERS).read_text()
    assert "http_port: 8080\n" in recorded
    without = recorded.replace("tracing: false\n", "")
    assert without != recorded
    (project / ANSWERS).write_text(without.replace("http_port: 8080\n", "http_port: 99999\n"))
    for version in (NEXT, AFTER_NEXT):
        told = status(project, version=version)["answers"]
        assert set(told["refused"]) == {"http_port"}
        assert "99999" in told["refused"]["http_port"]
        assert told["new"] == ["tracing"]


def test_an_unwritable_cache_does_not_matter(tmp_path: Path) -> None:
    template = small_template(tmp_path)
    assert gindock("new", "svc", "--template", template, "-y", cwd=tmp_path).code == 0
    (tmp_path / "file").touch()
    told = status(tmp_path / "svc", GINDOCK_CACHE_DIR=str(tmp_path / "file"))
    assert differing(told) == ([], [])


def test_conflicts_changes_and_an_interrupted_update_are_said(tmp_path: Path) -> None:
    project = service(tmp_path)
    with (project / FIXED).open("a") as file:
        file.write("*.mine binary\n")
    assert status(project)["notes"] == ["uncommitted changes"]
    git(project, "commit", "-qam", "Mine")
    assert status(project)["notes"] == []
    assert gindock("update", "-y", cwd=project, version=AFTER_NEXT).code == 3
    told = status(project, version=AFTER_NEXT)
    assert told["notes"] == [f"conflicts in {FIXED}"]
    assert differing(told) == ([FIXED], [])
    state = Journal(Repository.around(project))
    state.folder.mkdir(parents=True, exist_ok=True)
    state.write(Note("writing"))
    told = status(project, version=AFTER_NEXT)
    assert told["notes"] == ["update interrupted: run `gindock update --abort`"]


def test_markers_that_were_committed_are_said(tmp_path: Path) -> None:
    project = service(tmp_path)
    with (project / FIXED).open("a") as file:
        file.write("<<<<<<< yours\nmine\n=======\ntheirs\n>>>>>>> template-v1.0.0\n")
    git(project, "commit", "-qam", "Resolved")
    assert status(project)["notes"] == [f"conflict markers in {FIXED}"]


def test_a_version_that_this_gindock_does_not_know_is_shown(tmp_path: Path) -> None:
    project = service(tmp_path, version=AFTER_NEXT)
    done = gindock("status", cwd=project)
    assert done.code == 0
    assert f"v{AFTER_NEXT}; v{NEXT} is the newest\n" in done.stdout
    assert f"this gindock does not know v{AFTER_NEXT}: install gindock {AFTER_NEXT}" in done.stdout


def test_a_version_that_is_gone_from_the_template_is_shown(tmp_path: Path) -> None:
    template = small_template(tmp_path)
    ref = ["--ref", "v1.0.0"]
    assert gindock("new", "svc", "--template", template, *ref, "-y", cwd=tmp_path).code == 0
    git(template, "tag", "-d", "v1.0.0")
    told = status(tmp_path / "svc")
    assert told["notes"] == ["the template has no version 'v1.0.0'; see its tags"]
    assert told["behind"]
    assert told["drift"] is None


@pytest.mark.parametrize(
    ("case", "code", "message"),
    [
        ("nothing", 2, "was not rendered by gindock"),
        ("broken answers", 2, "is no valid answers file"),
        ("no folder", 2, "there is no folder"),
    ],
)
def test_what_has_no_status_is_refused(case: str, code: int, message: str, tmp_path: Path) -> None:
    project = tmp_path / "svc"
    if case != "no folder":
        project.mkdir()
    if case == "broken answers":
        (project / ANSWERS).write_text("'")
    done = gindock("status", "svc", cwd=tmp_path)
    assert (done.code, done.stdout) == (code, "")
    assert message in done.stderr
    failed = gindock("status", "svc", "--json", cwd=tmp_path)
    assert json.loads(failed.stdout)["exit_code"] == failed.code == code


def test_many_services_end_in_a_table_and_a_failure_stops_none(tmp_path: Path) -> None:
    fleet = tmp_path / "fleet"
    for name in ("one", "team/two", "team/three"):
        service(fleet, name)
    edit(fleet / "team" / "two")
    done = gindock("status", "fleet", cwd=tmp_path, version=AFTER_NEXT)
    assert (done.code, done.stderr) == (0, "")
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert list(rows) == ["project", "fleet/one", "fleet/team/three", "fleet/team/two"]
    for row in list(rows.values())[1:]:
        assert f"v{NEXT}" in row and f"v{AFTER_NEXT}" in row and "valid" in row
    assert "unchanged" in rows["fleet/one"]
    assert "3 changed, 1 deleted" in rows["fleet/team/two"]
    assert "uncommitted changes" in rows["fleet/team/two"]

    (fleet / "one" / ANSWERS).write_text("'")
    listed = [fleet / "one", fleet / "team" / "two"]
    done = gindock("status", *listed, "--diff", cwd=tmp_path, version=AFTER_NEXT)
    assert done.code == 1
    assert "no valid answers file" in done.stdout
    assert "+mine:" in done.stdout
    found = json.loads(gindock("status", "fleet", "--json", cwd=tmp_path).stdout)
    assert found["exit_code"] == 1
    told = {Path(each["directory"]).name: each for each in found["projects"]}
    assert "no valid answers file" in told["one"]["error"]
    assert [told[name]["problems"] for name in ("two", "three")] == [[], []]
    assert sorted(told["two"]["drift"]["changed"]) == sorted(EDITED[0])
    assert told["three"]["drift"]["changed"] == []


def test_a_folder_of_one_service_is_a_table_too(tmp_path: Path) -> None:
    service(tmp_path / "fleet", "one")
    found = json.loads(gindock("status", "fleet", "--json", cwd=tmp_path).stdout)
    assert [each["exit_code"] for each in found["projects"]] == [0]
