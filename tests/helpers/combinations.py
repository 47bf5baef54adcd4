"""The answers that decide what is rendered, and the combinations of them that are tested."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import covertable

from helpers.machine import CACHE


def subsets(*values: str, least: int = 0) -> list[list[str]]:
    """Every subset of `values` with at least `least` members, in the order given."""
    sizes = range(least, len(values) + 1)
    return [list(c) for size in sizes for c in itertools.combinations(values, size)]


#: The answers that decide which files and lines are rendered, each with its values; None where
#: the question is not asked.
FACTORS: dict[str, list[Any]] = {
    "base_image": ["distroless", "alpine"],
    "deploy": subsets("kubernetes", "compose", least=1),
    "probes": [*subsets("startup", "liveness", "readiness"), None],
    "host_name": ["", "shop.example.com", None],
    "rollout": ["rolling", "blue-green", "canary", None],
    "datastores": subsets("postgres", "redis"),
    "secrets": ["kubernetes", "vault", "aws", None],
    "monitoring": [False, True, None],
    "log_collection": ["none", "elasticsearch", "kafka", None],
    "tracing": [False, True],
    "compose_profiles": [*subsets("observability", "logging"), None],
    "ci": ["github", "gitlab", "none"],
    "image_pull_secret": ["", "registry-login", None],
    "go_env": [
        {},
        {"goproxy": "https://goproxy.example.com,direct"},
        {"goprivate": "github.com/acme/*"},
    ],
}

#: The questions that are asked for Kubernetes only.
KUBERNETES = (
    "probes",
    "host_name",
    "rollout",
    "monitoring",
    "log_collection",
    "image_pull_secret",
)

Row = Mapping[str, Any]


def on_kubernetes(row: Row) -> bool:
    """Whether these answers render manifests."""
    return "kubernetes" in row["deploy"]


def on_compose(row: Row) -> bool:
    """Whether these answers render a Compose file."""
    return "compose" in row["deploy"]


#: Which values of `FACTORS` can meet: the factors, and a condition that their values fulfil.
RULES: list[tuple[list[str], Callable[[Row], bool]]] = [
    *[
        (["deploy", name], lambda row, name=name: on_kubernetes(row) == (row[name] is not None))
        for name in KUBERNETES
    ],
    (
        ["deploy", "datastores", "secrets"],
        lambda row: (
            (on_kubernetes(row) and row["datastores"] != []) == (row["secrets"] is not None)
        ),
    ),
    (
        ["deploy", "compose_profiles"],
        lambda row: on_compose(row) == (row["compose_profiles"] is not None),
    ),
    (["rollout", "host_name"], lambda row: row["rollout"] != "canary" or row["host_name"] != ""),
    (["rollout", "monitoring"], lambda row: row["rollout"] != "canary" or row["monitoring"]),
]


def possible(row: Row) -> bool:
    """Whether these values of `FACTORS` can meet."""
    return all(rule(row) for _, rule in RULES)


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
    "host_name": "a.b-c.example.org",
    "rollout": "canary",
    "datastores": ["postgres", "redis"],
    "secrets": "vault",
    "secret_store": "https://vault.example.org:8200/kv/team/shop",
    "monitoring": True,
    "log_collection": "kafka",
    "compose_profiles": ["observability", "logging"],
    "http_port": 8081,
    "admin_port": 9091,
    "liveness_path": "/live",
    "readiness_path": "/probes/ready",
    "startup_seconds": 301,
    "liveness_period_seconds": 7,
    "readiness_period_seconds": 3,
    "probe_timeout_seconds": 4,
    "cpu": "2",
    "memory": "1Gi",
    "gateway": "ingress/public.v1",
    "image_pull_secret": "registry-login",
    "goproxy": "off",
    "goprivate": "*.corp.example.com,github.com/acme/*",
}


@functools.cache
def combinations() -> list[dict[str, Any]]:
    """Answers in which any three values that can meet do meet, and the default and the fullest.

    A file whose text depends on at most three of `FACTORS` is so rendered in each of its
    variants; `test_combinations.py` proves the coverage, and names the files with more.
    """
    # To find them takes seconds, in every process that runs tests.
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    kept = CACHE / f"combinations-{digest}.json"
    if not kept.exists():
        CACHE.mkdir(exist_ok=True)
        unfinished = kept.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(_combinations()))
        unfinished.replace(kept)
    rows: list[dict[str, Any]] = json.loads(kept.read_text())
    return rows


def _combinations() -> list[dict[str, Any]]:
    asked = {name: [v for v in values if v is not None] for name, values in FACTORS.items()}
    default = {name: values[0] for name, values in asked.items()}
    fullest = {name: values[-1] for name, values in asked.items()}
    full_go_env = {key: text for values in FACTORS["go_env"] for key, text in values.items()}
    constraints = [{"operator": "fn", "requires": names, "evaluate": rule} for names, rule in RULES]
    rows = [
        default | {"probes": fullest["probes"], "secrets": None, "compose_profiles": None},
        fullest | {"ci": "github", "go_env": full_go_env},
        *covertable.make(FACTORS, strength=3, constraints=constraints),
    ]
    return [
        {name: row[name] for name in FACTORS if name != "go_env" and row[name] is not None}
        | row["go_env"]
        for row in rows
    ]
