"""The names that renders give to something else than the service, or presume to be taken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from helpers.all_renders import all_renders, read

#: The namespace in which the operator of an API is usually installed.
OPERATORS = {
    "argoproj.io": {"argo-rollouts"},
    "external-secrets.io": {"external-secrets"},
    "monitoring.coreos.com": {"monitoring"},
    "gateway.networking.k8s.io": {"gateway", "istio-system"},
}

#: What may name a service; what may not needs no refusal.
NAME = re.compile(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?")

#: The name in all renders: what has it in its name is the service's own.
OWN = "myservice"


def taken_names() -> dict[str, set[str]]:
    """Every such name, by what it names."""
    found: dict[str, set[str]] = {}
    files = {(path, digest) for r in all_renders() for path, digest in r.files.items()}
    for path, digest in files:
        if not path.endswith((".yaml", ".yml")) or path.startswith((".git", "config/", "api/")):
            continue
        for document in yaml.load_all(read(digest), yaml.CSafeLoader):
            for what, name in _names(path, document):
                if isinstance(name, str) and NAME.fullmatch(name) and OWN not in name:
                    found.setdefault(what, set()).add(name)
    return found


def _names(path: str, document: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(document, dict):
        return
    if path.startswith("deploy/kubernetes/"):
        yield from _of_kubernetes(document)
    elif path == "compose.yaml" or re.fullmatch(r"deploy/(compose/)?[^/]+\.yaml", path):
        for what in ("services", "networks", "volumes"):
            for name, value in (document.get(what) or {}).items():
                yield f"Compose {what}", name
                yield f"Compose {what}", (value or {}).get("name")


def _of_kubernetes(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    metadata = document.get("metadata", {})
    if document.get("kind") == "Namespace":
        yield "namespaces", metadata.get("name")
    elif document.get("kind") in ("Kustomization", "Component"):
        for generator in ("configMapGenerator", "secretGenerator"):
            yield from (("objects", entry["name"]) for entry in document.get(generator, []))
    else:
        yield "objects", metadata.get("name")
    for group, namespaces in OPERATORS.items():
        if document.get("apiVersion", "").startswith(f"{group}/"):
            yield from (("namespaces", namespace) for namespace in namespaces)
    yield from (("namespaces", name) for name in _namespaces(document))


def _namespaces(node: Any) -> Iterator[Any]:
    """What a manifest calls a namespace, and what is one in the address of a Service."""
    if isinstance(node, list):
        for entry in node:
            yield from _namespaces(entry)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("namespace", "kubernetes.io/metadata.name"):
                yield value
            elif key == "host" and isinstance(value, str):
                # NAME.NAMESPACE, of a Service in another one.
                yield value.partition(".")[2]
            yield from _namespaces(value)
    elif isinstance(node, str):
        yield from re.findall(r"\b[a-z][a-z0-9-]*\.([a-z][a-z0-9-]*)(?:\.svc\b|:\d)", node)
