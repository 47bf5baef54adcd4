"""The manifests agree with the answers, with the code that reads them, and with Compose."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.combinations import CUSTOM
from helpers.machine import make
from helpers.manifests import (
    OVERLAYS,
    Build,
    builds,
    built,
    containers,
    kustomize,
    listens,
    pod_of,
)
from helpers.rendering import render

#: What a data store of dev is made of.
STORE = ("StatefulSet", "Service", "NetworkPolicy", "Secret")


# --- What the code reads


#: Read from the environment, and no field of Config.
ELSEWHERE = {
    "CONFIG_FILE": "where the file is",
    "gin.EnvGinMode": "of Gin, GIN_MODE",
}


def test_every_setting_can_be_set_and_every_one_that_is_set_is_read(whole: Path) -> None:
    config = (whole / "internal/config/config.go").read_text()
    # Neither tests, nor the packages that help them.
    code = "".join(p.read_text() for p in whole.rglob("*.go") if not p.stem.endswith("test"))
    fields = re.findall(r'^\t\w+ +(\S+) +`env:"([A-Z_]+)"', config, re.MULTILINE)
    settings = {name for kind, name in fields if kind != "Secret"}
    secrets = {name for kind, name in fields if kind == "Secret"}
    others = set(re.findall(r"[gG]etenv\(([^)]*)\)", code)) - {"key", 'key+"_FILE"'}
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


def let_out(project: Path) -> set[int]:
    """The ports that the service may reach elsewhere, but for those of DNS."""
    policy = yaml.safe_load((project / "deploy/kubernetes/base/networkpolicy.yaml").read_text())
    rules = policy["spec"]["egress"]
    return {port["port"] for rule in rules for port in rule["ports"]} - {53}


def test_the_service_may_reach_what_it_was_given(whole: Path, tmp_path: Path) -> None:
    assert let_out(whole) == {443, 5432, 6379}  # The keys of the issuer, and the stores.
    assert let_out(render(tmp_path / "project")) == set()


def test_a_listener_is_behind_every_port(whole: Path, custom: dict[str, Path]) -> None:
    for project, name in [(whole, "myservice"), (custom["github"], "on")]:
        config = (project / "internal/config/config.go").read_text()
        addresses = dict(re.findall(r'"(HTTP|ADMIN)_ADDR" default:":(\d+)"', config))
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


@pytest.mark.parametrize(("database", "port"), [("postgres", 5432), ("mysql", 3306)])
def test_only_dev_brings_its_stores(database: str, port: int, tmp_path: Path) -> None:
    full = render(tmp_path / "myservice", datastores=[database, "redis"])
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
    brought = {f"{kind} {name}" for name in (database, "redis") for kind in STORE}
    assert set(dev) - set(prod) == brought | {"Secret myservice"}
    for name, key in [(database, "database_url"), ("redis", "redis_url")]:
        address = base64.b64decode(dev["Secret myservice"]["data"][key]).decode()
        assert f"@{name}:" in address
        [rule] = dev[f"NetworkPolicy {name}"]["spec"]["ingress"]
        assert rule["from"] == [{"podSelector": {"matchLabels": app}}]
    # What the service is told, listens, and may be reached.
    assert listens(dev[f"StatefulSet {database}"]) == {database: port}
    address = base64.b64decode(dev["Secret myservice"]["data"]["database_url"]).decode()
    assert f"@{database}:{port}/app" in address
    password = base64.b64decode(dev[f"Secret {database}"]["data"][f"{database}_password"]).decode()
    assert address.startswith(f"{database}://app:{password}@")
    for objects in (dev, prod):
        policy = objects["NetworkPolicy myservice"]["spec"]["egress"]
        assert {"port": port, "protocol": "TCP"} in [
            {"protocol": "TCP", **allowed} for rule in policy for allowed in rule["ports"]
        ]


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
        assert yaml.safe_load(settings["data"][name])["log_level"] == level

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
    defaults = {key: re.findall(rf'"{key}" default:"(\d+s)"', code)[0] for key in keys}

    configured = here["ConfigMap myservice"]["data"], compose["environment"]
    for settings, grace in [
        (configured[0], pod["terminationGracePeriodSeconds"]),
        (configured[1], seconds(compose["stop_grace_period"])),
        # What `docker stop` gives where no one says otherwise.
        (defaults, 10),
    ]:
        drain, shutdown, flush, all_of_it = (seconds(settings[key]) for key in keys)
        assert drain + shutdown + flush < all_of_it == grace
    assert [configured[0][key] for key in keys] == [configured[1][key] for key in keys]

    # The service derives its own limit from the container's.
    assert "GOMEMLIMIT" not in str(pod) + str(here["ConfigMap myservice"]) + str(compose)
    assert container["resources"]["limits"]["memory"] == "128Mi"
    assert compose["mem_limit"] == compose["memswap_limit"] == "128m"
