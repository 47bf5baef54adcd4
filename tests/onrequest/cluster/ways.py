"""Ways to apply manifests and to go back, tried by random histories; run by `make test-cluster`.

The figures behind docs/explain/decisions/deliveries.md. Only what the API server stores counts here, so
nobody waits for pods.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from helpers.machine import run
from helpers.rendering import render

from onrequest.cluster import Cluster
from onrequest.cluster.page import write_table
from onrequest.cluster.variants import Object, in_an_empty_namespace, variant, written_down

#: How many histories each way is tried with.
TRIES = int(os.environ.get("TRIES", "12"))


@dataclass(frozen=True)
class Way:
    """How a delivery is applied, and how one that failed is taken back."""

    name: str
    server_side: bool = False
    undo: bool = False
    """Back by `kubectl rollout undo`; else by applying the manifests that worked."""
    replace: bool = False
    """The template of the pods is replaced by the manifests'."""
    inherited: bool = False
    """All but the last delivery are those of v0.6.0: client-side, undone."""


WAYS = (
    Way("client-side, undone (v0.6.0)", undo=True),
    Way("server-side, undone", server_side=True, undo=True),
    Way("client-side, applied again"),
    Way("server-side, applied again", server_side=True),
    Way("client-side, pods replaced, applied again", replace=True),
    Way("the same, after v0.6.0", replace=True, inherited=True),
    Way("server-side, pods replaced, after v0.6.0", True, replace=True, inherited=True),
)


class Ending(NamedTuple):
    """How a history ended: versions that were refused, and objects that are not as written."""

    refused: int
    different: int


class History:
    def __init__(self, cluster: Cluster, way: Way, seed: int, folder: Path) -> None:
        self.cluster, self.way, self.folder = cluster, way, folder
        self.chance = random.Random(seed)
        self.namespace = f"way-{WAYS.index(way)}-{seed}"
        self.count = self.refused = 0

    def play(self, base: list[Object]) -> Ending:
        self.cluster.kubectl("create", "namespace", self.namespace)
        try:
            good = self.write(base)
            assert self.bring(good, last=False)
            for _ in range(self.chance.randrange(1, 4)):
                self.bring(self.write(base), last=False)
                self.go_back(good)
                wanted = self.write(base)
                if self.bring(wanted, last=True):
                    good = wanted
                else:
                    self.refused += 1
            return Ending(self.refused, self.different(good))
        finally:
            self.cluster.kubectl("delete", "namespace", self.namespace, "--wait=false")

    def write(self, base: list[Object]) -> Path:
        self.count += 1
        file = self.folder / f"{self.namespace}-{self.count}.yaml"
        objects = [it for it in variant(base, self.chance) if it["kind"] != "Namespace"]
        for it in objects:
            it["metadata"]["namespace"] = self.namespace
        file.write_text(yaml.safe_dump_all(objects))
        return file

    def bring(self, file: Path, *, last: bool) -> bool:
        """Apply a file; whether it was taken."""
        old = self.way.inherited and not last
        replace = self.way.replace and not old
        server_side = self.way.server_side and not old
        options = ("--server-side", "--force-conflicts") if server_side else ()

        def apply() -> bool:
            done = self.cluster.kubectl("apply", "--filename", file, *options, ok=False)
            return done.returncode == 0

        if not replace:
            return apply()
        return (apply() or (self.replace_pods(file) and apply())) and self.replace_pods(file)

    def replace_pods(self, file: Path) -> bool:
        objects = yaml.safe_load_all(file.read_text())
        (pods,) = (it["spec"]["template"] for it in objects if it["kind"] == "Deployment")
        patch = json.dumps([{"op": "replace", "path": "/spec/template", "value": pods}])
        deployment = ("deployment", "myservice", "--namespace", self.namespace)
        done = self.cluster.kubectl(
            "patch", *deployment, "--type", "json", "--patch", patch, ok=False
        )
        return done.returncode == 0

    def go_back(self, good: Path) -> None:
        if self.way.undo or self.way.inherited:
            undo = ("rollout", "undo", "deployment/myservice", "--namespace", self.namespace)
            self.cluster.kubectl(*undo, ok=False)
        else:
            assert self.bring(good, last=False)

    def different(self, good: Path) -> int:
        """How many objects of the last good manifests are not as in an empty namespace."""
        wanted = in_an_empty_namespace(self.cluster, yaml.safe_load_all(good.read_text()), good)
        live = {
            (it["kind"], it["metadata"]["name"]): it for it in self.cluster.get("--filename", good)
        }
        return sum(written_down(live[key]) != written_down(it) for key, it in wanted.items())


@pytest.fixture(scope="module")
def base(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """The manifests of a default render's production."""
    overlay = (
        render(tmp_path_factory.mktemp("ways") / "myservice") / "deploy/kubernetes/overlays/prod"
    )
    built = run([cluster.programs / "kubectl", "kustomize", overlay], overlay).stdout
    return list(yaml.safe_load_all(built))


@pytest.fixture(scope="module")
def table() -> Iterator[Callable[[Way, list[Ending]], None]]:
    rows: dict[Way, list[str]] = {}

    def add(way: Way, endings: list[Ending]) -> None:
        refused = sum(ending.refused > 0 for ending in endings)
        different = sum(ending.different > 0 for ending in endings)
        rows[way] = [way.name, str(len(endings)), str(refused), str(different)]

    yield add
    if len(rows) == len(WAYS):
        header = [
            "Applied, and taken back",
            "Histories",
            "A mended version refused",
            "Live objects differ",
        ]
        write_table("ways", header, rows.values())


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_way_is_tried(
    way: Way,
    cluster: Cluster,
    base: list[Object],
    table: Callable[[Way, list[Ending]], None],
    tmp_path: Path,
) -> None:
    with ThreadPoolExecutor(3) as pool:
        endings = list(
            pool.map(lambda n: History(cluster, way, n, tmp_path).play(base), range(TRIES))
        )
    table(way, endings)
    if way.replace and not way.server_side and not way.inherited:
        assert set(endings) == {Ending(0, 0)}
