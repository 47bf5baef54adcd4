"""Queries have spans where tracing is on: real stores, and a collector that listens."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import stores
from helpers.collector import Collector, Span, collecting
from helpers.log_lines import faulty_lines
from helpers.service import build, rendered_tree, running

SECRET = "hunter2"  # noqa: S105


@pytest.fixture(params=[["postgres", "redis"], ["mysql", "redis"], ["redis"]], ids="-".join)
def stored(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Path, dict[str, str], list[str]]]:
    """A traced service, the addresses of its stores, and their names."""
    tree = rendered_tree(tmp_path, tracing=True, datastores=request.param)
    binary = build(tree)
    with stores.at_hand() as servers:
        yield binary, servers.ready(tree.answers, binary), request.param


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as server:
        yield server


def systems(spans: list[Span]) -> set[str]:
    """The stores that the spans are of."""
    named = (
        span.attributes.get("db.system.name", span.attributes.get("db.system")) for span in spans
    )
    return {str(name) for name in named if name}


def test_queries_have_spans(
    stored: tuple[Path, dict[str, str], list[str]], collector: Collector
) -> None:
    """Each belongs to its request and holds no value; health checks have none."""
    binary, urls, names = stored
    trace = os.urandom(16).hex()
    headers = {"traceparent": f"00-{trace}-{os.urandom(8).hex()}-01"}
    exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running(binary, **urls, **exporting) as service:
        service.wait(service.admin_port, "/ready", 200)
        assert service.post(f'{{"name":"{SECRET}"}}', **headers).status == 201
        assert service.ask(f"/v1/greetings/{SECRET}", **headers).status == 200
        time.sleep(2)  # for health checks
        assert service.stop(20) == 0
    assert faulty_lines(service.lines) == []

    spans = collector.of(trace)
    servers = {span.id for span in spans if span.kind == 2}
    assert len(servers) == 2
    assert systems(spans) == {"postgresql" if name == "postgres" else name for name in names}
    queries = [span for span in spans if span.id not in servers]
    known = {span.id for span in spans}
    assert [span for span in queries if span.parent not in known] == []
    assert SECRET not in str([(span.name, span.attributes) for span in queries])
    assert [span.name for span in collector.spans if span.trace != trace] == []
