"""What the tests say to an engine: build, run, look, stop."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

#: Docker passes these to a build without being declared, and keeps them out of the cache's key.
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


class Response(NamedTuple):
    """An answer over HTTP."""

    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


def get(port: int, path: str, timeout: float = 10) -> Response:
    """GET `path` from a port of this machine, past any proxy."""
    return ask("127.0.0.1", port, path, timeout=timeout)


def ask(
    host: str,
    port: int,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10,
) -> Response:
    """What a request is answered with, past any proxy; the path is sent as it is."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Response(answer.status, found, answer.read().decode())
    finally:
        connection.close()


def eventually(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether `holds` becomes true within `seconds`; no answer yet counts as false."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if holds():
                return True
        except (OSError, http.client.HTTPException):
            pass
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)


@dataclass(frozen=True, eq=False)
class Engine:
    """A client, and the environment in which it reaches its daemon."""

    client: str
    env: Mapping[str, str]
    own: bool

    def docker(
        self, *args: str, ok: bool = True, stdin: bytes = b"", apart: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run the client; where `ok`, a failure shows its output.

        Both streams are in stdout, unless they are wanted `apart`.
        """
        done = subprocess.run(
            [self.client, *args],
            env={**os.environ, **self.env},
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if apart else subprocess.STDOUT,
            timeout=900,
            check=False,
        )
        output, errors = (s.decode(errors="replace") for s in (done.stdout, done.stderr or b""))
        if ok and done.returncode:
            pytest.fail(f"docker {args} exited {done.returncode}\n{output}{errors}", pytrace=False)
        return subprocess.CompletedProcess(done.args, done.returncode, output, errors)

    def version(self) -> str:
        """The version of the daemon."""
        return self.docker("version", "--format", "{{.Server.Version}}").stdout.strip()

    def build(self, folder: Path, tag: str, *args: str, dockerfile: str | None = None) -> str:
        """Build `folder` as `tag`, and return what the build printed.

        The `# syntax=` line names an image of a registry: it is left out.
        """
        text = (folder / "Dockerfile").read_text() if dockerfile is None else dockerfile
        lines = [line for line in text.splitlines() if not line.startswith("# syntax=")]
        proxies = [f"--build-arg={name}" for name in PROXY_VARIABLES if name in os.environ]
        return self.docker(
            *("build", "--progress=plain", "--tag", tag, "--file", "-"),
            *(*proxies, *args, str(folder)),
            stdin=("\n".join(lines) + "\n").encode(),
        ).stdout

    def inspect(self, name: str) -> dict[str, Any]:
        """What the engine knows of an image or a container."""
        found: dict[str, Any] = json.loads(self.docker("inspect", name).stdout)[0]
        return found

    @contextmanager
    def run(self, image: str, *args: str, command: tuple[str, ...] = ()) -> Iterator[Container]:
        """A container in the background, removed at the end. It may have failed to start."""
        created = self.docker("create", *args, image, *command).stdout.split()[-1]
        container = Container(self, created)
        try:
            self.docker("start", created, ok=False)
            yield container
        finally:
            self.docker("rm", "--force", "--volumes", created, ok=False)

    @contextmanager
    def network(self, name: str) -> Iterator[str]:
        """A network of containers."""
        self.docker("network", "create", name)
        try:
            yield name
        finally:
            self.docker("network", "rm", name, ok=False)


@dataclass(frozen=True)
class Container:
    """A container, by its id."""

    engine: Engine
    id: str

    def inspect(self) -> dict[str, Any]:
        """What the engine knows of it."""
        return self.engine.inspect(self.id)

    @property
    def state(self) -> dict[str, Any]:
        """Whether it runs, its exit code, its health."""
        state: dict[str, Any] = self.inspect()["State"]
        return state

    def address(self, network: str) -> str:
        """Where it is reached within a network whose name ends so."""
        networks: dict[str, Any] = self.inspect()["NetworkSettings"]["Networks"]
        found = [its["IPAddress"] for name, its in networks.items() if name.endswith(network)]
        assert len(found) == 1, networks
        return str(found[0])

    def port(self, inside: int) -> int:
        """The port of this machine at which a port of the container is published."""
        published = self.engine.inspect(self.id)["NetworkSettings"]["Ports"].get(f"{inside}/tcp")
        assert published, f"port {inside} is not published:\n{self.output()}"
        return int(published[0]["HostPort"])

    def output(self) -> str:
        """All that it printed."""
        return self.engine.docker("logs", self.id).stdout

    def streams(self) -> tuple[str, str]:
        """All that it printed, to stdout and to stderr."""
        done = self.engine.docker("logs", self.id, apart=True)
        return done.stdout, done.stderr

    def get(self, inside: int, path: str) -> Response:
        """GET `path` from a published port."""
        return get(self.port(inside), path)

    def healthy(self, seconds: float) -> bool:
        """Whether the engine calls it healthy within `seconds`."""
        return eventually(lambda: self.state["Health"]["Status"] == "healthy", seconds)

    def answers(self, inside: int, path: str, status: int = 200, seconds: float = 15) -> bool:
        """Whether a published port comes to answer `path` with `status` within `seconds`."""
        return eventually(lambda: self.get(inside, path).status == status, seconds)

    def execute(self, *command: str) -> int:
        """Run a command inside, and return its exit code."""
        return self.engine.docker("exec", self.id, *command, ok=False).returncode
