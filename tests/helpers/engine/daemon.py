"""The engine that the tests talk to: the machine's own, or one started for the session."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from helpers.engine.docker import Engine
from helpers.machine import CACHE, unavailable

#: Debian's client: a newer one, earlier on PATH, needs buildx and a newer engine.
DEBIAN_CLIENT = "/usr/bin/docker"

SCRATCH = b'FROM scratch\nLABEL made-by="gindock tests"\n'


@contextmanager
def start() -> Iterator[Engine]:
    """The machine's engine where it answers and builds, else one of our own until the end."""
    engine = machine_engine()
    if engine is not None:
        yield engine
        return
    if os.geteuid() != 0:
        unavailable("no Docker engine answers, and only root can start one")
    for tool in ("dockerd", "containerd", "runc", "iptables", "ip", "setpriv", DEBIAN_CLIENT):
        if shutil.which(tool) is None:
            unavailable(f"no Docker engine answers, and {tool} is not installed to start one")
    # Two daemons would fight over docker0 and the firewall's chains.
    with (Path(tempfile.gettempdir()) / "gindock-engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with own_engine() as engine:
            yield engine


def machine_engine() -> Engine | None:
    """The engine of the machine, if a client here can build with it."""
    for client in dict.fromkeys((shutil.which("docker"), DEBIAN_CLIENT)):
        if client is None or not Path(client).exists():
            continue
        engine = Engine(client, {"DOCKER_BUILDKIT": "1"}, own=False)
        if (
            engine.docker("info", ok=False).returncode == 0
            and engine.docker("build", "-q", "-", ok=False, stdin=SCRATCH).returncode == 0
        ):
            return engine
    return None


@contextmanager
def own_engine() -> Iterator[Engine]:
    """A daemon with its own data, sockets and process id; nothing of it is left at the end."""
    data = CACHE / "engine"
    shutil.rmtree(data, ignore_errors=True)  # of a session that was killed
    data.mkdir(parents=True)
    remove_bridge()  # of the same: what still hangs on it has the addresses of new containers
    # A socket's path is limited to about 100 characters, a checkout's is not.
    scratch = Path(tempfile.mkdtemp(prefix="gindock-engine-"))
    socket = f"unix://{scratch}/docker.sock"
    engine = Engine(
        DEBIAN_CLIENT,
        {"DOCKER_BUILDKIT": "1", "DOCKER_HOST": socket, "DOCKER_CONFIG": str(scratch / "config")},
        own=True,
    )
    command = [
        *("setpriv", "--pdeathsig", "TERM"),  # also where this process is killed
        *("dockerd", "--host", socket, "--data-root", str(data)),
        *("--exec-root", str(scratch / "exec"), "--pidfile", str(scratch / "pid")),
    ]
    with (scratch / "log").open("wb") as log:
        daemon = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(engine, daemon, scratch / "log")
        yield engine
    finally:
        # A bridge outlives its daemon: what a failed test has left is removed while it answers.
        left = engine.docker("ps", "--all", "--quiet", ok=False).stdout.split()
        engine.docker("rm", "--force", "--volumes", *left, ok=False)
        engine.docker("network", "prune", "--force", ok=False)
        daemon.terminate()
        with suppress(subprocess.TimeoutExpired):
            daemon.wait(60)
        daemon.kill()
        daemon.wait()
        remove_bridge()
        shutil.rmtree(data, ignore_errors=True)
        shutil.rmtree(scratch, ignore_errors=True)


def remove_bridge() -> None:
    """Remove the network that engines start with, which each makes anew; no engine may run."""
    subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True, check=False)


def wait_for(engine: Engine, daemon: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the daemon answers; where it cannot run, say why."""
    deadline = time.monotonic() + 60
    while engine.docker("info", ok=False).returncode != 0:
        if daemon.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text().splitlines()[-5:])
            unavailable(f"dockerd does not start on this machine:\n{tail}")
        time.sleep(0.2)
