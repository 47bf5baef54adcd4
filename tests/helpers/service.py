"""A rendered Go tree: built, changed, and run as the service it is."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import signal
import socket
import string
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

import pytest

from helpers.machine import ROOT, need, run
from helpers.rendering import build_flags, render, version

T = TypeVar("T")

#: The oldest Go that go.mod allows, as this machine has it, and the one that images use.
TOOLCHAINS = ["local", f"go{version('go_version')}"]

#: What is stamped on a binary in place of the Dockerfile's build arguments.
STAMPS = {"VERSION": "v1.2.3", "REVISION": "abc", "DATE": "2026-11-23"}


@dataclass
class RenderedTree:
    """A rendered repository."""

    path: Path
    answers: dict[str, Any]

    @property
    def service(self) -> str:
        return str(self.answers.get("service_name", "myservice"))

    def file(self, name: str) -> Path:
        return self.path / name

    @property
    def main(self) -> Path:
        return self.path / "cmd" / self.service / "main.go"


def substitute_once(path: Path, pattern: str, replacement: str) -> None:
    """Replace the one match of `pattern`: an edit that does nothing proves nothing."""
    text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    assert count == 1, f"{pattern!r} matches {count} times in {path.name}"
    path.write_text(text)


def rendered_tree(folder: Path, **answers: Any) -> RenderedTree:
    """Render the service with `answers` into a folder below `folder`."""
    need("go")
    return RenderedTree(render(folder / "project", **answers), answers)


def add_extra_routes(tree: RenderedTree) -> RenderedTree:
    """Add the routes of extra_routes/extra.go to the API."""
    shutil.copy(
        ROOT / "tests" / "helpers" / "extra_routes" / "extra.go", tree.file("internal/api/extra.go")
    )
    substitute_once(
        tree.file("internal/api/api.go"),
        r"^(func Register\((\w+) .*\{)$",
        r"\1\n\tregisterExtra(\2)",
    )
    return tree


def add_config_tests(tree: RenderedTree) -> None:
    """Add the tests of config_tests/ to the settings: they are too many for an owner to keep."""
    tests = ROOT / "tests" / "helpers" / "config_tests"
    shutil.copytree(tests, tree.file("internal/config"), dirs_exist_ok=True)


def go(tree: RenderedTree, *arguments: str, ok: bool = True) -> str | None:
    """What a go command printed; None where it failed although that was `ok=False`."""
    done = run(["nice", "go", *arguments], tree.path, {"GOTOOLCHAIN": "local"}, ok=ok)
    return None if done.returncode else done.stdout


def go_as_in_the_image(
    tree: RenderedTree, verb: str, *arguments: str | Path, toolchain: str = "local", **env: str
) -> str:
    """What a go command printed with the flags of the Dockerfile.

    What one tree compiles with them, the next does not compile again, wherever it lies.
    """
    flags = [string.Template(flag).substitute(STAMPS) for flag in build_flags(tree.path)]
    env |= {"CGO_ENABLED": "0", "GOTOOLCHAIN": toolchain}
    return run(["nice", "go", verb, *flags, *arguments], tree.path, env).stdout


def build(tree: RenderedTree, toolchain: str = "local") -> Path:
    """Build as the Dockerfile does."""
    binary, main = tree.path.parent / f"app-{toolchain}", f"./cmd/{tree.service}"
    go_as_in_the_image(tree, "build", "-o", binary, main, toolchain=toolchain)
    return binary


# -- the running service -------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """A response, read in full."""

    status: int
    headers: http.client.HTTPMessage
    body: str

    @property
    def problem(self) -> dict[str, Any]:
        """The problem details that every error must come as."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        problem: dict[str, Any] = json.loads(self.body)
        assert problem["status"] == self.status
        assert problem["title"]
        return problem


def exchange(port: int, data: bytes, timeout: float = 25) -> Answer | None:
    """What `data`, sent as it is, is answered with; None where the connection just ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
        return answer(connection)


def answer(connection: socket.socket) -> Answer | None:
    """The next response; None where the connection ends without one."""
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        return Answer(response.status, response.headers, response.read().decode())
    except (ConnectionError, http.client.BadStatusLine):
        return None


def eventually(what: str, fact: Callable[[], T | None], seconds: float = 20) -> T:
    """The first value of `fact` that counts as true; `what` says what was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := fact():
            return found
        time.sleep(0.05)
    pytest.fail(f"never within {seconds} s: {what}")


@dataclass
class Service:
    """The built binary at work."""

    process: subprocess.Popen[str]
    http_port: int
    admin_port: int
    environment: dict[str, str]
    lines: list[str] = field(default_factory=list)

    def get(self, port: int, path: str, method: str = "GET") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, headers={"Connection": "keep-alive"})
            response = connection.getresponse()
            return response.status, response.read().decode()

    def wait(self, port: int, path: str, status: int) -> str:
        """The body of the first answer with `status`."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                got, body = self.get(port, path)
                if got == status:
                    return body
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        pytest.fail(f"{path} never answered {status}:\n{''.join(self.lines)}")

    def ask(
        self, path: str, method: str = "GET", body: str | bytes | None = None, **headers: str
    ) -> Answer:
        """The API's answer; an underscore in a header's name stands for a hyphen."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=25)
        with contextlib.closing(connection):
            connection.request(
                method, path, body, {k.replace("_", "-"): v for k, v in headers.items()}
            )
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())

    def greet(self, **headers: str) -> Answer:
        """The answer of the example's route."""
        return self.ask("/v1/greetings/Ada", **headers)

    def post(self, body: str | bytes, **headers: str) -> Answer:
        """The answer of the example's route that takes a body."""
        sent = {"Content_Type": "application/json", **headers}
        return self.ask("/v1/greetings", "POST", body, **sent)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines so far, parsed."""
        lines: list[dict[str, Any]] = [json.loads(line) for line in list(self.lines)]
        return lines

    def logged(self, seconds: float = 10, /, **fields: Any) -> dict[str, Any]:
        """The last line with these fields, waited for."""

        def found() -> dict[str, Any] | None:
            return next((line for line in reversed(self.log) if line | fields == line), None)

        try:
            return eventually(f"a line with {fields}", found, seconds)
        except pytest.fail.Exception:
            pytest.fail(f"no line with {fields}:\n{''.join(self.lines)}")

    def metrics(self) -> dict[str, float]:
        """The value of each series."""
        _, text = self.get(self.admin_port, "/metrics")
        samples = [line.rpartition(" ") for line in text.splitlines() if line[:1] != "#"]
        return {series: float(value) for series, _, value in samples}

    def metric(self, series: str) -> float:
        """The value of one series, 0 where it is not there yet."""
        return self.metrics().get(series, 0)

    def stop(self, seconds: float) -> int:
        """Ask the service to end; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)


@contextlib.contextmanager
def running(binary: Path, **environment: str) -> Iterator[Service]:
    http_port, admin_port = free_port(), free_port()
    variables = {
        "HTTP_ADDR": f"127.0.0.1:{http_port}",
        "ADMIN_ADDR": f"127.0.0.1:{admin_port}",
        "DRAIN_DELAY": "2s",
        "GRACE_PERIOD": "60s",
        **environment,
    }
    process = subprocess.Popen(
        [binary],
        env=variables,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    service = Service(process, http_port, admin_port, variables)
    assert process.stdout
    reader = threading.Thread(target=_read, args=[process.stdout, service.lines])
    reader.start()
    try:
        yield service
    finally:
        process.kill()
        process.wait()
        reader.join()


def _read(stdout: IO[str], lines: list[str]) -> None:
    for line in stdout:
        lines.append(line)  # one by one: others read meanwhile


#: Metrics of the library's own about the runtime, whose names are not ours to choose.
RUNTIME_METRIC = re.compile(r"(go|process)_")


def metric_findings(exposition: str) -> list[str]:
    """What promtool has against the metrics, but for missing help and runtime metrics."""
    need("promtool")
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=exposition,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return [
        line
        for line in done.stdout.splitlines()
        if not line.endswith("no help text") and not RUNTIME_METRIC.match(line)
    ]
