"""Random histories of deliveries, each of other manifests; run by `make test-cluster`.

After each delivery that works and each rollback, the live objects are those of an empty namespace
to which the manifests of the last version that worked are applied, API defaults included: no object,
no field more or less. So are what `kubectl apply` noted, and what the pods run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import ClassVar

import pytest
import yaml
from helpers.machine import run
from helpers.rendering import render

from onrequest.cluster import BROKEN, Cluster
from onrequest.cluster.delivery import Delivery
from onrequest.cluster.variants import Object, Objects, in_an_empty_namespace, variant, written_down

#: How many histories are tried, and how many at a time.
HISTORIES = int(os.environ.get("HISTORIES", "200"))
WORKERS = 5

#: All kinds of objects that the manifests have, or that a version adds.
KINDS = (
    "configmaps,secrets,services,serviceaccounts,deployments,horizontalpodautoscalers,"
    "poddisruptionbudgets,networkpolicies"
)
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: A path below this has nothing when it is first asked for.
ONCE = "/once/"


class History:
    """One project in its namespace, and which manifests are to be live in it."""

    def __init__(self, delivery: Delivery, base: list[Object], seed: int) -> None:
        self.delivery, self.base = delivery, base
        self.chance = random.Random(seed)
        self.works: list[list[Object]] = []
        """The versions that worked, the last of which is live."""
        self.digests = (f"sha256:{n:064x}" for n in range(seed * 100, seed * 100 + 99))

    def step(self) -> str:
        """Do one thing to the project; see that the outcome is the right one; return what it was."""
        steps: list[Callable[[], None]] = [
            self.works_well, self.never_gets_ready, self.answers_nothing, self.is_interrupted,
            self.works_well, self.is_rolled_back,
        ]  # fmt: skip
        step = self.chance.choice(steps) if self.works else self.works_well
        step()
        if step != self.is_interrupted:
            self.check()
        return step.__name__

    def works_well(self) -> None:
        self.write(digest := next(self.digests))
        done = self.delivery.deploy(digest)
        assert done.returncode == 0, done.stdout
        self.works.append(self.written)

    def never_gets_ready(self) -> None:
        self.write(BROKEN)
        self.goes_back(self.delivery.deploy(BROKEN))

    def answers_nothing(self) -> None:
        self.write(digest := next(self.digests))
        self.goes_back(self.delivery.deploy(digest, SMOKE_PATH=f"{ONCE}{digest}"))

    def goes_back(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.returncode != 0
        assert f"does not run {self.delivery.image}" in done.stdout, done.stdout
        assert "again, after" in done.stdout, done.stdout

    def is_interrupted(self) -> None:
        self.write(BROKEN)
        number = self.chance.choice([signal.SIGINT, signal.SIGKILL])
        self.delivery.interrupt(BROKEN, number, self.chance.uniform(0, 2))
        if self.chance.random() < 0.5:
            self.works_well()
        else:
            done = self.delivery.rollback()
            assert done.returncode == 0, done.stdout
        self.check()

    def is_rolled_back(self) -> None:
        done = self.delivery.rollback()
        if len(self.works) > 1:
            assert done.returncode == 0, done.stdout
            self.works.pop()
        else:
            assert done.returncode != 0
            assert "no other version" in done.stdout

    def write(self, digest: str) -> None:
        """Let the project have manifests that it never had."""
        self.written = variant(self.base, self.chance)
        text = yaml.safe_dump_all(self.written)
        self.delivery.file("overlays/prod/manifests.yaml").write_text(text)
        for it in self.written:
            if it["kind"] == "Deployment":
                app = it["spec"]["template"]["spec"]["containers"][0]
                app["image"] = f"{self.delivery.image}@{digest}"

    def check(self) -> None:
        """Compare the namespace with what the last manifests make of an empty one."""
        file = self.delivery.project.parent / f"{self.delivery.name}.json"
        wanted = in_an_empty_namespace(self.delivery.cluster, self.works[-1], file)
        live = self.live()
        assert live.keys() == wanted.keys()
        for key, it in live.items():
            assert written_down(it) == written_down(wanted[key]), key
            applied = json.loads(it["metadata"]["annotations"][APPLIED])
            assert applied == self.applied(key), key
        template = wanted["Deployment", self.delivery.name]["spec"]["template"]
        app = template["spec"]["containers"][0]
        # A pod requests what it is limited to, unless it says less.
        app["resources"]["requests"] = app["resources"]["limits"] | app["resources"]["requests"]
        for container in self.delivery.containers():
            assert container == app

    def live(self) -> Objects:
        given = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
        found = self.delivery.cluster.get(KINDS, "--namespace", self.delivery.name)
        return {
            (it["kind"], it["metadata"]["name"]): it
            for it in found
            if (it["kind"], it["metadata"]["name"]) not in given
            and it.get("type") != "rollout.sh/delivery"
        }

    def applied(self, key: tuple[str, str]) -> Object:
        """What `kubectl apply` is to have noted."""
        (found,) = (it for it in self.works[-1] if (it["kind"], it["metadata"]["name"]) == key)
        return {**found, "metadata": {"annotations": {}, **found["metadata"]}}


class Answer(BaseHTTPRequestHandler):
    """A service that is asked for a version's own path."""

    asked: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        fails = self.path.startswith(ONCE) and self.path not in self.asked
        self.asked.add(self.path)
        self.send_response(404 if fails else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def answers(cluster: Cluster) -> Iterator[None]:
    """Something that answers behind every pod's port."""
    with ThreadingHTTPServer(("127.0.0.1", cluster.pod), Answer) as server:
        threading.Thread(target=server.serve_forever).start()
        yield
        server.shutdown()


@pytest.fixture
def projects(cluster: Cluster, tmp_path: Path) -> SimpleQueue[Delivery]:
    """Projects in which nobody waits longer than a test must."""
    waiting: SimpleQueue[Delivery] = SimpleQueue()
    for number in range(WORKERS):
        its = Delivery(cluster, tmp_path / f"service-{number}")
        render(its.project, service_name=its.name)
        waiting.put(its)
    return waiting


def base_of(delivery: Delivery) -> list[Object]:
    """The manifests of a project's production, at a test's pace; the project then has only those."""
    overlay = delivery.file("overlays/prod")
    built = run([delivery.cluster.programs / "kubectl", "kustomize", overlay], overlay).stdout
    found = list(yaml.safe_load_all(built))
    for it in found:
        if it["kind"] == "Deployment":
            it["spec"] |= {"minReadySeconds": 0, "progressDeadlineSeconds": 8}
        if it["kind"] == "HorizontalPodAutoscaler":
            it["spec"]["minReplicas"] = 1
    (overlay / "kustomization.yaml").write_text("resources: [manifests.yaml]\n")
    return found


@pytest.mark.usefixtures("answers")
def test_what_runs_was_applied_and_is_written_down_agree(
    cluster: Cluster, projects: SimpleQueue[Delivery]
) -> None:
    bases: dict[str, list[Object]] = {}
    steps: Counter[str] = Counter()
    failed: list[int] = []

    def play(seed: int) -> None:
        delivery = projects.get()
        try:
            if delivery.name not in bases:
                bases[delivery.name] = base_of(delivery)
            history = History(delivery, bases[delivery.name], seed)
            steps.update([history.step() for _ in range(history.chance.randint(3, 4))])
        except Exception as error:
            print(f"history {seed}: {error}")
            failed.append(seed)
        finally:
            namespace = ("namespace", delivery.name, "--ignore-not-found", "--wait")
            cluster.kubectl("delete", *namespace)
            projects.put(delivery)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(play, range(HISTORIES)))
    assert failed == []
    assert len(steps) == 5
    print(f"{HISTORIES} histories: {dict(steps)}")
