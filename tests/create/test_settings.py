"""The user's git settings reach their own repositories, and none of gindock's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from helpers.commands import SCRIPTS
from helpers.machine import run
from helpers.projects import tree

from gindock.creating.destination import PREFIX as STAGING_PREFIX

HOOKS = (
    "applypatch-msg", "commit-msg", "fsmonitor-watchman", "post-checkout", "post-commit",
    "post-index-change", "post-merge", "post-rewrite", "post-update", "pre-auto-gc", "pre-commit",
    "pre-push", "pre-receive", "prepare-commit-msg", "reference-transaction", "update",
)  # fmt: skip

QUESTIONS = """\
_subdirectory: template
_templates_suffix: .jinja
greeting:
  type: str
  default: hello
"""


@dataclass
class Machine:
    """A user's machine: a folder to work in, and what git has configured, by which way."""

    folder: Path
    way: str = "file"
    settings: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """Where hooks and filters note that they ran, and in which folder."""
        return self.folder / "log"

    def gindock(self, *arguments: str) -> str:
        """Run `gindock`, with the settings; returns what it prints on both streams."""
        command: list[str] = [str(SCRIPTS / "gindock"), *arguments]
        if self.way == "parameters":
            # As an alias of git's, which hands its own `-c` on.
            given = [part for item in self.settings.items() for part in ("-c", "=".join(item))]
            command = ["git", *given, "-c", f"alias.run=!{command[0]}", "run", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment(), text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def environment(self) -> dict[str, str]:
        """The environment of this machine's commands."""
        env = {
            **os.environ,
            "GINDOCK_CACHE_DIR": str(self.folder / "cache"),
            "COPIER_CACHE_DIR": str(self.folder / "mirrors"),
            **self.env,
        }
        if self.way == "count":
            env["GIT_CONFIG_COUNT"] = str(len(self.settings))
            for number, (key, value) in enumerate(self.settings.items()):
                env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return env

    def ran(self) -> list[tuple[str, Path]]:
        """The hooks and filters that ran, each with its folder."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(line.split(" ", 1)[0], Path(line.split(" ", 1)[1])) for line in lines]


def script(file: Path, log: Path, rest: str) -> None:
    """Let `file` be a program that notes in `log` that it ran."""
    file.write_text(f'#!/bin/sh\necho "{file.name} $PWD" >>{log}\n{rest}\n')
    file.chmod(0o755)


def hostile(folder: Path, way: str) -> Machine:
    """A machine whose settings are the worst that git takes."""
    machine = Machine(folder, way)
    for name in ("hooks", "templates/hooks", "templates/info"):
        (folder / name).mkdir(parents=True)
    for hook in HOOKS:
        for above in ("hooks", "templates/hooks"):
            script(folder / above / hook, machine.log, "exit 1")
    script(folder / "smudge", machine.log, "sed s/a/b/")
    script(folder / "fsmonitor", machine.log, "exit 1")
    (folder / "attributes").write_text("* filter=garble\n")
    shutil.copy(folder / "attributes", folder / "templates" / "info" / "attributes")
    (folder / "templates" / "config").write_text("[core]\n\tautocrlf = true\n\teol = crlf\n")
    machine.settings = {
        "core.hooksPath": str(folder / "hooks"),
        "init.templateDir": str(folder / "templates"),
        "core.abbrev": "40",
        "core.attributesFile": str(folder / "attributes"),
        "core.autocrlf": "true",
        "core.fsmonitor": str(folder / "fsmonitor"),
        "core.sparseCheckout": "true",
        "core.splitIndex": "true",
        "filter.garble.smudge": str(folder / "smudge"),
        "filter.garble.required": "true",
        "filter.garble.clean": "cat",
        "clone.defaultRemoteName": "elsewhere",
        "clone.rejectShallow": "true",
        "commit.gpgSign": "true",
        "gpg.program": "false",
        "tag.gpgSign": "true",
        "fetch.prune": "true",
        "fetch.recurseSubmodules": "true",
        "submodule.recurse": "true",
        "init.defaultRefFormat": "reftable",
        "transfer.fsckObjects": "true",
        "protocol.allow": "never",
        "protocol.file.allow": "always",  # Teams are asked for what they want.
        "log.showSignature": "true",
        "color.ui": "always",
        "safe.bareRepository": "explicit",
    }
    machine.env = {"GIT_CONFIG_GLOBAL": str(folder / "gitconfig")}
    shutil.copy(os.environ["GIT_CONFIG_GLOBAL"], folder / "gitconfig")
    if way == "file":
        for key, value in machine.settings.items():
            run(["git", "config", "--file", folder / "gitconfig", key, value], folder)
        machine.env["GIT_TEMPLATE_DIR"] = str(folder / "templates")
    return machine


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A team's template in git, with two versions and a branch."""
    folder = tmp_path_factory.mktemp("team") / "template.git"
    (folder / "template").mkdir(parents=True)
    (folder / "copier.yml").write_text(QUESTIONS)
    record = "[[ _copier_conf.answers_file ]]".replace("[[", "{{").replace("]]", "}}")
    (folder / "template" / f"{record}.jinja").write_text("{{ _copier_answers|to_nice_yaml }}\n")
    (folder / "template" / "a.txt.jinja").write_text("{{ greeting }}\na line\n\nthe end\n")
    run(["git", "init", "-q", "-b", "main"], folder)
    for version in ("v1.0.0", "v1.1.0"):
        with (folder / "template" / "a.txt.jinja").open("a") as file:
            file.write(f"a fix of {version}\n")
        run(["git", "add", "-A"], folder)
        run(["git", "commit", "-qm", version], folder)
        run(["git", "tag", version], folder)
    run(["git", "branch", "trial", "v1.0.0"], folder)
    return folder


def arguments_of(kind: str, team: Path) -> tuple[list[str], str]:
    """The options with which `new` renders an older version, and the newer one."""
    if kind == "embedded":
        return ["--ref", "v0.5.0"], "v0.6.0"
    url = {"path": str(team), "address": f"git+file://{team}"}[kind]
    return ["--template", url, "--ref", "v1.0.0"], "v1.1.0"


def life(machine: Machine, options: Sequence[str], newer: str) -> dict[str, object]:
    """What is made, shown and merged of a project, from its creation to an update."""
    project = machine.folder / "svc"
    seen: dict[str, object] = {}
    machine.gindock("new", "svc", "-y", "-q", *options)
    seen["created"] = {path: (project / path).read_bytes() for path in tree(project)}
    plain = ["git", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false"]
    run([*plain, "add", "-Af"], project, machine.environment())
    # Already committed where no hook of the user's refused it.
    run([*plain, "commit", "-qm", "Mine"], project, machine.environment(), ok=False)
    seen["committed"] = run(["git", "rev-parse", "HEAD^{tree}"], project).stdout
    told = machine.gindock("status", "--diff", "svc")
    seen["status"] = told
    seen["diff"] = machine.gindock("update", "svc", "--to", newer, "--diff")
    machine.gindock("update", "svc", "--to", newer)
    seen["updated"] = run(["git", "write-tree"], project).stdout
    return seen


@pytest.fixture(scope="module")
def plain(team: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What the same is where git has no settings, by the kind of template; made when asked."""
    made: dict[str, dict[str, object]] = {}

    class Lives(dict[str, dict[str, object]]):
        def __missing__(self, kind: str) -> dict[str, object]:
            machine = Machine(tmp_path_factory.mktemp("plain"))
            self[kind] = life(machine, *arguments_of(kind, team))
            return self[kind]

    return Lives(made)


def is_the_users(name: str, where: Path, project: Path) -> bool:
    """Whether a program ran for the user's own project."""
    # Before it is moved to its place, it is theirs, too.
    staged = project.name == where.name and any(
        p.name.startswith(STAGING_PREFIX) for p in where.parents
    )
    # Their filters store and write their files, by the attributes that come with an update.
    filtered = name in ("clean", "smudge") and where.name == "attributes"
    return where == project or staged or filtered


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        ("file", "embedded"),
        ("parameters", "path"),
        ("file", "address"),
        ("count", "address"),
    ],
)
def test_no_setting_of_the_users_reaches_a_repository_of_gindocks(
    way: str, kind: str, team: Path, plain: dict[str, dict[str, object]], tmp_path: Path
) -> None:
    machine = hostile(tmp_path, way)
    project = tmp_path / "svc"
    seen = life(machine, *arguments_of(kind, team))
    for what, expected in plain[kind].items():
        assert seen[what] == expected, what
    elsewhere = {(n, w) for n, w in machine.ran() if not is_the_users(n, w, project)}
    assert not elsewhere
    # In their own repository they get what they have set.
    assert "pre-commit" in {name for name, _ in machine.ran()}
    if way != "parameters":  # Which git does not hand on to the tests' own.
        assert (project / ".git" / "hooks" / "pre-commit").exists()


def test_a_branch_is_found_whatever_clones_call_their_remote(team: Path, tmp_path: Path) -> None:
    machine = hostile(tmp_path, "file")
    machine.gindock("new", "svc", "-y", "-q", "--template", str(team), "--ref", "trial", "--no-git")
    assert "v1.1.0" not in (tmp_path / "svc" / "a.txt").read_text()


def test_copies_that_an_older_gindock_made_run_no_hooks(team: Path, tmp_path: Path) -> None:
    """A mirror in the cache may still hold the hooks of the user's template for repositories."""
    machine = hostile(tmp_path, "file")
    options = ["--template", f"git+file://{team}", "--no-git"]
    machine.gindock("new", "one", "-y", "-q", *options)
    mirrors = [*(tmp_path / "mirrors").glob("*/*.git")]
    assert mirrors, "Copier keeps no mirror where this test looks for it"
    for mirror in mirrors:
        shutil.copytree(tmp_path / "templates" / "hooks", mirror / "hooks", dirs_exist_ok=True)
    machine.gindock("new", "two", "-y", "-q", *options)
    assert not machine.ran()


def test_a_team_decides_on_protocols_and_addresses(team: Path, tmp_path: Path) -> None:
    machine = hostile(tmp_path, "file")
    config = ["git", "config", "--file", str(tmp_path / "gitconfig")]
    run([*config, f"url.file://{team.parent}/.insteadOf", "https://git.example.com/"], tmp_path)
    options = ["--template", "https://git.example.com/template.git", "--no-git"]
    machine.gindock("new", "svc", "-y", "-q", *options)
    assert "v1.1.0" in (tmp_path / "svc" / "a.txt").read_text()
    run([*config, "protocol.file.allow", "never"], tmp_path)
    done = run(
        [str(SCRIPTS / "gindock"), "new", "other", "-y", *options], tmp_path,
        machine.environment(), ok=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "transport 'file' not allowed" in done.stdout
