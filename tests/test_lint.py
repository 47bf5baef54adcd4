"""Everything in a rendered repository that is not Go passes its linters, in every variant.

Each linter must also reject a mutated render: a linter that finds nothing may not be looking.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from everything import everything, variants, with_folder
from linters import YAMLLINT, go_tool, python_tool
from support import need, render, run

Command = list[str | Path]

OVERLAYS = "deploy/kubernetes/overlays"
DESCRIPTION = """Sells "books" & 'magazines' for $5, at C:/new, ünïcode 本"""

#: Answers that no combination varies, because they change values and not lines.
CUSTOM: dict[str, Any] = {
    # YAML would read the bare word as a boolean.
    "service_name": "on",
    "description": DESCRIPTION,
    "module_path": "git.example.com/team/on",
    "registry": "localhost:5000/team",
    "base_image": "alpine",
    "deploy": ["kubernetes", "compose"],
    "datastores": ["postgres", "redis"],
    "http_port": 8081,
    "admin_port": 9091,
    "liveness_path": "/live",
    "readiness_path": "/probes/ready",
    "startup_seconds": 301,
    "liveness_period_seconds": 7,
    "readiness_period_seconds": 3,
    "probe_timeout_seconds": 4,
    "goproxy": "off",
    "goprivate": "*.corp.example.com,github.com/acme/*",
}


@pytest.fixture(scope="module")
def custom(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Render the answers that combinations do not vary, once for each CI."""
    folder = tmp_path_factory.mktemp("custom")
    return {ci: render(folder / ci, **CUSTOM, ci=ci) for ci in ("github", "gitlab")}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render everything that can be chosen at once."""
    return render(
        tmp_path_factory.mktemp("full") / "myservice",
        deploy=["kubernetes", "compose"],
        datastores=["postgres", "redis"],
    )


def write(folder: Path, texts: Mapping[str, str], name: str) -> list[Path]:
    """Write each text to a file `name` in a folder of its own."""
    paths = []
    for key, text in texts.items():
        path = folder / key / name
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    assert paths
    return paths


def mutate(text: str, old: str, new: str) -> str:
    """Replace `old`, which must be there."""
    assert old in text
    return text.replace(old, new, 1)


def rejects(command: Command, word: str, cwd: Path) -> None:
    """Check that a linter fails, and for the reason expected."""
    done = run(command, cwd, ok=False)
    assert done.returncode != 0, done.stdout
    assert word in done.stdout


def checkov(folder: Path, framework: str) -> tuple[int, set[str]]:
    """Return how many files checkov looked at, and `id file` of each failed check."""
    done = subprocess.run(
        [
            *(python_tool("checkov"), "--directory", folder, "--framework", framework),
            *("--output", "json", "--quiet", "--skip-download"),
        ],
        # Checkov skips what git ignores above the folder, if it finds a repository there.
        cwd=folder,
        text=True,
        capture_output=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    failed = {
        f"{check['check_id']} {check['resource']}: {check['check_name']}"
        for check in report["results"]["failed_checks"]
    }
    return report["summary"]["passed"], failed


# --- Dockerfile


def test_dockerfiles(tmp_path: Path, custom: dict[str, Path]) -> None:
    texts = variants("Dockerfile") | {"custom": (custom["github"] / "Dockerfile").read_text()}
    dockerfiles = write(tmp_path, texts, "Dockerfile")

    run([python_tool("hadolint"), "--failure-threshold", "style", *dockerfiles], tmp_path)
    passed, failed = checkov(tmp_path, "dockerfile")
    assert failed == set()
    assert passed >= 10 * len(dockerfiles)


def test_dockerfile_linters_reject(tmp_path: Path) -> None:
    text = next(iter(variants("Dockerfile").values()))
    root = re.sub(r"^USER .*\n", "", text, flags=re.MULTILINE)
    latest = re.sub(r"^FROM \S+ AS runtime", "FROM alpine:latest AS runtime", text, flags=re.M)
    write(tmp_path, {"root": root, "latest": latest}, "Dockerfile")

    _, failed = checkov(tmp_path, "dockerfile")
    assert any(f.startswith("CKV_DOCKER_3 ") for f in failed)
    rejects([python_tool("hadolint"), "latest/Dockerfile"], "DL3007", tmp_path)


def test_the_description_reaches_the_label_as_it_is(custom: dict[str, Path]) -> None:
    text = (custom["github"] / "Dockerfile").read_text()
    match = re.search(r'image\.description="((?:[^"\\]|\\.)*)" \\\n', text)
    assert match
    # Within double quotes, Docker takes these two literally behind a backslash.
    assert not re.search(r"(?<!\\)(\\\\)*\$", match[1])
    assert re.sub(r'\\(["$])', r"\1", match[1]) == DESCRIPTION


# --- Kubernetes


#: What a data store of dev is made of.
STORE = ("StatefulSet", "Service", "NetworkPolicy", "Secret")


def build(project: Path, overlay: str = "prod") -> str:
    """Return the manifests of a render as Kustomize builds them."""
    folder = project / OVERLAYS / overlay
    if ".secrets/" in (folder / "kustomization.yaml").read_text():
        make(project, "secrets")
    return run([go_tool("kustomize"), "build", folder], project).stdout


def objects(text: str) -> dict[str, Any]:
    """Return the objects of a built manifest by kind and name, without the hash of a content."""
    found = {}
    for document in yaml.safe_load_all(text):
        name = re.sub(r"-[a-z0-9]{10}$", "", document["metadata"]["name"])
        found[f"{document['kind']} {name}"] = document
    return found


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory, custom: dict[str, Path]) -> list[Path]:
    """Build the manifests of every variant; staging has those of prod."""
    sources, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("manifests")
    projects = [
        rendered.write(sources / str(number))
        for number, rendered in enumerate(with_folder("deploy/kubernetes"))
    ]
    assert len(projects) == 8 * 4
    texts = {
        f"{overlay}-{number}": build(project, overlay)
        for number, project in enumerate([*projects, custom["github"]])
        for overlay in ("prod", "dev")
    }
    return write(built, texts, "manifests.yaml")


@pytest.mark.parametrize("version", ["1.36.0", "1.37.0"])
def test_manifests_are_valid(version: str, manifests: list[Path], tmp_path: Path) -> None:
    validate: Command = [python_tool("kubernetes-validate"), "--strict", "-k", version]
    run([*validate, *manifests], tmp_path)

    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(mutate(manifests[0].read_text(), "readOnlyRootFilesystem", "readOnlyRoot"))
    rejects([*validate, wrong], "readOnlyRoot", tmp_path)


def test_manifests_satisfy_checkov(manifests: list[Path], full: Path, tmp_path: Path) -> None:
    passed, failed = checkov(manifests[0].parent.parent, "kubernetes")
    assert failed == set()
    assert passed >= 70 * len(manifests)
    # As the files stand in the repository, too, where a team's own scan reads them.
    assert checkov(full, "kubernetes")[1] == set()

    wrong = mutate(manifests[0].read_text(), "drop:\n            - ALL", "add:\n            - ALL")
    write(tmp_path, {"wrong": wrong}, "manifests.yaml")
    assert checkov(tmp_path, "kubernetes")[1]


def test_manifests_satisfy_kube_score(manifests: list[Path], tmp_path: Path) -> None:
    score: Command = [go_tool("kube-score"), "score", "--exit-one-on-warning"]
    for path in manifests:
        run([*score, path], tmp_path)

    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(mutate(manifests[0].read_text(), "imagePullPolicy: Always", ""))
    rejects([*score, wrong], "ImagePullPolicy", tmp_path)


def test_a_waiver_has_its_reason(manifests: list[Path]) -> None:
    for path in manifests:
        dev = path.parent.name.startswith("dev-")
        for document in yaml.safe_load_all(path.read_text()):
            notes = document["metadata"].get("annotations", {})
            ignored = notes.get("kube-score/ignore", "")
            waived = {*re.findall(r"CKV_K8S_\d+", str(notes)), *filter(None, ignored.split(","))}
            kind, name = document["kind"], document["metadata"]["name"]
            if kind == "Deployment":
                [container] = document["spec"]["template"]["spec"]["containers"]
                reasons = {
                    "CKV_K8S_43": True,
                    "CKV_K8S_8": "livenessProbe" not in container,
                    "CKV_K8S_9": "readinessProbe" not in container,
                    "pod-probes": "readinessProbe" not in container,
                    "deployment-replicas": dev,
                }
            else:
                store, named = kind == "StatefulSet", name == "postgres"
                reasons = {
                    "CKV_K8S_43": store,
                    "CKV_K8S_40": store and named,
                    "container-security-context-user-group-id": store and named,
                }
            assert waived == {rule for rule, holds in reasons.items() if holds}


def test_only_dev_brings_its_stores(full: Path) -> None:
    dev, staging, prod = (objects(build(full, name)) for name in ("dev", "staging", "prod"))
    app = {"app.kubernetes.io/name": "myservice"}
    assert dev["Deployment myservice"]["spec"]["replicas"] == 1
    assert staging == prod
    brought = {f"{kind} {name}" for name in ("postgres", "redis") for kind in STORE}
    assert set(dev) - set(prod) == brought | {"Secret myservice"}
    for name, key in [("postgres", "database_url"), ("redis", "redis_url")]:
        address = base64.b64decode(dev["Secret myservice"]["data"][key]).decode()
        assert f"@{name}:" in address
        [rule] = dev[f"NetworkPolicy {name}"]["spec"]["ingress"]
        assert rule["from"] == [{"podSelector": {"matchLabels": app}}]


def test_settings_that_reload_are_mounted_as_a_folder(full: Path) -> None:
    for overlay, level in [("dev", "debug"), ("staging", "info"), ("prod", "info")]:
        built = objects(build(full, overlay))
        settings = built["ConfigMap myservice-config"]
        # A hash in its name would make every change a rollout.
        assert settings["metadata"]["name"] == "myservice-config"
        pod = built["Deployment myservice"]["spec"]["template"]["spec"]
        [container] = pod["containers"]
        [mount] = [m for m in container["volumeMounts"] if m["name"] == "config"]
        assert mount == {"name": "config", "mountPath": "/etc/app", "readOnly": True}
        assert {"name": "config", "configMap": {"name": "myservice-config"}} in pod["volumes"]
        [name] = settings["data"]
        assert {"name": "CONFIG_FILE", "value": f"/etc/app/{name}"} in container["env"]
        assert yaml.safe_load(settings["data"][name]) == {"log_level": level}

    compose = yaml.safe_load((full / "compose.yaml").read_text())["services"]["app"]
    assert compose["environment"]["CONFIG_FILE"] == "/etc/app/${ENVIRONMENT:-development}.yaml"
    assert compose["volumes"] == ["./config:/etc/app:ro"]
    for name, overlay in [("development", "dev"), ("staging", "staging"), ("production", "prod")]:
        same = full / OVERLAYS / overlay / "config.yaml"
        assert (full / "config" / f"{name}.yaml").read_text() == same.read_text()


def test_a_rollout_outlasts_its_migration(full: Path, custom: dict[str, Path]) -> None:
    for project, service, startup in [(full, "myservice", 60), (custom["github"], "on", 301)]:
        code = (project / "internal/postgres/migrate.go").read_text()
        match = re.search(r"migrateTimeout = (\d+) \* time\.Minute$", code, re.MULTILINE)
        assert match
        spec = objects(build(project))[f"Deployment {service}"]["spec"]
        assert spec["progressDeadlineSeconds"] >= 60 * int(match[1]) + startup + 120
        [migrate] = spec["template"]["spec"]["initContainers"]
        [app] = spec["template"]["spec"]["containers"]
        assert migrate["args"] == ["migrate"]
        for key in ("image", "imagePullPolicy", "resources", "securityContext"):
            assert migrate[key] == app[key]

    compose = yaml.safe_load((full / "compose.yaml").read_text())["services"]
    assert compose["migrate"]["command"] == ["migrate"]
    assert compose["migrate"]["image"] == compose["app"]["image"]
    condition = {"condition": "service_completed_successfully"}
    assert compose["app"]["depends_on"]["migrate"] == condition


def test_the_answers_reach_the_probes(custom: dict[str, Path]) -> None:
    built = objects(build(custom["github"]))
    [container] = built["Deployment on"]["spec"]["template"]["spec"]["containers"]
    compose = yaml.safe_load((custom["github"] / "compose.yaml").read_text())

    def probe(path: str, period: int, failures: int) -> dict[str, Any]:
        get = {"path": path, "port": "admin"}
        return {
            "httpGet": get,
            "periodSeconds": period,
            "timeoutSeconds": 4,
            "failureThreshold": failures,
        }

    assert container["startupProbe"] == probe("/live", 2, 151)
    assert container["livenessProbe"] == probe("/live", 7, 3)
    assert container["readinessProbe"] == probe("/probes/ready", 3, 2)
    assert {p["name"]: p["containerPort"] for p in container["ports"]} == {
        "http": 8081,
        "admin": 9091,
    }
    check = compose["services"]["app"]["healthcheck"]
    assert (check["interval"], check["timeout"]) == ("7s", "4s")
    assert compose["services"]["app"]["ports"] == ["127.0.0.1:8081:8081"]
    dockerfile = (custom["github"] / "Dockerfile").read_text()
    assert "HEALTHCHECK --interval=7s --timeout=4s" in dockerfile
    assert "EXPOSE 8081 9091" in dockerfile


def seconds(text: str) -> int:
    """Return the seconds of a duration such as 10s."""
    assert text.endswith("s")
    return int(text[:-1])


def test_drain_and_memory_agree_everywhere(full: Path) -> None:
    built = objects(build(full))
    compose = yaml.safe_load((full / "compose.yaml").read_text())["services"]["app"]
    pod = built["Deployment myservice"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    keys = ("DRAIN_DELAY", "SHUTDOWN_TIMEOUT", "FLUSH_TIMEOUT", "GRACE_PERIOD")
    code = (full / "internal/config/config.go").read_text()
    defaults = [re.findall(rf'"{key}", "(\d+s)"', code) for key in keys]

    for settings, grace in [
        (built["ConfigMap myservice"]["data"], pod["terminationGracePeriodSeconds"]),
        (compose["environment"], seconds(compose["stop_grace_period"])),
    ]:
        drain, shutdown, flush, whole = (seconds(settings[key]) for key in keys)
        assert drain + shutdown + flush < whole == grace
        assert [[settings[key]] for key in keys] == defaults

    # The service derives its own limit from the container's.
    assert "GOMEMLIMIT" not in str(built) + str(compose)
    assert container["resources"]["limits"]["memory"] == "128Mi"
    assert compose["mem_limit"] == compose["memswap_limit"] == "128m"


# --- Compose, CI and the rest


def schema(name: str, paths: Iterable[Path], *options: str) -> Command:
    """Return the command that checks files against a schema that check-jsonschema carries."""
    tool = python_tool("check-jsonschema")
    return [tool, "--builtin-schema", f"vendor.{name}", *options, *paths]


def test_compose_files(tmp_path: Path, custom: dict[str, Path]) -> None:
    texts = variants("compose.yaml")
    assert len(texts) == 4
    paths = write(tmp_path, texts, "compose.yaml")
    run(schema("compose-spec", [*paths, custom["gitlab"] / "compose.yaml"]), tmp_path)

    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(mutate(paths[0].read_text(), "read_only:", "readonly:"))
    rejects(schema("compose-spec", [wrong]), "readonly", tmp_path)


def test_compose_services_are_confined(full: Path) -> None:
    compose = yaml.safe_load((full / "compose.yaml").read_text())
    assert set(compose["services"]) == {"app", "migrate", "postgres", "redis"}
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"] == service["memswap_limit"], name
        assert {"pids_limit", "cpus", "healthcheck", "restart"} <= set(service), name
        assert not service["image"].endswith("latest"), name
        if name != "app":
            assert "ports" not in service
            assert service["networks"] == ["backend"]
        if name in ("postgres", "redis"):
            assert service["user"].split(":")[0] != "0"
    assert compose["networks"]["backend"] == {"internal": True}


def test_workflows(tmp_path: Path, custom: dict[str, Path]) -> None:
    texts = variants(".github/workflows/ci.yml")
    own = (custom["github"] / ".github/workflows/ci.yml").read_text()
    paths = write(tmp_path, texts | {"custom": own}, ".github/workflows/ci.yml")
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

    wrong = tmp_path / "wrong" / ".github" / "workflows" / "ci.yml"
    wrong.parent.mkdir(parents=True)
    wrong.write_text(mutate(paths[0].read_text(), "runs-on: ubuntu-24.04", "runs-on: ubunto"))
    rejects([*actionlint, wrong], "ubunto", tmp_path)
    injected = "run: echo '${{ github.event.pull_request.title }}'"
    wrong.write_text(mutate(paths[0].read_text(), "run: make lint", injected))
    rejects([*zizmor, wrong], "template-injection", tmp_path)


def test_actions_are_pinned_by_commit_and_say_their_version() -> None:
    for text in variants(".github/workflows/ci.yml").values():
        for use in re.findall(r"uses: (.*)", text):
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)


def test_pipelines(tmp_path: Path, custom: dict[str, Path]) -> None:
    own = (custom["gitlab"] / ".gitlab-ci.yml").read_text()
    paths = write(tmp_path, variants(".gitlab-ci.yml") | {"custom": own}, ".gitlab-ci.yml")
    options = ("--data-transform", "gitlab-ci")
    run(schema("gitlab-ci", paths, *options), tmp_path)

    for path in paths:
        jobs = [job for job in yaml.safe_load(path.read_text()).values() if isinstance(job, dict)]
        scripts = [*(job.get("before_script", []) for job in jobs)]
        scripts += [job.get("script", []) for job in jobs]
        shellcheck("\n".join(line for script in scripts for line in script), tmp_path)

    wrong = tmp_path / "wrong.yml"
    wrong.write_text(mutate(paths[0].read_text(), "script:", "scripts:"))
    rejects(schema("gitlab-ci", [wrong], *options), "scripts", tmp_path)


def test_renovate(tmp_path: Path) -> None:
    paths = write(tmp_path, variants("renovate.json"), "renovate.json")
    run(schema("renovate", paths), tmp_path)

    wrong = tmp_path / "wrong.json"
    wrong.write_text(mutate(paths[0].read_text(), '["gomodTidy"]', '"gomodTidy"'))
    rejects(schema("renovate", [wrong]), "gomodTidy", tmp_path)


def test_yaml_style(tmp_path: Path, custom: dict[str, Path]) -> None:
    names = {path for r in everything() for path in r.files if path.endswith((".yaml", ".yml"))}
    for name in sorted(names):
        write(tmp_path / name.replace("/", "_"), variants(name), Path(name).name)
    yamllint: Command = [python_tool("yamllint"), "--strict", "--config-file", YAMLLINT]
    run([*yamllint, tmp_path, *custom.values()], tmp_path)

    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("key:  value\n")
    rejects([*yamllint, wrong], "colons", tmp_path)


# --- Makefile


def shellcheck(script: str, cwd: Path) -> None:
    """Check a script that POSIX shells run."""
    source = cwd / "script.sh"
    source.write_text(script + "\n")
    # SC2088: a tilde within quotes is text; SC2005, SC2312 are about style.
    run([python_tool("shellcheck"), "--shell=sh", source], cwd)


def make(project: Path, *arguments: str) -> str:
    """Return what make prints."""
    need("make")
    return run(["make", "--no-print-directory", *arguments], project).stdout


def targets(answers: Mapping[str, Any]) -> set[str]:
    """Return the targets that a Makefile must offer."""
    compose = {"up", "down"} if "compose" in answers["deploy"] else set()
    secrets = {"secrets"} if answers["datastores"] else set()
    deploy = {"deploy"} if "kubernetes" in answers["deploy"] else set()
    return {"help", "run", "test", "lint", "image", "push", *compose, *secrets, *deploy}


def test_makefiles(tmp_path: Path) -> None:
    seen = set()
    for rendered in everything():
        if rendered.files["Makefile"] in seen:
            continue
        seen.add(rendered.files["Makefile"])
        project = tmp_path / str(len(seen))
        project.mkdir()
        (project / "Makefile").write_text(rendered.read("Makefile"))
        listed = {line.split()[0] for line in make(project).splitlines()}
        assert listed == targets(rendered.answers)
        shellcheck(make(project, "--silent", "--dry-run", *sorted(listed)), project)
        assert rendered.read("Makefile").count("\n") < 80
    # Kubernetes, Compose or both; which data stores; private modules or not.
    assert len(seen) == 3 * 4 * 2


def repository(folder: Path, source: Path) -> Path:
    """Make a git repository with one commit that holds the Makefile."""
    need("git")
    folder.mkdir()
    shutil.copy(source / "Makefile", folder)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "Makefile")
    git(folder, "commit", "--quiet", "--message=first")
    return folder


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody, untouched by this machine's configuration."""
    who = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", "Nobody"), ("EMAIL", "nobody@example.com"))
    }
    env = {**who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return run(["git", *arguments], folder, env).stdout.strip()


def image_tags(project: Path) -> list[str]:
    """Return the tags that `make push` would push."""
    tagged = re.findall(r"--tag (\S+)", make(project, "--dry-run", "push"))
    assert all(tag.startswith("ghcr.io/acme/myservice:") for tag in tagged)
    return [tag.rpartition(":")[2] for tag in tagged]


def test_image_tags(tmp_path: Path, full: Path) -> None:
    project = repository(tmp_path / "project", full)
    commit = "commit-" + git(project, "rev-parse", "--short=12", "HEAD")
    assert image_tags(project) == [commit]

    git(project, "tag", "v1.2.3-rc.1")
    assert image_tags(project) == ["v1.2.3-rc.1"]
    git(project, "tag", "--delete", "v1.2.3-rc.1")
    git(project, "tag", "v1.2.3")
    assert image_tags(project) == ["v1.2.3", "1.2"]
    assert image_tags(project / ".") == ["v1.2.3", "1.2"]

    (project / "Makefile").open("a").write("# changed\n")
    assert image_tags(project) == ["v1.2.3-dirty"]


def test_deploy_puts_its_version_in(tmp_path: Path) -> None:
    project = render(tmp_path / "project", datastores=["postgres", "redis"])
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    kubectl = bin_ / "kubectl"
    kubectl.write_text(
        '#!/bin/sh\nif [ "$1" = kustomize ]; then exec "$KUSTOMIZE" build "$2"; fi\n'
        'if [ "$1" = apply ]; then cat; fi\n'
    )
    kubectl.chmod(0o755)
    env = {"PATH": f"{bin_}:{os.environ['PATH']}", "KUSTOMIZE": str(go_tool("kustomize"))}
    own = "ghcr.io/acme/myservice:v9.8.7"
    stores = ["postgres", "redis"]
    for option, brought in [("ENV=staging", []), ("ENV=prod", []), ("--", stores)]:
        done = run(["make", "--silent", "deploy", "VERSION=v9.8.7", option], project, env)
        images = re.findall(r"image: (.*)", done.stdout)
        assert images[:2] == [own, own]
        assert [image.partition(":")[0] for image in images[2:]] == brought
        # Passwords are made up for one's own stores only.
        assert (project / OVERLAYS / "dev" / ".secrets").exists() is bool(brought)


def test_secrets_are_made_once(tmp_path: Path, full: Path) -> None:
    shutil.copy(full / "Makefile", tmp_path)
    dev = tmp_path / OVERLAYS / "dev" / ".secrets"
    dev.parent.mkdir(parents=True)
    folders = [tmp_path / ".secrets", dev]

    def made() -> list[dict[str, str]]:
        make(tmp_path, "secrets")
        return [{path.name: path.read_text() for path in folder.iterdir()} for folder in folders]

    first = made()
    for folder, texts in zip(folders, first, strict=True):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o644}
        database, cache = texts["postgres_password"], texts["redis_password"]
        assert re.fullmatch(r"[0-9a-f]{48}", database)
        assert re.fullmatch(r"[0-9a-f]{48}", cache)
        url = f"postgres://app:{database}@postgres:5432/app?sslmode=disable"
        assert texts["database_url"] == url
        assert texts["redis_url"] == f"redis://:{cache}@redis:6379/0"
        assert f"requirepass {cache}\n" in texts["redis.conf"]
    assert len({text for texts in first for name, text in texts.items() if "pass" in name}) == 4
    compose = yaml.safe_load((full / "compose.yaml").read_text())
    assert {Path(s["file"]).name for s in compose["secrets"].values()} <= set(first[0])
    assert ".secrets/" in (full / ".gitignore").read_text().splitlines()

    assert made() == first
