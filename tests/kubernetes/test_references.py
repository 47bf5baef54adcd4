"""What a manifest names, selects or mounts is there, and nothing that was not chosen."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.combinations import CUSTOM, Row, on_kubernetes
from helpers.manifests import (
    OVERLAYS,
    WORKLOADS,
    Build,
    builds,
    containers,
    kustomize,
    pick,
    plain_name,
    pod_of,
    service,
)
from helpers.references import loose_ends

NAME = "app.kubernetes.io/name"


def test_everything_that_is_named_is_there() -> None:
    assert {end for build in builds() for end in loose_ends(build)} == set()


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("prod", "targetPort: http", "targetPort: htttp", "nothing listens at htttp"),
        ("prod", "targetPort: admin", "targetPort: 9091", "nothing listens at 9091"),
        ("prod", "stableService: myservice", "stableService: other", "no Service other"),
        ("prod", "name: myservice-canary\n      port: 80", "name: x\n      port: 80", "leads nowhere"),
        ("prod", "templateName: myservice", "templateName: x", "no AnalysisTemplate x"),
        ("prod", r"(interval: 15s\n +port: )admin", r"\1metrics", "ServiceMonitor myservice scrapes at metrics"),
        ("prod", r"port: admin(\n +periodSeconds)", r"port: x\1", "asks at x"),
        ("prod", "kind: Rollout\n    name: myservice", "kind: Rollout\n    name: x", "no Rollout x"),
        ("prod", "mountPath: /tmp\n          name: tmp", "mountPath: /tmp\n          name: t", "does not mount"),
        ("prod", "component: metrics\n    app", "component: metric\n    app", "selects 0 Services"),
        ("dev", "- port: postgres", "- port: psql", "NetworkPolicy postgres lets in at psql"),
        ("dev mysql", "- port: mysql", "- port: sql", "NetworkPolicy mysql lets in at sql"),
        ("dev", f"matchLabels:\n          {NAME}: myservice", f"matchLabels:\n          {NAME}: x", "lets nobody in"),
        ("logging", "kind: ClusterRole\n  name: fluent-bit\nsub", "kind: ClusterRole\n  name: x\nsub", "no ClusterRole x"),
    ],
)  # fmt: skip
def test_a_loose_end_is_noticed(name: str, old: str, new: str, said: str) -> None:
    name, _, database = name.partition(" ")
    stores = {} if name == "logging" else {"datastores": [database or "postgres", "redis"]}
    rollout = {"rollout": "canary"} if name == "prod" else {}
    build = pick(name, **stores, **rollout, probes=["startup", "liveness", "readiness"])
    wrong = Build(name, re.sub(old, new, build.text), build.rows)
    assert wrong.text != build.text
    assert any(said in end for end in loose_ends(wrong)), list(loose_ends(wrong))


def test_secrets_that_pods_read_are_those_that_are_fetched() -> None:
    for build in builds():
        for workload in build.of_kind(*WORKLOADS):
            read = {
                (volume["secret"]["secretName"], Path(e["value"]).name)
                for container in containers(workload)
                for mount in container["volumeMounts"]
                for volume in pod_of(workload)["volumes"]
                if volume["name"] == mount["name"] and "secret" in volume
                for e in container.get("env", [])
                if e.get("value", "").startswith(mount["mountPath"] + "/")
            }
            if workload["kind"] != "Deployment":
                continue
            made = {(plain_name(o), key) for o in build.of_kind("Secret") for key in o["data"]} | {
                (o["spec"]["target"]["name"], data["secretKey"])
                for o in build.of_kind("ExternalSecret")
                for data in o["spec"]["data"]
            }
            names = {plain_name(o) for o in build.of_kind("Secret")}
            read = {
                (re.sub(r"-[a-z0-9]{10}$", "", n) if build.name == "dev" else n, k) for n, k in read
            }
            for row in build.rows:
                stores = row["datastores"]
                keys = {"postgres": "database_url", "mysql": "database_url", "redis": "redis_url"}
                assert {key for _, key in read} == {keys[store] for store in stores}
                if build.name == "dev" or row.get("secrets") in ("vault", "aws"):
                    assert read <= made, (build.name, row)
                else:
                    # By the team, as the README says.
                    assert not made
                    assert not names


def test_each_environment_has_its_own_secrets() -> None:
    seen = set()
    for build in builds():
        for external in build.of_kind("ExternalSecret"):
            keys = {data["remoteRef"]["key"] for data in external["spec"]["data"]}
            properties = [data["remoteRef"]["property"] for data in external["spec"]["data"]]
            assert properties == [data["secretKey"] for data in external["spec"]["data"]]
            path = "team/shop" if build.rows[0] == CUSTOM else "myservice"
            assert keys == {f"{path}/{build.name}"}
            seen.add((build.name, build.rows[0]["secrets"]))
    assert seen == {(name, store) for name in ("staging", "prod") for store in ("vault", "aws")}
    custom = next(b for b in builds() if b.name == "prod" and b.rows[0] == CUSTOM)
    [vault] = [o["spec"]["provider"]["vault"] for o in custom.of_kind("SecretStore")]
    assert (vault["server"], vault["path"]) == ("https://vault.example.org:8200", "kv")
    aws = pick("prod", secrets="aws")
    [store] = [o["spec"]["provider"]["aws"] for o in aws.of_kind("SecretStore")]
    assert (store["service"], store["region"]) == ("SecretsManager", "us-east-1")
    [account] = aws.of_kind("ServiceAccount")
    role = "arn:aws:iam::123456789012:role/myservice"
    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": role}


def test_each_environment_has_its_own_host() -> None:
    for build in builds():
        for row in build.rows:
            host = row["host_name"]
            expected = {"prod": [host], "staging": [f"staging.{host}"]}.get(build.name, [])
            routes = build.of_kind("HTTPRoute")
            assert [h for o in routes for h in o["spec"]["hostnames"]] == (expected if host else [])
            namespace, name = row.get("gateway", "gateway/gateway").split("/")
            for route in routes:
                assert route["spec"]["parentRefs"] == [{"namespace": namespace, "name": name}]


def test_only_what_was_chosen_is_there() -> None:
    chosen: dict[str, Callable[[Row], bool]] = {
        "HTTPRoute": lambda row: bool(row["host_name"]),
        "Rollout": lambda row: row["rollout"] != "rolling",
        "AnalysisTemplate": lambda row: row["rollout"] == "canary",
        "ExternalSecret": lambda row: row.get("secrets") in ("vault", "aws"),
        "SecretStore": lambda row: row.get("secrets") in ("vault", "aws"),
        "ServiceMonitor": lambda row: row["monitoring"],
        "PrometheusRule": lambda row: row["monitoring"],
        "HorizontalPodAutoscaler": on_kubernetes,
    }
    for build in builds():
        if build.name == "logging":
            continue
        for row in build.rows:
            deployed = build.name != "dev"
            kinds = {kind for kind, wanted in chosen.items() if deployed and wanted(row)}
            assert {o["kind"] for o in build.objects} & set(chosen) == kinds
            [account] = build.of_kind("ServiceAccount")
            login = row["image_pull_secret"]
            assert account.get("imagePullSecrets", []) == ([{"name": login}] if login else [])
            assert account["automountServiceAccountToken"] is False


def test_no_image_is_there_before_the_first_one() -> None:
    nothing = f"@sha256:{0:064}"
    for build in builds():
        if build.name == "logging":
            continue
        images = {c["image"] for o in build.of_kind("Deployment") for c in containers(o)}
        registry = build.rows[0].get("registry", "ghcr.io/acme")
        assert images == {f"{registry}/{service(build.rows[0])}{nothing}"}


@pytest.mark.parametrize("kind", ["digest", "newTag"])
def test_an_image_takes_the_place_of_every_container(kind: str, whole: Path) -> None:
    image, version = "ghcr.io/acme/myservice", f"sha256:{1:064}" if kind == "digest" else "v1.2.3"
    for overlay in ("dev", "staging", "prod"):
        around = whole / OVERLAYS / f".deploy.{kind}.{overlay}"
        around.mkdir()
        text = f"resources: [../{overlay}]\nimages: [{{name: {image}, {kind}: {version}}}]\n"
        (around / "kustomization.yaml").write_text(text)
        [app] = Build(overlay, kustomize(around)).of_kind("Deployment")
        sign = "@" if kind == "digest" else ":"
        assert [c["image"] for c in containers(app)] == [f"{image}{sign}{version}"] * 2
