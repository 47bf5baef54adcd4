"""The alerts, the dashboard and the analysis of a canary, judged by promtool and a real Prometheus.

Prometheus scrapes a real service under requests, under the labels that the rendered ServiceMonitor
gives its pods. Only their discovery through Kubernetes is left out: the target is given.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from helpers.all_renders import variants
from helpers.linters import go_tool, mutate, rejects
from helpers.machine import need, run, unavailable
from helpers.rendering import render
from helpers.service import (
    RenderedTree,
    Service,
    add_extra_routes,
    build,
    eventually,
    free_port,
    running,
)

MONITORING = "deploy/kubernetes/components/monitoring"

#: Everything that can be watched at once.
ANSWERS: dict[str, Any] = {
    "monitoring": True,
    "rollout": "canary",
    "host_name": "shop.example.com",
    "datastores": ["postgres", "redis"],
}

#: What Argo Rollouts fills in.
PODS = "6f9c8b7d5"

#: What all series have in a unit test.
LABELS = 'namespace="myservice", job="myservice"'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(tmp_path_factory.mktemp("monitored") / "project", **ANSWERS)


@pytest.fixture(scope="module")
def manifests(project: Path) -> list[dict[str, Any]]:
    """The overlay of prod, built."""
    overlay = project / "deploy/kubernetes/overlays/prod"
    return list(yaml.safe_load_all(run([go_tool("kustomize"), "build", overlay], project).stdout))


def only(manifests: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    """The one object of that kind whose name has `name` in it."""
    [found] = [m for m in manifests if m["kind"] == kind and name in m["metadata"]["name"]]
    return found


def write_rules(folder: Path, text: str) -> Path:
    """Write the rules of a PrometheusRule as Prometheus reads them."""
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(text)["spec"]))
    return path


# -- rules, by promtool --------------------------------------------------------------------


def test_prometheus_accepts_every_rule(tmp_path: Path) -> None:
    need("promtool")
    texts = variants(f"{MONITORING}/prometheusrule.yaml")
    assert len(texts) == 5, "without a store, with Redis alone, with PostgreSQL, with MySQL or both"
    for text in texts.values():
        run(["promtool", "check", "rules", write_rules(tmp_path, text)], tmp_path)
    broken = mutate(text, "histogram_quantile(0.99,", "histogram_quantile(")
    rejects(["promtool", "check", "rules", write_rules(tmp_path, broken)], "parse error", tmp_path)


def test_every_alert_says_how_bad_it_is_and_what_to_do(project: Path) -> None:
    alerts = [rule for rule in rules_of(project) if "alert" in rule]
    for alert in alerts:
        severity = alert["labels"]["severity"]
        assert severity in ("critical", "warning") or "critical{{ else }}warning" in severity
        assert alert["annotations"]["summary"]
        assert alert["annotations"]["description"]
    assert {alert["alert"] for alert in alerts} == {case.alert for case in CASES}


def rules_of(project: Path) -> list[dict[str, Any]]:
    spec = yaml.safe_load((project / MONITORING / "prometheusrule.yaml").read_text())["spec"]
    return [rule for group in spec["groups"] for rule in group["rules"]]


OK = 'http_requests_total{pod="a", route="/", status="200"}'
FAILED = 'http_requests_total{pod="a", route="/", status="500"}'

#: Of two pods.
durations = functools.partial(alerts.durations, "pod")
of_each = functools.partial(alerts.of_each, "pod")


CASES = [
    Case("without requests there is no ratio", "ErrorBudgetBurn", {OK: "5x120", FAILED: "5x120"}, NEVER),
    Case("without any series either", "ErrorBudgetBurn", {}, NEVER),
    Case("all is well", "ErrorBudgetBurn", {OK: "0+60x120"}, NEVER),
    Case(
        # A tenth fails from minute 61 to 75: the last hour has 1.44 % after 9 of them.
        "a tenth fails, then all is well again",
        "ErrorBudgetBurn",
        {OK: "0+60x60 3600+54x15 4410+60x30", FAILED: "0x60 0+6x15 90x30"},
        {60: 0, 66: 0, 75: 1, 84: 0},
        'window="1h", severity="critical"',
    ),
    Case(
        "half a minute of failures spends too little",
        "ErrorBudgetBurn",
        {OK: "0+60x60 3630+60x60", FAILED: "0x60 30x60"},
        {61: 0, 62: 0, 66: 0, 90: 0},
        'window="1h"',
    ),
    Case(
        "a service that has never answered well",
        "ErrorBudgetBurn",
        {FAILED: "0+10x20"},
        {2: 3, 10: 3},
    ),
    Case(
        "eight in a thousand fail",
        "ErrorBudgetBurn",
        {OK: "0+992x500", FAILED: "0+8x500"},
        {400: 1},
        'window="6h", severity="critical"',
    ),
    Case(
        "two in a thousand fail",
        "ErrorBudgetBurn",
        {OK: "0+4990x900", FAILED: "0+10x900"},
        {4400: 1},
        'window="3d", severity="warning"',
        step=5,
    ),
    Case(
        "two in a thousand fail, and nobody is woken",
        "ErrorBudgetBurn",
        {OK: "0+4990x900", FAILED: "0+10x900"},
        {4400: 0},
        'severity="critical"',
        step=5,
    ),
    Case(
        "five in ten thousand are within the budget",
        "ErrorBudgetBurn",
        {OK: "0+9995x900", FAILED: "0+5x900"},
        {4400: 0},
        step=5,
    ),
    Case("one in twenty takes a second", "Slow", durations("0+100x30", "0+95x30"), {5: 0, 14: 1}),
    Case("one in a thousand does", "Slow", durations("0+1000x30", "0+999x30"), {14: 0}),
    Case("for five minutes only", "Slow", durations("0+100x30", "0+95x5 575+100x25"), {9: 0, 14: 0, 20: 0}),
    Case("no requests", "Slow", durations("100x30", "95x30"), {14: 0, 20: 0}),
    Case("no pod answers", "Down", of_each("up", "1x5 0x20", "1x5 0x20"), {5: 0, 7: 0, 10: 1}),
    Case("there is no pod", "Down", {}, {2: 0, 4: 1}),
    Case("one of two answers", "Down", of_each("up", "0x20", "1x20"), {15: 0}),
    Case("one does not answer", "PodDown", of_each("up", "0x20", "1x20"), {9: 0, 12: 1}),
    Case("missed for two minutes", "PodDown", of_each("up", "1x5 0x2 1x20", "1x27"), {7: 0, 12: 0, 20: 0}),
    Case("a pod that keeps starting", "Restarts", {'process_start_time_seconds{pod="a"}': "100x5 400x5 700x5 900x20"}, {12: 0, 20: 1}),
    Case("new pods in place of old ones", "Restarts", of_each("process_start_time_seconds", "100x10 _x20", "_x10 700x20"), {12: 0, 25: 0}),
    Case("PostgreSQL wakes somebody", "DependencyDown", of_each("dependency_up", "0x9", "0x9"), {1: 0, 4: 1}, 'name="postgres", severity="critical"'),
    Case("Redis can wait", "DependencyDown", of_each("dependency_up", "0x9", "0x9"), {1: 0, 4: 1}, 'name="redis", severity="warning"'),
    Case("one pod reaches it", "DependencyDown", of_each("dependency_up", "0x9", "1x9"), {4: 0, 8: 0}),
    Case("it was away for a minute", "DependencyDown", of_each("dependency_up", "1 0 1x9", "1 0 1x9"), {2: 0, 4: 0}),
    Case("requests wait in vain", "PoolExhausted", of_each("db_client_connections_timeouts_total", "0+3x9", "0x9"), {1: 0, 5: 1}, 'pool="postgres", severity="warning"'),
    Case("none does", "PoolExhausted", of_each("db_client_connections_timeouts_total", "7x9", "7x9"), {5: 0, 8: 0}),
    Case("one pod refuses the file", "ConfigRefused", of_each("config_last_reload_successful", "1x3 0x20", "1x24"), {5: 0, 10: 1}),
    Case("a better one followed", "ConfigRefused", of_each("config_last_reload_successful", "1x3 0x2 1x20", "1x24"), {5: 0, 10: 0}),
    Case("never reloaded", "ConfigRefused", {}, {10: 0}),
    Case(
        "what is in use stays high",
        "MemoryShort",
        {'go_memstats_heap_alloc_bytes{pod="a"}': "85+5x2 86+4x2 85x30", 'go_memlimit_bytes{pod="a"}': "100x40"},
        {4: 0, 30: 1},
    ),
    Case(
        "garbage fills the heap up to the limit",
        "MemoryShort",
        {'go_memstats_heap_alloc_bytes{pod="a"}': "30 98 97 99 98 30 98 97 99 98 30 98 97 99 98 30 98 99 97 98 30 97", 'go_memlimit_bytes{pod="a"}': "100x40"},
        {20: 0, 21: 0},
    ),
    Case(
        "no limit",
        "MemoryShort",
        {'go_memstats_heap_alloc_bytes{pod="a"}': "1000000000x30", 'go_memlimit_bytes{pod="a"}': f"{2**63 - 1}x30"},
        {30: 0},
    ),
    Case("throttled", "CPUShort", {'process_pressure_cpu_stalled_seconds_total{pod="a"}': "0+20x30"}, {10: 0, 25: 1}),
    Case("throttled at the start", "CPUShort", {'process_pressure_cpu_stalled_seconds_total{pod="a"}': "0+20x8 160x22"}, {10: 0, 25: 0}),
]  # fmt: skip


@pytest.mark.parametrize("alert", dict.fromkeys(case.alert for case in CASES))
def test_an_alert_fires_when_it_should(alert: str, project: Path, tmp_path: Path) -> None:
    text = (project / MONITORING / "prometheusrule.yaml").read_text()
    for step in {case.step for case in CASES if case.alert == alert}:
        cases = [case for case in CASES if (case.alert, case.step) == (alert, step)]
        run(unit_test(tmp_path, write_rules(tmp_path, text), cases, LABELS), tmp_path)


#: With MySQL, more than one request that waits on average stands for those that wait in vain.
WITH_MYSQL = [
    Case("MySQL wakes somebody", "DependencyDown", of_each("dependency_up", "0x9", "0x9"), {1: 0, 4: 1}, 'name="mysql", severity="critical"'),
    Case("requests wait", "PoolExhausted", of_each("db_client_connections_wait_seconds_total", "0+70x9", "0+70x9"), {1: 0, 5: 1}, 'pool="mysql", severity="warning"'),
    Case("some wait a little", "PoolExhausted", of_each("db_client_connections_wait_seconds_total", "0+20x9", "0+20x9"), {5: 0, 8: 0}, 'pool="mysql"'),
    Case("requests to Redis wait in vain", "PoolExhausted", of_each("db_client_connections_timeouts_total", "0+3x9", "0x9"), {1: 0, 5: 1}, 'pool="redis", severity="warning"'),
]  # fmt: skip


def test_alerts_of_mysql_fire_when_they_should(tmp_path: Path) -> None:
    """The last case needs Redis as well; without it, no rule asks for what only Redis counts."""
    for stores in (["mysql", "redis"], ["mysql"]):
        project = render(tmp_path / "-".join(stores), **{**ANSWERS, "datastores": stores})
        text = (project / MONITORING / "prometheusrule.yaml").read_text()
        cases = WITH_MYSQL[: None if "redis" in stores else -1]
        run(unit_test(tmp_path, write_rules(tmp_path, text), cases, LABELS), tmp_path)
        assert ("timeouts_total" in text) == ("redis" in stores)
        late = mutate(text, "wait_seconds_total{", "waits_total{")
        command = unit_test(tmp_path, write_rules(tmp_path, late), cases, LABELS)
        rejects(command, "PoolExhausted", tmp_path)


def test_promtool_notices_an_alert_that_comes_late(project: Path, tmp_path: Path) -> None:
    text = (project / MONITORING / "prometheusrule.yaml").read_text()
    late = mutate(text, "> 14.4 * 0.001", "> 144 * 0.001")
    command = unit_test(tmp_path, write_rules(tmp_path, late), CASES[:5], LABELS)
    rejects(command, "time: 1h15m", tmp_path)


# -- a real Prometheus ---------------------------------------------------------------------


def monitor_labels(manifests: list[dict[str, Any]]) -> tuple[str, dict[str, str]]:
    """The job and the labels that a pod's metrics get by the ServiceMonitor."""
    monitor = only(manifests, "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    [service] = [
        m for m in manifests if m["kind"] == "Service" and wanted <= m["metadata"].get("labels", {}).items()
    ]  # fmt: skip
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    labels = {
        "namespace": service["metadata"]["namespace"],
        "pod": "myservice-a",
        "container": "app",
    }
    for label in monitor["spec"].get("podTargetLabels", []):
        labels[re.sub(r"\W", "_", label)] = PODS
    return service["metadata"]["labels"][monitor["spec"]["jobLabel"]], labels


@dataclass
class Scraped:
    prometheus: Prometheus
    service: Service
    config: Path

    def configure(self, text: str, result: str) -> None:
        """Change the service's configuration, and wait for its verdict."""
        series = f'config_reloads_total{{result="{result}"}}'
        before = self.service.metric(series)
        new = self.config.with_suffix(".new")
        new.write_text(text)
        new.rename(self.config)
        eventually(f"a reload's {result}", lambda: self.service.metric(series) > before)


@pytest.fixture(scope="module")
def scraped(
    manifests: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scraped]:
    """A service whose stores are away, after some seconds of requests, and its Prometheus."""
    folder = tmp_path_factory.mktemp("scraped")
    tree = add_extra_routes(RenderedTree(render(folder / "project", **ANSWERS), ANSWERS))
    job, labels = monitor_labels(manifests)
    (folder / "config").mkdir()
    config = folder / "config" / "config.yaml"
    config.write_text("log_level: info\n")
    away = free_port()
    environment = {
        "CONFIG_FILE": str(config),
        "DATABASE_URL": f"postgres://app:app@127.0.0.1:{away}/app",
        "REDIS_URL": f"redis://127.0.0.1:{away}/0",
        "GOMEMLIMIT": "64MiB",
        # Often, so that there is a pause to see within seconds.
        "GOGC": "1",
    }
    with running(build(tree), **environment) as service, servers.at_hand(Prometheus) as prometheus:
        target = {"targets": [f"127.0.0.1:{service.admin_port}"], "labels": labels}
        settings = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(write_rules(prometheus.folder, yaml.safe_dump(only(manifests, "PrometheusRule"))))],
            "scrape_configs": [{"job_name": job, "static_configs": [target]}],
        }  # fmt: skip
        (prometheus.folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
        service.wait(service.admin_port, "/healthz", 200)
        prometheus.start()
        seen = Scraped(prometheus, service, config)
        seen.configure("log_level: debug\n", "success")
        request_for(seen.service, 6)
        seen.configure("log_level: loud\n", "failure")
        request_for(seen.service, 4)
        yield seen


def test_every_rule_names_metrics_that_the_service_has(scraped: Scraped, project: Path) -> None:
    rules = rules_of(project)
    known = (
        exposed(scraped.service) | {"up"} | {rule["record"] for rule in rules if "record" in rule}
    )
    if not Path("/proc/pressure/cpu").exists():
        unavailable("the kernel measures no pressure (PSI)")
    for rule in rules:
        names = {selector.partition("{")[0] for selector in selectors(rule["expr"])}
        assert names <= known, rule
        assert scraped.prometheus.unanswered(rule["expr"]) == []
    slow = next(rule["expr"] for rule in rules if rule.get("alert") == "Slow")
    for old, new in (("_seconds_bucket", "_second_bucket"), ('job="myservice"', 'job="others"')):
        assert scraped.prometheus.unanswered(mutate(slow, old, new)) != []


def test_prometheus_evaluates_every_rule(scraped: Scraped, project: Path) -> None:
    rules = scraped.prometheus.rules
    eventually("all are evaluated", lambda: all(rule["health"] != "unknown" for rule in rules()))
    assert len(rules()) == len(rules_of(project))
    assert [rule for rule in rules() if rule["health"] != "ok" or rule.get("lastError")] == []
    for window in ("5m", "30m", "1h", "6h", "3d"):
        [ratio] = scraped.prometheus.values(f"job:http_request_errors:ratio_rate{window}")
        assert ratio == pytest.approx(1 / 3, abs=0.05)


def test_what_is_wrong_with_the_service_raises_its_alert(scraped: Scraped) -> None:
    wrong = {"ErrorBudgetBurn", "DependencyDown", "ConfigRefused"}
    eventually(f"only {wrong} are raised", lambda: scraped.prometheus.pending() == wrong)
    alerts = scraped.prometheus.ask("alerts")["alerts"]
    texts = [text for alert in alerts for text in alert["annotations"].values()]
    assert [text for text in texts if "<no value>" in text or "error expanding" in text] == []
    scraped.configure("log_level: info\n", "success")
    eventually("it is taken back", lambda: "ConfigRefused" not in scraped.prometheus.pending())


# -- the analysis of a canary --------------------------------------------------------------


def analysis(manifests: list[dict[str, Any]], pods: str = PODS) -> dict[str, str]:
    """The query of each metric, for these pods."""
    metrics = only(manifests, "AnalysisTemplate")["spec"]["metrics"]
    return {
        m["name"]: m["provider"]["prometheus"]["query"].replace("{{args.pods}}", pods)
        for m in metrics
    }


def test_the_analysis_judges_the_new_pods_by_what_they_answer(
    scraped: Scraped, manifests: list[dict[str, Any]]
) -> None:
    request_for(scraped.service, 3)
    queries = analysis(manifests)
    for query in queries.values():
        assert scraped.prometheus.unanswered(query) == []
    [ratio] = scraped.prometheus.values(queries["server-errors"])
    assert ratio == pytest.approx(1 / 3, abs=0.05)
    [seconds] = scraped.prometheus.values(queries["p99-seconds"])
    assert 0 < seconds < 1
    misspelt = mutate(queries["server-errors"], "http_requests_total", "http_request_total")
    assert scraped.prometheus.unanswered(misspelt) != []


def test_the_analysis_has_no_opinion_of_pods_without_requests(
    scraped: Scraped, manifests: list[dict[str, Any]]
) -> None:
    for query in analysis(manifests, pods="others").values():
        # Neither condition holds for NaN.
        assert [v for v in scraped.prometheus.values(query) if not math.isnan(v)] == []


# -- the dashboard -------------------------------------------------------------------------


def dashboard(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """The dashboard as Grafana's sidecar finds it."""
    config = only(manifests, "ConfigMap", "-dashboard")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["name"] == "myservice-dashboard", "a hash would leave the old one"
    [(name, text)] = config["data"].items()
    assert name == "myservice.json"
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_every_panel_shows_something(scraped: Scraped, manifests: list[dict[str, Any]]) -> None:
    request_for(scraped.service, 3)
    shown = expressions(dashboard(manifests))
    for panel, expression in shown.items():
        assert scraped.prometheus.unanswered(expression) == [], panel
        values = scraped.prometheus.values(expression)
        assert values, panel
        assert not any(math.isnan(value) for value in values), panel
    misspelt = mutate(shown["Memory: A"], "resident", "residing")
    assert scraped.prometheus.unanswered(misspelt) != []


def test_the_dashboard_offers_the_jobs_and_data_sources_that_there_are(
    scraped: Scraped, manifests: list[dict[str, Any]]
) -> None:
    board = dashboard(manifests)
    source, job = board["templating"]["list"]
    assert (source["name"], source["query"]) == ("datasource", "prometheus")
    query = re.fullmatch(r"label_values\((\w+), (\w+)\)", job["query"]["query"])
    assert query
    assert query[1] in exposed(scraped.service)
    jobs = scraped.prometheus.ask(f"label/{query[2]}/values", **{"match[]": query[1]})
    assert jobs == [job["current"]["value"]] == [GRAFANA["$job"]]
    for panel in [*board["panels"], job]:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_no_panel_covers_another(manifests: list[dict[str, Any]], project: Path) -> None:
    board = dashboard(manifests)
    places: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert places.setdefault((x, y), panel["title"]) == panel["title"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert (project / MONITORING / "dashboard.json").read_text().count("\n") < 400
