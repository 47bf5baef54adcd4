"""Nothing is pushed, signed or deployed while the registry is only an example.

The push job of GitHub's workflow is run, with a docker that only notes what it is told; of
GitLab's pipeline, the rules decide which jobs there are.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
import yaml
from helpers.combinations import COPIER_YML, jinja
from helpers.linters import mutate
from helpers.machine import git, need, run
from helpers.pipelines import DIGEST, GITHUB, GITLAB, OUTSIDE_CI, jobs_of, push_job

RENDERED = "registry.example.com:5000"
EXAMPLES = [
    RENDERED,
    *("registry.example.com", "example.org", "a.b.example.net:443"),
    *("images.example", "example:5000", "hub.invalid", "hub.invalid:5000"),
]
REAL = [
    *("ghcr.io", "localhost:5000", "registry.acme.dev:443", "registry.example.dev"),
    *("registry.myexample.com", "example.com.au", "examples.org", "invalid.acme.dev"),
]


class Push:
    """A repository whose registry a team has edited, and what its push job does there."""

    def __init__(self, source: Path, folder: Path, host: str, *mutant: str) -> None:
        self.folder = shutil.copytree(source, folder / "project")
        for path in (self.folder / GITHUB, self.folder / "Makefile"):
            path.write_text(path.read_text().replace(RENDERED, host))
        if mutant:
            path = self.folder / GITHUB
            path.write_text(mutate(path.read_text(), *mutant))
        for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "one"]):
            git(self.folder, *command)
        docker = folder / "bin" / "docker"
        docker.parent.mkdir()
        docker.write_text(
            "#!/bin/sh\n"
            'echo "$*" >>"${0%/*}/told"\n'
            'while [ "$1" != --metadata-file ]; do shift; done\n'
            f"""printf '{{\\n  "containerimage.digest": "{DIGEST}"\\n}}' >"$2"\n"""
        )
        docker.chmod(0o755)
        self.told = docker.with_name("told")
        self.path = f"{docker.parent}:{os.environ['PATH']}"
        #: What the steps print, what they put out by their id, and where they log in.
        self.printed = ""
        self.outputs: dict[str, str] = {}
        self.logins: list[str] = []
        self.run()

    def run(self) -> None:
        """Run the job's steps, those whose condition holds."""
        job = push_job("github", self.folder)
        output = self.folder.parent / "output"
        for step in job["steps"]:
            if step.get("if") and not self.value(step["if"]):
                continue
            if "/login-action@" in step.get("uses", ""):
                self.logins.append(step["with"]["registry"])
            if "run" in step:
                output.write_text("")
                env = {**OUTSIDE_CI, **job.get("env", {}), "PATH": self.path}
                env["GITHUB_OUTPUT"] = str(output)
                self.printed += run(["bash", "-ec", step["run"]], self.folder, env).stdout
                for line in output.read_text().split():
                    name, _, value = line.partition("=")
                    self.outputs[f"steps.{step['id']}.outputs.{name}"] = value

    def value(self, expression: str) -> str:
        """What an output is; GitHub takes one that was not given for nothing."""
        assert re.fullmatch(r"steps\.\w+\.outputs\.\w+", expression), expression
        return self.outputs.get(expression, "")

    @property
    def digest(self) -> str:
        """What the jobs behind this one get."""
        digest = push_job("github", self.folder)["outputs"]["digest"]
        return self.value(digest.removeprefix("${{ ").removesuffix(" }}"))


@pytest.fixture
def example(registries: dict[str, Path]) -> Path:
    """Return a render for GitHub whose registry is an example."""
    need("bash", "make")
    return registries["github-example"]


def test_github_pushes_nothing_to_an_example(example: Path, tmp_path: Path) -> None:
    push = Push(example, tmp_path, RENDERED)
    assert not push.told.exists()
    assert push.logins == []
    assert push.digest == ""
    assert push.printed == (
        f"::notice title=Nothing was pushed::{RENDERED} is only an example. "
        "Name your registry in all files: gindock update --set registry=HOST/PATH\n"
    )


def test_github_is_live_once_the_registry_is_edited(example: Path, tmp_path: Path) -> None:
    push = Push(example, tmp_path, "registry.acme.dev:443")
    assert "--push ." in push.told.read_text()
    assert push.logins == ["registry.acme.dev:443"]
    assert push.digest == DIGEST
    assert "notice" not in push.printed


def test_github_knows_an_example(example: Path, tmp_path: Path) -> None:
    [step] = [s for s in push_job("github", example)["steps"] if s.get("id") == "registry"]
    env = {"GITHUB_OUTPUT": str(tmp_path / "output")}
    for host in (*EXAMPLES, *REAL):
        (tmp_path / "output").write_text("")
        said = run(["bash", "-ec", step["run"]], tmp_path, {**env, "IMAGE_REGISTRY": host}).stdout
        real = (tmp_path / "output").read_text() == "real=yes\n"
        assert (real, host in said) == (host in REAL, host in EXAMPLES), host


def test_github_signs_and_deploys_nothing_that_was_not_pushed(example: Path) -> None:
    jobs = yaml.safe_load((example / GITHUB).read_text())["jobs"]
    assert jobs["scan"]["if"] == "needs.push.outputs.digest"
    # A job whose need was skipped is skipped.
    assert "scan" in jobs["sign"]["needs"]
    assert "sign" in jobs["deploy"]["needs"]


@pytest.mark.parametrize("id_", ["docker/login-action", "id: push"])
def test_a_step_without_its_condition_is_found(id_: str, example: Path, tmp_path: Path) -> None:
    text = (example / GITHUB).read_text()
    [line] = [line for line in text.splitlines() if id_ in line][:1]
    condition = "\n        if: steps.registry.outputs.real"
    push = Push(example, tmp_path, RENDERED, f"{line}{condition}", line)
    assert push.logins or push.told.exists()


def created(pipeline: Path, host: str) -> set[str]:
    """Return the jobs after the tests that a push to the main branch makes, with all switches on."""
    found = set()
    for name, job in jobs_of(pipeline).items():
        if job["stage"] == "test":
            continue
        rule = job["rules"][-1]["if"]
        asked = re.search(r"\$IMAGE_REGISTRY ([=!]~) /(.*)/$", rule)
        assert asked, f"{name} is there whatever the registry is"
        if bool(re.search(asked[2], host)) == (asked[1] == "=~"):
            found.add(name)
    return found


def test_gitlab_pushes_nothing_to_an_example(registries: dict[str, Path]) -> None:
    pipeline = registries["gitlab-example"] / GITLAB
    assert yaml.safe_load(pipeline.read_text())["variables"] == {"IMAGE_REGISTRY": RENDERED}
    for host in EXAMPLES:
        assert created(pipeline, host) == {"no-registry"}, host
    for host in REAL:
        assert created(pipeline, host) == {"push", "scan", "sign", "verify", "deploy"}, host
    [line] = jobs_of(pipeline)["no-registry"]["script"]
    said = run(["sh", "-ec", line], pipeline.parent, {"IMAGE_REGISTRY": RENDERED}).stdout
    assert said == (
        f"Nothing was pushed, {RENDERED} is only an example. "
        "Name your registry in all files with gindock update --set registry=HOST/PATH\n"
    )


def test_a_real_registry_is_not_asked_about(registries: dict[str, Path]) -> None:
    for name, project in registries.items():
        files = [project / GITHUB, project / GITLAB, project / "README.md"]
        text = "".join(file.read_text() for file in files if file.exists())
        assert ("only an example" in text) == name.endswith("-example"), name


def test_the_template_knows_an_example_as_the_pipelines_do() -> None:
    default = COPIER_YML["example_registry"]["default"]
    known = jinja().from_string(default)
    found = [h for h in (*EXAMPLES, *REAL) if known.render(registry_host=h) == "True"]
    assert found == EXAMPLES
