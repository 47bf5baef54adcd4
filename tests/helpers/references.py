"""What an object names, selects or mounts, and whether the build has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from helpers.manifests import WORKLOADS, Build, Object, by_name, containers, listens, pod_of, title


@dataclass(frozen=True)
class Within:
    """A build, to look things up in."""

    build: Build

    @property
    def workloads(self) -> list[Object]:
        """All that has pods."""
        return self.build.of_kind(*WORKLOADS)

    @property
    def services(self) -> list[Object]:
        """All Services."""
        return self.build.of_kind("Service")

    def pods(self, selector: Object) -> list[Object]:
        """Return the workloads whose pods a selector selects."""
        return matched(
            selector, self.workloads, lambda w: w["spec"]["template"]["metadata"]["labels"]
        )

    def lacks(self, kind: str, name: str) -> Iterator[str]:
        """Say so where there is no object of that kind and name."""
        if f"{kind} {name}" not in {
            f"{o['kind']} {o['metadata']['name']}" for o in self.build.objects
        }:
            yield f"no {kind} {name}"


def matched(
    selector: Object, among: list[Object], labels: Callable[[Object], Object]
) -> list[Object]:
    """Return the objects whose labels a selector selects."""
    assert set(selector) == {"matchLabels"}
    return [o for o in among if labels(o).items() >= selector["matchLabels"].items()]


def loose_ends(build: Build) -> Iterator[str]:
    """Say what names, selects or mounts something that the build does not have."""
    within = Within(build)
    for workload in within.workloads:
        yield from of_pods(within, workload)
        yield from of_volumes(within, workload)
    for ends in (of_services, of_policies, of_monitors, of_routes, of_rollouts, of_accounts):
        yield from ends(within)
    # Everything is in the one namespace that comes with it.
    [namespace] = build.of_kind("Namespace")
    for o in build.objects:
        placed = o["kind"] not in ("Namespace", "ClusterRole", "ClusterRoleBinding")
        if placed and o["metadata"].get("namespace") != namespace["metadata"]["name"]:
            yield f"{title(o)} is elsewhere"


def of_pods(within: Within, workload: Object) -> Iterator[str]:
    """Say what a workload selects that is not its own."""
    spec, pod = workload["spec"], pod_of(workload)
    if within.pods(spec["selector"]) != [workload]:
        yield f"{title(workload)} selects others' pods"
    spreads = [s["labelSelector"] for s in pod.get("topologySpreadConstraints", [])]
    for term in (
        pod.get("affinity", {})
        .get("podAntiAffinity", {})
        .get("preferredDuringSchedulingIgnoredDuringExecution", [])
    ):
        spreads.append(term["podAffinityTerm"]["labelSelector"])
    for selector in spreads:
        if within.pods(selector) != [workload]:
            yield f"{title(workload)} spreads others' pods"
    if "serviceAccountName" in pod:
        yield from within.lacks("ServiceAccount", pod["serviceAccountName"])


def of_volumes(within: Within, workload: Object) -> Iterator[str]:
    """Say what a workload mounts, reads or is probed at that is not there."""
    spec, pod = workload["spec"], pod_of(workload)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    claims = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
    mounts = {m["name"] for c in containers(workload) for m in c["volumeMounts"]}
    if mounts != set(volumes) | claims:
        yield f"{title(workload)} does not mount what it has"
    for volume in volumes.values():
        if "configMap" in volume:
            yield from within.lacks("ConfigMap", volume["configMap"]["name"])
    for container in containers(workload):
        for source in container.get("envFrom", []):
            yield from within.lacks("ConfigMap", source["configMapRef"]["name"])
        own = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            check = container.get(probe, {})
            port = check.get("httpGet", check.get("tcpSocket", {})).get("port")
            if port and port not in own:
                yield f"{probe} of {title(workload)} asks at {port}"


def of_services(within: Within) -> Iterator[str]:
    """Say which Services lead to no pods, or to a port at which nothing listens."""
    for o in within.services:
        selected = within.pods({"matchLabels": o["spec"]["selector"]})
        if len(selected) != 1:
            yield f"{title(o)} selects {len(selected)} workloads"
        for port in o["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            if not any(target in {*listens(w), *listens(w).values()} for w in selected):
                yield f"nothing listens at {target} of {title(o)}"


def of_policies(within: Within) -> Iterator[str]:
    """Say which budgets, network policies and scalers are for nothing that there is."""
    for o in within.build.of_kind("PodDisruptionBudget"):
        if len(within.pods(o["spec"]["selector"])) != 1:
            yield f"{title(o)} is for no pods"
    for o in within.build.of_kind("NetworkPolicy"):
        if len(selected := within.pods(o["spec"]["podSelector"])) != 1:
            yield f"{title(o)} is for no pods"
        for rule in o["spec"]["ingress"]:
            for port in rule["ports"]:
                if not any(port["port"] in listens(w) for w in selected):
                    yield f"{title(o)} lets in at {port['port']}, where nothing listens"
            for peer in rule.get("from", []):
                own = "podSelector" in peer and "namespaceSelector" not in peer
                if own and not within.pods(peer["podSelector"]):
                    yield f"{title(o)} lets nobody in"
    for o in within.build.of_kind("HorizontalPodAutoscaler"):
        target = o["spec"]["scaleTargetRef"]
        yield from within.lacks(target["kind"], target["name"])


def of_monitors(within: Within) -> Iterator[str]:
    """Say which monitors scrape at a port that there is not."""
    for o in within.build.of_kind("ServiceMonitor"):
        found = matched(
            o["spec"]["selector"], within.services, lambda s: s["metadata"].get("labels", {})
        )
        if len(found) != 1:
            yield f"{title(o)} selects {len(found)} Services"
        for endpoint in o["spec"]["endpoints"]:
            if not any(endpoint["port"] == p["name"] for s in found for p in s["spec"]["ports"]):
                yield f"{title(o)} scrapes at {endpoint['port']}"
    for o in within.build.of_kind("PodMonitor"):
        for endpoint in o["spec"]["podMetricsEndpoints"]:
            selected = within.pods(o["spec"]["selector"])
            if not any(endpoint["port"] in listens(w) for w in selected):
                yield f"{title(o)} scrapes at {endpoint['port']}"


def of_routes(within: Within) -> Iterator[str]:
    """Say which routes lead to no Service."""
    here = by_name(within.build.objects)
    for o in within.build.of_kind("HTTPRoute"):
        for rule in o["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                to = here.get(f"Service {backend['name']}")
                if not to or backend["port"] not in [p["port"] for p in to["spec"]["ports"]]:
                    yield f"{title(o)} leads nowhere"


def of_rollouts(within: Within) -> Iterator[str]:
    """Say what a Rollout switches or asks that is not there."""
    for o in within.build.of_kind("Rollout"):
        canary, blue = (o["spec"]["strategy"].get(k, {}) for k in ("canary", "blueGreen"))
        if canary:
            yield from lacking(
                within, "Service", (canary["stableService"], canary["canaryService"])
            )
        if blue:
            yield from lacking(within, "Service", (blue["activeService"], blue["previewService"]))
        for template in canary.get("analysis", {}).get("templates", []):
            yield from within.lacks("AnalysisTemplate", template["templateName"])
        for plugin in canary.get("trafficRouting", {}).get("plugins", {}).values():
            yield from within.lacks("HTTPRoute", plugin["httpRoute"])


def lacking(within: Within, kind: str, names: Iterable[str]) -> Iterator[str]:
    """Say which of these objects there is not."""
    for name in names:
        yield from within.lacks(kind, name)


def of_accounts(within: Within) -> Iterator[str]:
    """Say which secrets and roles are of a store, an account or a role that there is not."""
    for o in within.build.of_kind("ExternalSecret"):
        yield from within.lacks("SecretStore", o["spec"]["secretStoreRef"]["name"])
    for o in within.build.of_kind("SecretStore"):
        for auth in o["spec"]["provider"].values():
            [way] = auth["auth"].values()
            yield from within.lacks("ServiceAccount", way["serviceAccountRef"]["name"])
    for o in within.build.of_kind("ClusterRoleBinding"):
        yield from within.lacks(o["roleRef"]["kind"], o["roleRef"]["name"])
        for subject in o["subjects"]:
            yield from within.lacks(subject["kind"], subject["name"])
