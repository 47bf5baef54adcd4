"""Spans reach a collector, agree with lines and metrics, and never harm the service."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.collector import Collector, collecting
from helpers.log_lines import faulty_lines
from helpers.service import (
    RenderedTree,
    Service,
    add_extra_routes,
    build,
    rendered_tree,
    running,
    substitute_once,
)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as server:
        yield server


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> RenderedTree:
    """The lab, with tracing."""
    return add_extra_routes(rendered_tree(tmp_path_factory.mktemp("traced"), tracing=True))


@pytest.fixture(scope="module")
def traced_binary(traced: RenderedTree) -> Path:
    return build(traced)


def ids() -> tuple[str, str]:
    return os.urandom(16).hex(), os.urandom(8).hex()


@contextlib.contextmanager
def tracing(binary: Path, url: str, **environment: str) -> Iterator[Service]:
    with running(
        binary, OTEL_EXPORTER_OTLP_ENDPOINT=url, DRAIN_DELAY="100ms", **environment
    ) as service:
        service.wait(service.admin_port, "/ready", 200)
        yield service


def test_spans_reach_the_collector(traced_binary: Path, collector: Collector) -> None:
    trace, parent = ids()
    with tracing(traced_binary, collector.url) as service:
        got = service.greet(traceparent=f"00-{trace}-{parent}-01")
        assert got.status == 200
        line = service.logged(traceId=trace, message="request")
        own = service.greet(X_Request_ID="no-parent")
        assert own.status == 200
        fresh = service.logged(requestId="no-parent")
        assert service.stop(10) == 0

    [span] = collector.of(trace)
    assert (span.parent, span.id) == (parent, line["spanId"])
    assert span.kind == 2  # a server's
    assert not span.failed
    assert "/v1/greetings/:name" in span.name
    assert span.attributes["http.route"] == "/v1/greetings/:name"
    assert span.attributes["http.request.method"] == "GET"
    assert span.attributes["http.response.status_code"] == 200
    assert span.resource["service.name"] == "myservice"
    assert span.resource["service.version"] == "v1.2.3"
    [root] = collector.of(fresh["traceId"])
    assert (root.parent, root.id) == ("", fresh["spanId"])
    assert faulty_lines(service.lines) == []


def test_an_unsampled_trace_is_logged_and_not_exported(
    traced_binary: Path, collector: Collector
) -> None:
    trace, parent = ids()
    with tracing(traced_binary, collector.url) as service:
        service.greet(traceparent=f"00-{trace}-{parent}-00")
        service.logged(traceId=trace, message="request")
        assert service.stop(10) == 0
    assert collector.of(trace) == []
    assert faulty_lines(service.lines) == []


def disagreements(binary: Path, collector: Collector) -> list[str]:
    """How the span, the lines and the metric of a request that panics differ."""
    trace, parent = ids()
    with tracing(binary, collector.url) as service:
        got = service.ask("/extra/panic", traceparent=f"00-{trace}-{parent}-01")
        series = 'http_requests_total{method="GET",route="/extra/panic",status="500"}'
        counted = service.metric(series)
        service.stop(10)
    lines = [line for line in service.log if line.get("traceId") == trace]
    access = [line for line in lines if line["message"] == "request"]
    spans = collector.of(trace)
    return [
        *(["answer"] if got.status != 500 else []),
        *(["metric"] if counted != 1 else []),
        *(["panic line"] if not any("planted panic" in json.dumps(line) for line in lines) else []),
        *(["access line"] if [line.get("status") for line in access] != [500] else []),
        *(
            ["span"]
            if [(s.failed, s.attributes.get("http.response.status_code")) for s in spans]
            != [(True, 500)]
            else []
        ),
        *(["ids"] if {s.id for s in spans} != {line.get("spanId") for line in lines} else []),
    ]


def test_a_panic_is_traced_logged_and_counted(traced_binary: Path, collector: Collector) -> None:
    assert disagreements(traced_binary, collector) == []


def test_middleware_in_another_order_is_noticed(
    traced: RenderedTree, tmp_path: Path, collector: Collector
) -> None:
    mutant = RenderedTree(Path(shutil.copytree(traced.path, tmp_path / "project")), traced.answers)
    router = mutant.file("internal/httpserver/router.go")
    use = re.search(r"^\trouter\.Use\((.*)\)$", router.read_text(), re.MULTILINE)
    assert use
    handlers = re.split(r", (?![^(]*\))", use[1])
    assert len(handlers) >= 4
    substitute_once(router, re.escape(use[1]), ", ".join(reversed(handlers)))
    assert disagreements(build(mutant), collector)


@pytest.mark.parametrize("slow", [False, True])
def test_a_collector_that_is_down_harms_nothing(
    traced_binary: Path, collector: Collector, slow: bool
) -> None:
    collector.delay = 60
    url = collector.url if slow else "http://127.0.0.1:1"
    with tracing(traced_binary, url, FLUSH_TIMEOUT="1s") as service:
        assert all(service.greet().status == 200 for _ in range(50))
        start = time.monotonic()
        code = service.stop(10)
        seconds = time.monotonic() - start
    assert faulty_lines(service.lines) == []
    assert code == 0, "".join(service.lines[-3:])
    assert seconds < 0.1 + 1 + 1
