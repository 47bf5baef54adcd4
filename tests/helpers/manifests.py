"""What Kustomize builds of the renders, and the objects in it."""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from helpers.all_renders import all_renders
from helpers.combinations import CUSTOM, Row
from helpers.linters import go_tool, locked
from helpers.machine import CACHE, run
from helpers.rendering import render

MANIFESTS = "deploy/kubernetes"
OVERLAYS = f"{MANIFESTS}/overlays"

#: The releases of Kubernetes that manifests are validated for.
VERSIONS = ("1.36.0", "1.37.0")

Object = dict[str, Any]

#: Kinds whose pods every linter knows.
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


@dataclass(frozen=True, eq=False)
class Build:
    """What one folder builds to, the same for all of these answers."""

    name: str
    text: str
    rows: tuple[Row, ...] = ({},)

    @functools.cached_property
    def objects(self) -> list[Object]:
        """Every object."""
        return parse(self.text)

    @property
    def combination(self) -> str:
        """Which kind of combination this is: the rollout, where the overlay has one."""
        return self.name if self.name in ("dev", "logging") else str(self.rows[0]["rollout"])

    def of_kind(self, *kinds: str) -> list[Object]:
        """The objects of these kinds."""
        return [o for o in self.objects if o["kind"] in kinds]


def parse(text: str) -> list[Object]:
    """Return the objects in a text."""
    return [o for o in yaml.load_all(text, yaml.CSafeLoader) if o]


def plain_name(built: Object) -> str:
    """Return the name of an object without the hash that Kustomize puts behind a content."""
    hashed = built["kind"] in ("ConfigMap", "Secret")
    name: str = built["metadata"]["name"]
    return re.sub(r"-[a-z0-9]{10}$", "", name) if hashed else name


def title(document: Object) -> str:
    """Return what an object is called in a finding."""
    return f"{document['kind']} {plain_name(document)}"


def by_name(built: Iterable[Object]) -> dict[str, Object]:
    """Return objects by kind and name."""
    return {f"{o['kind']} {plain_name(o)}": o for o in built}


def kustomize(folder: Path) -> str:
    """Return what a folder builds to; where it takes passwords that nobody made, with others."""
    overlays = [folder, *(folder.parent / name for name in ("dev",) if name in folder.name)]
    wanted = {
        overlay / secret
        for overlay in overlays
        for secret in re.findall(r"- (\.secrets/\S+)", (overlay / "kustomization.yaml").read_text())
    }
    made_up = [path for path in wanted if not path.exists()]
    for path in made_up:
        path.parent.mkdir(exist_ok=True)
        path.write_text("made up")
    try:
        return run([go_tool("kustomize"), "build", folder], folder).stdout
    finally:
        for path in made_up:
            path.unlink()


def roots(files: Iterable[str]) -> list[str]:
    """Return the folders that are applied, of a render with these files."""
    folders = [path.removesuffix("/kustomization.yaml") for path in files]
    return [f for f in folders if f.startswith(OVERLAYS) or f == f"{MANIFESTS}/logging"]


@functools.cache
def builds() -> list[Build]:
    """Every build of every combination, and of answers that none varies; each text once.

    They are kept for the other processes that run tests.
    """
    depends_on = [r.files for r in all_renders()], go_tool("kustomize").parent.name
    digest = hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:12]
    kept = CACHE / f"builds-{digest}.json"
    with locked("builds"):
        if not kept.exists():
            unfinished = kept.with_suffix(".tmp")
            unfinished.write_text(json.dumps(_builds()))
            unfinished.replace(kept)
    return [Build(name, text, tuple(rows)) for name, text, rows in json.loads(kept.read_text())]


def _builds() -> list[tuple[str, str, list[Row]]]:
    found: dict[tuple[str, str], list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder:
        wanted: dict[frozenset[tuple[str, str]], tuple[Path, list[Row]]] = {}
        for number, rendered in enumerate(all_renders()):
            project = Path(folder) / str(number)
            for root in roots(p for p in rendered.files if p.endswith("/kustomization.yaml")):
                # What it is made of, so that the same is built once.
                used = [root, *([f"{MANIFESTS}/base"] if root.startswith(OVERLAYS) else [])]
                used += [f"{MANIFESTS}/components"] if root.endswith(("/staging", "/prod")) else []
                under = tuple(f"{path}/" for path in used)
                files = frozenset(f for f in rendered.files.items() if f[0].startswith(under))
                if files not in wanted:
                    if not project.exists():
                        rendered.write(project, MANIFESTS + "/")
                    wanted[files] = (project / root, [])
                wanted[files][1].append(rendered.answers)
        custom = render(Path(folder) / "custom", **CUSTOM)
        for root in ("overlays/dev", "overlays/staging", "overlays/prod", "logging"):
            wanted[frozenset({("custom", root)})] = (custom / MANIFESTS / root, [CUSTOM])
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            texts = list(pool.map(kustomize, [root for root, _ in wanted.values()]))
    for text, (path, rows) in zip(texts, wanted.values(), strict=True):
        found.setdefault((path.name, text), []).extend(rows)
    return [(name, text, rows) for (name, text), rows in found.items()]


def pick(name: str, **answers: Any) -> Build:
    """Return a build of a folder for these answers, whatever the others are."""
    return next(
        build
        for build in builds()
        if build.name == name
        and any(row.items() >= answers.items() and row != CUSTOM for row in build.rows)
    )


def built(project: Path, overlay: str = "prod") -> dict[str, Object]:
    """Return the objects of an overlay by kind and name."""
    return by_name(Build(overlay, kustomize(project / OVERLAYS / overlay)).objects)


def service(row: Row) -> str:
    """Return the name of the service."""
    return str(row.get("service_name", "myservice"))


def pod_of(workload: Object) -> Object:
    """Return the specification of a workload's pods."""
    pod: Object = workload["spec"]["template"]["spec"]
    return pod


def containers(workload: Object) -> list[Object]:
    """Return all containers of a workload."""
    pod = pod_of(workload)
    return [*pod.get("initContainers", []), *pod["containers"]]


def listens(workload: Object) -> dict[str, int]:
    """Return the ports of a workload's pods by their names."""
    return {p["name"]: p["containerPort"] for c in containers(workload) for p in c.get("ports", [])}
