"""The manifests of every combination: valid, without findings, and whole.

Each linter must also reject a mutated build, and all of them the manifests of the article.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.combinations import CUSTOM, Row, on_kubernetes
from helpers.linters import PINS, checkov, mutate
from helpers.machine import make
from helpers.manifests import (
    LINTERS,
    OVERLAYS,
    Build,
    Object,
    Waiver,
    builds,
    by_name,
    kustomize,
    plain_name,
    title,
    waivers,
)
from helpers.rendering import render

NAME = "app.kubernetes.io/name"

#: Kinds whose pods every linter knows.
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")

#: What a data store of dev is made of.
STORE = ("StatefulSet", "Service", "NetworkPolicy", "Secret")


def pick(name: str, **answers: Any) -> Build:
    """Return a build of a folder for these answers, whatever the others are."""
    return next(
        build
        for build in builds()
        if build.name == name
        and any(row.items() >= answers.items() and row != CUSTOM for row in build.rows)
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render both stores, with everything beside them, once."""
    return render(
        tmp_path_factory.mktemp("whole") / "myservice",
        deploy=["kubernetes", "compose"],
        datastores=["postgres", "redis"],
        host_name="shop.example.com",
        rollout="canary",
        secrets="vault",
        monitoring=True,
        log_collection="elasticsearch",
    )


def built(project: Path, overlay: str = "prod") -> dict[str, Object]:
    """Return the objects of an overlay by kind and name."""
    return by_name(Build(overlay, kustomize(project / OVERLAYS / overlay)).objects)


def service(row: Row) -> str:
    """Return the name of the service."""
    return str(row.get("service_name", "myservice"))


# --- What linters find


def test_each_overlay_of_each_combination_is_built() -> None:
    assert {build.name for build in builds()} == {"dev", "staging", "prod", "logging"}
    combinations = {build.combination for build in builds()}
    assert combinations == {"dev", "rolling", "blue-green", "canary", "logging"}
    assert len(builds()) > 300


@pytest.mark.parametrize("linter", LINTERS)
def test_there_is_no_finding(linter: str) -> None:
    found = LINTERS[linter](builds())
    assert sorted({f"{f.build.combination} {f.object}: {f.said}" for f in found}) == []


PRIVILEGED = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: escaped
  namespace: myservice
spec:
  selector:
    matchLabels: {app: escaped}
  template:
    metadata:
      labels: {app: escaped}
    spec:
      hostPID: true
      containers:
        - name: app
          image: example.com/app:latest
          securityContext: {privileged: true}
"""


@pytest.mark.parametrize(
    ("linter", "change", "said"),
    [
        ("kubernetes-validate", ("readOnlyRootFilesystem", "readOnlyRoot"), "readOnlyRoot"),
        ("kubernetes-validate", ("kind: PodDisruptionBudget", "kind: PodBudget"), "PodBudget"),
        ("kubernetes-validate", ("argoproj.io/v1alpha1", "argoproj.io/v1beta9"), "v1beta9"),
        ("custom resources", ("stableService:", "stableServise:"), "stableServise"),
        ("custom resources", ("templateName:", "template:"), "template"),
        ("custom resources", ("secretStoreRef:", "secretStoreReference:"), "secretStoreReference"),
        ("custom resources", ("weight: 100", "weight: full"), "full"),
        ("checkov", (r"drop:(\n +)- ALL", r"add:\1- ALL"), "CKV_K8S_37"),
        ("kube-score", ("imagePullPolicy: Always", ""), "container-image-pull-policy"),
        ("kube-linter", ("targetPort: http", "targetPort: h.t"), "invalid-target-ports"),
        (
            "kube-linter",
            ("OnlyRootFilesystem: true", "OnlyRootFilesystem: false"),
            "no-read-only-root",
        ),
    ],
)
def test_a_linter_looks(linter: str, change: tuple[str, str], said: str) -> None:
    build = pick("prod", rollout="canary", secrets="vault", datastores=["postgres"])
    wrong = re.sub(*change, build.text)
    assert wrong != build.text
    assert LINTERS[linter]([build]) == []
    found = LINTERS[linter]([Build(build.name, wrong, build.rows)])
    assert any(said in finding.said for finding in found), found


def unseen_pods(build: Build) -> list[str]:
    """Return the objects with pods of their own that linters do not know."""

    def has_pods(part: Any) -> bool:
        if isinstance(part, dict):
            return "containers" in part or any(map(has_pods, part.values()))
        return isinstance(part, list) and any(map(has_pods, part))

    names = {title(o) for o in build.objects if o["kind"] in WORKLOADS}
    escaped = [o for o in build.objects if o["kind"] not in WORKLOADS and has_pods(o)]
    for rollout in build.of_kind("Rollout"):
        of = rollout["spec"].get("workloadRef", {})
        if of.get("kind") != "Deployment" or f"Deployment {of['name']}" not in names:
            escaped.append(rollout)
    return [title(o) for o in escaped]


def test_every_pod_is_seen_by_the_linters() -> None:
    assert {name for build in builds() for name in unseen_pods(build)} == set()
    rollouts = [build for build in builds() if build.of_kind("Rollout")]
    assert {build.combination for build in rollouts} == {"blue-green", "canary"}

    # None of them says a word about it.
    escaped = Build("prod", pick("prod", rollout="rolling").text + "---\n" + PRIVILEGED)
    assert set(unseen_pods(escaped)) == {"Rollout escaped"}
    assert LINTERS["checkov"]([escaped]) == []
    astray = mutate(
        rollouts[0].text, "kind: Deployment\n    name: ", "kind: Deployment\n    name: x"
    )
    assert unseen_pods(Build("prod", astray)) == ["Rollout myservice"]


def test_the_files_satisfy_checkov_as_they_stand(whole: Path) -> None:
    # Where a team's own scan reads them.
    passed, failed = checkov(whole, "kubernetes")
    assert failed == {}
    assert passed > 200


#: What each linter has against the manifests of the article.
CHECKOV = "CKV2_K8S_6 10 11 12 13 15 20 21 22 28 30 31 37 38 40 43"
KUBE_SCORE = {
    "container-ephemeral-storage-request-and-limit",
    "container-image-pull-policy",
    "container-resources",
    "container-security-context-readonlyrootfilesystem",
    "container-security-context-user-group-id",
    "pod-networkpolicy",
}
KUBE_LINTER = {
    "default-service-account",
    "no-read-only-root-fs",
    "no-readiness-probe",
    "non-isolated-pod",
    "unset-cpu-requirements",
    "unset-memory-requirements",
    "use-namespace",
}
ONE_OF_MANY = {"deployment-has-host-podantiaffinity", "deployment-has-poddisruptionbudget"}


@pytest.mark.parametrize(
    ("fixture", "checkov_too", "kube_score_too", "kube_linter_too"),
    [
        ("pod", "8 9 23 29", set(), {"no-liveness-probe", "run-as-non-root"}),
        (
            "probe",
            "9 23 29",
            ONE_OF_MANY,
            {"liveness-port", "no-rolling-update-strategy", "run-as-non-root"},
        ),
        ("user", "8 9", ONE_OF_MANY, {"no-liveness-probe", "no-rolling-update-strategy"}),
    ],
)
def test_the_manifests_of_the_article_are_refused(
    fixture: str, checkov_too: str, kube_score_too: set[str], kube_linter_too: set[str]
) -> None:
    article = Build("article", (PINS / "article" / f"{fixture}.yaml").read_text())
    found = {
        linter: {finding.said.split()[0] for finding in lint([article])}
        for linter, lint in LINTERS.items()
    }
    assert found == {
        "kubernetes-validate": set(),
        "custom resources": set(),
        "checkov": {
            rule if "K8S" in rule else f"CKV_K8S_{rule}"
            for rule in f"{CHECKOV} {checkov_too}".split()
        },
        "kube-score": KUBE_SCORE | kube_score_too,
        "kube-linter": KUBE_LINTER | kube_linter_too,
    }


# --- What is not to count


def excused(build: Build, document: Object) -> set[tuple[str, str]]:
    """Return the rules that may be waived for an object, each for its reason."""
    rollout = build.combination in ("blue-green", "canary")
    dev = build.name == "dev"
    kind, name = document["kind"], document["metadata"]["name"]
    reasons: dict[tuple[str, str], bool] = {}
    if kind == "Deployment":
        [container] = document["spec"]["template"]["spec"]["containers"]
        live, ready = ("livenessProbe" in container, "readinessProbe" in container)
        reasons = {
            # A probe was not asked for.
            ("checkov", "CKV_K8S_8"): not live,
            ("kube-linter", "no-liveness-probe"): not live,
            ("checkov", "CKV_K8S_9"): not ready,
            ("kube-linter", "no-readiness-probe"): not ready,
            ("kube-score", "pod-probes"): not ready,
            # A laptop has images that no registry has.
            ("kube-score", "container-image-pull-policy"): dev,
            # The number is one, or the Rollout's.
            ("kube-score", "deployment-replicas"): dev or rollout,
        }
    elif kind == "HorizontalPodAutoscaler":
        # What it scales is a Rollout, which they do not know.
        reasons = {
            ("kube-score", "horizontalpodautoscaler-has-target"): rollout,
            ("kube-linter", "dangling-horizontalpodautoscaler"): rollout,
        }
    elif kind == "StatefulSet":
        # A store of dev: by its tag, and PostgreSQL as the user that its image has.
        reasons = {
            ("checkov", "CKV_K8S_43"): dev,
            ("checkov", "CKV_K8S_40"): dev and name == "postgres",
            ("kube-score", "container-security-context-user-group-id"): dev and name == "postgres",
        }
    elif kind == "DaemonSet":
        # Fluent Bit reads the node's files, which are root's, and asks for the labels of pods.
        reasons = dict.fromkeys(
            [
                ("checkov", "CKV_K8S_23"),
                ("checkov", "CKV_K8S_38"),
                ("checkov", "CKV_K8S_40"),
                ("checkov", "CKV_K8S_43"),
                ("kube-linter", "run-as-non-root"),
                ("kube-linter", "writable-host-mount"),
                ("kube-score", "container-security-context-user-group-id"),
            ],
            build.name == "logging",
        )
    return {rule for rule, holds in reasons.items() if holds}


def test_a_waiver_is_one_rule_on_one_object_with_its_reason() -> None:
    for build in builds():
        for document in build.objects:
            waived = waivers(document)
            rules = [(waiver.linter, waiver.rule) for waiver in waived]
            assert len(set(rules)) == len(rules)
            assert set(rules) == excused(build, document), (title(document), build.rows[0])
            assert all(w.reason.endswith(".") for w in waived if w.linter != "kube-score")


def test_no_waiver_is_idle() -> None:
    bare: dict[tuple[str, str, tuple[Waiver, ...]], tuple[Build, Object]] = {}
    for build in builds():
        for document in build.objects:
            if (waived := tuple(waivers(document))) and build.rows[0] != CUSTOM:
                bare.setdefault((build.combination, title(document), waived), (build, document))
    stripped = {}
    for build, _ in bare.values():
        text = re.sub(
            r"^ +(checkov\.io|kube-score|ignore-check\.kube-linter\.io)/.*\n(      .*\n)*",
            "",
            build.text,
            flags=re.M,
        )
        # An annotation may have been the only one.
        text = re.sub(r"^  annotations:\n(?!    )", "", text, flags=re.M)
        stripped[build] = Build(build.name, text, build.rows)
    assert all(not waivers(o) for build in stripped.values() for o in build.objects)

    fired = {
        (finding.build, finding.object.split("/")[0].split()[0], linter, finding.said.split()[0])
        for linter in ("checkov", "kube-score", "kube-linter")
        for finding in LINTERS[linter](list(stripped.values()))
    }
    idle = {
        (combination, document, waiver.rule)
        for (combination, document, waived), (build, _) in bare.items()
        for waiver in waived
        if (stripped[build], document.split()[0], waiver.linter, waiver.rule) not in fired
    }
    assert idle == set()


# --- What belongs together


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


def loose_ends(build: Build) -> Iterator[str]:
    """Say what names, selects or mounts something that the build does not have."""
    here = by_name(build.objects)
    workloads = build.of_kind(*WORKLOADS)
    services = build.of_kind("Service")

    def matched(
        selector: Object, among: list[Object], labels: Callable[[Object], Object]
    ) -> list[Object]:
        assert set(selector) == {"matchLabels"}
        return [o for o in among if labels(o).items() >= selector["matchLabels"].items()]

    def pods(selector: Object) -> list[Object]:
        return matched(selector, workloads, lambda w: w["spec"]["template"]["metadata"]["labels"])

    def peers(rule: Object, key: str) -> list[Object]:
        return [p for p in rule.get(key, []) if "podSelector" in p and "namespaceSelector" not in p]

    def named(kind: str, name: str) -> Iterator[str]:
        if f"{kind} {name}" not in {f"{o['kind']} {o['metadata']['name']}" for o in build.objects}:
            yield f"no {kind} {name}"

    for workload in workloads:
        spec, pod = workload["spec"], pod_of(workload)
        if pods(spec["selector"]) != [workload]:
            yield f"{title(workload)} selects others' pods"
        spreads = [s["labelSelector"] for s in pod.get("topologySpreadConstraints", [])]
        for term in (
            pod.get("affinity", {})
            .get("podAntiAffinity", {})
            .get("preferredDuringSchedulingIgnoredDuringExecution", [])
        ):
            spreads.append(term["podAffinityTerm"]["labelSelector"])
        for selector in spreads:
            if pods(selector) != [workload]:
                yield f"{title(workload)} spreads others' pods"
        if "serviceAccountName" in pod:
            yield from named("ServiceAccount", pod["serviceAccountName"])
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        claims = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
        mounts = {m["name"] for c in containers(workload) for m in c["volumeMounts"]}
        if mounts != set(volumes) | claims:
            yield f"{title(workload)} does not mount what it has"
        for volume in volumes.values():
            if "configMap" in volume:
                yield from named("ConfigMap", volume["configMap"]["name"])
        for container in containers(workload):
            for source in container.get("envFrom", []):
                yield from named("ConfigMap", source["configMapRef"]["name"])
            own = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                check = container.get(probe, {})
                port = check.get("httpGet", check.get("tcpSocket", {})).get("port")
                if port and port not in own:
                    yield f"{probe} of {title(workload)} asks at {port}"

    for o in services:
        selected = pods({"matchLabels": o["spec"]["selector"]})
        if len(selected) != 1:
            yield f"{title(o)} selects {len(selected)} workloads"
        for port in o["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            if not any(target in {*listens(w), *listens(w).values()} for w in selected):
                yield f"nothing listens at {target} of {title(o)}"
    for o in build.of_kind("PodDisruptionBudget"):
        if len(pods(o["spec"]["selector"])) != 1:
            yield f"{title(o)} is for no pods"
    for o in build.of_kind("NetworkPolicy"):
        if len(selected := pods(o["spec"]["podSelector"])) != 1:
            yield f"{title(o)} is for no pods"
        for rule in o["spec"]["ingress"]:
            for port in rule["ports"]:
                if not any(port["port"] in listens(w) for w in selected):
                    yield f"{title(o)} lets in at {port['port']}, where nothing listens"
            for peer in peers(rule, "from"):
                if not pods(peer["podSelector"]):
                    yield f"{title(o)} lets nobody in"
    for o in build.of_kind("HorizontalPodAutoscaler"):
        yield from named(o["spec"]["scaleTargetRef"]["kind"], o["spec"]["scaleTargetRef"]["name"])
    for o in build.of_kind("ServiceMonitor"):
        found = matched(o["spec"]["selector"], services, lambda s: s["metadata"].get("labels", {}))
        if len(found) != 1:
            yield f"{title(o)} selects {len(found)} Services"
        for endpoint in o["spec"]["endpoints"]:
            if not any(endpoint["port"] == p["name"] for s in found for p in s["spec"]["ports"]):
                yield f"{title(o)} scrapes at {endpoint['port']}"
    for o in build.of_kind("PodMonitor"):
        for endpoint in o["spec"]["podMetricsEndpoints"]:
            if not any(endpoint["port"] in listens(w) for w in pods(o["spec"]["selector"])):
                yield f"{title(o)} scrapes at {endpoint['port']}"
    for o in build.of_kind("HTTPRoute"):
        for rule in o["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                to = here.get(f"Service {backend['name']}")
                if not to or backend["port"] not in [p["port"] for p in to["spec"]["ports"]]:
                    yield f"{title(o)} leads nowhere"
    for o in build.of_kind("Rollout"):
        canary, blue = (o["spec"]["strategy"].get(k, {}) for k in ("canary", "blueGreen"))
        for key in ("stableService", "canaryService"):
            if canary:
                yield from named("Service", canary[key])
        for key in ("activeService", "previewService"):
            if blue:
                yield from named("Service", blue[key])
        for template in canary.get("analysis", {}).get("templates", []):
            yield from named("AnalysisTemplate", template["templateName"])
        for plugin in canary.get("trafficRouting", {}).get("plugins", {}).values():
            yield from named("HTTPRoute", plugin["httpRoute"])
    for o in build.of_kind("ExternalSecret"):
        yield from named("SecretStore", o["spec"]["secretStoreRef"]["name"])
    for o in build.of_kind("SecretStore"):
        for auth in o["spec"]["provider"].values():
            [way] = auth["auth"].values()
            yield from named("ServiceAccount", way["serviceAccountRef"]["name"])
    for o in build.of_kind("ClusterRoleBinding"):
        yield from named(o["roleRef"]["kind"], o["roleRef"]["name"])
        for subject in o["subjects"]:
            yield from named(subject["kind"], subject["name"])
    # Everything is in the one namespace that comes with it.
    [namespace] = build.of_kind("Namespace")
    for o in build.objects:
        placed = o["kind"] not in ("Namespace", "ClusterRole", "ClusterRoleBinding")
        if placed and o["metadata"].get("namespace") != namespace["metadata"]["name"]:
            yield f"{title(o)} is elsewhere"


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
        ("dev", f"matchLabels:\n          {NAME}: myservice", f"matchLabels:\n          {NAME}: x", "lets nobody in"),
        ("logging", "kind: ClusterRole\n  name: fluent-bit\nsub", "kind: ClusterRole\n  name: x\nsub", "no ClusterRole x"),
    ],
)  # fmt: skip
def test_a_loose_end_is_noticed(name: str, old: str, new: str, said: str) -> None:
    stores = {} if name == "logging" else {"datastores": ["postgres", "redis"]}
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
                keys = {"postgres": "database_url", "redis": "redis_url"}
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


# --- What the code reads


#: Read from the environment, and not by `get`.
ELSEWHERE = {
    "CONFIG_FILE": "where the file is",
    "GOGC": "of the Go runtime",
    "gin.EnvGinMode": "of Gin, GIN_MODE",
}


def test_every_setting_can_be_set_and_every_one_that_is_set_is_read(whole: Path) -> None:
    config = (whole / "internal/config/config.go").read_text()
    code = "".join(p.read_text() for p in whole.rglob("*.go") if not p.name.endswith("_test.go"))
    settings = set(re.findall(r'\bget\(env, "([A-Z_]+)"', config))
    secrets = set(re.findall(r'config\.Secret\(env, "([A-Z_]+)"', code))
    others = set(re.findall(r"[gG]etenv\(([^)]*)\)", code)) - {"key", "fileKey"}
    assert {name.strip('"') for name in others} == set(ELSEWHERE)
    assert {"HTTP_ADDR", "LOG_LEVEL", "GRACE_PERIOD"} <= settings
    assert secrets == {"DATABASE_URL", "REDIS_URL"}

    for overlay in ("dev", "staging", "prod"):
        here = built(whole, overlay)
        variables, file = here["ConfigMap myservice"], here["ConfigMap myservice-config"]
        # A change of the one starts new pods; of the other it does not.
        assert re.fullmatch(r"myservice-[a-z0-9]{10}", variables["metadata"]["name"])
        assert file["metadata"]["name"] == "myservice-config"
        assert set(variables["data"]) <= settings
        assert set(yaml.safe_load(file["data"]["config.yaml"])) <= {s.lower() for s in settings}

        [container] = pod_of(here["Deployment myservice"])["containers"]
        # Whatever else is put into one of the two reaches the service as well.
        assert container["envFrom"] == [{"configMapRef": {"name": variables["metadata"]["name"]}}]
        env = {e["name"]: e["value"] for e in container["env"]}
        assert set(env) == {"CONFIG_FILE", *(f"{name}_FILE" for name in secrets)}
        for name in secrets:
            assert env[f"{name}_FILE"] == f"/run/secrets/app/{name.lower()}"


def test_a_listener_is_behind_every_port(whole: Path, custom: dict[str, Path]) -> None:
    for project, name in [(whole, "myservice"), (custom["github"], "on")]:
        config = (project / "internal/config/config.go").read_text()
        addresses = dict(re.findall(r'get\(env, "(HTTP|ADMIN)_ADDR", ":(\d+)"', config))
        here = built(project, "dev")
        ports = {
            "http": int(addresses["HTTP"]),
            "admin": int(addresses["ADMIN"]),
        }
        assert listens(here[f"Deployment {name}"]) == ports
        # Neither is told another port than its own.
        assert listens(here["StatefulSet postgres"]) == {"postgres": 5432}
        assert listens(here["StatefulSet redis"]) == {"redis": 6379}
        logging = Build("logging", kustomize(project / "deploy/kubernetes/logging"))
        [daemon] = logging.of_kind("DaemonSet")
        [settings] = logging.of_kind("ConfigMap")
        server = yaml.safe_load(settings["data"]["fluent-bit.yaml"])["service"]
        assert listens(daemon) == {"http": server.get("http_port", 2020)}


def test_probes_ask_for_routes_that_there_are(whole: Path, custom: dict[str, Path]) -> None:
    for project, name in [(whole, "myservice"), (custom["github"], "on")]:
        config = (project / "internal/config/config.go").read_text()
        paths = dict(re.findall(r'(Liveness|Readiness)Path += "(.*)"', config))
        main = (project / "cmd" / name / "main.go").read_text()
        assert set(re.findall(r'"GET "\+config\.(\w+)Path', main)) == set(paths)
        here = built(project)
        [container] = pod_of(here[f"Deployment {name}"])["containers"]
        asked = {
            probe: container[f"{probe}Probe"]["httpGet"]["path"]
            for probe in ("startup", "liveness", "readiness")
        }
        live, ready = paths["Liveness"], paths["Readiness"]
        assert asked == {"startup": live, "liveness": live, "readiness": ready}
        assert live != ready


def test_a_replica_is_given_what_was_answered() -> None:
    small = {"cpu": "250m", "memory": "128Mi", "ephemeral-storage": "16Mi"}
    large = {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "16Mi"}
    most = {"ephemeral-storage": "64Mi"}
    for build in builds():
        requests = large if build.rows[0] == CUSTOM else small
        limits = requests | most | ({} if build.rows[0] == CUSTOM else {"cpu": "1"})
        for workload in build.of_kind("Deployment"):
            for container in containers(workload):
                assert container["resources"] == {"requests": requests, "limits": limits}


# --- What agrees with Compose and the code


def test_only_dev_brings_its_stores(tmp_path: Path) -> None:
    full = render(tmp_path / "myservice", datastores=["postgres", "redis"])
    make(full, "secrets")
    dev, staging, prod = (built(full, name) for name in ("dev", "staging", "prod"))
    app = {"app.kubernetes.io/name": "myservice"}
    # One, or as many as the HorizontalPodAutoscaler says.
    assert "replicas" not in dev["Deployment myservice"]["spec"]
    assert "HorizontalPodAutoscaler myservice" in set(prod) - set(dev)
    for name, objects in [("dev", dev), ("staging", staging), ("prod", prod)]:
        labels = objects["Namespace myservice"]["metadata"]["labels"]
        assert labels.pop("environment") == name
    assert staging == prod
    brought = {f"{kind} {name}" for name in ("postgres", "redis") for kind in STORE}
    assert set(dev) - set(prod) == brought | {"Secret myservice"}
    for name, key in [("postgres", "database_url"), ("redis", "redis_url")]:
        address = base64.b64decode(dev["Secret myservice"]["data"][key]).decode()
        assert f"@{name}:" in address
        [rule] = dev[f"NetworkPolicy {name}"]["spec"]["ingress"]
        assert rule["from"] == [{"podSelector": {"matchLabels": app}}]


def test_settings_that_reload_are_mounted_as_a_folder(whole: Path) -> None:
    for overlay, level in [("dev", "debug"), ("staging", "info"), ("prod", "info")]:
        here = built(whole, overlay)
        settings = here["ConfigMap myservice-config"]
        # A hash in its name would make every change a rollout.
        assert settings["metadata"]["name"] == "myservice-config"
        pod = here["Deployment myservice"]["spec"]["template"]["spec"]
        [container] = pod["containers"]
        [mount] = [m for m in container["volumeMounts"] if m["name"] == "config"]
        assert mount == {"name": "config", "mountPath": "/etc/app", "readOnly": True}
        assert {"name": "config", "configMap": {"name": "myservice-config"}} in pod["volumes"]
        [name] = settings["data"]
        assert {"name": "CONFIG_FILE", "value": f"/etc/app/{name}"} in container["env"]
        assert yaml.safe_load(settings["data"][name]) == {"log_level": level}

    compose = yaml.safe_load((whole / "compose.yaml").read_text())["services"]["app"]
    assert compose["environment"]["CONFIG_FILE"] == "/etc/app/${ENVIRONMENT:-development}.yaml"
    assert compose["volumes"] == ["./config:/etc/app:ro"]
    for name, overlay in [("development", "dev"), ("staging", "staging"), ("production", "prod")]:
        same = whole / OVERLAYS / overlay / "config.yaml"
        assert (whole / "config" / f"{name}.yaml").read_text() == same.read_text()


def test_a_rollout_outlasts_its_migration(whole: Path, custom: dict[str, Path]) -> None:
    for project, service, startup in [(whole, "myservice", 60), (custom["github"], "on", 301)]:
        code = (project / "internal/postgres/migrate.go").read_text()
        match = re.search(r"migrateTimeout = (\d+) \* time\.Minute$", code, re.MULTILINE)
        assert match
        spec = built(project)[f"Deployment {service}"]["spec"]
        assert spec["progressDeadlineSeconds"] >= 60 * int(match[1]) + startup + 120
        [migrate] = spec["template"]["spec"]["initContainers"]
        [app] = spec["template"]["spec"]["containers"]
        assert migrate["args"] == ["migrate"]
        for key in ("image", "imagePullPolicy", "resources", "securityContext"):
            assert migrate[key] == app[key]

    compose = yaml.safe_load((whole / "compose.yaml").read_text())["services"]
    assert compose["migrate"]["command"] == ["migrate"]
    assert compose["migrate"]["image"] == compose["app"]["image"]
    condition = {"condition": "service_completed_successfully"}
    assert compose["app"]["depends_on"]["migrate"] == condition


def test_the_answers_reach_the_probes(custom: dict[str, Path]) -> None:
    here = built(custom["github"])
    [container] = here["Deployment on"]["spec"]["template"]["spec"]["containers"]
    compose = yaml.safe_load((custom["github"] / "compose.yaml").read_text())

    def probe(path: str, period: int, failures: int) -> dict[str, Any]:
        get = {"path": path, "port": "admin"}
        return {
            "httpGet": get,
            "periodSeconds": period,
            "timeoutSeconds": 4,
            "failureThreshold": failures,
        }

    assert container["startupProbe"] == probe("/live", 2, 151)
    assert container["livenessProbe"] == probe("/live", 7, 3)
    assert container["readinessProbe"] == probe("/probes/ready", 3, 2)
    assert {p["name"]: p["containerPort"] for p in container["ports"]} == {
        "http": 8081,
        "admin": 9091,
    }
    check = compose["services"]["app"]["healthcheck"]
    assert (check["interval"], check["timeout"]) == ("7s", "4s")
    assert "${LISTEN:-127.0.0.1:8081}:8080" in compose["services"]["nginx"]["ports"]
    dockerfile = (custom["github"] / "Dockerfile").read_text()
    assert "HEALTHCHECK --interval=7s --timeout=4s" in dockerfile
    assert "EXPOSE 8081 9091" in dockerfile


def seconds(text: str) -> int:
    """Return the seconds of a duration such as 10s."""
    assert text.endswith("s")
    return int(text[:-1])


def test_drain_and_memory_agree_everywhere(whole: Path) -> None:
    here = built(whole)
    compose = yaml.safe_load((whole / "compose.yaml").read_text())["services"]["app"]
    pod = here["Deployment myservice"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    keys = ("DRAIN_DELAY", "SHUTDOWN_TIMEOUT", "FLUSH_TIMEOUT", "GRACE_PERIOD")
    code = (whole / "internal/config/config.go").read_text()
    defaults = [re.findall(rf'"{key}", "(\d+s)"', code) for key in keys]

    for settings, grace in [
        (here["ConfigMap myservice"]["data"], pod["terminationGracePeriodSeconds"]),
        (compose["environment"], seconds(compose["stop_grace_period"])),
    ]:
        drain, shutdown, flush, all_of_it = (seconds(settings[key]) for key in keys)
        assert drain + shutdown + flush < all_of_it == grace
        assert [[settings[key]] for key in keys] == defaults

    # The service derives its own limit from the container's.
    assert "GOMEMLIMIT" not in str(pod) + str(here["ConfigMap myservice"]) + str(compose)
    assert container["resources"]["limits"]["memory"] == "128Mi"
    assert compose["mem_limit"] == compose["memswap_limit"] == "128m"
