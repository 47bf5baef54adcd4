"""What an image and a container of it must be: each check returns, or raises AssertionError."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from helpers.engine import Container, Engine
from helpers.engine.docker import ask, eventually, get

HTTP, ADMIN = 8080, 9090
USER = "65532:65532"


@dataclass(frozen=True)
class Stores:
    """PostgreSQL and Redis, on a network with the service."""

    network: str
    postgres: Container
    redis: Container


def check_configuration(engine: Engine, image: str) -> None:
    """The image says how it is run, stopped and checked, and what it is."""
    config = engine.inspect(image)["Config"]
    assert config["User"] == USER
    assert config["Entrypoint"] == ["/app"]
    assert not config["Cmd"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "/app", "healthcheck"]
    assert set(config["ExposedPorts"]) == {f"{HTTP}/tcp", f"{ADMIN}/tcp"}
    labels = {k.rpartition(".")[2]: v for k, v in config["Labels"].items() if ".opencon" in k}
    assert labels["title"] == "myservice"
    assert labels["description"] == "myservice: an HTTP service in Go"
    assert labels["version"] == "v1.2.3"
    assert labels["revision"] == "0123abc"


def check_healthy(container: Container) -> None:
    """The engine's own health check passes."""
    healthy = container.healthy(30)
    assert healthy, f"{container.state}\n{container.output()}"


def check_user(container: Container) -> None:
    """The process has the promised user, no capability, and no way to gain any."""
    pid = container.state["Pid"]
    assert pid, f"it does not run:\n{container.output()}"
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    assert status["Uid"].split() == ["65532"] * 4
    assert status["Gid"].split() == ["65532"] * 4
    assert int(status["CapEff"], 16) == 0
    assert int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def create_greeting(container: Container) -> None:
    """Let there be a greeting for Ada; a service with a data store has it from then on."""

    def created() -> bool:
        body = b'{"name":"Ada"}'
        answer = ask("127.0.0.1", container.port(HTTP), "/v1/greetings", "POST", body)
        return answer.status in (201, 409)

    assert eventually(created, 15), container.output()


def check_api(container: Container) -> None:
    """The API answers on its port, and the admin endpoints only on theirs."""
    create_greeting(container)
    assert container.answers(HTTP, "/v1/greetings/Ada"), container.output()
    assert container.get(HTTP, "/v1/greetings/Ada").json()["message"] == "Hello, Ada!"
    for path in ("/healthz", "/ready", "/health", "/metrics", "/version"):
        assert container.get(HTTP, path).status == 404, f"{path} is public"
        assert container.answers(ADMIN, path), f"{path} does not answer 200"
    metrics = container.get(ADMIN, "/metrics").body
    assert re.search(r'^http_requests_total\{.*route="/v1/greetings/:name".*\} \d', metrics, re.M)
    assert re.search(r"^process_resident_memory_bytes ", metrics, re.M)


def check_logs(container: Container) -> None:
    """On stdout, every line is a JSON object with the fields of the standard."""
    stdout, stderr = container.streams()
    assert stderr == ""
    assert stdout
    for line in stdout.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            raise AssertionError(f"not JSON: {line}") from None
        assert {"timestamp", "level", "service", "message"} <= entry.keys(), line
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", entry["timestamp"]), line
        assert entry["service"] == "myservice"
        assert "traceId" in entry or entry["message"] != "request", line


def check_stop(container: Container, within: float, drain: float) -> None:
    """SIGTERM: no request fails while it drains, then it is gone with exit code 0."""
    port, admin = container.port(HTTP), container.port(ADMIN)
    create_greeting(container)
    assert container.answers(HTTP, "/v1/greetings/Ada"), container.output()
    asked = time.monotonic()
    stopping = threading.Thread(
        target=container.engine.docker, args=("stop", f"--time={within:.0f}", container.id)
    )
    stopping.start()
    closing = 0
    # Half of the delay is enough to see, and leaves a slow machine the other half.
    while time.monotonic() < asked + drain / 2:
        try:
            answer = get(port, "/v1/greetings/Ada")
        except (OSError, http.client.HTTPException) as error:
            stopping.join()
            raise AssertionError(f"refused a request while draining: {error!r}") from error
        assert answer.status == 200
        closing += answer.headers.get("connection") == "close"
    ready = get(admin, "/ready").status
    alive = get(admin, "/healthz").status
    stopping.join()
    assert closing, "no response asked its client to leave"
    assert ready == 503, "a draining service calls itself ready"
    assert alive == 200, "a draining service calls itself dead"
    assert container.state["ExitCode"] == 0, container.output()
    assert time.monotonic() - asked < within


def check_dependencies(container: Container, stores: Stores) -> None:
    """Without PostgreSQL it is not ready, without Redis it is degraded; it lives on in both."""
    engine = container.engine
    assert container.answers(ADMIN, "/ready", seconds=60), container.output()
    assert container.get(ADMIN, "/health").json()["status"] == "UP"
    for store, report, ready in (
        (stores.redis, (200, "DEGRADED"), 200),
        (stores.postgres, (503, "DOWN"), 503),
    ):
        engine.docker("stop", "--time=5", store.id)
        try:

            def reported(report: tuple[int, str] = report) -> bool:
                answer = container.get(ADMIN, "/health")
                return (answer.status, answer.json()["status"]) == report

            assert eventually(reported, 20), container.get(ADMIN, "/health")
            assert container.get(ADMIN, "/ready").status == ready
            assert container.get(ADMIN, "/healthz").status == 200
        finally:
            engine.docker("start", store.id)
        assert eventually(lambda: container.get(ADMIN, "/health").json()["status"] == "UP", 60)


STEP = re.compile(r"^#(\d+) \[build [^]]+\] RUN ", re.MULTILINE)


def check_rebuild(cold: str, second: str) -> None:
    """After an edit, no module is downloaded again, and only what changed is compiled."""
    assert "go: downloading " not in second, "modules were downloaded again"
    compiled, from_nothing = compilation(second), compilation(cold)
    assert 0 < compiled < from_nothing / 3, f"{compiled} s; from nothing {from_nothing} s"


def compilation(log: str) -> float:
    """The seconds that the compilation took; 0 for a cached layer."""
    [number] = dict.fromkeys(STEP.findall(log))
    end = re.search(rf"^#{number} (?:CACHED|DONE ([\d.]+)s)$", log, re.MULTILINE)
    assert end, log
    return float(end[1] or 0)
