"""The service of the default render and what it is compared with, built alike, run as processes."""

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
from collections.abc import Mapping, Sequence
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
#: What the service does for a request, put together from middlewares that teams usually take.
MIDDLEWARES = "middlewares"
#: Those, which are added to the service's own modules.
MODULES = (
    "github.com/gin-contrib/requestid@v1.0.5",
    "github.com/samber/slog-gin@v1.21.0",
    "github.com/zsais/go-gin-prometheus@v0.1.0",
)

#: The binary of each kind.
Binaries = Mapping[str, Path]


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


def default(folder: Path, *kinds: str) -> Binaries:
    """Render with default answers and build that and the servers of `kinds`, and nothing else."""
    source = render(folder / "source")
    binaries = build(source, folder, *kinds)
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


def build(source: Path, folder: Path, *kinds: str) -> Binaries:
    """Build the service and others with the Dockerfile's flags and the modules of `source`."""
    binaries = {SERVICE: compiled(source, folder / "app")}
    if {*kinds} & {NEW, DEFAULT, SHUTDOWN}:
        bare = compiled(added(source, folder / "bare-source", "bare"), folder / "bare", "bare")
        binaries |= dict.fromkeys((NEW, DEFAULT, SHUTDOWN), bare)
    if MIDDLEWARES in kinds:
        tree = added(source, folder / "middlewares-source", MIDDLEWARES)
        require(tree, MODULES)
        binaries[MIDDLEWARES] = compiled(tree, folder / MIDDLEWARES, MIDDLEWARES)
    return binaries


def added(source: Path, copy: Path, command: str) -> Path:
    """A copy of `source` with one more command, from this folder."""
    shutil.copytree(source, copy)
    shutil.copytree(HERE / command, copy / "cmd" / command)
    return copy


def compiled(tree: Path, binary: Path, command: str = "*", flags: Sequence[str] = ()) -> Path:
    """Build a command of `tree`, by default its only one, with the Dockerfile's flags."""
    (main,) = tree.glob(f"cmd/{command}/main.go")
    go(tree, "build", *(flags or build_flags(tree)), "-o", str(binary), str(main.parent))
    return binary


def require(tree: Path, modules: Sequence[str]) -> None:
    """Add modules, at their versions, to those of `tree`."""
    go(tree, "get", *modules)


def go(tree: Path, *arguments: str) -> None:
    """Run the Go that go.mod in `tree` names, as the Dockerfile does."""
    env = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", "GOFLAGS": "", "GOWORK": "off"}
    done = subprocess.run(
        ["go", *arguments],
        cwd=tree,
        env={**os.environ, **env},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        sys.exit(f"bench: go {' '.join(arguments)} in {tree}:\n{done.stdout}")


def start(
    kind: str,
    binaries: Binaries,
    stdout: int = subprocess.DEVNULL,
    env: Mapping[str, str] | None = None,
) -> Server:
    """Start one server; the environment holds its addresses, `MEMORY`, `env`, and nothing else."""
    port, admin = free_port(), free_port()
    addresses = [f"127.0.0.1:{port}", f"127.0.0.1:{admin}"]
    env = {**MEMORY, **(env or {})}
    command = [str(binaries[kind])]
    ready = f"http://127.0.0.1:{port}{PATH}"
    if kind == SERVICE:
        env |= {"HTTP_ADDR": addresses[0], "ADMIN_ADDR": addresses[1]}
        ready = f"http://127.0.0.1:{admin}/ready"
    elif kind == MIDDLEWARES:
        command += addresses
    else:
        command += [kind, addresses[0]]
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
