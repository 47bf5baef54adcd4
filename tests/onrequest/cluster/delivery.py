"""A rendered project that its own script delivers to the cluster."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helpers.machine import run
from helpers.rendering import render
from helpers.service import eventually, substitute_once

from onrequest.cluster import Cluster

FIRST, SECOND, THIRD = ("sha256:" + digit * 64 for digit in "123")


class Delivery:
    """A project that is delivered into a namespace of its own, which has its name."""

    def __init__(self, cluster: Cluster, project: Path) -> None:
        self.cluster, self.project, self.name = cluster, project, project.name
        self.image = f"ghcr.io/acme/{self.name}"

    def file(self, path: str) -> Path:
        """A file below the manifests."""
        return self.project / "deploy" / "kubernetes" / path

    def make(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "--silent", *arguments]
        return run(command, self.project, self.cluster.env | env, ok=False, timeout=180)

    def deploy(self, digest: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.make("deploy", "ENV=prod", f"DIGEST={digest}", **env)

    def rollback(self) -> subprocess.CompletedProcess[str]:
        return self.make("rollback", "ENV=prod")

    def promote(self) -> subprocess.CompletedProcess[str]:
        return self.make("promote", "ENV=prod")

    def interrupt(self, digest: str, number: signal.Signals, seconds: float = 0) -> str:
        """Deploy, and send the signal `seconds` after the cluster was told; return what was said.

        The signal reaches all processes, as Ctrl-C on a terminal does.
        """
        process = subprocess.Popen(
            ["make", "--silent", "deploy", "ENV=prod", f"DIGEST={digest}"],
            cwd=self.project, env={**os.environ, **self.cluster.env}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
            # A shell starts what it puts in the background with Ctrl-C ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        eventually("the cluster was told", lambda: digest in self.template(), 60)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, number)
        said, _ = process.communicate()
        return said

    def template(self) -> str:
        """The pods that the Deployment describes; nothing where there is none."""
        asked = ("get", "deployment", self.name, "--namespace", self.name, "--ignore-not-found")
        return self.cluster.kubectl(*asked, "--output", "jsonpath={.spec.template}").stdout

    def containers(self) -> list[dict[str, Any]]:
        """The first containers of the pods that stay."""
        return [
            pod["spec"]["containers"][0]
            for pod in self.cluster.get("pods", "--namespace", self.name)
            if "deletionTimestamp" not in pod["metadata"]
        ]

    def weights(self) -> list[int]:
        """The shares of the HTTPRoute: of the stable Service, and of the canary's."""
        (route,) = self.cluster.get("httproutes", self.name, "--namespace", self.name)
        return [backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]]

    def digests(self, of: str | None = None) -> set[str]:
        """What the pods run that take a Service's requests, by its endpoints."""
        pods = self.cluster.get("pods", "--namespace", self.name)
        names = self.endpoints(of)
        return {
            it["spec"]["containers"][0]["image"].removeprefix(f"{self.image}@")
            for it in pods
            if it["metadata"]["name"] in names
        }

    def endpoints(self, of: str | None = None) -> set[str]:
        """The pods that take the requests of a Service, which is the project's or `of`."""
        label = f"kubernetes.io/service-name={of or self.name}"
        return {
            endpoint["targetRef"]["name"]
            for each in self.cluster.get(
                "endpointslices", "--namespace", self.name, "--selector", label
            )
            for endpoint in each["endpoints"] or []
            if endpoint["conditions"]["ready"]
        }

    def recoveries(self) -> list[dict[str, str]]:
        """What the record of recoveries says."""
        record = self.project / "deploy" / "mttr.csv"
        if not record.exists():
            return []
        with record.open() as lines:
            return list(csv.DictReader(lines))


@contextmanager
def delivery(cluster: Cluster, project: Path, **answers: Any) -> Iterator[Delivery]:
    """A render in which nobody waits as long as people and machines need; it goes at the end."""
    render(project, service_name=project.name, **answers)
    base = project / "deploy" / "kubernetes" / "base" / "deployment.yaml"
    components = project.glob("deploy/kubernetes/components/*/rollout.yaml")
    for path in (base, *components):
        substitute_once(path, r"progressDeadlineSeconds: \d+", "progressDeadlineSeconds: 15")
    # Not of a Rollout: a canary's first step is to come after all manifests are applied.
    substitute_once(base, "minReadySeconds: 5", "minReadySeconds: 1")
    its = Delivery(cluster, project)
    try:
        yield its
    finally:
        cluster.kubectl("delete", "namespace", its.name, "--ignore-not-found", "--wait")
