"""A team that hosts the template itself: its address by default, switches, Renovate."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from helpers import releases
from helpers.commands import Outcome
from helpers.commands import gindock as run_gindock
from helpers.earlier import check_edits, edit_service
from helpers.linters import npm_tool
from helpers.machine import ROOT, git, run
from helpers.projects import answers, tree
from helpers.releases import AFTER_NEXT, FIX, FIXED, NEXT
from helpers.service import free_port

from gindock.upstream import history

#: The team's release after gindock's `NEXT`, and the one after that.
TEAMS, TEAMS_NEXT = "v99.1.0", "v99.2.0"

OWN = "git+gindock::template"


def gindock(*arguments: str | Path, cwd: Path, **env: str) -> Outcome:
    """Run the released gindock, whose own template `NEXT` is."""
    return run_gindock(*arguments, cwd=cwd, env=env, scripts=releases.installed(NEXT))


@dataclass(frozen=True)
class Team:
    """A team's template on a git server of its own, and a clone of it to work in."""

    url: str
    clone: Path

    def release(self, version: str) -> None:
        """Publish a version, which adds a line to a file that every service has."""
        with (self.clone / "template" / FIXED).open("a") as file:
            file.write(FIX)
        git(self.clone, "commit", "-qam", version)
        git(self.clone, "tag", version)
        git(self.clone, "push", "-q", "origin", "main", version)

    def service(self, folder: Path) -> Path:
        """Create a service from the team's newest version."""
        done = gindock("new", "svc", "--template", self.url, "-y", cwd=folder)
        assert done.code == 0, done.stderr
        return folder / "svc"


class GitServer(BaseHTTPRequestHandler):
    """Git's own server for smart HTTP, below `root`."""

    root: Path

    def do_GET(self) -> None:
        """Hand the request to git, as a web server does."""
        path, _, query = self.path.partition("?")
        asked = {
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROJECT_ROOT": str(self.root),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            env={**os.environ, **asked},
            capture_output=True,
            check=False,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        """Hand it over likewise."""
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    """Host gindock's template, and one release of the team's own after it."""
    hosted = tmp_path / "hosted" / "gin-template.git"
    history.write_repository(releases.next_checkout(), hosted)
    git(tmp_path, "clone", "-q", str(hosted), "clone")
    handler = type("Handler", (GitServer,), {"root": hosted.parent})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = Team(f"http://127.0.0.1:{server.server_port}/gin-template.git", tmp_path / "clone")
        found.release(TEAMS)
        yield found
        server.shutdown()


def configure(folder: Path, text: str) -> dict[str, str]:
    """Write a configuration file, and return the environment that names it."""
    (folder / "config").mkdir()
    (folder / "config" / "config.yml").write_text(text)
    return {"GINDOCK_CONFIG_DIR": str(folder / "config")}


@pytest.mark.parametrize("where", ["option", "environment", "file"])
def test_new_takes_the_teams_template(where: str, team: Team, tmp_path: Path) -> None:
    option = ["--template", team.url] if where == "option" else []
    env, origin = {}, ""
    if where == "environment":
        env, origin = {"GINDOCK_TEMPLATE": team.url}, "GINDOCK_TEMPLATE"
    if where == "file":
        env = configure(tmp_path, f"template: {team.url}\n")
        origin = str(tmp_path / "config" / "config.yml")
    done = gindock("new", "svc", "-y", *option, cwd=tmp_path, **env)
    assert done.code == 0, done.stderr
    recorded = answers(tmp_path / "svc")
    assert (recorded["_src_path"], recorded["_commit"]) == (team.url, TEAMS)
    assert recorded["service_name"] == "svc"
    assert (tmp_path / "svc" / FIXED).read_text().endswith(FIX)
    # A default is said, since nobody has typed it.
    assert done.stderr == (f"Template: {team.url} (from {origin})\n" if origin else "")


def test_the_nearest_choice_of_a_template_counts(tmp_path: Path) -> None:
    env = configure(tmp_path, "template: https://git.invalid/in-the-file.git\n")
    from_environment = {**env, "GINDOCK_TEMPLATE": "https://git.invalid/in-the-environment.git"}
    done = gindock("new", "svc", "-y", cwd=tmp_path, **env)
    assert done.code == 1
    assert "in-the-file.git" in done.stderr
    done = gindock("new", "svc", "-y", cwd=tmp_path, **from_environment)
    assert done.code == 1
    assert "in-the-environment.git" in done.stderr
    own = ["--template", "gindock", "--datastores", "redis"]
    done = gindock("new", "svc", "-y", *own, cwd=tmp_path, **from_environment)
    assert (done.code, done.stderr) == (0, "")
    assert answers(tmp_path / "svc")["_src_path"] == OWN
    done = gindock("new", "svc2", "-y", cwd=tmp_path, **env, GINDOCK_TEMPLATE="gindock")
    assert done.code == 0
    assert answers(tmp_path / "svc2")["_src_path"] == OWN


def test_the_printed_command_overrules_a_default_too(tmp_path: Path) -> None:
    env = {"GINDOCK_TEMPLATE": "https://git.invalid/team.git"}
    for name in "first", "second":
        (tmp_path / name).mkdir()
    first = tmp_path / "first"
    done = gindock("new", "svc", "-y", "--template", "gindock", cwd=first, **env)
    command = shlex.split(done.stdout.strip().splitlines()[-1])
    assert gindock(*command[1:], cwd=tmp_path / "second", **env).code == 0
    assert tree(tmp_path / "first") == tree(tmp_path / "second")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("templates: x\n", "there is no setting 'templates'; the only one is 'template'"),
        ("template: [a]\n", "'template' must be a URL, a path or the word gindock, not ['a']"),
        ("template: ''\n", "'template' must be a URL"),
        ("template: '\n", "is no valid YAML; mend or remove it"),
        ("- template\n", "must hold `template: URL`; mend or remove it"),
    ],
)
def test_a_wrong_configuration_is_named(text: str, message: str, tmp_path: Path) -> None:
    env = configure(tmp_path, text)
    done = gindock("new", "svc", "-y", cwd=tmp_path, **env)
    assert done.code == 2
    assert message in done.stderr
    assert str(tmp_path / "config" / "config.yml") in done.stderr
    assert not (tmp_path / "svc").exists()
    # What does not need it works all the same.
    assert gindock("new", "svc", "-y", "--template", "gindock", cwd=tmp_path, **env).code == 0


def test_an_option_that_the_default_template_may_not_have_is_explained(tmp_path: Path) -> None:
    url = "https://git.example.com/team.git"
    done = gindock("new", "svc", "-y", "--ci", "none", cwd=tmp_path, GINDOCK_TEMPLATE=url)
    assert done.code == 2
    for told in ("--ci", "GINDOCK_TEMPLATE", url, "-d key=value", "--template gindock"):
        assert told in done.stderr
    assert not (tmp_path / "svc").exists()


def test_a_service_switches_to_the_teams_template_and_back(team: Team, tmp_path: Path) -> None:
    assert gindock("new", "svc", "-y", cwd=tmp_path).code == 0
    project = tmp_path / "svc"
    edits = edit_service(project)
    head = git(project, "rev-parse", "HEAD")

    done = gindock("update", "--template", team.url, "--commit", cwd=project)
    assert done.code == 0, done.stderr
    assert f"\nSwitched from v{NEXT} to {TEAMS} of {team.url}, commit " in done.stdout
    recorded = answers(project)
    assert (recorded["_src_path"], recorded["_commit"]) == (team.url, TEAMS)
    assert (project / FIXED).read_text().endswith(FIX)
    check_edits(project, edits)
    assert git(project, "rev-parse", "HEAD~1") == head

    done = gindock("update", "--template", "gindock", "--commit", cwd=project)
    assert done.code == 0, done.stderr
    assert f"\nSwitched from {TEAMS} to v{NEXT} of gindock's own template, commit" in done.stdout
    recorded = answers(project)
    assert (recorded["_src_path"], recorded["_commit"]) == (OWN, f"v{NEXT}")
    check_edits(project, edits)
    # There and back, nothing else has changed.
    assert git(project, "diff", "--name-only", head) == ""
    assert git(project, "rev-parse", "HEAD~2") == head


def test_a_teams_release_arrives_and_nothing_new_renders_nothing(
    team: Team, tmp_path: Path
) -> None:
    project = team.service(tmp_path)
    edits = edit_service(project)
    before = tree(project)
    # Neither an update without news nor a second status imports Copier.
    (tmp_path / "copier.py").write_text("raise SystemExit('Copier was imported')\n")
    without_copier = {"PYTHONPATH": str(tmp_path)}
    assert "imported" in gindock("new", "x", "-y", cwd=tmp_path, **without_copier).stderr
    done = gindock("update", cwd=project, **without_copier)
    assert (done.code, done.stdout) == (0, f"Already at {TEAMS}.\n")
    assert tree(project) == before

    team.release(TEAMS_NEXT)
    done = gindock("status", "--json", cwd=project)
    found = json.loads(done.stdout)
    assert done.code == 0
    assert (found["template"], found["version"], found["newest"]) == (team.url, TEAMS, TEAMS_NEXT)
    assert found["behind"]
    assert found["answers"] == {"refused": {}, "new": []}
    assert (found["drift"]["changed"], found["drift"]["deleted"]) == (
        ["Makefile", "README.md"],
        ["renovate.json"],
    )
    assert gindock("status", "--json", cwd=project, **without_copier).stdout == done.stdout

    done = gindock("update", cwd=project)
    assert done.code == 0, done.stderr
    assert answers(project)["_commit"] == TEAMS_NEXT
    assert (project / FIXED).read_text().endswith(FIX * 2)
    check_edits(project, edits)


def test_an_address_that_cannot_be_reached_is_said_and_nothing_changes(
    team: Team, tmp_path: Path
) -> None:
    project = team.service(tmp_path)
    gone = f"http://127.0.0.1:{free_port()}/gin-template.git"
    before = tree(project)
    for command in (["update", "--template", gone], ["new", "other", "--template", gone, "-y"]):
        done = gindock(*command, cwd=project)
        assert done.code == 1, command
        assert "git could not fetch the template" in done.stderr
        assert "check its address" in done.stderr
    assert tree(project) == before
    assert git(project, "status", "--porcelain") == ""

    # A status tells what it can, and that this is not all.
    recorded = project / ".copier-answers.yml"
    recorded.write_text(recorded.read_text().replace(team.url, gone))
    done = gindock("status", cwd=project)
    assert done.code == 1
    assert TEAMS in done.stdout
    assert f"git could not fetch the template at {gone}" in done.stdout


# --- Renovate


def renovate(project: Path, how: str) -> dict[str, Any]:
    """Return what Renovate, run with its real manager of Copier, finds out about the template."""
    report = project.parent / "report.json"
    options = ("--platform=local", "--report-type=file", f"--report-path={report}")
    env = {
        "RENOVATE_BASE_DIR": str(project.parent / "renovate"),
        "RENOVATE_ENABLED_MANAGERS": '["copier"]',
    }
    run([*npm_tool("renovate"), *options, f"--dry-run={how}"], project, env)
    [repository] = json.loads(report.read_text())["repositories"].values()
    [file] = repository["packageFiles"]["copier"]
    assert file["packageFile"] == ".copier-answers.yml"
    [dependency] = file["deps"]
    return dict(dependency)


def record(project: Path, url: str, version: str) -> None:
    """Let `project` come from `url`, and commit that."""
    file = project / ".copier-answers.yml"
    entries = [
        line for line in file.read_text().splitlines() if not line.startswith(("_src", "_commit"))
    ]
    file.write_text("\n".join([*entries, f"_commit: {version}", f"_src_path: {url}", ""]))
    git(project, "commit", "-qam", "Move")


def test_renovate_finds_a_teams_template_and_leaves_the_embedded_one_alone(tmp_path: Path) -> None:
    assert gindock("new", "svc", "-y", cwd=tmp_path).code == 0
    project = tmp_path / "svc"
    found = renovate(project, "lookup")
    assert (found["packageName"], found["skipReason"]) == ("gindock::template", "disabled")

    url = "https://git.example.com/platform/gin-template.git"
    record(project, url, "v1.2.3")
    found = renovate(project, "extract")
    assert found == {
        "datasource": "git-tags",
        "depName": url,
        "packageName": url,
        "depType": "template",
        "currentValue": "v1.2.3",
    }


def test_renovate_offers_a_teams_release(team: Team, tmp_path: Path) -> None:
    project = team.service(tmp_path)
    team.release(TEAMS_NEXT)
    [update] = renovate(project, "lookup")["updates"]
    assert update["newValue"] == TEAMS_NEXT


# --- docs/use/teams.md


def test_the_page_for_teams_works_as_written(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "use" / "teams.md").read_text()
    hosted = tmp_path / "platform" / "gin-template.git"
    git(tmp_path, "init", "-q", "--bare", str(hosted))
    page = page.replace("https://git.example.com", str(tmp_path))
    host, release, new, switch, merge = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    [settings] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    env = configure(tmp_path, settings)

    def follow(commands: str, cwd: Path, version: str = NEXT) -> None:
        path = f"{releases.installed(version)}:{os.environ['PATH']}"
        run(["sh", "-euxc", commands], cwd, {**env, "PATH": path})

    follow(host, tmp_path)
    fork = tmp_path / "gin-template"
    with (fork / "template" / "Makefile.jinja").open("a") as file:
        file.write("\nteam:\n\techo team\n")
    follow(release, fork)
    follow(new, tmp_path)
    recorded = answers(tmp_path / "orders")
    assert (recorded["_src_path"], recorded["_commit"]) == (str(hosted), "v1.0.0")
    assert recorded["datastores"] == ["postgres"]

    services = tmp_path / "services"
    services.mkdir()
    assert gindock("new", "orders", "-y", cwd=services).code == 0
    follow(switch, services)
    log = git(services / "orders", "log", "--format=%s")
    assert log.splitlines()[:2] == [
        f"Switch the template from v1.0.0 to v{NEXT} of git+gindock::template",
        f"Switch the template from v{NEXT} to v1.0.0 of {hosted}",
    ]

    # gindock is upgraded, and brings a fix.
    follow(merge, fork, AFTER_NEXT)
    follow("gindock update", tmp_path / "orders", AFTER_NEXT)
    assert answers(tmp_path / "orders")["_commit"] == "v1.1.0"
    assert (tmp_path / "orders" / FIXED).read_text().endswith(FIX)
    assert "echo team" in (tmp_path / "orders" / "Makefile").read_text()
