"""What CI does with a rendered repository: its stages, what it tags and pushes, what Renovate raises.

The pipelines themselves run nowhere but at GitHub and GitLab. What they run is `make` and
scripts/, which are run here; the rest is held against linters, schemas and each other.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.all_renders import variants
from helpers.crds import crd_files
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
from helpers.machine import git, make, need, run
from helpers.rendering import render

GITHUB, GITLAB = ".github/workflows/ci.yml", ".gitlab-ci.yml"
DIGEST = "sha256:" + "0123456789abcdef" * 4

#: What tells a job of which CI it is part, and of what; a test is not to inherit it.
OUTSIDE_CI = {"GITHUB_REF_TYPE": "", "GITHUB_REF_NAME": "", "GITLAB_CI": "", "CI_COMMIT_TAG": ""}


@pytest.fixture(scope="module")
def registries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Render both pipelines for registries that come with a login, and for one that does not."""
    folder = tmp_path_factory.mktemp("registries")
    hosts = {
        "ghcr": "ghcr.io/acme",
        "gitlab": "registry.gitlab.com/acme/shop",
        "own": "registry.example.com:5000/team",
    }
    return {
        f"{ci}-{name}": render(folder / ci / name, ci=ci, registry=registry)
        for ci in ("github", "gitlab")
        for name, registry in hosts.items()
    }


def texts(path: str, *projects: Path) -> dict[str, str]:
    """Return every variant of a file, and what it is in `projects`, if they have it."""
    own = {
        str(number): (project / path).read_text()
        for number, project in enumerate(projects)
        if (project / path).exists()
    }
    return variants(path) | own


# --- Tags


@pytest.fixture(scope="module", params=["dash", "busybox"])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a PATH on which `sh` is a small shell, as in the images of pipelines."""
    need(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    binary = shutil.which(request.param)
    assert binary
    for name in {"dash": ["sh"], "busybox": ["sh", "grep", "head"]}[request.param]:
        (folder / name).symlink_to(binary)
    return f"{folder}:{os.environ['PATH']}"


class Repository:
    """A git repository that holds what decides the tags of an image, and nothing else."""

    def __init__(self, folder: Path, ci: str = "github", path: str = os.environ["PATH"]) -> None:
        self.folder = folder
        self.path = path
        source = _rendered(ci)
        (folder / "scripts").mkdir(parents=True)
        for name in ("Makefile", ".gitignore", "scripts/tags.sh"):
            shutil.copy(source / name, folder / name)
        git(folder, "init", "--quiet")
        git(folder, "add", "--all")
        self.commit("first")

    def commit(self, message: str, *tags: str) -> str:
        """Make a commit and tag it; return the tag of its image where it is no release."""
        git(self.folder, "commit", "--quiet", "--allow-empty", f"--message={message}")
        for tag in tags:
            git(self.folder, "tag", tag)
        return "commit-" + git(self.folder, "rev-parse", "--short=12", "HEAD")

    def tags(self, **env: str) -> list[str]:
        """Return what scripts/tags.sh prints."""
        return self.run(["sh", "scripts/tags.sh"], **env).split()

    def run(self, command: Command, **env: str) -> str:
        """Return what a command prints in the repository."""
        return run(command, self.folder, OUTSIDE_CI | {"PATH": self.path} | env).stdout


@functools.cache
def _rendered(ci: str) -> Path:
    from helpers.rendering import template

    return render(template().parent / f"gindock-{ci}-{os.getpid()}", ci=ci)


def test_a_release_is_tagged_by_its_version_anything_else_by_its_commit(
    tmp_path: Path, shell: str
) -> None:
    repository = Repository(tmp_path / "project", path=shell)
    for tags, expected in [
        ([], None),
        (["v1.2.3"], ["v1.2.3", "1.2"]),
        (["v1.2.4-rc.1"], ["v1.2.4-rc.1"]),
        # The highest of several, as numbers; a release before all candidates.
        (["v1.3.0-rc.9", "v1.3.0-rc.10"], ["v1.3.0-rc.10"]),
        (["v1.9.9", "v1.10.0", "v1.11.0-rc.1"], ["v1.10.0", "1.10"]),
        (["v2.0.0", "v2.0.0-rc.3"], ["v2.0.0", "2.0"]),
        # No versions, or none of ours.
        (["v3", "v3.1", "3.1.0", "v3.1.0.0", "va.b.c", "v3.1.0+meta", "v03.1.0"], None),
        (["v3.1.0-rc", "v3.1.0-rc.01", "v3.1.0-beta.1", "v3.1.0-rc.1.2", "xv3.1.0"], None),
    ]:
        commit = repository.commit(str(tags), *tags)
        assert repository.tags() == (expected or [commit])
    assert not any("latest" in text for text in repository.tags())


def test_an_older_release_does_not_take_its_minor_back(tmp_path: Path, shell: str) -> None:
    repository = Repository(tmp_path / "project", path=shell)
    repository.commit("newer", "v1.2.10", "v1.20.0", "v1.3.0-rc.1")
    repository.commit("older", "v1.2.9")
    assert repository.tags() == ["v1.2.9"]
    repository.commit("newest", "v1.2.11")
    assert repository.tags() == ["v1.2.11", "1.2"]
    # A candidate is not later than a release; nor is a tag that only looks like one.
    repository.commit("more", "v1.2.12-rc.1", "v1.2.99-beta", "v1.2.x")
    git(repository.folder, "checkout", "--quiet", "v1.2.11")
    assert repository.tags() == ["v1.2.11", "1.2"]


def test_a_changed_work_tree_has_one_tag_and_is_not_pushed(tmp_path: Path, shell: str) -> None:
    repository = Repository(tmp_path / "project", path=shell)
    commit = repository.commit("not a release")
    (repository.folder / "new.go").touch()
    assert repository.tags() == [f"{commit}-dirty"]
    git(repository.folder, "tag", "v1.2.3")
    assert repository.tags() == ["v1.2.3-dirty"]
    push: Command = ["make", "push"]
    env = OUTSIDE_CI | {"PATH": shell}
    for folder in (repository.folder, shutil.copytree(_rendered("github"), tmp_path / "no-git")):
        done = run(push, folder, env, ok=False)
        assert done.returncode
        assert "what is pushed must be a commit: see git status" in done.stdout
        assert "buildx" not in done.stdout
    assert make(tmp_path / "no-git", "--dry-run", "image").endswith("/myservice:commit-none .\n")

    (repository.folder / "new.go").unlink()
    assert repository.tags() == ["v1.2.3", "1.2"]


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_pipeline_pushes_what_it_is_for(tmp_path: Path, ci: str) -> None:
    repository = Repository(tmp_path / "project", ci)
    commit = repository.commit("all at once", "v1.2.3", "v1.2.3-rc.1", "v1.2")

    def tags(tag: str | None) -> list[str]:
        if ci == "gitlab":
            return repository.tags(GITLAB_CI="true", **({"CI_COMMIT_TAG": tag} if tag else {}))
        kind, name = ("tag", tag) if tag else ("branch", "main")
        return repository.tags(GITHUB_REF_TYPE=kind, GITHUB_REF_NAME=name)

    # The pipelines of a branch and of its tags run at the same time: no two push the same tag.
    assert tags(None) == [commit]
    assert tags("v1.2.3") == ["v1.2.3", "1.2"]
    assert tags("v1.2.3-rc.1") == ["v1.2.3-rc.1"]
    assert tags("v1.2") == [commit]


def push_job(ci: str, project: Path) -> dict[str, Any]:
    """Return the job that pushes."""
    if ci == "gitlab":
        job = jobs_of(project / GITLAB)["push"]
    else:
        job = yaml.safe_load((project / GITHUB).read_text())["jobs"]["push"]
    assert isinstance(job, dict)
    return job


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_pipeline_fetches_the_releases_that_it_compares(tmp_path: Path, ci: str) -> None:
    repository = Repository(tmp_path / "project", ci)
    repository.commit("newer", "v1.2.4")
    repository.commit("older", "v1.2.3")
    job = push_job(ci, _rendered(ci))
    if ci == "github":
        [checkout] = [step for step in job["steps"] if "/checkout@" in step.get("uses", "")]
        depth = checkout["with"]["fetch-depth"]
        env = {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1.2.3"}
    else:
        depth = int(job["variables"]["GIT_DEPTH"])
        env = {"GITLAB_CI": "true", "CI_COMMIT_TAG": "v1.2.3"}
    # Without a depth, both fetch all branches and tags.
    assert depth == 0

    def clone(*options: str) -> list[str]:
        target = tmp_path / f"clone{len(options)}"
        address = repository.folder.as_uri()
        git(tmp_path, "clone", "--quiet", *options, address, str(target))
        return run(["sh", "scripts/tags.sh"], target, OUTSIDE_CI | env).stdout.split()

    assert clone() == ["v1.2.3"]
    # What both fetch by default would take the minor back.
    assert clone("--depth=1", "--branch=v1.2.3") == ["v1.2.3", "1.2"]


def test_what_was_pushed_is_known_by_its_digest(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "project")
    repository.commit("release", "v1.2.3")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    docker = bin_ / "docker"
    # As buildx writes it, an image's own description beside the digest.
    metadata = {
        "buildx.build.provenance/linux/amd64": {
            "materials": [{"digest": {"sha256": "beef" * 16}}],
            "containerimage.digest": "sha256:" + "beef" * 16,
        },
        "containerimage.descriptor": {"digest": DIGEST},
        "containerimage.digest": DIGEST,
        "image.name": "ghcr.io/acme/myservice:v1.2.3,ghcr.io/acme/myservice:1.2",
    }
    written = shlex.quote(json.dumps(metadata, indent=2))
    docker.write_text(
        "#!/bin/sh\n"
        'echo "$*" >>told\n'
        'while [ "$1" != --metadata-file ]; do shift; done\n'
        f'printf %s {written} >"$2"\n'
    )
    docker.chmod(0o755)
    path = f"{bin_}:{os.environ['PATH']}"

    repository.run(["make", "push"], PATH=path)
    pushed = (repository.folder / ".push.env").read_text().split()
    assert pushed == [f"DIGEST={DIGEST}", "VERSION=v1.2.3"]
    (repository.folder / "told").unlink()
    # The files that it leaves are no change.
    assert repository.tags() == ["v1.2.3", "1.2"]

    docker.write_text("#!/bin/sh\necho '{}' >.push.json\n")
    assert run(["make", "push"], repository.folder, {"PATH": path}, ok=False).returncode


def test_an_image_is_pushed_for_both_platforms_with_what_it_is_made_of(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "project")
    repository.commit("release", "v1.2.3")
    told = repository.run(["make", "--dry-run", "push"])
    for option in [
        "--platform linux/amd64,linux/arm64",
        "--sbom=true",
        "--provenance=mode=max",
        "--cache-from type=registry,ref=ghcr.io/acme/myservice:buildcache",
        "--cache-to type=registry,ref=ghcr.io/acme/myservice:buildcache,mode=max",
        "--push",
    ]:
        assert option in told
    tagged = re.findall(r"--tag (\S+)", told)
    assert tagged == ["ghcr.io/acme/myservice:v1.2.3", "ghcr.io/acme/myservice:1.2"]


# --- Pipelines


def jobs_of(path: Path) -> dict[str, Any]:
    """Return the jobs of a GitLab pipeline, hidden ones left out, with what they extend."""
    pipeline = yaml.safe_load(path.read_text())

    def whole(job: Mapping[str, Any]) -> dict[str, Any]:
        above = job.get("extends", [])
        found: dict[str, Any] = {}
        for name in [above] if isinstance(above, str) else above:
            found = merged(found, whole(pipeline[name]))
        return merged(found, job)

    def merged(below: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Any]:
        both = {
            key: merged(below[key], value)
            for key, value in job.items()
            if isinstance(value, dict) and isinstance(below.get(key), dict)
        }
        return {**below, **job, **both}

    words = {"workflow", "default", "stages", "variables"}
    return {k: whole(v) for k, v in pipeline.items() if k not in words and not k.startswith(".")}


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
    "cache": "--cache-to type=registry",
    "sbom": "--sbom=true",
    "provenance": "--provenance=mode=max",
    "scan": "--only-fixed --fail-on high",
    "sign": "cosign sign --yes ",
    "verify": "cosign verify ",
    "deploy": "scripts/rollout.sh deploy ",
}


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_both_have_the_same_stages(ci: str) -> None:
    project = _rendered(ci)
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
        "gitlab-ghcr": {"REGISTRY_USERNAME", "REGISTRY_PASSWORD"},
        "gitlab-gitlab": {"CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"},
        "gitlab-own": {"REGISTRY_USERNAME", "REGISTRY_PASSWORD"},
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
    project = _rendered(ci)
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


# --- What both run, beside the linters that have a test of their own


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return where kubeconform finds schemas, which it would else fetch from GitHub."""
    folder = tmp_path_factory.mktemp("schemas")
    python = python_tool("python")
    place = "import kubernetes_validate as k, pathlib; print(pathlib.Path(k.__file__).parent)"
    carried = Path(run([python, "-c", place], folder).stdout.strip())
    source = carried / "kubernetes-json-schema" / "v1.36.0-local-strict"
    definitions = json.loads((source / "_definitions.json").read_text())["$defs"]
    for path in source.glob("*-v[0-9].json"):
        text = path.read_text()
        if '"kind"' in text:
            whole = json.loads(text.replace("/api/_definitions.json#", "#"))
            (folder / path.name).write_text(json.dumps(whole | {"$defs": definitions}))
    for path in crd_files():
        crd = yaml.safe_load(path.read_text())["spec"]
        for version in crd["versions"]:
            name = f"{crd['names']['kind'].lower()}-{crd['group'].split('.')[0]}-{version['name']}"
            (folder / f"{name}.json").write_text(json.dumps(version["schema"]["openAPIV3Schema"]))
    return f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"


def test_make_manifests(tmp_path: Path, full: Path, custom: dict[str, Path], schemas: str) -> None:
    check: Command = ["make", "manifests", f"SCHEMAS={schemas}"]
    for source in (custom["github"], full):
        project = shutil.copytree(source, tmp_path / source.name)
        done = run(check, project).stdout
        checked = re.findall(r"^deploy/kubernetes/(\S+)$", done, re.MULTILINE)
        folders = {p.parent for p in project.glob("deploy/kubernetes/*/**/kustomization.yaml")}
        built = {p.relative_to(project / "deploy/kubernetes").as_posix() for p in folders}
        assert sorted(checked) == sorted(
            f for f in built if not f.startswith(("base", "components/"))
        )
        assert done.count("Invalid: 0, Errors: 0, Skipped: 0") == len(checked) >= 3

    deployment = project / "deploy/kubernetes/base/deployment.yaml"
    text = deployment.read_text()
    deployment.write_text(mutate(text, "readOnlyRootFilesystem", "readOnlyRoot"))
    rejects(check, "readOnlyRoot", project)
    deployment.write_text(mutate(text, "imagePullPolicy: Always", ""))
    rejects(check, "ImagePullPolicy", project)


def test_make_vuln(tmp_path: Path) -> None:
    project = _rendered("github")
    [line] = make(project, "--silent", "--dry-run", "vuln").splitlines()

    def look_up(*symbols: str) -> Command:
        """Ask a database of one vulnerability, where there are symbols, instead of the public one."""
        folder = tmp_path / f"database{len(symbols)}"
        for name in ("index", "ID"):
            (folder / name).mkdir(parents=True)
        module, when = "github.com/gin-gonic/gin", "2026-01-01T00:00:00Z"
        entry = {
            "schema_version": "1.3.1",
            "id": "GO-2026-0001",
            "modified": when,
            "summary": "Gin answers",
            "database_specific": {"url": "https://example.com/GO-2026-0001"},
            "affected": [
                {
                    "package": {"name": module, "ecosystem": "Go"},
                    "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
                    "ecosystem_specific": {"imports": [{"path": module, "symbols": [*symbols]}]},
                }
            ],
        }
        vulns = [{"id": entry["id"], "modified": when}] if symbols else []
        index = {
            "db": {"modified": when},
            "modules": [{"path": module, "vulns": vulns}] if symbols else [],
            "vulns": vulns,
        }
        for name, content in index.items():
            (folder / "index" / f"{name}.json").write_text(json.dumps(content))
        if symbols:
            (folder / "ID" / "GO-2026-0001.json").write_text(json.dumps(entry))
        return ["sh", "-c", mutate(line, "./...", f"-db=file://{folder} ./...")]

    need("go")
    assert "No vulnerabilities found." in run(look_up(), project).stdout
    rejects(look_up("New"), "Your code is affected by 1 vulnerability", project)


def test_coverage_is_measured_where_it_is_asked_for() -> None:
    project = _rendered("github")
    assert make(project, "--silent", "--dry-run", "test") == "go test -race -shuffle=on  ./...\n"
    total = "total:\t\t\t\t(statements)\t\t87.5%\n"
    pattern = jobs_of(_rendered("gitlab") / GITLAB)["test"]["coverage"]
    assert re.findall(pattern.strip("/"), total, re.MULTILINE) == ["87.5"]
    ignored = (project / ".gitignore").read_text().splitlines()
    assert "*.out" in ignored


# --- Renovate


def test_renovate(tmp_path: Path) -> None:
    paths = write(tmp_path, variants("renovate.json"), "renovate.json")
    run(schema("renovate", paths), tmp_path)

    wrong = tmp_path / "wrong.json"
    wrong.write_text(mutate(paths[0].read_text(), '["gomodTidy"]', '"gomodTidy"'))
    rejects(schema("renovate", [wrong]), "gomodTidy", tmp_path)


def test_renovate_finds_the_versions_that_no_manager_of_its_own_does(full: Path) -> None:
    config = json.loads((full / "renovate.json").read_text())
    found = set()
    for manager in config["customManagers"]:
        for pattern in manager["managerFilePatterns"]:
            path = full / pattern.strip("/^$").replace("\\.", ".")
            for expression in manager["matchStrings"]:
                for match in re.finditer(expression.replace("(?<", "(?P<"), path.read_text()):
                    groups = match.groupdict()
                    name = groups.get("depName") or manager["depNameTemplate"]
                    found.add((path.name, name, groups["currentValue"]))
    makefile, readme = (full / "Makefile").read_text(), (full / "README.md").read_text()
    modules = {
        ("Makefile", re.sub(r"/cmd/.*", "", module), version)
        for module, version in re.findall(r" (\S+)@(v\d\S*)", makefile)
    }
    assert {name for _, name, _ in modules} >= {"golang.org/x/vuln", "github.com/zegl/kube-score"}
    [golangci] = {*re.findall(r"golangci-lint (\d\S+\d)", makefile + readme)}
    told = {(path, "golangci/golangci-lint", golangci) for path in ("Makefile", "README.md")}
    assert found == modules | told
    [pattern] = config["kubernetes"]["managerFilePatterns"]
    expression = re.compile(pattern.strip("/"))
    assert expression.search("deploy/kubernetes/overlays/dev/postgres.yaml")
    assert not expression.search("compose.yaml")
    # The image of the repository is no dependency of it.
    assert {"matchPackageNames": ["ghcr.io/acme/myservice"], "enabled": False}.items() <= (
        config["packageRules"][1].items()
    )


def test_renovate_raises_a_template_of_an_address_of_its_own(full: Path) -> None:
    config = json.loads((full / "renovate.json").read_text())
    # Its manager of Copier is on unless it is turned off, and reads .copier-answers.yml.
    assert "enabledManagers" not in config
    assert "copier" not in config
    [rule] = [rule for rule in config["packageRules"] if rule.get("matchManagers") == ["copier"]]
    [pattern] = rule["matchPackageNames"]
    # Renovate leaves `git+` out.
    assert re.search(pattern.strip("/"), "gindock::template")
    assert not re.search(pattern.strip("/"), "https://git.example.com/team/template")
