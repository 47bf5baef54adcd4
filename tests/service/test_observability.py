"""The Compose profile `observability`: its rules, its dashboard, and what its parts call each other.

Prometheus scrapes a real service under requests with the rendered configuration. Only how Docker's
name server tells it the replicas' addresses is left out: the address is given.
"""

from __future__ import annotations

import configparser
import functools
import http.server
import json
import math
import re
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from helpers import alerts, servers
from helpers.alerts import (
    GRAFANA,
    NEVER,
    Case,
    Prometheus,
    exposed,
    expressions,
    request_for,
    selectors,
    unit_test,
)
from helpers.linters import mutate, nginx, rejects
from helpers.machine import need, run, unavailable
from helpers.rendering import render
from helpers.service import (
    RenderedTree,
    Service,
    add_extra_routes,
    build,
    eventually,
    exchange,
    free_port,
    running,
)

FOLDER = "deploy/compose/observability"

PROFILE = {"compose_profiles": ["observability"], "deploy": ["compose"]}

#: Answers that change a file of the profile.
ANSWERS: dict[str, dict[str, Any]] = {
    "alone": PROFILE,
    "redis": {**PROFILE, "datastores": ["redis"]},
    "everything": {**PROFILE, "datastores": ["postgres", "redis"], "tracing": True},
    "kubernetes": {
        **PROFILE,
        "deploy": ["kubernetes", "compose"],
        "datastores": ["postgres", "redis"],
        "monitoring": True,
        "tracing": True,
    },
    # YAML would read the bare word as a boolean.
    "other": {
        **PROFILE,
        "deploy": ["kubernetes", "compose"],
        "service_name": "on",
        "http_port": 3000,
        "admin_port": 9999,
        "tracing": True,
    },
}


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("observed")
    return {name: render(folder / name, **answers) for name, answers in ANSWERS.items()}


@pytest.fixture(params=list(ANSWERS))
def any_project(request: pytest.FixtureRequest, projects: dict[str, Path]) -> Path:
    return projects[request.param]


@pytest.fixture(scope="module")
def project(projects: dict[str, Path]) -> Path:
    return projects["everything"]


def load(project: Path, name: str) -> Any:
    return yaml.safe_load((project / FOLDER / name).read_text())


def compose(project: Path) -> dict[str, Any]:
    """Both Compose files as Compose reads them: one."""
    base = yaml.safe_load((project / "compose.yaml").read_text())
    assert {"path": f"{FOLDER}.yaml", "project_directory": "."} in base["include"]
    profile = yaml.safe_load((project / f"{FOLDER}.yaml").read_text())
    services: dict[str, Any] = base["services"] | profile["services"]
    assert len(services) == len(base["services"]) + len(profile["services"])
    return {**base, "services": services, "profile": profile}


# -- the services --------------------------------------------------------------------------


def test_the_profile_is_as_hard_as_the_rest(any_project: Path) -> None:
    base = yaml.safe_load((any_project / "compose.yaml").read_text())
    profile = compose(any_project)["profile"]
    assert profile["x-hardened"] == base["x-hardened"] | {"profiles": ["observability"]}
    for service in profile["services"].values():
        assert profile["x-hardened"].items() <= service.items()
        assert service["mem_limit"] == service["memswap_limit"]
        assert int(service["user"].partition(":")[0]) > 0
        assert {"healthcheck", "stop_grace_period", "networks"} <= set(service)
        assert "ports" not in service, "nginx alone publishes a port"


def test_what_they_keep_lies_in_a_volume(any_project: Path) -> None:
    profile = compose(any_project)["profile"]
    kept = {
        name: [v for v in service["volumes"] if v.partition(":")[0] == name]
        for name, service in profile["services"].items()
    }
    assert all(kept.values()), kept
    assert set(profile["volumes"]) == set(kept)
    for service in profile["services"].values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (any_project / source).exists(), source
                assert volume.endswith(":ro")


def test_every_port_is_one_that_somebody_listens_on(any_project: Path) -> None:
    services = compose(any_project)["services"]
    environment = services["app"]["environment"]
    sources = load(any_project, "datasources.yaml")["datasources"]
    called = {source["url"] for source in sources}
    listeners = {"http://prometheus:9090"}
    for job in load(any_project, "prometheus.yaml")["scrape_configs"]:
        for targets in job.get("static_configs", []):
            called |= {f"http://{target}" for target in targets["targets"]}
    listeners.add("http://127.0.0.1:9090")
    endpoint = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if "jaeger" in services:
        [collector] = re.findall(r"http://[\w.:-]+", endpoint)
        called.add(collector)
        jaeger = load(any_project, "jaeger.yaml")
        [reader] = jaeger["service"]["telemetry"]["metrics"]["readers"]
        assert reader["pull"]["exporter"]["prometheus"]["host"] == "0.0.0.0"  # noqa: S104
        for at in (
            jaeger["extensions"]["jaeger_query"]["http"]["endpoint"],
            jaeger["receivers"]["otlp"]["protocols"]["http"]["endpoint"],
            f"0.0.0.0:{reader['pull']['exporter']['prometheus']['port']}",
        ):
            host, _, port = at.partition(":")
            assert host == "0.0.0.0", "another container calls it"  # noqa: S104
            listeners.add(f"http://jaeger:{port}")
    assert called == listeners
    for name in ("prometheus", "jaeger"):
        if name in services:
            assert set(services[name]["networks"]) & set(services["grafana"]["networks"])


def test_grafana_is_reached_through_nginx_alone(any_project: Path) -> None:
    services = compose(any_project)["services"]
    nginx = (any_project / "deploy/compose/nginx/nginx.conf").read_text()
    [upstream] = re.findall(r"server (\S+-grafana):3000 resolve;", nginx)
    assert services["grafana"]["networks"]["edge"]["aliases"] == [upstream]
    [(api, _), (grafana, inside)] = [
        (re.findall(r":-(\S+)\}", port)[0], port.rpartition(":")[2])
        for port in services["nginx"]["ports"]
    ]
    assert f"listen {inside};" in nginx
    assert grafana != api
    assert grafana.startswith("127.0.0.1:")
    settings = ini(any_project)
    assert urlsplit(settings["server"]["root_url"]).port == int(grafana.partition(":")[2])


class Grafana(http.server.ThreadingHTTPServer):
    """What nginx asks in its place: says what it was asked, and takes websockets."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), GrafanaHandler)


class GrafanaHandler(http.server.BaseHTTPRequestHandler):
    """Answers with the Host that it was asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = f"{self.headers['Host']} {self.headers['X-Forwarded-For']}".encode()
        if self.headers["Upgrade"] == "websocket" and self.headers["Connection"] == "upgrade":
            self.send_response(101)
            self.send_header("Connection", "upgrade")
            self.send_header("Upgrade", "websocket")
            self.end_headers()
            self.wfile.write(self.rfile.read(4).upper())
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(asked)))
        self.end_headers()
        self.wfile.write(asked)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Nginx(servers.Server):
    """The rendered nginx, its addresses its own; nothing answers at `grafana` unless it is set."""

    config = ""
    grafana = ""

    @property
    def command(self) -> Sequence[str | Path]:
        text = mutate(self.config, "listen 3000;", f"listen 127.0.0.1:{self.port};")
        for listen in ("listen 8080 ", "listen 127.0.0.1:8081;"):
            end = listen[-1]
            text = mutate(text, listen, f"listen 127.0.0.1:{free_port()}{end}")
        if self.grafana:
            text = re.sub(r"server \S+-grafana:3000 resolve;", f"server {self.grafana};", text)
        path = self.folder / "nginx.conf"
        path.write_text(text.replace("/tmp/", f"{self.folder}/").replace("/dev/stdout", "log"))
        servers.give(self.folder)
        return [*nginx(), "-p", self.folder, "-c", path, "-g", "daemon off;"]


def test_nginx_passes_on_what_grafana_needs(project: Path) -> None:
    with servers.at_hand(Nginx) as proxy, Grafana() as grafana:
        threading.Thread(target=grafana.serve_forever, args=[0.05], daemon=True).start()
        proxy.config = (project / "deploy/compose/nginx/nginx.conf").read_text()
        proxy.grafana = f"127.0.0.1:{grafana.server_port}"
        proxy.start()
        request = f"GET / HTTP/1.1\r\nHost: localhost:{proxy.port}\r\nX-Forwarded-For: 1.2.3.4\r\n"
        got = exchange(proxy.port, f"{request}\r\n".encode())
        assert got
        assert (got.status, got.body) == (200, f"localhost:{proxy.port} 127.0.0.1")

        upgrade = f"{request}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nping"
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as connection:
            connection.sendall(upgrade.encode())
            with connection.makefile("rb") as answer:
                said = answer.read().decode()
        assert said.startswith("HTTP/1.1 101 ")
        assert said.endswith("PING")
        grafana.shutdown()


def test_nginx_starts_without_grafana_and_says_how_to_start_it(project: Path) -> None:
    with servers.at_hand(Nginx) as proxy:
        proxy.config = (project / "deploy/compose/nginx/nginx.conf").read_text()
        proxy.start()
        got = exchange(proxy.port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert got
        assert got.status == 502
        assert "COMPOSE_PROFILES=observability make up" in got.body


def test_the_scrape_finds_every_replica_by_its_name(any_project: Path) -> None:
    services = compose(any_project)["services"]
    [job] = [j for j in load(any_project, "prometheus.yaml")["scrape_configs"] if "dns_sd_configs" in j]  # fmt: skip
    [found] = job["dns_sd_configs"]
    assert found["type"] == "A"
    assert [name for name in found["names"] if name in services] == ["app"]
    shared = set(services["app"]["networks"]) & set(services["prometheus"]["networks"])
    assert shared == {"backend"}


def test_the_health_check_of_prometheus_tells_whether_it_runs(project: Path) -> None:
    # The image's wget is BusyBox's.
    need("busybox")
    test = compose(project)["services"]["prometheus"]["healthcheck"]["test"]
    assert test[0] == "CMD"
    with servers.at_hand(Prometheus) as prometheus:
        (prometheus.folder / "prometheus.yaml").write_text("")
        *arguments, url = test[1:]
        command = ["busybox", *arguments, mutate(url, ":9090", f":{prometheus.port}")]

        def ready() -> bool:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0

        assert not ready()
        prometheus.start()
        eventually("it is ready", ready)


# -- Grafana -------------------------------------------------------------------------------


def ini(project: Path) -> configparser.ConfigParser:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read_string((project / FOLDER / "grafana.ini").read_text())
    return settings


def grafana_findings(project: Path) -> list[str]:
    """What Grafana is told of and would not find."""
    grafana = compose(project)["services"]["grafana"]
    profile = compose(project)["profile"]
    mounts = {
        target: project / source
        for source, target, *_ in (volume.split(":") for volume in grafana["volumes"])
        if source.startswith("./")
    }
    settings = ini(project)
    findings = []

    password = re.fullmatch(r"\$__file\{/run/secrets/(\w+)\}", settings["security"]["admin_password"])  # fmt: skip
    if not password or password[1] not in grafana["secrets"] or password[1] not in profile["secrets"]:  # fmt: skip
        findings.append("the password's file")

    disabled = settings["plugins"]["disable_plugins"].split(",")
    sources = yaml.safe_load(
        mounts["/etc/grafana/provisioning/datasources/datasources.yaml"].read_text()
    )["datasources"]
    for source in sources:
        if urlsplit(source["url"]).hostname not in compose(project)["services"]:
            findings.append(f"the host of {source['name']}")
        if source["type"] in disabled:
            findings.append(f"the plugin of {source['name']}")
    if "prometheus" not in [source["type"] for source in sources if source.get("isDefault")]:
        findings.append("a data source for the dashboard")

    [provider] = yaml.safe_load(
        mounts["/etc/grafana/provisioning/dashboards/dashboards.yaml"].read_text()
    )["providers"]
    folder = mounts.get(provider["options"]["path"])
    boards = list(folder.glob("*.json")) if folder else []
    if len(boards) != 1:
        findings.append("one dashboard")
    home = Path(settings["dashboards"]["default_home_dashboard_path"])
    if mounts.get(str(home.parent), project / "none") / home.name not in boards:
        findings.append("the dashboard at home")
    return findings


def test_grafana_finds_what_it_is_told_of(any_project: Path) -> None:
    assert grafana_findings(any_project) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "finding"),
    [
        ("grafana.ini", "grafana_password", "grafana_pass", "the password's file"),
        ("grafana.ini", "dashboard.json", "board.json", "the dashboard at home"),
        ("grafana.ini", "tempo,", "tempo,jaeger,", "the plugin of Jaeger"),
        ("datasources.yaml", "http://jaeger", "http://tempo", "the host of Jaeger"),
        ("datasources.yaml", "isDefault: true", "isDefault: false", "a data source"),
        ("dashboards.yaml", "/etc/dashboards", "/etc/boards", "one dashboard"),
    ],
)
def test_a_name_that_does_not_fit_is_noticed(
    tmp_path: Path, name: str, old: str, new: str, finding: str
) -> None:
    project = render(tmp_path / "project", **ANSWERS["everything"])
    path = project / FOLDER / name
    path.write_text(mutate(path.read_text(), old, new))
    assert any(found.startswith(finding) for found in grafana_findings(project))


def test_grafana_calls_nobody(any_project: Path) -> None:
    settings = ini(any_project)
    for section, key in (
        ("analytics", "reporting_enabled"),
        ("analytics", "check_for_updates"),
        ("analytics", "check_for_plugin_updates"),
        ("news", "news_feed_enabled"),
        ("snapshots", "external_enabled"),
    ):
        assert not settings.getboolean(section, key), key
    # With it, Grafana 13 deletes its data sources from the image to replace them.
    assert settings.getboolean("plugins", "preinstall_disabled")
    assert "auth.anonymous" not in settings, "off by default"


def test_there_is_one_dashboard_for_compose_and_kubernetes(projects: dict[str, Path]) -> None:
    shared = projects["kubernetes"] / "deploy/kubernetes/components/monitoring/dashboard.json"
    own = projects["everything"] / FOLDER / "dashboard.json"
    assert own.read_text() == shared.read_text()
    assert not (projects["kubernetes"] / FOLDER / "dashboard.json").exists()


# -- rules, by promtool --------------------------------------------------------------------


def rules_of(project: Path) -> list[dict[str, Any]]:
    return [rule for group in load(project, "rules.yaml")["groups"] for rule in group["rules"]]


def test_prometheus_accepts_configuration_and_rules(any_project: Path, tmp_path: Path) -> None:
    need("promtool")
    config = any_project / FOLDER / "prometheus.yaml"
    said = run(["promtool", "check", "config", config], any_project).stdout
    assert "1 rule files found" in said
    broken = tmp_path / "prometheus.yaml"
    (tmp_path / "rules.yaml").write_text((config.parent / "rules.yaml").read_text())
    broken.write_text(mutate(config.read_text(), "type: A", "type: AA"))
    rejects(["promtool", "check", "config", broken], "invalid DNS-SD records type", tmp_path)
    broken.write_text(config.read_text())
    rules = mutate((tmp_path / "rules.yaml").read_text(), "(0.99,", "(")
    (tmp_path / "rules.yaml").write_text(rules)
    rejects(["promtool", "check", "config", broken], "parse error", tmp_path)


def test_every_alert_says_how_bad_it_is_and_what_to_do(any_project: Path) -> None:
    rules = rules_of(any_project)
    for rule in rules:
        severity = rule["labels"]["severity"]
        assert severity in ("critical", "warning") or "critical{{ else }}warning" in severity
        assert rule["annotations"]["summary"]
        texts = " ".join(rule["annotations"].values())
        assert "kubectl" not in texts
        assert "namespace" not in texts
        # Nothing that it asks for may be lost by what it sums up.
        for label in re.findall(r"\$labels\.(\w+)", texts):
            grouped = re.search(r"(?:sum|max|min) by \(([^)]*)\)", rule["expr"])
            assert not grouped or label in grouped[1], rule["alert"]
    stores = "DependencyDown" in {rule["alert"] for rule in rules}
    assert stores == ("depends_on" in compose(any_project)["services"]["app"])
    known = {case.alert for case in CASES}
    assert {rule["alert"] for rule in rules} == known - (
        set() if stores else {"DependencyDown", "PoolExhausted"}
    )


LABELS = 'job="myservice"'

OK = 'http_requests_total{instance="a", route="/", status="200"}'
FAILED = 'http_requests_total{instance="a", route="/", status="500"}'

#: Of two replicas.
durations = functools.partial(alerts.durations, "instance")
of_each = functools.partial(alerts.of_each, "instance")


def memory(used: str, limit: str) -> dict[str, str]:
    names = ("go_memstats_heap_alloc_bytes", "go_memlimit_bytes")
    return {f'{name}{{instance="a"}}': v for name, v in zip(names, (used, limit), strict=True)}


CASES = [
    Case("no replica answers", "Down", of_each("up", "1x5 0x20", "1x5 0x20"), {5: 0, 6: 0, 8: 1}),
    Case("there is none", "Down", {}, {0: 0, 2: 1}),
    Case("the last one is stopped", "Down", {'up{instance="a"}': "1x5 stale"}, {5: 0, 8: 1}),
    Case("one of two answers", "Down", of_each("up", "0x20", "1x20"), {15: 0}),
    Case("one does not answer", "ReplicaDown", of_each("up", "0x20", "1x20"), {4: 0, 6: 1}),
    Case("one takes long to start", "ReplicaDown", of_each("up", "0x3 1x20", "1x24"), {3: 0, 8: 0}),
    Case("one is stopped", "ReplicaDown", of_each("up", "1x3 stale", "1x24"), {10: 0}),
    Case("without requests there is no ratio", "ManyErrors", {OK: "5x120", FAILED: "5x120"}, NEVER),
    Case("without any series either", "ManyErrors", {}, NEVER),
    Case("two in a hundred fail", "ManyErrors", {OK: "0+98x20", FAILED: "0+2x20"}, {2: 0, 6: 1}),
    Case("one in a thousand does", "ManyErrors", {OK: "0+999x20", FAILED: "0+1x20"}, {6: 0, 15: 0}),
    Case("all fail", "ManyErrors", {FAILED: "0+10x20"}, {6: 1}),
    Case("one in twenty takes a second", "Slow", durations("0+100x30", "0+95x30"), {5: 0, 14: 1}),
    Case("one in a thousand does", "Slow", durations("0+1000x30", "0+999x30"), {14: 0}),
    Case("no requests", "Slow", durations("100x30", "95x30"), {14: 0, 20: 0}),
    Case("one that keeps starting", "Restarts", {'process_start_time_seconds{instance="a"}': "100x5 400x5 700x5 900x20"}, {12: 0, 20: 1}),
    Case("a new one", "Restarts", of_each("process_start_time_seconds", "100x10 _x20", "_x10 700x20"), {12: 0, 25: 0}),
    Case("PostgreSQL is missed", "DependencyDown", of_each("dependency_up", "0x9", "0x9"), {0: 0, 3: 1}, 'name="postgres", severity="critical"'),
    Case("Redis can wait", "DependencyDown", of_each("dependency_up", "0x9", "0x9"), {0: 0, 3: 1}, 'name="redis", severity="warning"'),
    Case("one replica reaches it", "DependencyDown", of_each("dependency_up", "0x9", "1x9"), {4: 0, 8: 0}),
    Case("requests wait in vain", "PoolExhausted", of_each("db_client_connections_timeouts_total", "0+3x9", "0x9"), {1: 0, 5: 1}, 'pool="postgres", severity="warning"'),
    Case("none does", "PoolExhausted", of_each("db_client_connections_timeouts_total", "7x9", "7x9"), {5: 0, 8: 0}),
    Case("one refuses the file", "ConfigRefused", of_each("config_last_reload_successful", "1x3 0x20", "1x24"), {3: 0, 6: 1}),
    Case("never reloaded", "ConfigRefused", {}, {10: 0}),
    Case("what is in use stays high", "MemoryShort", memory("85+5x2 86+4x2 85x30", "100x40"), {4: 0, 30: 1}),
    Case("garbage fills the heap up to the limit", "MemoryShort", memory("30 98 97 99 98 30 98 97 99 98 30 98 97 99 98 30 98 99 97 98 30 97", "100x40"), {20: 0, 21: 0}),
    Case("no limit", "MemoryShort", memory("1000000000x30", f"{2**63 - 1}x30"), {30: 0}),
]  # fmt: skip


@pytest.mark.parametrize("alert", dict.fromkeys(case.alert for case in CASES))
def test_an_alert_fires_when_it_should(alert: str, project: Path, tmp_path: Path) -> None:
    cases = [case for case in CASES if case.alert == alert]
    run(unit_test(tmp_path, project / FOLDER / "rules.yaml", cases, LABELS), tmp_path)


def test_alerts_of_mysql_fire_when_they_should(tmp_path: Path) -> None:
    rules = render(tmp_path / "x", **PROFILE, datastores=["mysql"]) / FOLDER / "rules.yaml"
    waits = "db_client_connections_wait_seconds_total"
    cases = [
        Case("MySQL is missed", "DependencyDown", of_each("dependency_up", "0x9", "0x9"), {0: 0, 3: 1}, 'name="mysql", severity="critical"'),
        Case("requests wait", "PoolExhausted", of_each(waits, "0+70x9", "0+70x9"), {0: 0, 5: 1}, 'pool="mysql", severity="warning"'),
        Case("some wait a little", "PoolExhausted", of_each(waits, "0+20x9", "0+20x9"), {5: 0, 8: 0}, 'pool="mysql"'),
    ]  # fmt: skip
    run(unit_test(tmp_path, rules, cases, LABELS), tmp_path)


def test_promtool_notices_an_alert_that_comes_late(project: Path, tmp_path: Path) -> None:
    late = tmp_path / "rules.yaml"
    late.write_text(mutate((project / FOLDER / "rules.yaml").read_text(), "> 0.01", "> 0.1"))
    cases = [case for case in CASES if case.alert == "ManyErrors"]
    rejects(unit_test(tmp_path, late, cases, LABELS), "time: 6m", tmp_path)


# -- a real Prometheus ---------------------------------------------------------------------


@dataclass
class Scraped:
    prometheus: Prometheus
    service: Service


@pytest.fixture(scope="module")
def scraped(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """A service whose stores are away, after some seconds of requests, and its Prometheus."""
    folder = tmp_path_factory.mktemp("scraped")
    answers = ANSWERS["everything"]
    tree = add_extra_routes(RenderedTree(render(folder / "project", **answers), answers))
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text("log_level: info\n")
    away = free_port()
    environment = {
        "CONFIG_FILE": str(folder / "config" / "config.yaml"),
        "DATABASE_URL": f"postgres://app:app@127.0.0.1:{away}/app",
        "REDIS_URL": f"redis://127.0.0.1:{away}/0",
        "GOMEMLIMIT": "64MiB",
        # Often, so that there is a pause to see within seconds.
        "GOGC": "1",
    }
    with running(build(tree), **environment) as service, servers.at_hand(Prometheus) as prometheus:
        settings = load(project, "prometheus.yaml")
        settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        app, itself, _ = settings["scrape_configs"]
        assert app.pop("dns_sd_configs")[0]["port"] == 9090
        app["static_configs"] = [{"targets": [f"127.0.0.1:{service.admin_port}"]}]
        itself["static_configs"][0]["targets"] = [f"127.0.0.1:{prometheus.port}"]
        (prometheus.folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
        rules = (project / FOLDER / "rules.yaml").read_text()
        (prometheus.folder / "rules.yaml").write_text(rules)
        service.wait(service.admin_port, "/healthz", 200)
        prometheus.start()
        request_for(service, 6)
        reload(folder / "config" / "config.yaml", service)
        request_for(service, 4)
        yield Scraped(prometheus, service)


def reload(config: Path, service: Service) -> None:
    """Have a configuration refused."""
    new = config.with_suffix(".new")
    new.write_text("log_level: loud\n")
    new.rename(config)
    failed = 'config_reloads_total{result="failure"}'
    eventually("it is refused", lambda: service.metric(failed) > 0)


def test_a_replica_is_known_by_its_address(scraped: Scraped) -> None:
    def seen(job: str) -> list[str]:
        result = scraped.prometheus.ask("query", query=f'up{{job="{job}"}} == 1')["result"]
        return [series["metric"]["instance"] for series in result]

    assert seen("myservice") == ["127.0.0.1"]
    assert seen("prometheus") == ["prometheus"]


def test_every_rule_names_metrics_that_the_service_has(scraped: Scraped, project: Path) -> None:
    known = exposed(scraped.service) | {"up"}
    for rule in rules_of(project):
        names = {selector.partition("{")[0] for selector in selectors(rule["expr"])}
        assert names <= known, rule
        assert scraped.prometheus.unanswered(rule["expr"]) == []
    slow = next(rule["expr"] for rule in rules_of(project) if rule["alert"] == "Slow")
    for old, new in (("_seconds_bucket", "_second_bucket"), ('job="myservice"', 'job="others"')):
        assert scraped.prometheus.unanswered(mutate(slow, old, new)) != []


def test_prometheus_evaluates_every_rule(scraped: Scraped, project: Path) -> None:
    rules = scraped.prometheus.rules
    eventually("all are evaluated", lambda: all(rule["health"] != "unknown" for rule in rules()))
    assert len(rules()) == len(rules_of(project))
    assert [rule for rule in rules() if rule["health"] != "ok" or rule.get("lastError")] == []


def test_what_is_wrong_with_the_service_raises_its_alert(scraped: Scraped) -> None:
    wrong = {"ManyErrors", "DependencyDown", "ConfigRefused"}
    eventually(f"only {wrong} are raised", lambda: scraped.prometheus.pending() == wrong)
    alerts = scraped.prometheus.ask("alerts")["alerts"]
    texts = [text for alert in alerts for text in alert["annotations"].values()]
    assert [text for text in texts if "<no value>" in text or "error expanding" in text] == []


def test_every_panel_shows_something(scraped: Scraped, project: Path) -> None:
    if not Path("/proc/pressure/cpu").exists():
        unavailable("the kernel measures no pressure (PSI)")
    request_for(scraped.service, 3)
    board = json.loads((project / FOLDER / "dashboard.json").read_text())
    shown = expressions(board)
    for panel, expression in shown.items():
        assert scraped.prometheus.unanswered(expression) == [], panel
        values = scraped.prometheus.values(expression)
        assert values, panel
        assert not any(math.isnan(value) for value in values), panel
    misspelt = mutate(shown["Memory: A"], "resident", "residing")
    assert scraped.prometheus.unanswered(misspelt) != []
    [job] = [v for v in board["templating"]["list"] if v["name"] == "job"]
    assert job["current"]["value"] == GRAFANA["$job"]
    metric = {"match[]": "http_requests_in_flight"}
    assert scraped.prometheus.ask("label/job/values", **metric) == [GRAFANA["$job"]]
