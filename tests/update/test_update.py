"""Updates: real releases, each in an environment of its own, without a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import releases
from helpers.commands import SCRIPTS, gindock
from helpers.earlier import (
    LANDED,
    answered_again,
    check_edits,
    created_by,
    edit_service,
    offline,
    options,
)
from helpers.machine import ROOT, git, run
from helpers.projects import answers, tree
from helpers.releases import AFTER_NEXT, FIX, FIXED, NEXT

from gindock.upstream import history


@pytest.mark.parametrize("tool", ["copier", "gindock"])
def test_a_fix_arrives_and_edits_are_kept(tool: str, tmp_path: Path) -> None:
    project = created_by(NEXT, tmp_path, "--datastores", "postgres", "--deploy", "compose")
    edits = edit_service(project)
    newer = releases.installed(AFTER_NEXT)
    command: list[str | Path] = [newer / tool, "update", "--defaults"]
    # Plain Copier finds the source where its environment is active.
    done = offline(*command, cwd=project, path=newer if tool == "copier" else None)
    assert done.code == 0, done.stderr
    assert answers(project)["_commit"] == f"v{AFTER_NEXT}"
    assert (project / FIXED).read_text().endswith(FIX)
    check_edits(project, edits)


@pytest.mark.parametrize("version", LANDED)
def test_plain_copier_updates_every_earlier_release_to_this_one(
    version: str, tmp_path: Path
) -> None:
    """For `gindock update`, see test_update_releases.py."""
    given = ("--datastores", "redis", "--base-image", "alpine")
    project = created_by(version, tmp_path, *given)
    (project / "internal" / "api" / "mine.go").write_text(
        "package api\n\n// Mine is mine.\nconst Mine = 1\n"
    )
    (project / "README.md").write_text(
        (project / "README.md").read_text() + "\n## Runbook\n\nCall Tess.\n"
    )
    git(project, "add", "--all")
    git(project, "commit", "-qm", "Mine")
    newer = releases.installed(NEXT)
    done = offline(newer / "copier", "update", "--defaults", cwd=project, path=newer)
    assert done.code == 0, done.stderr
    assert answers(project)["_commit"] == f"v{NEXT}"
    assert "Call Tess." in (project / "README.md").read_text()
    (tmp_path / "fresh").mkdir()
    expected = tree(created_by(NEXT, tmp_path / "fresh", *given))
    found = tree(project)
    assert found.pop("internal/api/mine.go")
    found["README.md"] = found["README.md"].replace("\n## Runbook\n\nCall Tess.\n", "")
    assert found == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"deploy": ["compose"]}, {"deploy": ["kubernetes"]}),
        ({"deploy": ["compose"]}, {"deploy": ["kubernetes", "compose"]}),
        ({"base-image": ["distroless"]}, {"base-image": ["alpine"]}),
        (
            {"deploy": ["compose"], "compose-profiles": []},
            {"deploy": ["compose"], "compose-profiles": ["observability", "logging"]},
        ),
    ],
    ids=lambda answered: "-".join(value for values in answered.values() for value in values),
)
def test_answering_again_switches_there_and_back(
    one: dict[str, list[str]], other: dict[str, list[str]], tmp_path: Path
) -> None:
    fresh = {}
    for name, answered in (("one", one), ("other", other)):
        (tmp_path / name).mkdir()
        stores = {"datastores": ["postgres", "redis"]}
        fresh[name] = created_by(NEXT, tmp_path / name, *options(stores | answered))
    project, expected = fresh["one"], {name: tree(folder) for name, folder in fresh.items()}
    mine = {
        "README.md": "\n## Runbook\n\nCall Tess.\n",
        "internal/api/orders.go": "package api\n\n// Orders are mine.\nconst Orders = 1\n",
        # Beside files that may leave.
        "config/mine.yaml": "mine: true\n",
    }
    for name, text in mine.items():
        (project / name).parent.mkdir(exist_ok=True)
        with (project / name).open("a") as file:
            file.write(text)
    for name, answered in (("other", other), ("one", one)):
        if git(project, "status", "--porcelain"):
            git(project, "add", "--all")
            git(project, "commit", "-qm", "Mine")
        assert answered_again(project, answered).code == 0
        assert tree(project) == expected[name] | {
            path: expected[name].get(path, "") + text for path, text in mine.items()
        }


def test_what_leaves_with_an_edit_is_a_conflict(tmp_path: Path) -> None:
    project = created_by(NEXT, tmp_path, "--deploy", "compose")
    with (project / "compose.yaml").open("a") as file:
        file.write("# mine\n")
    git(project, "commit", "-qam", "Mine")
    done = answered_again(project, {"deploy": ["kubernetes"]})
    assert done.code == 3
    assert "  conflict   compose.yaml (the template removed it, you changed it)\n" in done.stdout
    assert (project / "compose.yaml").read_text().endswith("# mine\n")
    assert (project / "deploy" / "kubernetes").is_dir()


def test_modules_of_the_users_are_kept_beside_new_ones(tmp_path: Path) -> None:
    project = created_by(NEXT, tmp_path)
    mine = "github.com/google/uuid v1.6.0 h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=\n"
    sums = (project / "go.sum").read_text()
    (project / "go.sum").write_text("".join(sorted([*sums.splitlines(keepends=True), mine])))
    modules = (project / "go.mod").read_text()
    (project / "go.mod").write_text(modules.replace(")", "\tgithub.com/google/uuid v1.6.0\n)", 1))
    git(project, "commit", "-qam", "Mine")
    assert answered_again(project, {"datastores": ["postgres", "redis"]}).code == 0
    merged = (project / "go.sum").read_text()
    assert mine in merged
    assert "jackc/pgx" in merged
    assert "<<<<<<<" not in merged


def test_the_news_of_the_releases_in_between_are_shown(tmp_path: Path) -> None:
    project = created_by("0.3.0", tmp_path)
    done = offline(releases.installed(NEXT) / "gindock", "update", "-y", cwd=project)
    assert done.code == 0, done.stderr
    news = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("## ")]
    assert news[-2:] == ["0.5.0", "0.4.0"]
    assert "runs `scripts/rollout.sh`" in done.stdout


def test_an_update_without_news_says_so(tmp_path: Path) -> None:
    project = created_by(NEXT, tmp_path)
    done = offline(releases.installed(NEXT) / "gindock", "update", cwd=project)
    assert (done.code, done.stdout) == (0, f"Already at v{NEXT}.\n")
    assert git(project, "status", "--porcelain") == ""


def test_many_updates_at_once_do_not_meet(tmp_path: Path) -> None:
    project = created_by(NEXT, tmp_path)
    copies = [tmp_path / "all" / str(number) for number in range(4)]
    for copy in copies:
        shutil.copytree(project, copy)
    # Copier's mirrors have not seen the newest release yet.
    env = {**os.environ, "GINDOCK_CACHE_DIR": str(tmp_path / "cache")}
    env.pop("COPIER_CACHE_DIR")
    gindock_of = {
        version: releases.installed(version) / "gindock" for version in (NEXT, AFTER_NEXT)
    }
    subprocess.run([gindock_of[NEXT], "status", *copies], env=env, check=True)
    runs = [
        subprocess.Popen([gindock_of[AFTER_NEXT], "update", copy, "-y"], env=env, stderr=-1)
        for copy in copies
    ]
    assert [(run.communicate()[1], run.returncode) for run in runs] == [(b"", 0)] * len(copies)


def test_a_conflict_is_named_and_exits_3(tmp_path: Path) -> None:
    project = created_by(NEXT, tmp_path)
    with (project / FIXED).open("a") as file:
        file.write("*.mine binary\n")
    git(project, "commit", "-qam", "Mine")
    done = offline(releases.installed(AFTER_NEXT) / "gindock", "update", "-y", cwd=project)
    assert done.code == 3
    assert f"  conflict   {FIXED} (both changed the same lines)\n" in done.stdout
    assert "with conflicts in 1 file" in done.stdout
    assert "git reset --hard" in done.stdout
    assert "*.mine binary\n" in (project / FIXED).read_text()


def test_the_example_in_the_docs_is_what_one_sees(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "use" / "update.md").read_text()
    [example] = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    project = created_by("0.4.0", tmp_path, "--deploy", "compose")
    compose = (project / "compose.yaml").read_text()
    (project / "compose.yaml").write_text(compose.replace(":8080:8080", ":9000:8080"))
    with (project / "README.md").open("a") as file:
        file.write("\n## Runbook\n\nCall Tess.\n")
    git(project, "commit", "-qam", "Mine")
    for shown in re.split(r"^\$ ", example, flags=re.MULTILINE)[1:]:
        command, _, expected = shown.partition("\n")
        done = offline(*command.split(), cwd=project, path=releases.installed(NEXT))
        parts = map(re.escape, re.split(r"^ *…\n", expected, flags=re.MULTILINE))
        assert re.search(".*".join(parts), done.stdout, re.DOTALL), done


def test_a_project_newer_than_gindock_is_told_which_to_install(tmp_path: Path) -> None:
    project = created_by(AFTER_NEXT, tmp_path)
    done = offline(releases.installed(NEXT) / "gindock", "update", cwd=project)
    assert done.code == 2
    assert f"rendered by gindock {AFTER_NEXT}" in done.stderr
    assert f"install gindock {AFTER_NEXT} or newer" in done.stderr


def test_a_downgrade_is_not_silent(tmp_path: Path) -> None:
    """The mirror that Copier keeps of the template must not hold versions that are gone."""
    created_by(AFTER_NEXT, tmp_path)
    (tmp_path / "older").mkdir()
    created_by(NEXT, tmp_path / "older")


def test_plain_copier_needs_no_trust(tmp_path: Path) -> None:
    scripts = releases.installed(NEXT)
    run(
        [
            scripts / "copier",
            "copy",
            "--defaults",
            "--quiet",
            releases.next_checkout(),
            tmp_path / "svc",
        ],
        tmp_path,
    )
    assert answers(tmp_path / "svc")["_src_path"] == str(releases.next_checkout())
    assert (tmp_path / "svc" / "go.mod").is_file()


def test_a_development_render_is_recognised(tmp_path: Path) -> None:
    assert gindock("new", "svc", "-y", cwd=tmp_path).code == 0
    assert ".dev" in str(answers(tmp_path / "svc")["_commit"])
    done = gindock("update", cwd=tmp_path / "svc")
    assert done.code == 2
    assert "rendered from a checkout of gindock" in done.stderr


@pytest.mark.parametrize(
    ("case", "code", "message"),
    [
        ("nothing", 2, "was not rendered by gindock"),
        ("no git", 2, "is not in git"),
        ("dirty", 2, "has uncommitted changes"),
        ("broken answers", 2, "is no valid answers file"),
        ("no folder", 2, "there is no folder"),
    ],
)
def test_what_cannot_be_updated_is_refused(
    case: str, code: int, message: str, tmp_path: Path
) -> None:
    project = tmp_path / "svc"
    if case not in ("nothing", "no folder"):
        gindock("new", "svc", "-y", "--no-git" if case == "no git" else "--git", cwd=tmp_path)
    if case == "dirty":
        (project / "README.md").write_text("mine")
    if case == "broken answers":
        (project / ".copier-answers.yml").write_text("'")
    if case == "nothing":
        project.mkdir()
    before = tree(project)
    done = gindock("update", "svc", cwd=tmp_path)
    assert done.code == code
    assert message in done.stderr
    assert tree(project) == before


def test_the_source_works_where_it_is_not_on_the_path(tmp_path: Path) -> None:
    """Gindock's own commands find `git-remote-gindock` beside themselves."""
    done = subprocess.run(
        [
            "/usr/bin/env",
            "-i",
            "PATH=/usr/bin:/bin",
            f"HOME={tmp_path}",
            str(SCRIPTS / "gindock"),
            "new",
            "svc",
            "-y",
            "--no-git",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_many_first_runs_at_once_share_one_cache(tmp_path: Path) -> None:
    scripts = releases.installed(NEXT)
    env = {**os.environ, "GINDOCK_CACHE_DIR": str(tmp_path / "cache")}
    command = [str(scripts / "git-remote-gindock")]
    runs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        for _ in range(6)
    ]
    for process in runs:
        out, _ = process.communicate(b"capabilities\nconnect git-upload-pack\n0000")
        assert out.startswith(b"connect\n\n\n")
        assert b"refs/tags/v" in out
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = gindock(
        "new", "svc", "-y", cwd=tmp_path, env={"GINDOCK_CACHE_DIR": str(tmp_path / "file")}
    )
    assert done.code == 1
    assert "GINDOCK_CACHE_DIR" in done.stderr


def test_a_template_repository_updates_under_pytest_copie(tmp_path: Path) -> None:
    """As a team's tests would have it that hosts the template in a repository of its own."""
    from pytest_copie.plugin import Copie

    repository = tmp_path / "template.git"
    history.write_repository(releases.after_next_checkout(), repository)
    clone = tmp_path / "template"
    run(["git", "clone", "-q", repository, clone], tmp_path)
    (tmp_path / "out").mkdir()
    copie = Copie(clone, tmp_path / "out", tmp_path / "config")
    result = copie.copy({"service_name": "svc"}, vcs_ref=f"v{NEXT}")
    assert result.exception is None
    assert result.project_dir is not None
    project: Path = result.project_dir
    assert answers(project)["_commit"] == f"v{NEXT}"
    git(project, "init", "-q")
    edits = edit_service(project)
    updated = copie.update(result, vcs_ref=f"v{AFTER_NEXT}")
    assert updated.exception is None
    assert answers(project)["_commit"] == f"v{AFTER_NEXT}"
    check_edits(project, edits)
