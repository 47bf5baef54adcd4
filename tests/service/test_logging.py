"""The log collection: that its configuration is one that Fluent Bit has, and fits its DaemonSet.

Validated only: no package registry has Fluent Bit. Its keys are those of its documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.fluent_bit import paths, undocumented
from helpers.linters import go_tool, mutate
from helpers.log_lines import LINE
from helpers.machine import run
from helpers.rendering import render

#: Where each output sends to.
PORTS = {"elasticsearch": 9200, "kafka": 9093}


@dataclass(frozen=True)
class Collector:
    """What one answer renders."""

    kind: str
    #: The configuration.
    text: str
    objects: list[dict[str, Any]]

    @property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load(self.text)
        return config

    def one(self, kind: str) -> dict[str, Any]:
        [found] = [o for o in self.objects if o["kind"] == kind]
        return found

    @property
    def pod(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.one("DaemonSet")["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> dict[str, Any]:
        [container] = self.pod["containers"]
        found: dict[str, Any] = container
        return found

    def mounts(self, *, writable: bool) -> list[str]:
        """Where the container finds its volumes."""
        mounts = self.container["volumeMounts"]
        return [m["mountPath"] for m in mounts if not (writable and m.get("readOnly"))]


@pytest.fixture(scope="module", params=PORTS)
def collector(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Collector:
    project = render(
        tmp_path_factory.mktemp("logging") / "project",
        log_collection=request.param,
        monitoring=True,
    )
    folder = project / "deploy/kubernetes/logging"
    built = run([go_tool("kustomize"), "build", folder], folder).stdout
    text = (folder / "fluent-bit.yaml").read_text()
    return Collector(request.param, text, list(yaml.safe_load_all(built)))


def test_every_key_is_one_that_is_documented(collector: Collector) -> None:
    assert undocumented(collector.text) == []
    for key in ("retry_limit", "storage.type", "time_format", "scheduler.cap", "read_from_head"):
        assert undocumented(mutate(collector.text, f"{key}:", f"{key}s:")) != []
    assert undocumented(mutate(collector.text, "name: tail", "name: tails")) != []


def test_every_path_is_mounted(collector: Collector) -> None:
    config = collector.config
    found = list(paths(config))
    assert len(found) >= 6
    unmounted = [p for p in found if not p.startswith(tuple(collector.mounts(writable=False)))]
    assert unmounted == []
    [tail] = config["pipeline"]["inputs"]
    for written in (config["service"]["storage.path"], tail["db"]):
        assert written.startswith(tuple(collector.mounts(writable=True)))
    [argument] = collector.container["args"]
    [mounted] = [
        m["mountPath"] for m in collector.container["volumeMounts"] if m["name"] == "config"
    ]
    assert argument == f"--config={mounted}/fluent-bit.yaml"


def test_credentials_come_from_the_secret_alone(collector: Collector) -> None:
    config = collector.config
    [secret] = [
        m["mountPath"] for m in collector.container["volumeMounts"] if m["name"] == "secret"
    ]
    variables = {variable["name"]: variable["uri"] for variable in config["env"]}
    assert variables == {
        "USER_NAME": f"file://{secret}/user",
        "PASSWORD": f"file://{secret}/password",
    }
    [output] = config["pipeline"]["outputs"]
    secrets = [v for k, v in output.items() if re.search(r"user|passw", k)]
    assert secrets == ["${USER_NAME}", "${PASSWORD}"]
    assert [o for o in collector.objects if o["kind"] == "Secret"] == []
    assert "env" not in collector.container, "what has the environment has the password"


def test_what_is_sent_is_encrypted_for_the_one_that_it_is_meant_for(collector: Collector) -> None:
    [output] = collector.config["pipeline"]["outputs"]
    if collector.kind == "kafka":
        assert output["rdkafka.security.protocol"] == "SASL_SSL"
        # Host names are compared by default since librdkafka 2.0.
        assert "rdkafka.ssl.endpoint.identification.algorithm" not in output
        assert "rdkafka.enable.ssl.certificate.verification" not in output
    else:
        assert (output["tls"], output["tls.verify_hostname"]) == (True, True)
        assert "tls.verify" not in output, "on by default"


def test_the_ports_are_open(collector: Collector) -> None:
    [output] = collector.config["pipeline"]["outputs"]
    port = output.get("port") or int(output["brokers"].partition(":")[2])
    assert port == PORTS[collector.kind]
    policy = collector.one("NetworkPolicy")["spec"]
    assert port in [p["port"] for rule in policy["egress"] for p in rule["ports"]]
    [ingress] = policy["ingress"]
    [admin] = collector.container["ports"]
    assert admin["containerPort"] == 2020, "Fluent Bit's default, which the configuration keeps"
    assert not {"http_port", "http_listen"} & set(collector.config["service"])
    assert ingress["ports"] == [{"port": admin["name"]}]
    [endpoint] = collector.one("PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == admin["name"]


def test_a_restart_is_not_the_answer_to_an_outage(collector: Collector) -> None:
    live, ready = (
        collector.container[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness")
    )
    assert "health" not in live["path"]
    assert ready["path"] == "/api/v2/health"
    service = collector.config["service"]
    assert (service["http_server"], service["health_check"]) == (True, True)


def test_its_own_lines_are_left_out_and_the_service_s_are_not(collector: Collector) -> None:
    [tail] = collector.config["pipeline"]["inputs"]
    daemon = collector.one("DaemonSet")["metadata"]
    own = f"/var/log/containers/{daemon['name']}-x7k2p_{daemon['namespace']}_fluent-bit-{'0' * 64}.log"
    service = f"/var/log/containers/myservice-6f9c8b7d5-x7k2p_myservice_app-{'0' * 64}.log"
    assert fnmatch(own, tail["path"])
    assert fnmatch(own, tail["exclude_path"])
    assert fnmatch(service, tail["path"])
    assert not fnmatch(service, tail["exclude_path"])


def test_the_time_is_the_one_that_the_service_writes(collector: Collector) -> None:
    [parser] = collector.config["parsers"]
    assert parser["time_key"] in LINE
    used, *_ = collector.config["pipeline"]["filters"]
    assert used["parser"] == parser["name"]


def test_what_waits_fits_into_the_memory(collector: Collector) -> None:
    memory = collector.container["resources"]["limits"]["memory"]
    # A chunk has up to 2 MB.
    up = collector.config["service"]["storage.max_chunks_up"] * 2
    assert up <= int(memory.removesuffix("Mi")) / 2


def test_it_may_read_pods_and_nothing_else(collector: Collector) -> None:
    [rule] = collector.one("ClusterRole")["rules"]
    assert rule == {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    [subject] = collector.one("ClusterRoleBinding")["subjects"]
    account = collector.one("ServiceAccount")["metadata"]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
    assert collector.pod["serviceAccountName"] == account["name"]


def test_no_overlay_applies_it(tmp_path: Path) -> None:
    project = render(tmp_path / "project", log_collection="kafka")
    folder = project / "deploy/kubernetes"
    others = [p for p in folder.rglob("kustomization.yaml") if p.parent.name != "logging"]
    assert len(others) > 3
    assert [p for p in others if "logging" in p.read_text()] == []
