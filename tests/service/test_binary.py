"""The built binary serves, drains, and refuses what is wrong with its configuration."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.log_lines import faulty_lines
from helpers.machine import run
from helpers.service import RenderedTree, Service, build, metric_findings, rendered_tree, running


@pytest.fixture
def mutable(tmp_path: Path) -> RenderedTree:
    """A tree for a test to spoil."""
    return rendered_tree(tmp_path)


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(rendered_tree(tmp_path_factory.mktemp("binary")))


@pytest.fixture(scope="module")
def store_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = rendered_tree(
        tmp_path_factory.mktemp("store-binary"),
        datastores=["postgres", "redis"],
        liveness_path="/probes/alive",
        readiness_path="/probes/takes-requests",
        probe_timeout_seconds=60,
    )
    return build(tree)


def test_binary_serves_each_endpoint(binary: Path) -> None:
    with running(binary, DATABASE_URL="postgres://u:p@db/app", GIN_MODE="debug") as service:
        service.wait(service.admin_port, "/ready", 200)
        assert service.get(service.http_port, "/v1/greetings/Ada") == (
            200,
            '{"message":"Hello, Ada!"}',
        )
        for path in ["/healthz", "/ready", "/health", "/metrics", "/version"]:
            assert service.get(service.admin_port, path)[0] == 200
            assert service.get(service.http_port, path)[0] == 404
        assert json.loads(service.get(service.admin_port, "/health")[1]) == {
            "status": "UP",
            "details": {},
        }
        assert json.loads(service.get(service.admin_port, "/version")[1])["version"] == "v1.2.3"
        assert service.get(service.http_port, "/v1/greetings/Ada", "DELETE")[0] == 405
        run([binary, "healthcheck"], binary.parent, service.environment)
        _, metrics = service.get(service.admin_port, "/metrics")
    assert metric_findings(metrics) == []
    for name in [
        "http_requests_total{",
        'http_request_duration_seconds_bucket{method="GET",route="/v1/greetings/:name",le="0.005"}',
        "http_requests_in_flight 0",
        'build_info{goversion="go',
        "process_resident_memory_bytes ",
        "go_memstats_heap_alloc_bytes ",
    ]:
        assert name in metrics
    assert faulty_lines(service.lines) == []
    routes = [json.loads(line).get("route") for line in service.lines]
    assert set(routes) == {None, "/v1/greetings/:name", "unmatched"}
    assert run([binary, "healthcheck"], binary.parent, service.environment, ok=False).returncode


def test_binary_starts_without_its_stores(store_binary: Path, tmp_path: Path) -> None:
    secret = tmp_path / "redis-url"
    secret.write_text("redis://:hunter2@127.0.0.1:1/0\n")
    with running(
        store_binary,
        DATABASE_URL="postgres://user:hunter2@127.0.0.1:1/app",
        REDIS_URL_FILE=str(secret),
    ) as service:
        service.wait(service.admin_port, "/probes/alive", 200)
        assert service.get(service.admin_port, "/probes/takes-requests")[0] == 503
        service.wait(service.http_port, "/v1/greetings?limit=0", 400)
        deadline = time.monotonic() + 10
        report: dict[str, Any] = {}
        while len(report.get("details", {})) < 2 and time.monotonic() < deadline:
            report = json.loads(service.wait(service.admin_port, "/health", 503))
        assert report["status"] == "DOWN"
        assert {name: state["status"] for name, state in report["details"].items()} == {
            "postgres": "DOWN",
            "redis": "DOWN",
        }
        _, metrics = service.get(service.admin_port, "/metrics")
        assert 'dependency_up{name="postgres"} 0' in metrics
        assert metric_findings(metrics) == []
        run([store_binary, "healthcheck"], tmp_path, service.environment)
    assert faulty_lines(service.lines) == []
    assert "hunter2" not in "".join(service.lines)


def drained(service: Service) -> str:
    """Why a request in flight did not survive SIGTERM, empty where all went as promised."""
    service.wait(service.admin_port, "/ready", 200)
    with socket.create_connection(("127.0.0.1", service.http_port), timeout=10) as connection:
        connection.sendall(b"GET /v1/greetings/Ada HTTP/1.1\r\nHost: test\r\n")
        service.process.send_signal(signal.SIGTERM)
        try:
            service.wait(service.admin_port, "/ready", 503)
            if service.get(service.http_port, "/v1/greetings/Bob")[0] != 200:
                return "a new request failed in the drain"
            connection.sendall(b"\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
        except (OSError, http.client.HTTPException, pytest.fail.Exception) as error:
            return f"no answer in the drain: {error}"
        if answer.status != 200 or answer.getheader("Connection") != "close":
            return f"answered {answer.status} {answer.getheaders()}"
    code = service.process.wait(timeout=10)
    return f"exit code {code}" if code else ""


def test_sigterm_drains(binary: Path) -> None:
    with running(binary) as service:
        assert drained(service) == ""
    assert faulty_lines(service.lines) == []
    messages = [json.loads(line)["message"] for line in service.lines]
    assert messages[:3] == ["starting", "listening", "draining"]
    assert messages[-1] == "stopped"


def test_second_signal_ends_at_once(binary: Path) -> None:
    with running(binary, DRAIN_DELAY="60s", GRACE_PERIOD="120s") as service:
        service.wait(service.admin_port, "/ready", 200)
        service.process.send_signal(signal.SIGINT)
        service.wait(service.admin_port, "/ready", 503)
        # A signal that follows within microseconds is part of the first.
        deadline = time.monotonic() + 20
        while service.process.poll() is None:
            assert time.monotonic() < deadline, "a second signal does not end it"
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        assert service.process.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"HTTP_ADDR": "8080"}, ["HTTP_ADDR"]),
        ({"LOG_LEVEL": "loud", "FLUSH_TIMEOUT": "0s"}, ["LOG_LEVEL", "FLUSH_TIMEOUT"]),
        ({"GIN_MODE": "fast"}, ["fast"]),
    ],
)
def test_bad_configuration_is_refused(
    binary: Path, variables: dict[str, str], named: list[str]
) -> None:
    done = run([binary], binary.parent, variables, ok=False, timeout=10)
    assert done.returncode
    for name in named:
        assert name in done.stdout


def test_missing_secrets_are_refused(store_binary: Path) -> None:
    done = run([store_binary], store_binary.parent, {"DATABASE_URL": ""}, ok=False, timeout=10)
    assert done.returncode
    assert "DATABASE_URL: required" in done.stdout
    assert "REDIS_URL: required" in done.stdout


# -- each checker of the running service rejects a fault -----------------------------------


def test_drain_check_rejects(mutable: RenderedTree) -> None:
    source = mutable.main.read_text()
    mutable.main.write_text(source.replace("After(cfg.DrainDelay)", "After(0 * cfg.DrainDelay)"))
    with running(build(mutable)) as service:
        assert drained(service) != ""


def test_log_check_rejects() -> None:
    good = {
        "timestamp": "2026-11-23T10:00:00.000Z",
        "level": "INFO",
        "service": "s",
        "version": "v1",
        "message": "m",
    }
    assert faulty_lines([json.dumps(good)]) == []
    for fault in ["[GIN-debug] text", json.dumps(good | {"version": ""}), "[]"]:
        assert faulty_lines([fault]) == [fault]
    assert faulty_lines([json.dumps(good | {"message": "request"})])
    assert faulty_lines([json.dumps(good | {"timestamp": "2026-11-23T10:00:00+01:00"})])


def test_metric_check_rejects() -> None:
    assert metric_findings("# TYPE http_requests counter\nhttp_requests 1\n")
    assert metric_findings("http_requests{ 1\n")
