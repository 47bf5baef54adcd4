"""The service of the default render and servers on gin alone, built alike, run as processes."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from helpers.rendering import build_flags as build_flags
from helpers.rendering import render as render

HERE = Path(__file__).resolve().parent
PATH = "/v1/greetings/Ada"

#: All run with the memory limit of the default manifests, 128 MiB, of which the service takes 90 %.
MEMORY = {"GOMEMLIMIT": "115MiB"}

#: The service; `gin.New()`; `gin.Default()` run by `Run`, and with an immediate `Shutdown`.
SERVICE, NEW, DEFAULT, SHUTDOWN = "service", "new", "default", "shutdown"


@dataclass(frozen=True)
class Binaries:
    """The service, and the server on gin alone."""

    service: Path
    bare: Path


@dataclass(frozen=True)
class Server:
    """A running process, its address, and the URL that tells whether it is ready."""

    process: subprocess.Popen[bytes]
    port: int
    admin: int
    ready: str

    @property
    def url(self) -> str:
        """The one route."""
        return f"http://127.0.0.1:{self.port}{PATH}"


def default(folder: Path) -> Binaries:
    """Render with default answers and build that, and nothing else."""
    source = render(folder / "source")
    binaries = build(source, folder)
    require_default(source)
    return binaries


def require_default(source: Path) -> None:
    """Exit unless `source` is, byte for byte, the default render."""
    with tempfile.TemporaryDirectory() as name:
        if digest(source) != digest(render(Path(name) / "source")):
            sys.exit(f"bench: {source} is not the default render: its figures would not count")


def digest(tree: Path) -> str:
    """One hash of every path, mode and byte below `tree`."""
    total = hashlib.sha256()
    for path in sorted(tree.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        name = f"{path.relative_to(tree)} {path.stat().st_mode:o}".encode()
        for part in (name, content):
            total.update(hashlib.sha256(part).digest())
    return total.hexdigest()


def build(source: Path, folder: Path) -> Binaries:
    """Build both servers with the Dockerfile's flags and the modules of `source`."""
    copy = Path(shutil.copytree(source, folder / "copy"))
    shutil.copytree(HERE / "bare", copy / "cmd" / "bare")
    binaries = Binaries(folder / "app", folder / "bare")
    main = next(path.parent for path in source.glob("cmd/*/main.go"))
    for tree, binary, package in [
        (source, binaries.service, main),
        (copy, binaries.bare, copy / "cmd" / "bare"),
    ]:
        go(tree, "build", *build_flags(source), "-o", str(binary), str(package))
    return binaries


def go(tree: Path, *arguments: str) -> None:
    """Run the Go that go.mod in `tree` names, as the Dockerfile does."""
    env = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", "GOFLAGS": "", "GOWORK": "off"}
    subprocess.run(["go", *arguments], cwd=tree, env={**os.environ, **env}, check=True)


def start(kind: str, binaries: Binaries, stdout: int = subprocess.DEVNULL) -> Server:
    """Start one server; the environment holds its addresses, `MEMORY`, and nothing else."""
    port, admin = free_port(), free_port()
    env = {**MEMORY}
    if kind == SERVICE:
        command = [str(binaries.service)]
        env |= {"HTTP_ADDR": f"127.0.0.1:{port}", "ADMIN_ADDR": f"127.0.0.1:{admin}"}
        ready = f"http://127.0.0.1:{admin}/ready"
    else:
        command = [str(binaries.bare), kind, f"127.0.0.1:{port}"]
        ready = f"http://127.0.0.1:{port}{PATH}"
    process = subprocess.Popen(command, env=env, stdout=stdout)
    return Server(process, port, admin, ready)


def await_ready(server: Server) -> float:
    """Wait for the first 200; return the clock's seconds then."""
    while server.process.poll() is None:
        try:
            with urllib.request.urlopen(server.ready, timeout=5) as answer:
                if answer.status == 200:
                    return time.perf_counter()
        except OSError:
            pass
        time.sleep(0.0005)
    sys.exit(f"bench: {server.process.args!r} ended before it was ready")


def free_port() -> int:
    """A port that nothing listens on, below those that outgoing connections are given."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
