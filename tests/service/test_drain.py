"""No request is lost when the service is asked to end."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from helpers.log_lines import faulty_lines
from helpers.service import Answer, Service, eventually, running


@dataclass
class Load:
    """What keep-alive clients saw."""

    done: int = 0
    closed: int = 0
    lost: list[str] = field(default_factory=list)


def load(service: Service, over: threading.Event) -> Load:
    """Ask again and again on connections that are kept while the service keeps them."""
    seen = Load()
    lock = threading.Lock()

    def client() -> None:
        connection: http.client.HTTPConnection | None = None
        while not over.is_set():
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(
                        "127.0.0.1", service.http_port, timeout=10
                    )
                connection.request("GET", "/extra/sleep/5")
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException) as error:
                with lock:
                    seen.lost.append(repr(error))
                connection = None
                time.sleep(0.01)
                continue
            with lock:
                seen.done += 1
                if response.status != 200:
                    seen.lost.append(str(response.status))
                if response.getheader("Connection") == "close":
                    seen.closed += 1
                    connection = None

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(client) for _ in range(8)]:
            future.result()
    return seen


def drain_under_load(binary: Path, delay: str) -> tuple[Load, Service, int]:
    with running(binary, DRAIN_DELAY=delay) as service, ThreadPoolExecutor(1) as pool:
        service.wait(service.admin_port, "/ready", 200)
        over = threading.Event()
        try:
            seen = pool.submit(load, service, over)
            time.sleep(1)
            service.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(pytest.fail.Exception, OSError):
                eventually(
                    "/ready answers 503",
                    lambda: service.get(service.admin_port, "/ready")[0] == 503,
                    1,
                )
            # As long as a load balancer may take to notice.
            time.sleep(1)
        finally:
            over.set()
        code = service.process.wait(timeout=20)
        return seen.result(), service, code


def test_no_request_is_lost_in_a_drain(binary: Path) -> None:
    seen, service, code = drain_under_load(binary, "3s")
    assert seen.lost == []
    assert seen.done > 500
    assert seen.closed > 100
    assert code == 0
    assert faulty_lines(service.lines) == []
    answered = [line for line in service.log if line.get("route") == "/extra/sleep/:ms"]
    assert len(answered) == seen.done


def test_a_sudden_shutdown_is_noticed(binary: Path) -> None:
    seen, _, _ = drain_under_load(binary, "0s")
    assert seen.lost


#: What `running` sets, as it is where no one sets it: a plain `docker run`.
PLAIN = {"DRAIN_DELAY": "", "GRACE_PERIOD": ""}


def stopped_in_flight(service: Service) -> tuple[list[Answer | str], float]:
    """What requests in flight at SIGTERM got, and the seconds until the service had ended."""
    answers: list[Answer | str] = []

    def ask(milliseconds: int) -> None:
        try:
            answers.append(service.ask(f"/extra/sleep/{milliseconds}"))
        except (OSError, http.client.HTTPException) as error:
            answers.append(repr(error))

    with ThreadPoolExecutor(32) as pool:
        for number in range(32):
            pool.submit(ask, 2000 + 100 * number)
        eventually("32 in flight", lambda: service.metric("http_requests_in_flight") == 32)
        start = time.monotonic()
        service.stop(30)
        seconds = time.monotonic() - start
    return answers, seconds


def test_a_plain_docker_stop_loses_no_request_in_flight(binary: Path) -> None:
    with running(binary, **PLAIN) as service:
        service.wait(service.admin_port, "/ready", 200)
        answers, seconds = stopped_in_flight(service)
    assert [one for one in answers if isinstance(one, str) or one.status != 200] == []
    assert len(answers) == 32
    assert service.process.returncode == 0
    # After ten, SIGKILL would come.
    assert 3 < seconds < 10
    assert faulty_lines(service.lines) == []


def test_a_request_too_long_for_a_plain_docker_stop_is_noticed(binary: Path) -> None:
    with running(binary, **PLAIN, SHUTDOWN_TIMEOUT="1s") as service:
        service.wait(service.admin_port, "/ready", 200)
        answers, seconds = stopped_in_flight(service)
    assert any(isinstance(one, str) for one in answers)
    assert service.process.returncode == 1
    assert seconds < 10
