"""The definitions of the custom resources that renders use: from the Go modules of their authors."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path

from helpers.machine import ROOT, need, unavailable
from helpers.rendering import version

#: Pins the modules, with their checksums beside it. Nothing of them is compiled.
PINS = ROOT / "tests" / "helpers" / "lint" / "crds"

#: Where a module keeps the files, and the resources that a render may use of it.
FILES = {
    "github.com/argoproj/argo-rollouts": (
        "manifests/crds/{}-crd.yaml",
        ["rollout", "analysis-template", "analysis-run", "cluster-analysis-template", "experiment"],
    ),
    "github.com/external-secrets/external-secrets": (
        "config/crds/bases/external-secrets.io_{}.yaml",
        ["externalsecrets", "secretstores", "clustersecretstores"],
    ),
    "github.com/prometheus-operator/prometheus-operator": (
        "example/prometheus-operator-crd/monitoring.coreos.com_{}.yaml",
        ["servicemonitors", "podmonitors", "prometheusrules"],
    ),
    "sigs.k8s.io/gateway-api": (
        "config/crd/standard/gateway.networking.k8s.io_{}.yaml",
        ["gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants"],
    ),
}


@functools.cache
def crd_files() -> list[Path]:
    """The files of `FILES`, each with one CustomResourceDefinition, downloaded on first use."""
    need("go")
    done = subprocess.run(
        ["go", "mod", "download", "-json", *FILES],
        cwd=PINS,
        env={**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": f"go{version('go_version')}"},
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        unavailable(
            f"the custom resources could not be downloaded: {(done.stderr or done.stdout).strip()[-500:]}"
        )
    folders = {module["Path"]: Path(module["Dir"]) for module in _documents(done.stdout)}
    return [
        folders[module] / pattern.format(name)
        for module, (pattern, names) in FILES.items()
        for name in names
    ]


def _documents(text: str) -> list[dict[str, str]]:
    """The JSON objects that `text` holds one after another."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found
