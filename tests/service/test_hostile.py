"""Hostile requests are cut off, explained, and leave nothing behind."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import random
import re
import socket
import string
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from helpers.log_lines import faulty_lines
from helpers.service import (
    Answer,
    RenderedTree,
    Service,
    answer,
    build,
    eventually,
    exchange,
    running,
    substitute_once,
)


@pytest.fixture(scope="module")
def service(binary: Path) -> Iterator[Service]:
    """A service that hostile tests share: none of them may harm the next."""
    with running(binary) as service:
        service.wait(service.admin_port, "/ready", 200)
        yield service
        assert service.ask("/v1/greetings/Ada").status == 200
        assert faulty_lines(service.lines) == []


def head(method: str, path: str, **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: test"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def test_oversized_headers_are_refused(service: Service) -> None:
    for headers in [{"X_Big": "x" * (70 << 10)}, {f"X_{n}": "x" * 1000 for n in range(80)}]:
        got = exchange(service.http_port, head("GET", "/v1/greetings/Ada", **headers))
        assert got
        assert got.status == 431
    assert exchange(service.http_port, head("GET", "/" + "x" * (70 << 10))).status == 431  # type: ignore[union-attr]


def test_oversized_bodies_are_refused(service: Service) -> None:
    for path in ["/v1/greetings", "/extra/body"]:
        body = b'{"name": "' + b"A" * (2 << 20) + b'"}'
        plain = head("POST", path, Content_Type="application/json", Content_Length=str(len(body)))
        chunks = b"".join(b"10000\r\n" + b" " * 0x10000 + b"\r\n" for _ in range(32))
        chunked = head("POST", path, Content_Type="application/json", Transfer_Encoding="chunked")
        for data in [plain + body, chunked + chunks + b"0\r\n\r\n"]:
            got = exchange(service.http_port, data)
            assert got
            assert got.problem["status"] == 413
            service.logged(message="request", route=path, status=413)


def test_slow_requests_are_cut_off(service: Service) -> None:
    def drip(data: bytes) -> tuple[float, int | None]:
        """Send the last bytes one a second; return the seconds until the end, and the status."""
        start = time.monotonic()
        with socket.create_connection(("127.0.0.1", service.http_port), timeout=1) as connection:
            connection.sendall(data[:-60])
            for byte in data[-60:]:
                with contextlib.suppress(TimeoutError):
                    got = answer(connection)
                    return time.monotonic() - start, got.status if got else None
                try:
                    connection.sendall(bytes([byte]))
                except ConnectionError:
                    return time.monotonic() - start, None
        return time.monotonic() - start, None

    headers = head("GET", "/v1/greetings/Ada", X_Slow="x" * 60)
    body = head("POST", "/v1/greetings", Content_Type="application/json", Content_Length="100")
    body += json.dumps({"name": "A" * 60}).ljust(100).encode()
    with ThreadPoolExecutor(32) as pool:
        slow_headers = [pool.submit(drip, headers) for _ in range(8)]
        slow_bodies = [pool.submit(drip, body) for _ in range(8)]
        # Meanwhile others are served.
        assert all(service.greet().status == 200 for _ in range(20))
        for future in slow_headers:
            seconds, status = future.result()
            assert seconds < 5 + 3
            assert status in (None, 400, 408)
        for future in slow_bodies:
            seconds, status = future.result()
            assert seconds < 15 + 3
            assert status in (None, 400, 408, 503)

    def cut_off() -> list[dict[str, Any]]:
        return [
            line
            for line in service.log
            if line.get("route") == "/v1/greetings" and line.get("durationMs", 0) > 5000
        ]

    # The access lines are gathered before they are written.
    eventually("a line for each body", lambda: len(cut_off()) >= 8, 5)
    cut = cut_off()
    assert len(cut) == 8
    assert all(line["status"] >= 400 for line in cut)


def test_a_slow_handler_is_cut_off(binary: Path) -> None:
    with running(binary, REQUEST_TIMEOUT="500ms") as service:
        service.wait(service.admin_port, "/ready", 200)
        start = time.monotonic()
        assert service.ask("/extra/sleep/20000").problem["status"] in (503, 504)
        assert time.monotonic() - start < 3
        assert service.logged(route="/extra/sleep/:ms", message="request")["status"] in (503, 504)


@pytest.mark.parametrize(
    ("body", "content_type", "statuses", "said"),
    [
        ('{"name": "Ada"', "application/json", (400,), ""),
        ("", "application/json", (400,), ""),
        ("\x00\xff", "application/json", (400,), ""),
        ("[" * 100_000, "application/json", (400,), ""),
        ('{"name": 5}', "application/json", (400, 422), "name"),
        ('{"name": ["Ada"]}', "application/json", (400, 422), "name"),
        ('{"name": ""}', "application/json", (400, 422), "name"),
        ("{}", "application/json", (400, 422), "name"),
        (json.dumps({"name": "A" * 65}), "application/json", (400, 422), "name"),
        ("[]", "application/json", (400, 422), ""),
        ("null", "application/json", (400, 422), ""),
    ],
)
def test_bad_bodies_are_explained(
    service: Service, body: str, content_type: str, statuses: tuple[int, ...], said: str
) -> None:
    got = service.post(body, Content_Type=content_type, X_Request_ID="bad-body")
    assert got.problem["status"] in statuses
    assert said in got.body
    for internal in ["api.", "json:", "Go ", "struct", "validator", "Key:"]:
        assert internal not in got.body
    service.logged(message="request", route="/v1/greetings", status=got.status)


TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "traceparent",
    [
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-extra",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00_{TRACE}_{PARENT}_01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        "-" * 55,
        "00-" + "é" * 10,
        "x" * 5000,
        '","level":"forged',
    ],
)
def test_a_bad_traceparent_is_replaced(service: Service, traceparent: str) -> None:
    mark = os.urandom(8).hex()
    data = head("GET", "/v1/greetings/Ada", X_Request_ID=mark, traceparent=traceparent)
    got = exchange(service.http_port, data.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert got
    assert got.status == 200
    line = service.logged(requestId=mark)
    assert re.fullmatch(r"[0-9a-f]{32}", line["traceId"])
    assert line["traceId"] not in (TRACE, "0" * 32)


def test_a_good_traceparent_is_kept(service: Service) -> None:
    for flags in ["00", "01"]:
        mark = os.urandom(8).hex()
        service.greet(X_Request_ID=mark, traceparent=f"00-{TRACE}-{PARENT}-{flags}")
        line = service.logged(requestId=mark)
        assert line["traceId"] == TRACE
        assert line["spanId"] == PARENT  # the service has no spans of its own


def test_a_forged_address_is_not_believed(binary: Path, service: Service) -> None:
    forged = {"X_Forwarded_For": "203.0.113.9", "X_Real_IP": "203.0.113.9"}
    service.greet(X_Request_ID="forged", **forged)
    assert service.logged(requestId="forged")["clientIp"] == "127.0.0.1"

    with running(binary, TRUSTED_PROXIES="127.0.0.0/8") as trusting:
        trusting.wait(trusting.admin_port, "/ready", 200)
        trusting.greet(X_Request_ID="proxied", **forged)
        assert trusting.logged(requestId="proxied")["clientIp"] == "203.0.113.9"


def test_a_request_id_cannot_forge_a_line(service: Service) -> None:
    for hostile in ['a","level":"forged', "x" * 200, "a b", "<script>"]:
        got = service.greet(X_Request_ID=hostile)
        assert got.headers["X-Request-ID"] != hostile


def resident(service: Service) -> int:
    """The service's memory in KiB."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+)", status)
    assert match
    return int(match[1])


def open_files(service: Service) -> int:
    return len(list(Path(f"/proc/{service.process.pid}/fd").iterdir()))


def invented(number: int) -> list[tuple[str, str]]:
    """Requests that no route is made for, most of them with methods that no one knows."""
    chosen = random.Random(number)

    def word(letters: str, least: int, most: int) -> str:
        return "".join(chosen.choices(letters, k=chosen.randint(least, most)))

    requests = []
    for _ in range(number):
        known = chosen.choice(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
        method = chosen.choice([known, word(string.ascii_letters, 3, 12)])
        path = "/" + word(string.ascii_letters + string.digits + "/._~-%", 1, 60)
        path = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", path)
        if chosen.random() < 0.1:
            method, path = word(string.ascii_uppercase, 3, 12), "/v1/greetings/Ada"
        requests.append((method, path))
    return requests


def bombard(service: Service, number: int) -> Counter[int]:
    """Send invented requests; return how often each status came."""
    statuses: Counter[int] = Counter()

    def send(requests: list[tuple[str, str]]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.http_port, timeout=25)
        with contextlib.closing(connection):
            for method, path in requests:
                connection.request(method, path)
                response = connection.getresponse()
                body = response.read()
                got = Answer(response.status, response.headers, body.decode())
                assert got.problem
                statuses[got.status] += 1

    requests = invented(number)
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(send, requests[n::2]) for n in range(2)]:
            future.result()
    return statuses


def growth(service: Service, number: int) -> int:
    """How many series invented requests add, after some that bring those that there are."""
    bombard(service, 50)
    before = len(service.metrics())
    bombard(service, number)
    return len(service.metrics()) - before


def test_invented_requests_leave_nothing_behind(binary: Path) -> None:
    with running(binary) as service:
        service.wait(service.admin_port, "/ready", 200)
        bombard(service, 500)
        series, memory, files = len(service.metrics()), resident(service), open_files(service)
        routines = service.metric("go_goroutines")

        before = len(service.lines)
        statuses = bombard(service, 10_000)
        assert set(statuses) == {404, 405}
        eventually("a line for each", lambda: len(service.lines) >= before + 10_000)
        paths = [line.get("path", "") for line in service.log]
        assert max(map(len, paths)) <= 256

        assert len(service.metrics()) <= series + 50
        assert resident(service) <= memory + 32 * 1024
        eventually("connections closed", lambda: open_files(service) <= files + 2)
        assert service.metric("go_goroutines") <= routines + 4
        assert faulty_lines(service.lines) == []


def test_a_path_as_a_label_is_noticed(mutable: RenderedTree) -> None:
    substitute_once(
        mutable.file("internal/httpserver/router.go"),
        r"duration\.WithLabelValues\(method, route\)",
        "duration.WithLabelValues(method, c.Request.URL.EscapedPath())",
    )
    with running(build(mutable)) as service:
        service.wait(service.admin_port, "/ready", 200)
        assert growth(service, 300) > 50
