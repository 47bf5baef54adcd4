"""What scripts/rollout.sh refuses, and what it hands to the cluster.

`kubectl` is a stand-in that keeps what it is told; how a cluster answers is shown by
`make test-cluster`, against a real API server.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.linters import go_tool, mutate, python_tool
from helpers.machine import run
from helpers.rendering import render

DIGEST = "sha256:" + "ab" * 32
IMAGE = f"ghcr.io/acme/myservice@{DIGEST}"

KUBECTL = """\
#!/bin/sh
echo "$*" >>"$TOLD"
case "$*" in
  kustomize*) exec "$KUSTOMIZE" build "$2" ;;
  "config current-context") echo stand-in ;;
  *"get namespace"*) printf "${THERE:-}" ;;
  *progressDeadlineSeconds*) printf 1 ;;
  *availableReplicas*) printf '1 1 1 1 1 1' ;;
  apply*) cat "$3" >"$TOLD.applied" ;;
  *port-forward*) exit 1 ;;
esac
"""


class Cluster:
    """A project, and a kubectl that keeps what it is told."""

    def __init__(self, project: Path, folder: Path) -> None:
        folder.mkdir()
        kubectl = folder / "kubectl"
        kubectl.write_text(KUBECTL)
        kubectl.chmod(0o755)
        self.project = project
        self._told = folder / "told"
        self._env = {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "KUSTOMIZE": str(go_tool("kustomize")),
            "TOLD": str(self._told),
            # Nobody answers: there is nothing to wait for.
            "ROLLOUT_TIMEOUT": "0",
        }

    def rollout(self, *arguments: str, shell: str = "sh") -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return run([shell, "scripts/rollout.sh", *arguments], self.project, self._env, ok=False)

    def make(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run make."""
        return run(["make", "--silent", *arguments], self.project, self._env | env, ok=False)

    @property
    def told(self) -> list[str]:
        """All that kubectl was told."""
        return self._told.read_text().splitlines() if self._told.exists() else []

    @property
    def images(self) -> list[str]:
        """The images of all containers that were applied."""
        found = []
        for document in yaml.safe_load_all(self._told.with_name("told.applied").read_text()):
            pod = document.get("spec", {}).get("template", {}).get("spec", {})
            for key in ("initContainers", "containers"):
                found += [container["image"] for container in pod.get(key, [])]
        return found

    def leftovers(self) -> list[Path]:
        """What a deployment left beside the overlays."""
        return list((self.project / "deploy/kubernetes/overlays").glob(".deploy*"))


ANSWERS: dict[str, dict[str, Any]] = {
    "rolling": {"datastores": ["postgres", "redis"]},
    "canary": {"rollout": "canary", "host_name": "shop.example.com"},
    "blue-green": {"rollout": "blue-green"},
}


@pytest.fixture(params=ANSWERS)
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    yield Cluster(render(tmp_path / "project", **ANSWERS[request.param]), tmp_path / "bin")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "what to do"),
        (["deploy"], "what to do"),
        (["deploy", "dev"], "no image of this service"),
        (["deploy", "qa", IMAGE], "no environment 'qa'"),
        (["deploy", "../../base", IMAGE], "no environment"),
        (["deploy", "prod", "ghcr.io/acme/myservice:v1.2.3"], "DIGEST=sha256"),
        (["deploy", "prod", "ghcr.io/acme/myservice@sha256:abc"], "no digest of 64"),
        (["deploy", "staging", "ghcr.io/acme/myservice:v1.2.3-dirty"], "commit"),
        (["deploy", "staging", "ghcr.io/acme/myservice:1.20-dirty"], "commit"),
        (["deploy", "staging", "ghcr.io/acme/other:v1.2.3"], "ghcr.io/acme/myservice"),
        (["destroy", "prod"], "'destroy'"),
    ],
)
def test_bad_arguments_reach_no_cluster(arguments: list[str], word: str, cluster: Cluster) -> None:
    done = cluster.rollout(*arguments)
    assert done.returncode == 2, done.stdout
    assert word in done.stdout
    assert cluster.told == []
    assert cluster.leftovers() == []


def test_production_takes_a_digest_only(cluster: Cluster) -> None:
    done = cluster.make("deploy", "ENV=prod", "VERSION=v9.8.7")
    assert done.returncode != 0
    assert "make deploy ENV=prod DIGEST=sha256:" in done.stdout
    assert cluster.told == []


@pytest.mark.parametrize(
    ("arguments", "image"),
    [
        (["ENV=prod", f"DIGEST={DIGEST}"], IMAGE),
        (["ENV=staging", f"DIGEST={DIGEST}"], IMAGE),
        (["ENV=staging", "VERSION=v9.8.7"], "ghcr.io/acme/myservice:v9.8.7"),
        (["ENV=staging", "VERSION=1.20"], "ghcr.io/acme/myservice:1.20"),
        (["VERSION=commit-0123456789ab-dirty"], "ghcr.io/acme/myservice:commit-0123456789ab-dirty"),
    ],
)
def test_the_image_is_put_in_everywhere(arguments: list[str], image: str, cluster: Cluster) -> None:
    cluster.make("deploy", *arguments)
    own = [i for i in cluster.images if not i.startswith(("postgres", "redis"))]
    assert set(own) == {image}
    stores = (cluster.project / "internal/postgres").exists()
    assert len(own) == (2 if stores else 1)
    # Passwords are made up for one's own stores only.
    dev = stores and not arguments[0].startswith("ENV=")
    secrets = cluster.project / "deploy/kubernetes/overlays/dev/.secrets"
    assert (len(cluster.images) > len(own)) is secrets.exists() is dev
    assert cluster.leftovers() == []


@pytest.mark.parametrize("target", ["deploy", "rollback"])
def test_one_environment_is_not_taken_for_another(target: str, cluster: Cluster) -> None:
    done = cluster.make(target, f"DIGEST={DIGEST}", THERE="prod")
    assert done.returncode != 0
    assert "is prod, not dev" in done.stdout
    assert not any("apply" in line or "patch" in line for line in cluster.told)
    # The environment's own variable counts.
    done = cluster.make("deploy", f"DIGEST={DIGEST}", ENV="staging", THERE="prod")
    assert "is prod, not staging" in done.stdout


def test_what_does_not_answer_is_no_success(cluster: Cluster) -> None:
    done = cluster.make("deploy", f"DIGEST={DIGEST}")
    assert done.returncode != 0
    assert f"dev does not run {IMAGE}" in done.stdout
    assert "no other version is known to have worked in dev" in done.stdout
    assert any("port-forward" in line for line in cluster.told)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_any_shell_runs_it(shell: str, cluster: Cluster) -> None:
    assert cluster.rollout("deploy", "qa", IMAGE, shell=shell).returncode == 2


def test_shellcheck_finds_nothing(cluster: Cluster) -> None:
    script = cluster.project / "scripts/rollout.sh"
    assert os.access(script, os.X_OK)
    run([python_tool("shellcheck"), script], cluster.project)
    script.write_text(mutate(script.read_text(), 'kustomize "$around"', "kustomize $around"))
    assert run([python_tool("shellcheck"), script], cluster.project, ok=False).returncode
