"""The promises of the rendered service, kept by its real binary.

What no route of the example can provoke, a panic say, is provoked by routes of lab/lab.go, built into
a copy of the render; nothing else of the copy differs. Checks are shown a service that breaks
the promise where a small change of the copy makes one.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import http.server
import json
import os
import random
import re
import shutil
import signal
import socket
import string
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from helpers.machine import run
from helpers.service import (
    Answer,
    Service,
    Tree,
    add_extra_routes,
    answer,
    build,
    eventually,
    exchange,
    faulty_lines,
    rendered_tree,
    running,
    substitute_once,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The default render with the routes of the lab."""
    return add_extra_routes(rendered_tree(tmp_path_factory.mktemp("lab"), "none"))


@pytest.fixture(scope="module")
def binary(tree: Tree) -> Path:
    return build(tree)


@pytest.fixture
def mutable(tree: Tree, tmp_path: Path) -> Tree:
    """A copy for a test to spoil."""
    return Tree(Path(shutil.copytree(tree.path, tmp_path / "project")), tree.answers)


# -- configuration -------------------------------------------------------------------------


class Volume:
    """A ConfigMap's volume, written as the kubelet writes it: a link is swapped, no file is."""

    def __init__(self, folder: Path, name: str = "config.yaml") -> None:
        self.folder, self.name = folder, name
        self.count = 0
        folder.mkdir()

    @property
    def file(self) -> Path:
        return self.folder / self.name

    def write(self, text: str) -> None:
        self.count += 1
        before = self.folder / "..data"
        old = before.readlink() if before.is_symlink() else None
        new = self.folder / f"..2026_11_23_10_00_00.{self.count:09}"
        new.mkdir()
        (new / self.name).write_text(text)
        link = self.folder / "..data_tmp"
        link.symlink_to(new.name)
        link.rename(before)
        if old is None:
            self.file.symlink_to(f"..data/{self.name}")
        else:
            shutil.rmtree(self.folder / old)


class Directory:
    """A plain folder, bind-mounted by Compose say, in which an editor replaces the file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "config.yaml"
        folder.mkdir()

    def write(self, text: str) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.rename(self.file)


@pytest.fixture(params=[Volume, Directory])
def mounted(request: pytest.FixtureRequest, tmp_path: Path) -> Volume | Directory:
    volume: Volume | Directory = request.param(tmp_path / "config")
    return volume


def reloads(service: Service, result: str) -> float:
    return service.metric(f'config_reloads_total{{result="{result}"}}')


@contextlib.contextmanager
def reloading(service: Service, result: str = "success") -> Iterator[None]:
    """Wait until what is done within has been reloaded, or refused."""
    before = reloads(service, result)
    yield
    eventually(f"a reload's {result}", lambda: reloads(service, result) > before)


def greet(service: Service, **headers: str) -> Answer:
    return service.ask("/v1/greetings/Ada", **headers)


#: Above the smallest limit that may be set, 1024 bytes.
BIG = json.dumps({"padding": "x" * 1500, "name": "Ada"})


def post(service: Service, body: str | bytes, **headers: str) -> Answer:
    return service.ask(
        "/v1/greetings", "POST", body, **{"Content_Type": "application/json", **headers}
    )


def greets_aloud(service: Service) -> bool:
    """Whether a request is logged, at the level that holds now."""
    mark = os.urandom(8).hex()
    assert greet(service, X_Request_ID=mark).status == 200
    # A line is written before the next request's answer, if at all.
    greet(service)
    time.sleep(0.1)
    return any(line.get("requestId") == mark for line in service.log)


def test_configuration_follows_its_file(binary: Path, mounted: Volume | Directory) -> None:
    mounted.write("log_level: warn\n")
    with running(binary, CONFIG_FILE=str(mounted.file)) as service:
        service.wait(service.admin_port, "/ready", 200)
        assert not greets_aloud(service)
        for level, aloud in [("info", True), ("error", False), ("debug", True), ("warn", False)]:
            with reloading(service):
                mounted.write(f"log_level: {level}\n")
            assert greets_aloud(service) == aloud, level

        # A bad file changes nothing, and says what is bad.
        for text, named in [
            ("log_levle: info\n", "log_levle"),
            ("log_level: loud\n", "loud"),
            ("max_body_bytes: many\n", "many"),
            ("log_level: [\n", ""),
        ]:
            with reloading(service, "failure"):
                mounted.write(text)
            assert service.metric("config_last_reload_successful") == 0
            assert not greets_aloud(service)
            assert any(
                named in json.dumps(line) and line["level"] in ("WARN", "ERROR")
                for line in service.log
            ), named

        with reloading(service):
            mounted.write("log_level: info\nmax_body_bytes: 1024\n")
        assert service.metric("config_last_reload_successful") == 1
        assert greets_aloud(service)
        assert post(service, BIG).problem["status"] == 413
        with reloading(service):
            mounted.write("log_level: info\n")
        assert post(service, BIG).status == 201

        # Many swaps at once end in the last.
        for number in range(20):
            mounted.write(f"log_level: {'error' if number % 2 else 'debug'}\n")
        eventually("the last of many swaps", lambda: not greets_aloud(service))
        assert service.stop(20) == 0
    assert faulty_lines(service.lines) == []
    assert any("reload" in line["message"] for line in service.log)


def test_what_needs_a_restart_is_named(binary: Path, tmp_path: Path) -> None:
    volume = Volume(tmp_path / "config")
    volume.write("shutdown_timeout: 30s\n")
    with running(binary, CONFIG_FILE=str(volume.file)) as service:
        service.wait(service.admin_port, "/ready", 200)
        volume.write("shutdown_timeout: 20s\nlog_level: debug\n")

        def named() -> bool:
            return any(
                "restart required" in line["message"]
                and "shutdown_timeout" in json.dumps(line).lower()
                for line in service.log
            )

        eventually("restart required", named)
        assert not any("restart" in line["message"] and "log_level" in json.dumps(line).lower()
                       for line in service.log)  # fmt: skip


def test_the_environment_wins(binary: Path, tmp_path: Path) -> None:
    volume = Volume(tmp_path / "config")
    volume.write("log_level: error\nhttp_addr: 127.0.0.1:1\n")
    with running(
        binary,
        CONFIG_FILE=str(volume.file),
        LOG_LEVEL="info",
        MYSERVICE_PORT="tcp://10.0.0.1:80",
    ) as service:
        service.wait(service.admin_port, "/ready", 200)
        assert greets_aloud(service)
        with reloading(service):
            volume.write("log_level: warn\nmax_body_bytes: 1024\n")
        assert greets_aloud(service)
        assert post(service, BIG).status == 413


@pytest.mark.parametrize(
    ("text", "variables", "named"),
    [
        ("log_levle: info\n", {}, ["log_levle", "config.yaml"]),
        ("log_level: loud\n", {}, ["loud", "config.yaml"]),
        ("max_body_bytes: -1\n", {}, ["-1", "config.yaml"]),
        ("- a list\n", {}, ["config.yaml"]),
        ("database_url: postgres://u:hunter2@db/app\n", {}, ["database_url"]),
        ("log_level: info\n", {"CONFIG_FILE": "/nowhere/config.yaml"}, ["/nowhere/config.yaml"]),
        ("log_level: info\n", {"MAX_BODY_BYTES": "1MB"}, ["MAX_BODY_BYTES"]),
        ("log_level: info\n", {"DRAIN_DELAY": "50s"}, ["GRACE_PERIOD"]),
        ("log_level: info\n", {"REQUEST_TIMEOUT": "31s"}, ["REQUEST_TIMEOUT"]),
    ],
)
def test_a_start_with_a_bad_file_is_refused(
    binary: Path, tmp_path: Path, text: str, variables: dict[str, str], named: list[str]
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    done = run([binary], tmp_path, {"CONFIG_FILE": str(file), **variables}, ok=False, timeout=10)
    assert done.returncode == 1
    assert faulty_lines(done.stdout.splitlines()) == []
    for name in named:
        assert name.lower() in done.stdout.lower()
    assert "hunter2" not in done.stdout


# -- one run that provokes every line ------------------------------------------------------


def provoke(binary: Path, folder: Path) -> tuple[Service, int]:
    """Run the service through all that prints; return it, ended, with its exit code."""
    volume = Volume(folder / "config")
    volume.write("log_level: debug\n")
    with running(
        binary,
        CONFIG_FILE=str(volume.file),
        GIN_MODE="debug",
        DRAIN_DELAY="500ms",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
    ) as service:
        service.wait(service.admin_port, "/ready", 200)
        greet(service)
        for path in [
            "/extra/panic",
            "/extra/superfluous",
            "/extra/print",
            "/extra/log",
            "/extra/abort",
            "/none",
        ]:
            with contextlib.suppress(http.client.HTTPException, ConnectionError):
                service.ask(path)
        for port in (service.http_port, service.admin_port):
            for data in [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(40), b"\0\n\n",
                         b"GET / HTTP/9.9\r\n\r\n", b"GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n"]:  # fmt: skip
                exchange(port, data + b"\r\n\r\n")
        with reloading(service):
            volume.write("log_level: info\n")
        with reloading(service, "failure"):
            volume.write("log_level: none\n")
        code = service.stop(20)
    return service, code


def test_stdout_is_json_from_start_to_exit(binary: Path, tmp_path: Path) -> None:
    service, code = provoke(binary, tmp_path)
    assert faulty_lines(service.lines) == []
    assert code == 0
    text = "".join(service.lines)
    for provoked in [
        "GIN-debug",
        "planted panic",
        "superfluous",
        "printed by the lab",
        "logged by a library",
        "draining",
    ]:
        assert provoked in text, provoked
    [own] = [line for line in service.log if line["message"] == "logged by the lab"]
    [access] = [line for line in service.log if line.get("route") == "/extra/log"]
    for name in ("traceId", "spanId", "requestId"):
        assert own[name] == access[name]
    panic = next(line for line in service.log if "planted panic" in json.dumps(line))
    [access] = [line for line in service.log if line.get("route") == "/extra/panic" and line["message"] == "request"]  # fmt: skip
    assert panic["level"] == "ERROR"
    assert access["status"] == 500
    assert panic["traceId"] == access["traceId"]
    levels = {line["level"] for line in service.log}
    assert levels <= {"DEBUG", "INFO", "WARN", "ERROR"}


def test_text_on_stdout_is_noticed(mutable: Tree, tmp_path: Path) -> None:
    """A library that prints by itself: gin, left to its own writer."""
    substitute_once(
        mutable.file("internal/api/extra.go"),
        r"fmt\.Fprintln\(gin\.DefaultWriter, ",
        "fmt.Println(",
    )
    service, _ = provoke(build(mutable), tmp_path)
    assert faulty_lines(service.lines) == ["printed by the lab\n"]


# -- hostile requests ----------------------------------------------------------------------


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
        assert all(greet(service).status == 200 for _ in range(20))
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

    # The lines are gathered before they are written.
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
        ('{"name": "Ada"}{"name": "Bob"}', "application/json", (400, 422), ""),
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
    got = post(service, body, Content_Type=content_type, X_Request_ID="bad-body")
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
        greet(service, X_Request_ID=mark, traceparent=f"00-{TRACE}-{PARENT}-{flags}")
        line = service.logged(requestId=mark)
        assert line["traceId"] == TRACE
        assert line["spanId"] != PARENT


def test_a_forged_address_is_not_believed(binary: Path, service: Service) -> None:
    forged = {"X_Forwarded_For": "203.0.113.9", "X_Real_IP": "203.0.113.9"}
    greet(service, X_Request_ID="forged", **forged)
    assert service.logged(requestId="forged")["clientIp"] == "127.0.0.1"

    with running(binary, TRUSTED_PROXIES="127.0.0.0/8") as trusting:
        trusting.wait(trusting.admin_port, "/ready", 200)
        greet(trusting, X_Request_ID="proxied", **forged)
        assert trusting.logged(requestId="proxied")["clientIp"] == "203.0.113.9"


def test_a_request_id_cannot_forge_a_line(service: Service) -> None:
    for hostile in ['a","level":"forged', "x" * 200, "a b", "<script>"]:
        got = greet(service, X_Request_ID=hostile)
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


def test_a_path_as_a_label_is_noticed(mutable: Tree) -> None:
    substitute_once(
        mutable.file("internal/httpserver/router.go"),
        r"(recorder\.RequestDone\([^,]+), route,",
        r"\1, c.Request.URL.Path,",
    )
    with running(build(mutable)) as service:
        service.wait(service.admin_port, "/ready", 200)
        assert growth(service, 300) > 50


# -- drain ---------------------------------------------------------------------------------


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


# -- tracing -------------------------------------------------------------------------------


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
def traced(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The lab, with tracing."""
    return add_extra_routes(rendered_tree(tmp_path_factory.mktemp("traced"), "tracing"))


@pytest.fixture(scope="module")
def traced_binary(traced: Tree) -> Path:
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
        got = greet(service, traceparent=f"00-{trace}-{parent}-01")
        assert got.status == 200
        line = service.logged(traceId=trace, message="request")
        own = greet(service, X_Request_ID="no-parent")
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
        greet(service, traceparent=f"00-{trace}-{parent}-00")
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
    lines = [line for line in service.log if line["traceId"] == trace]
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
    traced: Tree, tmp_path: Path, collector: Collector
) -> None:
    mutant = Tree(Path(shutil.copytree(traced.path, tmp_path / "project")), traced.answers)
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
        assert all(greet(service).status == 200 for _ in range(50))
        start = time.monotonic()
        code = service.stop(10)
        seconds = time.monotonic() - start
    assert faulty_lines(service.lines) == []
    assert code == 0, "".join(service.lines[-3:])
    assert seconds < 0.1 + 1 + 1


# -- fuzzing -------------------------------------------------------------------------------


def fuzz(tree: Tree, package: str, target: str, seconds: int) -> str:
    """What the fuzzer found, empty where it found nothing."""
    binary, cache = tree.path.parent / "fuzz.test", tree.path.parent / "fuzzed"
    run(["nice", "go", "test", "-c", f"-fuzz=^{target}$", "-o", binary, package], tree.path)
    options = {"run": "^$", "fuzz": f"^{target}$", "fuzztime": f"{seconds}s", "fuzzcachedir": cache}
    # What is found shall be said, not made short.
    options["fuzzminimizetime"] = "10x"
    flags = [f"-test.{name}={value}" for name, value in options.items()]
    done = run(["nice", binary, *flags], tree.file(package), ok=False)
    assert "now fuzzing" in done.stdout, done.stdout
    return done.stdout if done.returncode else ""


def declaration(source: str, name: str) -> str:
    """One declaration of a Go file, and those that it needs, as a file of their own."""
    package, *blocks = re.split(r"\n\n(?=\S)", source.strip())
    declared = {
        match[1]: block
        for block in blocks
        if (match := re.search(r"^(?:func|var|const|type) (\w+)", block, re.MULTILINE))
    }
    needed = [name]
    for one in needed:  # which grows meanwhile
        words = set(re.findall(r"\w+", re.sub(r"//.*", "", declared[one])))
        needed += [other for other in declared if other in words and other not in needed]
    text = "\n\n".join(declared[one] for one in needed)
    imports = re.findall(r'^\t("(?:[\w./-]+/)?(\w+)")$', source, re.MULTILINE)
    used = [path for path, alias in imports if f"{alias}." in text]
    return "\n".join([package, *(f"import {path}" for path in used), text, ""])


def parser(tree: Tree, folder: Path) -> Tree:
    """The parser of traceparents alone: all that a package imports is compiled for the fuzzer.

    With gin that would take minutes.
    """
    alone = Tree(folder / "project", tree.answers)
    alone.path.mkdir()
    alone.file("go.mod").write_text("module example.com/parser\n\ngo 1.26\n")
    for name, wanted in [("trace.go", "parseTraceparent"), ("router_test.go", "FuzzTraceparent")]:
        source = tree.file(f"internal/httpserver/{name}").read_text()
        alone.file(name).write_text(declaration(source, wanted))
    return alone


def test_fuzzing_the_configuration_finds_nothing(tree: Tree) -> None:
    assert fuzz(tree, "./internal/config", "FuzzConfigFile", seconds=10) == ""


def test_fuzzing_the_traceparent_finds_nothing(tree: Tree, tmp_path: Path) -> None:
    assert fuzz(parser(tree, tmp_path), ".", "FuzzTraceparent", seconds=10) == ""


def test_fuzzing_the_configuration_finds_a_fault(mutable: Tree) -> None:
    planted = r'\g<0>\n\t\t\tif len(name) == 3 {\n\t\t\t\tpanic("planted")\n\t\t\t}'
    substitute_once(
        mutable.file("internal/config/config.go"), r"^\t+name, from := node\.Key\..*$", planted
    )
    found = fuzz(mutable, "./internal/config", "FuzzConfigFile", seconds=60)
    assert "Failing input written" in found
    assert "planted" in found


def test_fuzzing_the_traceparent_finds_a_fault(tree: Tree, tmp_path: Path) -> None:
    alone = parser(tree, tmp_path)
    # The header may begin with anything.
    substitute_once(alone.file("trace.go"), r"MustCompile\(`\\A", "MustCompile(`")
    assert "Failing input written" in fuzz(alone, ".", "FuzzTraceparent", seconds=60)
