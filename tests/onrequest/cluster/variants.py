"""Random changes of a service's manifests, as a team makes them over the years.

What they have in common: each is hard for one of the ways in which kubectl brings a change to an
object that exists. A list item changes what it is merged by, one alternative takes the place of
another, a field or an object goes.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from onrequest.cluster import Cluster

Object = dict[str, Any]
#: Objects by their kinds and names.
Objects = dict[tuple[str, str], Object]
Change = Callable[[dict[str, Object], random.Random], None]

#: What no team writes down: the API server and the controllers do.
_STORED = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "namespace",
)
_NOTED = ("kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision")
#: Given by the API server, for good, to each Service.
_ASSIGNED = ("clusterIP", "clusterIPs")


def _pod(them: dict[str, Object]) -> Object:
    pod: Object = them["Deployment"]["spec"]["template"]["spec"]
    return pod


def _app(them: dict[str, Object]) -> Object:
    app: Object = _pod(them)["containers"][0]
    return app


def _container_port(them: dict[str, Object], chance: random.Random) -> None:
    _app(them)["ports"][0]["containerPort"] = chance.choice([8081, 8082])


def _both_protocols(them: dict[str, Object], _: random.Random) -> None:
    _app(them)["ports"].append({"name": "udp", "containerPort": 8080, "protocol": "UDP"})


def _variable(them: dict[str, Object], chance: random.Random) -> None:
    value: Object = chance.choice(
        [
            {"value": "1"},
            {"value": "2"},
            {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ]
    )
    position = chance.choice([0, len(_app(them)["env"])])
    _app(them)["env"].insert(position, {"name": "EXTRA", **value})


def _no_variables(them: dict[str, Object], _: random.Random) -> None:
    del _app(them)["env"]


def _probe(them: dict[str, Object], chance: random.Random) -> None:
    probe = _app(them)["readinessProbe"]
    del probe["httpGet"]
    others: list[Any] = [{"tcpSocket": {"port": "http"}}, {"exec": {"command": ["/app"]}}]
    probe.update(chance.choice(others))


def _no_probe(them: dict[str, Object], _: random.Random) -> None:
    del _app(them)["livenessProbe"]


def _volume(them: dict[str, Object], chance: random.Random) -> None:
    kinds: list[Any] = [
        {"emptyDir": {"medium": "Memory"}},
        {"configMap": {"name": "more", "optional": True}},
    ]
    _pod(them)["volumes"][0] = {"name": "tmp", **chance.choice(kinds)}


def _more_volumes(them: dict[str, Object], _: random.Random) -> None:
    _pod(them)["volumes"].append({"name": "more", "emptyDir": {}})
    _app(them)["volumeMounts"].insert(0, {"name": "more", "mountPath": "/more"})


def _sidecar(them: dict[str, Object], chance: random.Random) -> None:
    sidecar = {"name": "sidecar", "image": "ghcr.io/acme/sidecar:v1"}
    sidecar |= {"securityContext": _app(them)["securityContext"]}
    _pod(them)["containers"].append({**sidecar, "args": [f"--level={chance.choice([1, 2])}"]})


def _init(them: dict[str, Object], _: random.Random) -> None:
    first = {"name": "first", "image": "ghcr.io/acme/first:v1"}
    _pod(them)["initContainers"] = [{**first, "securityContext": _app(them)["securityContext"]}]


def _resources(them: dict[str, Object], chance: random.Random) -> None:
    del _app(them)["resources"][chance.choice(["limits", "requests"])]["cpu"]


def _scheduling(them: dict[str, Object], chance: random.Random) -> None:
    pod = _pod(them)
    for name in chance.sample(["affinity", "topologySpreadConstraints"], chance.choice([1, 2])):
        del pod[name]
    pod["tolerations"] = [{"key": "spot", "operator": "Exists"}]


def _pod_settings(them: dict[str, Object], chance: random.Random) -> None:
    pod = _pod(them)
    del pod["enableServiceLinks"], pod["securityContext"]["runAsGroup"]
    pod["terminationGracePeriodSeconds"] = chance.choice([30, 90])
    pod["hostAliases"] = [{"ip": "10.0.0.1", "hostnames": ["db"]}]


def _annotations(them: dict[str, Object], chance: random.Random) -> None:
    for it in (them["Deployment"]["spec"]["template"], them["Deployment"], them["Service"]):
        names = chance.sample(["a", "b"], chance.choice([1, 2]))
        it["metadata"]["annotations"] = {f"acme.com/{name}": str(chance.random()) for name in names}


def _strategy(them: dict[str, Object], chance: random.Random) -> None:
    other: Any = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%"}}
    them["Deployment"]["spec"]["strategy"] = chance.choice([{"type": "Recreate"}, other])


def _deployment(them: dict[str, Object], _: random.Random) -> None:
    del them["Deployment"]["spec"]["revisionHistoryLimit"]


def _service_ports(them: dict[str, Object], chance: random.Random) -> None:
    ports = them["Service"]["spec"]["ports"]
    ports[0]["port"] = chance.choice([80, 8080])
    if chance.random() < 0.5:
        ports.append({"name": "admin", "port": 9090, "targetPort": "admin"})


def _autoscaler(them: dict[str, Object], chance: random.Random) -> None:
    target = chance.choice(
        [{"type": "AverageValue", "averageValue": "1"}, {"type": "Utilization", "averageUtilization": 50}]
    )  # fmt: skip
    spec = them["HorizontalPodAutoscaler"]["spec"]
    spec["metrics"][0]["resource"]["target"] = target
    spec["behavior"] = {"scaleDown": {"stabilizationWindowSeconds": chance.choice([60, 120])}}


def _disruption(them: dict[str, Object], _: random.Random) -> None:
    spec = them["PodDisruptionBudget"]["spec"]
    del spec["maxUnavailable"]
    spec["minAvailable"] = 1


def _policy(them: dict[str, Object], chance: random.Random) -> None:
    them["NetworkPolicy"]["spec"]["egress"].append(
        {"ports": [{"port": chance.choice([443, 5432])}]}
    )


def _settings(them: dict[str, Object], chance: random.Random) -> None:
    """A hashed ConfigMap: another content has another name."""
    name = f"myservice-{chance.choice(['aaaa', 'bbbb'])}"
    them["ConfigMap"]["metadata"]["name"] = _app(them)["envFrom"][0]["configMapRef"]["name"] = name
    them["ConfigMap"]["data"]["DRAIN_DELAY"] = name


def _more_objects(them: dict[str, Object], chance: random.Random) -> None:
    metadata = {"namespace": them["Deployment"]["metadata"]["namespace"]}
    more: dict[str, Object] = {
        "ConfigMap": {"data": {"a": str(chance.random())}},
        "Service": {"spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}},
        "ServiceAccount": {},
    }
    for kind in chance.sample(sorted(more), chance.choice([1, 2])):
        its = {"apiVersion": "v1", "kind": kind, "metadata": {**metadata, "name": "more"}}
        them[f"more {kind}"] = its | copy.deepcopy(more[kind])


CHANGES: tuple[Change, ...] = (
    _container_port, _both_protocols, _variable, _no_variables, _probe, _no_probe, _volume,
    _more_volumes, _sidecar, _init, _resources, _scheduling, _pod_settings, _annotations,
    _strategy, _deployment, _service_ports, _autoscaler, _disruption, _policy, _settings,
    _more_objects,
)  # fmt: skip


def variant(manifests: Iterable[Object], chance: random.Random) -> list[Object]:
    """`manifests` with up to eight random changes."""
    them: dict[str, Object] = {}
    for it in copy.deepcopy(list(manifests)):
        key = it["kind"] if it["kind"] not in them else f"another {it['kind']}"
        them[key] = it
    wanted = chance.sample(CHANGES, chance.randrange(9))
    # In their own order: the variables cannot go before one is added.
    for change in sorted(wanted, key=CHANGES.index):
        if not (change is _no_variables and _variable in wanted):
            change(them, chance)
    return list(them.values())


def written_down(it: Object) -> Object:
    """A live object without what only a cluster knows of it."""
    it = copy.deepcopy(it)
    metadata = it["metadata"]
    for key in _STORED:
        metadata.pop(key, None)
    kept = {k: v for k, v in metadata.pop("annotations", {}).items() if k not in _NOTED}
    if kept:
        metadata["annotations"] = kept
    it.pop("status", None)
    if it["kind"] == "Service":
        it["spec"] = {key: value for key, value in it["spec"].items() if key not in _ASSIGNED}
    if it["kind"] == "Deployment":
        del it["spec"]["replicas"]  # The autoscaler's.
    return it


def in_an_empty_namespace(cluster: Cluster, manifests: Iterable[Object], file: Path) -> Objects:
    """What the API server makes of `manifests` where nothing else is; `file` may be written."""
    cluster.kubectl("create", "namespace", "empty", ok=False)
    items = copy.deepcopy([it for it in manifests if it["kind"] != "Namespace"])
    for it in items:
        it["metadata"]["namespace"] = "empty"
    file = file.with_suffix(".json")
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    options = ("--dry-run=server", "--output", "json")
    found = cluster.kubectl("create", "--filename", file, *options).stdout
    return {(it["kind"], it["metadata"]["name"]): it for it in _parsed(found)}


def _parsed(text: str) -> list[Object]:
    """The objects that kubectl prints one after the other."""
    found: list[Object] = []
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        it, end = decoder.raw_decode(text)
        found += it["items"] if it["kind"] == "List" else [it]
        text = text[end:]
    return found
