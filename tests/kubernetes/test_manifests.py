"""The manifests of every combination are valid, and no linter finds anything.

Each linter must also reject a mutated build, and all of them the manifests of the article.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from helpers.combinations import CUSTOM
from helpers.linters import PINS, checkov, mutate
from helpers.manifest_linters import LINTERS, Waiver, waivers
from helpers.manifests import (
    WORKLOADS,
    Build,
    Object,
    builds,
    pick,
    title,
)


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
        # A store of dev: by its tag, and a database as the user that its image has.
        reasons = {
            ("checkov", "CKV_K8S_43"): dev,
            ("checkov", "CKV_K8S_40"): dev and name in ("postgres", "mysql"),
            ("kube-score", "container-security-context-user-group-id"): dev
            and name in ("postgres", "mysql"),
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
