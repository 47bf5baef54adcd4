"""Spans reach a collector, agree with lines and metrics, and never harm the service."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import http.server
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
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
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """What the collector got, its ids in hexadecimal as in the log."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    failed: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Collector(http.server.ThreadingHTTPServer):
    """An OpenTelemetry collector that only listens: OTLP over HTTP, as protobuf."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CollectorHandler)
        self.spans: list[Span] = []
        self.delay = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def of(self, trace: str) -> list[Span]:
        return [span for span in self.spans if span.trace == trace]


class CollectorHandler(http.server.BaseHTTPRequestHandler):
    """Takes what a service exports."""

    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        assert self.path == "/v1/traces"
        assert self.headers["Content-Type"] == "application/x-protobuf"
        time.sleep(self.server.delay)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = values(group.resource.attributes)
            for scope in group.scope_spans:
                self.server.spans += [
                    Span(
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.kind,
                        span.status.code == span.status.STATUS_CODE_ERROR,
                        values(span.attributes),
                        resource,
                    )
                    for span in scope.spans
                ]
        with contextlib.suppress(ConnectionError):
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def values(attributes: Any) -> dict[str, Any]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value")
        for pair in attributes
    }


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


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
