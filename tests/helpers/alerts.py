"""Alerting rules and dashboards: promtool's unit tests, a real Prometheus, what expressions select."""

from __future__ import annotations

import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from helpers import servers
from helpers.machine import need
from helpers.service import Service

#: What Grafana fills in.
GRAFANA = {"$job": "myservice", "$__rate_interval": "1m", "$__range": "1h"}


@dataclass(frozen=True)
class Case:
    """What happens, and for which of these minutes how many alerts have fired of it."""

    what: str
    alert: str
    #: Series without the labels that all have, and their values a minute apart.
    series: dict[str, str]
    #: Minutes, and how many fire then.
    fires: dict[int, int]
    #: Of the alert that is meant, where there are several of its name.
    labels: str = ""
    #: Minutes between two values.
    step: int = 1


NEVER = dict.fromkeys((1, 6, 15, 61, 120), 0)


def durations(label: str, slow: str, fast: str) -> dict[str, str]:
    """A histogram of requests that take up to a second, `fast` of them less than half of that."""
    bucket = 'http_request_duration_seconds_bucket{{{}="a", route="/", le="{}"}}'
    counts = {"0.1": fast, "0.5": fast, "1": slow, "+Inf": slow}
    return {bucket.format(label, limit): count for limit, count in counts.items()}


def of_each(label: str, metric: str, a: str, b: str) -> dict[str, str]:
    """The same metric of two that run, told apart by `label`."""
    return {f'{metric}{{{label}="a"}}': a, f'{metric}{{{label}="b"}}': b}


def with_labels(series: str, labels: str) -> str:
    return series.replace("{", f"{{{labels}, ", 1)


def expectation(case: Case, common: str) -> dict[str, Any]:
    """The case as promtool reads it, where all series have the labels `common`."""
    # A dependency or a pool is what its label says, which the case puts to its alert.
    if label := {"DependencyDown": "name", "PoolExhausted": "pool"}.get(case.alert):
        named = re.search(rf'{label}="\w+"', case.labels)
        common += f", {named[0]}" if named else f', {label}="redis"'
    firing = f'ALERTS{{alertname="{case.alert}", alertstate="firing", {case.labels}}}'
    return {
        "interval": f"{case.step}m",
        "input_series": [
            {"series": with_labels(series, common), "values": values}
            for series, values in case.series.items()
        ],
        "promql_expr_test": [
            {
                "expr": f"count({firing}) or vector(0)",
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": count}],
            }
            for minute, count in case.fires.items()
        ],
    }


def unit_test(folder: Path, rules: Path, cases: Sequence[Case], common: str) -> list[str | Path]:
    """The command that tests a file of rules with cases."""
    need("promtool")
    test = {
        "rule_files": [str(rules)],
        "evaluation_interval": f"{max(case.step for case in cases)}m",
        "tests": [expectation(case, common) for case in cases],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    return ["promtool", "test", "rules", folder / "test.yaml"]


class Prometheus(servers.Server):
    """Prometheus, with its configuration in its folder."""

    def __init__(self, folder: Path) -> None:
        need("prometheus")
        super().__init__(folder)
        servers.give(folder)

    @property
    def command(self) -> Sequence[str | Path]:
        return [
            *("prometheus", f"--config.file={self.folder}/prometheus.yaml"),
            *(f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address=127.0.0.1:{self.port}"),
        ]  # fmt: skip

    def ask(self, path: str, **parameters: str) -> Any:
        """What its API answers; PromQL that is none is an error."""
        query = urllib.parse.urlencode(parameters)
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{query}"
        with urllib.request.urlopen(url, timeout=10) as response:
            return json.load(response)["data"]

    def values(self, expression: str) -> list[float]:
        """The value of each series of the result."""
        result = self.ask("query", query=expression)["result"]
        return [float(series["value"][1]) for series in result]

    def unanswered(self, expression: str) -> list[str]:
        """What an expression selects and Prometheus has nothing of."""
        return [s for s in selectors(expression) if not self.values(f"count_over_time({s}[5m])")]

    def pending(self) -> set[str]:
        """The alerts whose condition holds."""
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"]}

    def rules(self) -> list[dict[str, Any]]:
        """Every rule, with its health."""
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]


SELECTOR = re.compile(r'[a-z_][\w:]*\{(?:[^{}"]|"[^"]*")*\}')

#: Everything else that these expressions are made of.
PROMQL = {
    *("absent", "changes", "histogram_quantile", "increase", "min_over_time", "rate", "vector"),
    *("and", "by", "or", "count", "max", "min", "sum"),
}


def selectors(expression: str) -> list[str]:
    """The selectors of an expression; a metric that stands there without braces is an error."""
    rest = re.sub(r"\bby \([^()]*\)|\[\w+\]", "", SELECTOR.sub("", expression))
    assert set(re.findall(r"[a-z_][\w:]*", rest)) <= PROMQL, rest
    found = SELECTOR.findall(expression)
    assert found, expression
    return found


def request_for(service: Service, seconds: float) -> None:
    """Ask for what is answered with 200, 404 and, by an extra route, 500."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for path, status in {"/extra/sleep/1": 200, "/none": 404, "/extra/panic": 500}.items():
            assert service.ask(path).status == status
        time.sleep(0.1)


def exposed(service: Service) -> set[str]:
    """The metrics that the service has, by name."""
    return {series.partition("{")[0] for series in service.metrics()}


def expressions(board: dict[str, Any]) -> dict[str, str]:
    """Each expression of a dashboard by its panel and query, Grafana's variables filled in."""
    found = {}
    for panel in board["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for variable, value in GRAFANA.items():
                expression = expression.replace(variable, value)
            assert "$" not in expression, expression
            found[f"{panel['title']}: {target['refId']}"] = expression
    return found
