"""`gindock new` without a terminal: what it creates, says and refuses."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from helpers.commands import SCRIPTS, gindock
from helpers.machine import ROOT, git, need, run
from helpers.projects import answers, tree

from gindock.creating.surroundings import module_path_of


def test_creates_a_committed_repository_and_says_what_next(tmp_path: Path) -> None:
    done = gindock("new", "myservice", "--defaults", cwd=tmp_path)
    assert done.code == 0
    project = tmp_path / "myservice"
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "rev-list", "--count", "HEAD") == "1"
    assert git(project, "branch", "--show-current") == "main"
    assert f"Created myservice: {len(tree(project))} files, first commit" in done.stdout
    assert "cd myservice" in done.stdout
    assert "  gindock new myservice --defaults\n" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["myservice"]


def test_the_printed_command_creates_the_same(tmp_path: Path) -> None:
    for name in "first", "second":
        (tmp_path / name).mkdir()
    given = [
        "--datastores",
        "redis",
        "--probes",
        "none",
        "--http-port",
        "9090",
        "--description",
        'It\'s $5 "now"',
        "--customise",
    ]
    done = gindock("new", "svc", "-y", *given, cwd=tmp_path / "first")
    command = shlex.split(done.stdout.strip().splitlines()[-1])
    assert gindock(*command[1:], cwd=tmp_path / "second").code == 0
    assert tree(tmp_path / "first") == tree(tmp_path / "second")


def test_json_is_the_only_thing_on_stdout(tmp_path: Path) -> None:
    done = gindock("new", "svc", "-y", "--json", "--base-image", "alpine", cwd=tmp_path)
    result = json.loads(done.stdout)
    assert done.code == 0
    assert set(result["files"]) == set(tree(tmp_path / "svc"))
    assert result["answers"]["base_image"] == "alpine"
    assert result["directory"] == str(tmp_path / "svc")
    assert git(tmp_path / "svc", "rev-parse", "--short", "HEAD") == result["commit"]
    failed = gindock("new", "svc", "-y", "--json", cwd=tmp_path)
    assert failed.code == 2
    assert "which the service has too" in json.loads(failed.stdout)["error"]


def test_quiet_prints_nothing(tmp_path: Path) -> None:
    done = gindock("new", "svc", "-y", "--quiet", cwd=tmp_path)
    assert (done.code, done.stdout, done.stderr) == (0, "", "")


def test_dry_run_shows_and_writes_nothing(tmp_path: Path) -> None:
    done = gindock("new", "svc", "-y", "--dry-run", "--datastores", "postgres", cwd=tmp_path)
    assert done.code == 0
    for shown in ("postgres", "go.mod", "files in"):
        assert shown in done.stdout
    assert list(tmp_path.iterdir()) == []
    planned = json.loads(gindock("new", "svc", "-y", "--dry-run", "--json", cwd=tmp_path).stdout)
    assert list(tmp_path.iterdir()) == []
    gindock("new", "svc", "-y", cwd=tmp_path)
    assert set(planned["files"]) == set(tree(tmp_path / "svc"))


@pytest.mark.parametrize(
    "directory",
    ["a/b/svc", "./svc", "x/../svc", "../{}/svc", "spaced out/svc", "ünï/svc", "{cwd}/svc"],
)
def test_any_path_will_do(directory: str, tmp_path: Path) -> None:
    directory = directory.format(tmp_path.name, cwd=tmp_path)
    assert gindock("new", directory, "-y", cwd=tmp_path).code == 0
    project = Path(os.path.normpath(tmp_path / directory))
    assert answers(project)["service_name"] == "svc"


def test_service_name_may_differ_from_the_directory(tmp_path: Path) -> None:
    assert gindock("new", "My Folder", "--service-name", "orders", "-y", cwd=tmp_path).code == 0
    assert answers(tmp_path / "My Folder")["service_name"] == "orders"
    assert gindock("new", "--service-name", "orders", "-y", cwd=tmp_path).code == 0
    assert answers(tmp_path / "orders")["service_name"] == "orders"


def test_the_output_does_not_depend_on_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    gindock("new", tmp_path / "a" / "svc", "-y", cwd=tmp_path)
    gindock("new", tmp_path / "b" / "svc", "-y", cwd=tmp_path / "deep")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_an_empty_folder_is_filled_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / "svc"
    folder.mkdir()
    before = folder.stat().st_ino
    assert gindock("new", ".", "-y", cwd=folder).code == 0
    assert folder.stat().st_ino == before
    assert git(folder, "status", "--porcelain") == ""
    assert not list(folder.glob(".gindock*"))


def test_a_fresh_clone_counts_as_empty_and_names_the_module(tmp_path: Path) -> None:
    folder = tmp_path / "svc"
    run(["git", "init", "-q", "-b", "trunk", folder], tmp_path)
    git(folder, "remote", "add", "origin", "git@github.com:Acme/shop.git")
    assert gindock("new", ".", "-y", cwd=folder).code == 0
    assert answers(folder)["module_path"] == "github.com/Acme/shop"
    assert answers(folder)["registry"] == "ghcr.io/acme"
    assert git(folder, "branch", "--show-current") == "trunk"
    assert git(folder, "rev-list", "--count", "HEAD") == "1"
    assert git(folder, "status", "--porcelain") == ""


def test_inside_a_work_tree_there_is_no_init_and_no_commit(tmp_path: Path) -> None:
    run(["git", "init", "-q", "."], tmp_path)
    git(tmp_path, "remote", "add", "origin", "https://user:secret@gitlab.com/acme/mono.git")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    assert gindock("new", "services/orders", "-y", cwd=tmp_path).code == 0
    project = tmp_path / "services" / "orders"
    assert not (project / ".git").exists()
    assert git(tmp_path, "rev-list", "--count", "HEAD") == "1"
    assert answers(project)["module_path"] == "gitlab.com/acme/mono/services/orders"


def test_no_git_starts_no_repository(tmp_path: Path) -> None:
    assert gindock("new", "svc", "-y", "--no-git", cwd=tmp_path).code == 0
    assert not (tmp_path / "svc" / ".git").exists()


def test_where_git_knows_no_user_everything_is_staged(tmp_path: Path) -> None:
    (tmp_path / "gitconfig").touch()
    done = gindock(
        "new", "svc", "-y", cwd=tmp_path, env={"GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig")}
    )
    assert done.code == 0
    assert "git config --global user.email" in done.stderr
    assert "git commit -m" in done.stderr
    assert len(git(tmp_path / "svc", "diff", "--cached", "--name-only").splitlines()) == len(
        tree(tmp_path / "svc")
    )


def test_a_commit_hook_that_fails_keeps_the_project(tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    env = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": str(hooks),
    }
    done = gindock("new", "svc", "-y", cwd=tmp_path, env=env)
    assert done.code == 0
    assert "not today" in done.stderr
    assert (tmp_path / "svc" / "go.mod").is_file()


def test_answers_come_from_a_file_and_options_go_before_it(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(
        "_commit: v1\nbase_image: alpine\ndatastores: [postgres]\nhttp_port: 8000\nci: gitlab\n"
    )
    done = gindock(
        "new",
        "svc",
        "-y",
        "--answers",
        "a.yml",
        "--ci",
        "none",
        "-d",
        "http_port=8001",
        cwd=tmp_path,
    )
    assert done.code == 0, done.stderr
    recorded = answers(tmp_path / "svc")
    assert recorded["base_image"] == "alpine"
    assert recorded["datastores"] == ["postgres"]
    assert recorded["ci"] == "none"
    assert recorded["http_port"] == 8001


def test_answers_of_another_project_serve_again(tmp_path: Path) -> None:
    gindock("new", "one", "-y", "--datastores", "redis", "--http-port", "8800", cwd=tmp_path)
    done = gindock(
        "new",
        "two",
        "--answers",
        "one/.copier-answers.yml",
        "--service-name",
        "two",
        "-y",
        cwd=tmp_path,
    )
    assert done.code == 0, done.stderr
    assert answers(tmp_path / "two") == {**answers(tmp_path / "one"), "service_name": "two"}


def test_with_every_answer_given_no_terminal_is_needed(tmp_path: Path) -> None:
    missing = gindock("new", "svc", cwd=tmp_path)
    assert missing.code == 2
    assert missing.stderr.startswith(
        "Error: there is no terminal to ask on; add --defaults, or answer --module-path,"
    )
    assert "--http-port" not in missing.stderr, "not asked unless customised"
    given = [
        "--module-path",
        "a.b/c",
        "--base-image",
        "alpine",
        "--registry",
        "a.b",
        "--deploy",
        "compose",
        "--datastores",
        "none",
        "--no-customise",
    ]
    assert gindock("new", "svc", *given, cwd=tmp_path).code == 0


REFUSALS: dict[str, tuple[list[str], str]] = {
    "bad name": (
        ["new", "My_Service", "-y"],
        "--service-name: use lower-case letters, digits and hyphens",
    ),
    "reserved name": (
        ["new", "vendor", "-y"],
        "--service-name: choose another name; 'vendor' means something else to Go",
    ),
    "name escapes": (
        ["new", "svc", "--service-name", "../x", "-y"],
        "--service-name: use lower-case letters, digits and hyphens",
    ),
    "root": (["new", "/", "-y"], "/ has no name"),
    "no directory": (["new", "-y"], "name the DIRECTORY"),
    "unknown choice": (
        ["new", "svc", "--base-image", "scratch", "-y"],
        "'scratch' is not one of 'distroless', 'alpine'",
    ),
    "unknown of several": (
        ["new", "svc", "--datastores", "redis,mongo", "-y"],
        "--datastores: 'mongo' is not offered; choose from postgres, mysql, redis",
    ),
    "none and one": (
        ["new", "svc", "--datastores", "none", "--datastores", "redis", "-y"],
        "'none' goes with nothing else",
    ),
    "no deployment": (
        ["new", "svc", "--deploy", "none", "-y"],
        "--deploy: choose kubernetes, compose or both",
    ),
    "ruled out": (
        ["new", "svc", "--deploy", "compose", "--probes", "liveness", "-y"],
        "--probes does not apply with --deploy compose; leave it out, or add --deploy kubernetes",
    ),
    "ruled out by probes": (
        ["new", "svc", "--probes", "none", "--startup-seconds", "20", "-y"],
        "--startup-seconds does not apply with --probes none; leave it out, or add --probes",
    ),
    "no number": (
        ["new", "svc", "--http-port", "http", "-y"],
        "Invalid value for '--http-port': Input should be a valid integer",
    ),
    "privileged port": (
        ["new", "svc", "--http-port", "80", "-y"],
        "--http-port: the port must be 1024 to 65535",
    ),
    "same port": (
        ["new", "svc", "--http-port", "9000", "--admin-port", "9000", "-y"],
        "--admin-port: the admin port must differ",
    ),
    "unknown key": (["new", "svc", "-d", "colour=red", "-y"], "there is no question 'colour'"),
    "derived key": (
        ["new", "svc", "-d", "go_version=1.1", "-y"],
        "there is no question 'go_version'",
    ),
    "no assignment": (["new", "svc", "-d", "ci", "-y"], "write it as key=value"),
    "twice": (["new", "svc", "--ci", "none", "-d", "ci=none", "-y"], "'ci' is answered twice"),
    "no answers file": (
        ["new", "svc", "--answers", "gone.yml", "-y"],
        "cannot read the answers in gone.yml",
    ),
    "no template": (
        ["new", "svc", "--template", "./gone", "-y"],
        "--template: there is no folder ./gone",
    ),
    "no version": (["new", "svc", "--ref", "v99.99", "-y"], "the template has no version 'v99.99'"),
    "unknown option": (["new", "svc", "--colour"], "No such option: --colour"),
    "option of ours": (
        ["new", "svc", "--template", ".", "--ci", "none", "-y"],
        "--ci answers a question of gindock's own",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_is_refused_and_leaves_nothing(case: str, tmp_path: Path) -> None:
    arguments, message = REFUSALS[case]
    done = gindock(*arguments, cwd=tmp_path)
    assert message in " ".join(done.stderr.split())
    assert done.code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        "- a\n",
        "colour: red\n",
        "ci: [github]\n",
        "http_port: {a: 1}\n",
        "ci: null\n",
        "'\n",
        "\xff",
    ],
)
def test_bad_answers_files_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(content.encode("latin-1"))
    done = gindock("new", "svc", "--answers", "a.yml", "-y", cwd=tmp_path)
    assert done.code == 2, done
    assert len(done.stderr.strip().splitlines()) <= 2
    assert [p.name for p in tmp_path.iterdir()] == ["a.yml"]


def test_a_folder_that_holds_something_is_filled_around_it(tmp_path: Path) -> None:
    (tmp_path / "svc" / "deploy").mkdir(parents=True)
    (tmp_path / "svc" / "deploy" / "notes.txt").write_text("mine")
    done = gindock("new", "svc", "-y", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert (tmp_path / "svc" / "deploy" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "svc" / "deploy" / "kubernetes").is_dir()
    assert git(tmp_path / "svc", "status", "--porcelain") == "?? deploy/notes.txt"


def in_a_clone(tmp_path: Path) -> Path:
    """A clone as a host makes it for a new repository, with a commit."""
    folder = tmp_path / "svc"
    run(["git", "init", "-q", "svc"], tmp_path)
    for name in "README.md", ".gitignore", "LICENSE":
        (folder / name).write_text(f"{name} of the host\n")
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "Initial commit")
    return folder


def test_what_is_in_the_way_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    folder = in_a_clone(tmp_path)
    (folder / "cmd").write_text("a file where a folder is to go\n")
    before = tree(folder)
    for given in [], ["--json"]:
        done = gindock("new", ".", "-y", *given, cwd=folder)
        assert done.code == 2
        said = json.loads(done.stdout)["error"] if given else done.stderr
        assert "holds .gitignore, README.md, cmd, which the service has too" in said
        assert "keep them with --keep" in said
        assert tree(folder) == before


def test_what_is_in_the_way_is_kept_on_request(tmp_path: Path) -> None:
    folder = in_a_clone(tmp_path)
    done = gindock("new", ".", "-y", "--keep", cwd=folder)
    assert done.code == 0, done.stderr
    assert "Kept as it was: .gitignore, README.md." in done.stdout
    assert "gindock new . --keep --defaults" in done.stdout
    assert (folder / "README.md").read_text() == "README.md of the host\n"
    assert (folder / "go.mod").is_file()
    # The history is the user's: the message says how to go on.
    assert git(folder, "log", "--format=%s") == "Initial commit"
    command = re.search(r"run `(.*)`", done.stderr)
    assert command
    subprocess.run(command[1], shell=True, cwd=folder, check=True, capture_output=True)
    assert git(folder, "status", "--porcelain") == ""
    assert gindock("status", cwd=folder).code == 0


def test_a_git_folder_that_is_none_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "svc" / ".git").mkdir(parents=True)
    for given in [], ["--keep"]:
        done = gindock("new", "svc", "-y", *given, cwd=tmp_path)
        assert done.code != 0 or not list((tmp_path / "svc" / ".git").iterdir())


def test_below_the_root_of_a_repository_ci_is_left_to_the_root(tmp_path: Path) -> None:
    run(["git", "init", "-q"], tmp_path)
    git(tmp_path, "remote", "add", "origin", "git@github.com:acme/shop.git")
    done = gindock("new", "services/orders", "-y", cwd=tmp_path)
    assert done.code == 0
    assert "CI is left out: a host reads" in done.stderr
    project = tmp_path / "services/orders"
    assert answers(project)["module_path"] == "github.com/acme/shop/services/orders"
    for unread in ".github", ".gitlab-ci.yml", "renovate.json":
        assert not (project / unread).exists()
    assert 'paths: ["FOLDER/**"]' in (project / "README.md").read_text()
    at_root = gindock("new", ".", "--service-name", "shop", "-y", cwd=tmp_path)
    assert at_root.code == 0
    assert (tmp_path / ".github").is_dir()
    assert (tmp_path / "renovate.json").is_file()


def test_a_go_workspace_above_is_told_of(tmp_path: Path) -> None:
    need("go")
    (tmp_path / "go.work").write_text("go 1.26\n\nuse (\n\t./other // a comment\n)\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "go.mod").write_text("module example.com/other\n\ngo 1.26\n")
    done = gindock("new", "svc", "-y", cwd=tmp_path)
    assert done.code == 0
    command = re.search(r"refuses to build it; run `(.*)`", done.stderr)
    assert command
    assert run(["go", "list", "./..."], tmp_path / "svc", ok=False).returncode != 0
    run(shlex.split(command[1]), tmp_path)
    assert "example.com/svc/internal/api" in run(["go", "list", "./..."], tmp_path / "svc").stdout
    again = gindock("new", "other", "--keep", "-y", cwd=tmp_path)
    assert "go.work" not in again.stderr
    off = gindock("new", "third", "-y", cwd=tmp_path, env={"GOWORK": "off"})
    assert "go.work" not in off.stderr


def test_files_and_dead_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for directory in "file", "file/below", "link":
        done = gindock("new", directory, "--service-name", "svc", "-y", cwd=tmp_path)
        assert done.code == 2, directory
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "link"]


@pytest.mark.skipif(
    os.geteuid() == 0 and not Path("/proc/self").exists(), reason="needs a read-only place"
)
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    done = gindock("new", "/proc/nowhere/svc", "-y", cwd=tmp_path)
    assert done.code == 1
    assert len(done.stderr.strip().splitlines()) == 1


def test_another_template_is_rendered_with_its_own_answers(tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "template").mkdir(parents=True)
    (other / "copier.yml").write_text(
        "_subdirectory: template\ncolour: {type: str, default: blue}\n"
    )
    (other / "template" / "file.txt.jinja").write_text("{{ colour }}\n")
    (other / "template" / "{{ _copier_conf.answers_file }}.jinja").write_text(
        "{{ _copier_answers|to_nice_yaml }}"
    )
    done = gindock("new", "out", "--template", "other", "-d", "colour=red", "-y", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert (tmp_path / "out" / "file.txt").read_text() == "red\n"
    assert answers(tmp_path / "out") == {"_src_path": str(other), "colour": "red"}
    done = gindock("new", "out2", "--template", "other", "-d", "shape=round", "-y", cwd=tmp_path)
    assert done.code == 2
    assert "shape" in done.stderr
    assert not (tmp_path / "out2").exists()


def test_another_templates_secret_answers_are_taken_and_open_ones_fail(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "copier.yml").write_text(
        "token: {type: str, secret: true, default: x}\nname: {type: str}\n"
    )
    (other / "file.txt.jinja").write_text("{{ token }} {{ name }}\n")
    given = ["--template", "other", "-d", "token=secret"]
    done = gindock("new", "out", *given, "-d", "name=shop", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert (tmp_path / "out" / "file.txt").read_text() == "secret shop\n"
    for arguments in (
        ["out2", *given],
        ["out2", *given, "-y"],
        ["out2", *given, "-d", "x=y", "-y"],
    ):
        done = gindock("new", *arguments, cwd=tmp_path)
        assert done.code == 2, done
        assert not (tmp_path / "out2").exists()


def test_a_template_with_uncommitted_changes_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    run(["git", "init", "-q", other], tmp_path)
    (other / "copier.yml").write_text("a: {type: str, default: x}\n")
    git(other, "add", "-A")
    git(other, "commit", "-qm", "x")
    (other / "copier.yml").write_text("b: {type: str, default: x}\n")
    done = gindock("new", "out", "--template", "other", "-y", cwd=tmp_path)
    assert done.code == 2
    assert "uncommitted changes" in done.stderr


def test_the_repository_of_a_hook_is_left_alone(tmp_path: Path) -> None:
    """Git sets these in hooks; Copier's git would write into the user's index."""
    repository = tmp_path / "repository"
    run(["git", "init", "-q", repository], tmp_path)
    (repository / "staged").write_text("mine")
    git(repository, "add", "staged")
    env = {
        "GIT_DIR": str(repository / ".git"),
        "GIT_INDEX_FILE": str(repository / ".git" / "index"),
        "GIT_WORK_TREE": str(repository),
    }
    done = gindock("new", "svc", "-y", cwd=tmp_path, env=env)
    assert done.code == 0, done.stderr
    assert git(repository, "diff", "--cached", "--name-only") == "staged"
    assert git(tmp_path / "svc", "rev-list", "--count", "HEAD") == "1"


def test_global_ignores_do_not_hold_files_back(tmp_path: Path) -> None:
    (tmp_path / "ignores").write_text("*.sum\ndeploy/\n")
    env = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.excludesFile",
        "GIT_CONFIG_VALUE_0": str(tmp_path / "ignores"),
    }
    assert gindock("new", "svc", "-y", cwd=tmp_path, env=env).code == 0
    committed = git(tmp_path / "svc", "ls-tree", "-r", "--name-only", "HEAD").splitlines()
    assert set(committed) == set(tree(tmp_path / "svc"))


def test_without_git_it_says_so(tmp_path: Path) -> None:
    done = gindock("new", "svc", "-y", cwd=tmp_path, env={"PATH": str(tmp_path)})
    assert done.code == 1
    assert "git is not installed" in done.stderr


def test_the_command_keeps_what_was_said(tmp_path: Path) -> None:
    done = gindock("new", "-y", "--no-git", "--", "-svc", cwd=tmp_path)
    assert done.code == 2, "the name is refused"
    given = ["--service-name", "svc", "-y", "--no-git", "--json"]
    result = json.loads(gindock("new", *given, "--", "-dir", cwd=tmp_path).stdout)
    assert result["command"] == "gindock new ./-dir --no-git --service-name svc --defaults"


def test_a_template_that_runs_commands_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "copier.yml").write_text("_tasks: [touch /tmp/owned]\n")
    done = gindock("new", "out", "--template", "other", "-y", cwd=tmp_path)
    assert done.code == 2
    assert "unsafe" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("remote", "module"),
    [
        ("git@github.com:acme/shop.git", "github.com/acme/shop"),
        ("https://github.com/acme/shop.git", "github.com/acme/shop"),
        ("https://user:token@GitHub.com/acme/shop", "github.com/acme/shop"),
        ("ssh://git@git.acme.io:2222/team/shop.git/", "git.acme.io/team/shop"),
        ("git.acme.io:team/shop.git", "git.acme.io/team/shop"),
        ("/srv/git/shop.git", None),
        ("../shop", None),
        ("file:///srv/shop.git", None),
        ("git@host:shop", None),
        ("https://[bad/x", None),
    ],
)
def test_module_path_of_a_remote(remote: str, module: str | None) -> None:
    assert module_path_of(remote) == module


def test_versions_help_and_module(tmp_path: Path) -> None:
    version = gindock("--version", cwd=tmp_path)
    assert version.code == 0
    assert version.stdout.startswith("gindock ")
    assert "(template v" in version.stdout
    by_module = run([SCRIPTS / "python", "-m", "gindock", "--version"], tmp_path)
    assert by_module.stdout == version.stdout
    assert gindock("--help", cwd=tmp_path).code == 0


def test_completion_is_offered(tmp_path: Path) -> None:
    done = gindock(
        "new",
        cwd=tmp_path,
        env={
            "_GINDOCK_COMPLETE": "complete_bash",
            "COMP_WORDS": "gindock new --base-image ",
            "COMP_CWORD": "3",
        },
    )
    assert done.stdout.split() == ["distroless", "alpine"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["new", "--help"],
        ["new", "svc", "--http-port", "x"],
        ["new", "something/below"],
        ["--version"],
    ],
)
def test_what_needs_no_copier_does_not_import_it(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    probe = f"import sys, gindock.cli\nsys.argv = ['gindock', *{arguments!r}]\ntry: gindock.cli.main()\nfinally: print('copier' in sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [SCRIPTS / "python", "-c", probe], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip().splitlines()[-1] == "False"


def test_only_one_module_imports_copier() -> None:
    importers = [
        f.name
        for f in (ROOT / "src" / "gindock").rglob("*.py")
        if "import copier" in f.read_text() or "from copier" in f.read_text()
    ]
    assert importers == ["rendering.py"]
