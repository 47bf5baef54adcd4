"""A span of a real service in a real Jaeger with the rendered configuration.

Jaeger's releases since 2.14 cannot be had as a Go module: v1.76.0 is the commit of its 2.13.0, whose
configuration is that of the image in the template. Building it takes minutes.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import servers
from helpers.linters import locked, mutate
from helpers.machine import CACHE, need, run
from helpers.rendering import render
from helpers.service import RenderedTree, Service, build, eventually, free_port, running

MODULE = "github.com/jaegertracing/jaeger@v1.76.0"

ANSWERS = {"deploy": ["compose"], "compose_profiles": ["observability"], "tracing": True}


def program() -> Path:
    """Jaeger, built once."""
    need("go")
    binary = CACHE / "tools" / f"jaeger-{MODULE.partition('@')[2]}-{platform.machine()}"
    with locked("jaeger"):
        if not binary.exists():
            binary.parent.mkdir(parents=True, exist_ok=True)
            # Within the module: its own go.sum says what its dependencies must be.
            source = json.loads(run(["go", "mod", "download", "-json", MODULE], CACHE).stdout)[
                "Dir"
            ]
            command: list[str | Path] = ["nice", "go", "build", "-o", binary, "./cmd/jaeger"]
            run(command, Path(source), {"GOFLAGS": "-mod=readonly"}, timeout=1800)
    return binary


class Jaeger(servers.Server):
    """Jaeger with the rendered configuration, its addresses and its folder its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.query, self.otlp, self.health = self.port, free_port(), free_port()

    def configure(self, text: str) -> None:
        config: dict[str, Any] = yaml.safe_load(text)
        # Another's ports, on this machine.
        config["service"]["telemetry"]["metrics"] = {"level": "none"}
        extensions = config["extensions"]
        extensions["healthcheckv2"]["http"]["endpoint"] = f"127.0.0.1:{self.health}"
        extensions["jaeger_query"]["http"]["endpoint"] = f"127.0.0.1:{self.query}"
        extensions["jaeger_query"]["grpc"] = {"endpoint": f"127.0.0.1:{free_port()}"}
        http = config["receivers"]["otlp"]["protocols"]["http"]
        http["endpoint"] = f"127.0.0.1:{self.otlp}"
        written = yaml.safe_dump(config).replace("/tmp/", f"{self.folder}/tmp/")
        assert written.count(str(self.folder)) == 2
        (self.folder / "tmp").mkdir()
        (self.folder / "jaeger.yaml").write_text(written)
        servers.give(self.folder)

    @property
    def command(self) -> Sequence[str | Path]:
        return [program(), f"--config={self.folder}/jaeger.yaml"]

    def trace(self, trace: str) -> list[dict[str, Any]]:
        """The spans of a trace, as Grafana asks for them."""
        url = f"http://127.0.0.1:{self.query}/api/traces/{trace}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                [found] = json.load(response)["data"]
        except urllib.error.HTTPError as error:
            assert error.code == 404, error.read()
            return []
        spans: list[dict[str, Any]] = found["spans"]
        return spans


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(tmp_path_factory.mktemp("traces") / "project", **ANSWERS)


@pytest.fixture(scope="module")
def binary(project: Path) -> Path:
    return build(RenderedTree(project, ANSWERS))


@pytest.fixture
def jaeger(project: Path) -> Iterator[Jaeger]:
    # The build is not what the server is waited for.
    program()
    with servers.at_hand(Jaeger) as jaeger:
        jaeger.configure((project / "deploy/compose/observability/jaeger.yaml").read_text())
        yield jaeger


def traced(service: Service) -> str:
    """Ask for something under a trace of our own."""
    trace = os.urandom(16).hex()
    answer = service.ask("/v1/greetings/Ada", traceparent=f"00-{trace}-{os.urandom(8).hex()}-01")
    assert answer.status == 200
    return trace


def test_a_span_of_the_service_is_found_by_its_trace_id(jaeger: Jaeger, binary: Path) -> None:
    jaeger.start()
    url = f"http://127.0.0.1:{jaeger.otlp}"
    with running(binary, OTEL_EXPORTER_OTLP_ENDPOINT=url) as service:
        service.wait(service.admin_port, "/ready", 200)
        trace = traced(service)
        assert service.logged(traceId=trace, message="request")["status"] == 200
        [span] = eventually("Jaeger has the span", lambda: jaeger.trace(trace))
    assert "/v1/greetings/:name" in span["operationName"]
    assert jaeger.trace(os.urandom(16).hex()) == []

    # As by `docker compose down`, or worse.
    jaeger.kill()
    jaeger.start()
    assert eventually("it has it after a restart", lambda: jaeger.trace(trace))


def healthy(jaeger: Jaeger, test: list[str]) -> bool:
    """Whether the container's health check would pass, by BusyBox as in the image."""
    need("busybox")
    assert test[0] == "CMD"
    assert test[-1] == "http://127.0.0.1:13133/status"
    command = ["busybox", *test[1:-1], f"http://127.0.0.1:{jaeger.health}/status"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_the_health_check_tells_whether_it_runs(jaeger: Jaeger, project: Path) -> None:
    profile = yaml.safe_load((project / "deploy/compose/observability.yaml").read_text())
    test = profile["services"]["jaeger"]["healthcheck"]["test"]
    assert not healthy(jaeger, test)
    jaeger.start()
    eventually("it is healthy", lambda: healthy(jaeger, test))


def test_jaeger_refuses_a_store_that_is_not_there(jaeger: Jaeger) -> None:
    config = jaeger.folder / "jaeger.yaml"
    config.write_text(mutate(config.read_text(), "trace_storage: disk", "trace_storage: disc"))
    done = run(jaeger.command, jaeger.folder, ok=False, timeout=60)
    assert done.returncode != 0
    assert "disc" in done.stdout
