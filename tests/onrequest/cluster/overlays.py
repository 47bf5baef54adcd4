"""Every rendered overlay, applied to a real API server; run by `make test-cluster`."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.machine import ROOT, make
from helpers.rendering import render

from onrequest.cluster import Cluster
from onrequest.cluster.page import write_table

HEADER = [
    "Render",
    "Overlay",
    "Objects",
    "Created",
    "Warnings",
    "Pods ready",
    "Applied again",
    "Diff",
]

HOST = {"host_name": "myservice.example.com"}
STORES = {"datastores": ["postgres", "redis"]}
RENDERS: dict[str, dict[str, Any]] = {
    "default": {},
    "no probes": {"probes": []},
    "both stores": STORES,
    "route and monitoring": {**HOST, "monitoring": True},
    "canary": {"rollout": "canary", **HOST},
    "canary, both stores": {"rollout": "canary", **HOST, **STORES},
    "blue-green": {"rollout": "blue-green"},
    "blue-green, route and monitoring": {"rollout": "blue-green", **HOST, "monitoring": True},
    "secrets in Vault": {"secrets": "vault", **STORES},
    "secrets in AWS": {"secrets": "aws", **STORES},
    "logs to Elasticsearch": {"log_collection": "elasticsearch"},
    "logs to Kafka": {"log_collection": "kafka"},
    "everything": {
        "rollout": "canary", **HOST, **STORES, "secrets": "vault", "log_collection": "kafka",
        "tracing": True, "image_pull_secret": "registry", "base_image": "alpine",
    },
}  # fmt: skip
OVERLAYS = ("overlays/dev", "overlays/staging", "overlays/prod", "logging")

#: How many pods of a workload are to be ready, and how many are.
READY: dict[str, Callable[[dict[str, Any]], tuple[int, int]]] = {
    "Deployment": lambda it: (it["spec"]["replicas"], it["status"].get("readyReplicas", 0)),
    "StatefulSet": lambda it: (it["spec"]["replicas"], it["status"].get("readyReplicas", 0)),
    "Rollout": lambda it: (it["spec"].get("replicas", 1), it["status"].get("readyReplicas", 0)),
    "DaemonSet": lambda it: (it["status"]["desiredNumberScheduled"], it["status"]["numberReady"]),
}


class Manifests:
    """A file of manifests, with the checks that a cluster makes of it."""

    def __init__(self, cluster: Cluster, text: str, path: Path) -> None:
        self.cluster, self.text, self.path = cluster, text, path
        path.write_text(text)
        self.objects = [each for each in yaml.safe_load_all(text) if each]

    def apply(self, *options: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Apply them as `make deploy` does, except that a warning is an error."""
        return self.cluster.kubectl(
            "apply", "--filename", self.path, "--warnings-as-errors", *options, ok=ok
        )

    def create_namespaces(self) -> None:
        for each in self.objects:
            if each["kind"] == "Namespace":
                path = self.path.with_suffix(".namespace.yaml")
                path.write_text(yaml.safe_dump(each))
                self.cluster.kubectl("apply", "--filename", path)

    def delete(self) -> None:
        self.cluster.kubectl("delete", "--filename", self.path, "--ignore-not-found", "--wait")

    def live(self) -> list[dict[str, Any]]:
        return self.cluster.get("--filename", self.path, "--show-managed-fields")

    def pods(self) -> tuple[int, int]:
        """How many pods are to be ready, and how many are."""
        counts = [READY[it["kind"]](it) for it in self.live() if it["kind"] in READY]
        return sum(wanted for wanted, _ in counts), sum(ready for _, ready in counts)

    def refused_pods(self) -> list[str]:
        """Why a controller could not make pods."""
        fields = "reason=FailedCreate"
        events = self.cluster.get("events", "--all-namespaces", "--field-selector", fields)
        namespaces = {it["metadata"].get("namespace") for it in self.objects}
        return [it["message"] for it in events if it["metadata"]["namespace"] in namespaces]

    def settle(self) -> tuple[int, int]:
        """Wait until all pods that there are to be are ready, or one is refused."""
        deadline = time.monotonic() + 120
        while not self.settled() and not self.refused_pods() and time.monotonic() < deadline:
            time.sleep(0.5)
        return self.pods()

    def settled(self) -> bool:
        live = self.live()
        least = {
            it["spec"]["scaleTargetRef"]["kind"]: it["spec"]["minReplicas"]
            for it in live
            if it["kind"] == "HorizontalPodAutoscaler"
        }
        for it in live:
            if it["kind"] in READY:
                seen = str(it.get("status", {}).get("observedGeneration"))
                if seen != str(it["metadata"]["generation"]):
                    return False
                wanted, ready = READY[it["kind"]](it)
                if wanted != ready or wanted < least.get(it["kind"], 0):
                    return False
                # It takes the Deployment's place, which then runs no pods.
                if it["kind"] == "Rollout" and it["status"].get("phase") != "Healthy":
                    return False
        rollouts = any(it["kind"] == "Rollout" for it in live)
        return not rollouts or all(
            it["spec"]["replicas"] == 0 for it in live if it["kind"] == "Deployment"
        )

    def changed_by_applying_again(self) -> list[str]:
        """The objects that differ afterwards in more than their status.

        What kubectl says counts for nothing: it calls a PodDisruptionBudget and a NetworkPolicy
        "configured" when it has sent a patch, although that changed nothing.
        """
        before = self.versions()
        self.apply()
        after = self.versions()
        return [name for name in before | after if before.get(name) != after.get(name)]

    def versions(self) -> dict[str, Any]:
        """What changes with each object: a manager of its fields, or the whole where it has no status."""
        return {
            f"{it['kind']}/{it['metadata']['name']}": (
                [part for part in it["metadata"]["managedFields"] if "subresource" not in part]
                if "status" in it
                else it["metadata"]["resourceVersion"]
            )
            for it in self.live()
        }

    def differs(self) -> str:
        done = self.cluster.kubectl("diff", "--filename", self.path, ok=False)
        assert done.returncode in (0, 1), done.stdout
        return done.stdout


@pytest.fixture(scope="session")
def table() -> Iterator[list[list[str]]]:
    """The table of docs/measured/cluster.md, written once every render has its rows."""
    rows: list[list[str]] = []
    yield rows
    if {row[0] for row in rows} == set(RENDERS):
        write_table("overlays", HEADER, rows)


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Renders, each made once."""
    made: dict[str, Path] = {}

    def project(name: str) -> Path:
        if name not in made:
            made[name] = render(tmp_path_factory.mktemp("render") / "myservice", **RENDERS[name])
            if "datastores" in RENDERS[name]:
                make(made[name], "secrets")
        return made[name]

    return project


@pytest.fixture
def manifests(
    cluster: Cluster, projects: Callable[[str], Path], tmp_path: Path
) -> Iterator[Callable[..., Manifests]]:
    """Builds an overlay, with some of its text replaced; what has been applied goes at the end."""
    made: list[Manifests] = []

    def build(name: str, overlay: str, *replacements: tuple[str, str]) -> Manifests:
        folder = projects(name) / "deploy" / "kubernetes" / overlay
        text = cluster.kubectl("kustomize", folder).stdout
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new, 1)
        made.append(Manifests(cluster, text, tmp_path / "manifests.yaml"))
        return made[-1]

    yield build
    for each in made:
        each.delete()


@pytest.mark.parametrize(
    ("name", "overlay"),
    [
        (name, overlay)
        for name, answers in RENDERS.items()
        for overlay in OVERLAYS
        if overlay != "logging" or "log_collection" in answers
    ],
)
def test_a_cluster_takes_it_without_a_word_and_keeps_it_as_it_is(
    manifests: Callable[..., Manifests], table: list[list[str]], name: str, overlay: str
) -> None:
    its = manifests(name, overlay)
    its.create_namespaces()
    its.apply("--server-side", "--dry-run=server")
    lines = its.apply().stdout.splitlines()
    created = [line for line in lines if line.endswith(" created") or line.startswith("namespace/")]
    assert len(created) == len(lines) == len(its.objects), lines
    wanted, ready = its.settle()
    assert its.refused_pods() == []
    assert ready == wanted > 0, its.cluster.kubectl("get", "pods,events", "--all-namespaces").stdout
    assert its.changed_by_applying_again() == []
    assert its.differs() == ""
    table.append(
        [name, overlay.removeprefix("overlays/"), str(len(its.objects)), str(len(created)), "0",
         f"{ready} of {wanted}", "unchanged", "empty"]
    )  # fmt: skip


NO_ESCALATION = "allowPrivilegeEscalation: false"


def test_a_pod_that_may_become_root_is_warned_about_and_never_made(
    manifests: Callable[..., Manifests],
) -> None:
    its = manifests("default", "overlays/prod", (NO_ESCALATION, "allowPrivilegeEscalation: true"))
    done = its.apply(ok=False)
    assert done.returncode != 0
    assert 'Warning: would violate PodSecurity "restricted:latest"' in done.stdout
    assert its.settle() != (0, 0)
    assert "violates PodSecurity" in its.refused_pods()[0]


def test_a_field_that_kubernetes_does_not_have_is_refused(
    manifests: Callable[..., Manifests],
) -> None:
    its = manifests("default", "overlays/prod", (NO_ESCALATION, "allowPrivilegeEscalations: false"))
    its.create_namespaces()
    for options in ([], ["--server-side", "--dry-run=server"]):
        done = its.apply(*options, ok=False)
        assert done.returncode != 0
        assert "allowPrivilegeEscalations" in done.stdout


@pytest.mark.parametrize(
    ("name", "old", "new", "word"),
    [
        ("canary", "setWeight: 5\n", "setWeight: five\n", "setWeight"),
        ("canary", "weight: 100", "weight: -1", "weight"),
        ("route and monitoring", "interval: 15s", "interval: often", "interval"),
        ("secrets in Vault", "refreshInterval: 1h", "refreshIntervals: 1h", "refreshIntervals"),
    ],
)
def test_a_custom_resource_that_its_definition_does_not_allow_is_refused(
    manifests: Callable[..., Manifests], name: str, old: str, new: str, word: str
) -> None:
    done = manifests(name, "overlays/prod", (old, new)).apply(ok=False)
    assert done.returncode != 0
    assert word in done.stdout


def test_a_variable_that_hides_another_is_warned_about(
    manifests: Callable[..., Manifests],
) -> None:
    old = "- name: CONFIG_FILE\n"
    new = "- name: CONFIG_FILE\n          value: /other\n        - name: CONFIG_FILE\n"
    done = manifests("default", "overlays/prod", (old, new)).apply(ok=False)
    assert done.returncode != 0
    assert "hides previous definition" in done.stdout


def test_replicas_that_an_autoscaler_sets_too_are_set_back(
    manifests: Callable[..., Manifests],
) -> None:
    its = manifests(
        "default",
        "overlays/prod",
        ("revisionHistoryLimit:", "replicas: 1\n  revisionHistoryLimit:"),
    )
    its.apply()
    its.settle()
    assert "replicas" in its.differs()
    assert its.changed_by_applying_again() == ["Deployment/myservice"]


def test_the_articles_pod_is_refused(
    cluster: Cluster, manifests: Callable[..., Manifests], tmp_path: Path
) -> None:
    manifests("default", "overlays/dev").create_namespaces()
    text = (ROOT / "tests" / "helpers" / "lint" / "article" / "pod.yaml").read_text()
    article = Manifests(cluster, text, tmp_path / "article.yaml")
    done = article.apply("--namespace", "myservice", ok=False)
    assert done.returncode != 0
    assert "violates PodSecurity" in done.stdout
