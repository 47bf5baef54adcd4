"""The pipelines have the same stages, no more rights than they need, and no findings.

They run nowhere but at GitHub and GitLab: they are held against linters, schemas and each other.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from helpers.all_renders import variants
from helpers.linters import (
    Command,
    go_tool,
    mutate,
    python_tool,
    rejects,
    schema,
    shellcheck,
    write,
)
from helpers.machine import git, make, run
from helpers.pipelines import (
    GITHUB,
    GITLAB,
    Repository,
    jobs_of,
    push_job,
    rendered,
    texts,
)


def test_workflows(tmp_path: Path, custom: dict[str, Path], registries: dict[str, Path]) -> None:
    found = texts(GITHUB, custom["github"], *registries.values())
    paths = write(tmp_path, found, GITHUB)
    actionlint: Command = [
        go_tool("actionlint"),
        "-pyflakes=",
        "-shellcheck",
        python_tool("shellcheck"),
    ]
    zizmor: Command = [python_tool("zizmor"), "--offline", "--no-config"]

    run([*actionlint, *paths], tmp_path)
    run([*zizmor, *paths], tmp_path)
    run(schema("github-workflows", paths), tmp_path)

    wrong = tmp_path / "wrong" / GITHUB
    wrong.parent.mkdir(parents=True)
    wrong.write_text(mutate(paths[0].read_text(), "runs-on: ubuntu-24.04", "runs-on: ubunto"))
    rejects([*actionlint, wrong], "ubunto", tmp_path)
    injected = "run: echo '${{ github.event.pull_request.title }}'"
    wrong.write_text(mutate(paths[0].read_text(), "run: make lint", injected))
    rejects([*zizmor, wrong], "template-injection", tmp_path)


def test_actions_are_pinned_by_commit_and_say_their_version() -> None:
    for text in variants(GITHUB).values():
        for use in re.findall(r"uses: (.*)", text):
            action = r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"
            # Renovate adds the digest of an image.
            image = r"docker://[\w./-]+:v\d+\.\d+\.\d+"
            assert re.fullmatch(f"{action}|{image}", use)


def test_pipelines(tmp_path: Path, custom: dict[str, Path], registries: dict[str, Path]) -> None:
    found = texts(GITLAB, custom["gitlab"], *registries.values())
    paths = write(tmp_path, found, GITLAB)
    options = ("--data-transform", "gitlab-ci")
    run(schema("gitlab-ci", paths, *options), tmp_path)

    for path in paths:
        jobs = jobs_of(path).values()
        scripts = [[*job.get("before_script", []), *job["script"]] for job in jobs]
        shellcheck("\n".join(line for script in scripts for line in script), tmp_path)
        stages = yaml.safe_load(path.read_text())["stages"]
        assert stages == list(dict.fromkeys(job["stage"] for job in jobs))

    wrong = tmp_path / "wrong.yml"
    wrong.write_text(mutate(paths[0].read_text(), "script:", "scripts:"))
    rejects(schema("gitlab-ci", [wrong], *options), "scripts", tmp_path)


#: What is done in each stage, as both CIs or the Makefile say it.
STAGES = {
    "format": "gofmt -l",
    "vet": "go vet ./...",
    "tidy": "go mod tidy -diff",
    "lint": "golangci-lint run",
    "test": "go test -race -shuffle=on -coverpkg=./... -coverprofile=coverage.out ./...",
    "coverage": "go tool cover -func=coverage.out",
    "vuln": "/govulncheck@v",
    "kustomize": "/kustomize/v5@v",
    "schemas": "/kubeconform@v",
    "manifests": "/kube-score@v",
    "image": "docker build ",
    "platforms": "--platform linux/amd64,linux/arm64",
    "sbom": "--sbom=true",
    "provenance": "--provenance=mode=max",
    "scan": "--only-fixed --fail-on high",
    "sign": "cosign sign --yes ",
    "verify": "cosign verify ",
    "deploy": "scripts/rollout.sh deploy ",
}


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_both_have_the_same_stages(ci: str) -> None:
    project = rendered(ci)
    text = (project / {"github": GITHUB, "gitlab": GITLAB}[ci]).read_text()
    if ci == "github":
        steps = [s for j in yaml.safe_load(text)["jobs"].values() for s in j["steps"]]
        lines = [s.get("run", "") + s.get("with", {}).get("args", "") for s in steps]
    else:
        lines = [line for job in jobs_of(project / GITLAB).values() for line in job["script"]]
    done = []
    for line in "\n".join(lines).splitlines():
        if line.startswith("make "):
            line = make(project, "--silent", "--dry-run", *line.split()[1:])
        done.append(line)
    found = "\n".join(done)
    assert [stage for stage, does in STAGES.items() if does not in found] == []
    # From where it is pushed on, the image is named by its digest alone.
    released = text[text.index("make push") :]
    images = re.findall(r"ghcr\.io/acme/myservice\S*", released)
    assert len(images) >= 3
    for image in images:
        assert re.fullmatch(r'ghcr\.io/acme/myservice@\$(DIGEST"|\{\{)', image), image
    assert "latest" not in re.sub(r"#.*", "", text)


def test_a_job_may_do_what_it_must_and_no_more(registries: dict[str, Path]) -> None:
    read, write_ = {"contents": "read"}, {"packages": "write"}
    for name, extra in [("ghcr", True), ("own", False)]:
        workflow = yaml.safe_load((registries[f"github-{name}"] / GITHUB).read_text())
        assert workflow["permissions"] == {}
        assert {name: job.get("permissions", {}) for name, job in workflow["jobs"].items()} == {
            "test": read,
            "push": read | (write_ if extra else {}),
            "scan": {"packages": "read"} if extra else {},
            "sign": {"id-token": "write"} | (write_ if extra else {}),
            "deploy": read | ({"packages": "read"} if extra else {}),
        }
        for job in workflow["jobs"].values():
            for step in job["steps"]:
                if "/checkout@" in step.get("uses", ""):
                    assert step["with"]["persist-credentials"] is False
    jobs = jobs_of(registries["gitlab-gitlab"] / GITLAB)
    assert [name for name, job in jobs.items() if "id_tokens" in job] == ["sign"]


def test_each_registry_has_its_login(registries: dict[str, Path]) -> None:
    given = {
        "github-ghcr": {"github.actor", "secrets.GITHUB_TOKEN"},
        "github-gitlab": {"secrets.REGISTRY_USERNAME", "secrets.REGISTRY_PASSWORD"},
        "github-own": {"secrets.REGISTRY_USERNAME", "secrets.REGISTRY_PASSWORD"},
        "github-example": {"secrets.REGISTRY_USERNAME", "secrets.REGISTRY_PASSWORD"},
        "gitlab-ghcr": {"REGISTRY_USERNAME", "REGISTRY_PASSWORD"},
        "gitlab-gitlab": {"CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"},
        "gitlab-own": {"REGISTRY_USERNAME", "REGISTRY_PASSWORD"},
        "gitlab-example": {"REGISTRY_USERNAME", "REGISTRY_PASSWORD"},
    }
    word = r"github\.actor|secrets\.\w+|\$\w*REGISTRY_(?:USER|PASS)\w*"
    for name, project in registries.items():
        text = (project / (GITHUB if name.startswith("github") else GITLAB)).read_text()
        used = {found.lstrip("$") for found in re.findall(word, text)}
        assert used - {"secrets.KUBE_CONFIG"} == given[name], name


def test_nothing_is_deployed_before_there_is_a_cluster(registries: dict[str, Path]) -> None:
    workflow = yaml.safe_load((registries["github-own"] / GITHUB).read_text())
    deploy = workflow["jobs"]["deploy"]
    assert deploy["if"] == "vars.DEPLOY == 'true'"
    assert set(deploy["needs"]) == {"push", "sign"}
    assert set(workflow["jobs"]["sign"]["needs"]) == {"push", "scan"}
    jobs = jobs_of(registries["gitlab-own"] / GITLAB)
    for name in ("verify", "deploy"):
        assert jobs[name]["rules"] == [
            {"if": '$DEPLOY == "true" && $CI_PIPELINE_SOURCE != "merge_request_event"'}
        ]
    # Two deployments to one environment never meet, and none is broken off.
    assert deploy["concurrency"]["cancel-in-progress"] is False
    assert deploy["environment"] in deploy["concurrency"]["group"]
    assert jobs["deploy"]["resource_group"] == jobs["deploy"]["environment"]
    assert jobs["deploy"]["interruptible"] is False
    assert "cancelled" not in str(workflow)


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_release_goes_to_prod_anything_else_to_staging(tmp_path: Path, ci: str) -> None:
    repository = Repository(tmp_path / "project", ci)
    project = rendered(ci)
    if ci == "github":
        environment = push_job(ci, project)["outputs"]["environment"]
        version = "steps.push.outputs.VERSION"
        assert environment == (
            f"${{{{ startsWith({version}, 'v') && !contains({version}, '-') && 'prod' || 'staging' }}}}"
        )
    else:
        rules = yaml.safe_load((project / GITLAB).read_text())["workflow"]["rules"]
        found = dict(
            re.findall(
                r"\$CI_COMMIT_TAG =~ /(.*)/ (.*)",
                "\n".join(
                    f"{rule['if']} {rule.get('variables', {}).get('ENVIRONMENT')}" for rule in rules
                ),
            )
        )
    for tag, expected in [
        ("v1.2.3", "prod"),
        ("v10.0.11", "prod"),
        ("v1.2.3-rc.1", "staging"),
        ("v1.2", "staging"),
        ("v01.2.3", "staging"),
        ("v1.2.3+meta", "staging"),
        ("v1.2.3.4", "staging"),
        ("vx", "staging"),
    ]:
        git(repository.folder, "tag", tag)
        if ci == "github":
            [first, *_] = repository.tags(GITHUB_REF_TYPE="tag", GITHUB_REF_NAME=tag)
            name = "prod" if first.startswith("v") and "-" not in first else "staging"
        else:
            name = next(e for pattern, e in found.items() if re.search(pattern, tag))
            [first, *_] = repository.tags(GITLAB_CI="true", CI_COMMIT_TAG=tag)
            assert (name == "prod") == bool(re.fullmatch(r"v[\d.]+", first))
        assert name == expected, tag
    if ci == "gitlab":
        [main] = [rule for rule in rules if "$CI_DEFAULT_BRANCH" in rule["if"]]
        assert main["variables"] == {"ENVIRONMENT": "staging"}
