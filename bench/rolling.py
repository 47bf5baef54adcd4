"""Requests lost in rolling replacements under keep-alive load, the cluster played by this program.

Processes and sockets are real. A new connection goes to an endpoint of the list; an old one
stays with its endpoint until either side closes it. The client speaks HTTP/1.1 by hand, because
libraries hide losses: they send a request again when its connection turns out to be dead.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import tempfile
import urllib.request
from asyncio import StreamReader, StreamWriter
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from helpers.rendering import version

from bench import servers, table
from bench.servers import DEFAULT, PATH, SERVICE, SHUTDOWN, Binaries, Server

REPLICAS = 2
LEAST = table.few(30_000, 300)
#: The longest pause of each client between two requests, in seconds; the mean is half of it.
PAUSES = [0.2] * 56 + [4.0] * 8
#: The share of requests after which a client closes its connection, and opens another.
RENEWED = 0.05
#: As the manifests: the readiness probe's period, threshold and time-out; `minReadySeconds`.
PERIOD, THRESHOLD, PROBE_TIMEOUT = table.few(5.0, 0.1), 2, 2.0
MIN_READY = table.few(5.0, 0.1)
#: From a change of the list until new connections follow it.
LAG = table.few(1.0, 0.1)
#: How long the service takes to stop, in the manifests too: by default it has no load balancer.
TIMES = {
    name.upper(): f"{version(seconds)}s"
    for name, seconds in {
        "drain_delay": "drain_seconds",
        "shutdown_timeout": "shutdown_seconds",
        "flush_timeout": "flush_seconds",
        "grace_period": "grace_period_seconds",
    }.items()
}
REQUEST = f"GET {PATH} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


@dataclass
class Cluster:
    """Two replicas of one kind, the endpoint list, and what the clients saw.

    A stopping endpoint leaves the list as it is told to stop, as in Kubernetes, or, where
    `by_probe`, only when its probe has failed: so does a load balancer that nobody tells.
    """

    kind: str
    binaries: Binaries
    by_probe: bool = False
    endpoints: list[Server] = field(default_factory=list)
    requests: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    replaced: int = 0

    async def run(self) -> Cluster:
        """Replace one after another, in turn, until there were enough requests."""
        replicas = [await self.join() for _ in range(REPLICAS)]
        clients = [asyncio.create_task(self.client(pause)) for pause in PAUSES]
        leaving = []
        try:
            while self.requests < LEAST:
                replicas.append(await self.join())
                await asyncio.sleep(MIN_READY)
                leaving.append(asyncio.create_task(self.leave(replicas.pop(0))))
                self.replaced += 1
            await asyncio.gather(*leaving)
        finally:
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
            for server in {*replicas, *self.endpoints}:
                server.process.kill()
        return self

    async def join(self) -> Server:
        """Start a replica; when it is ready, new connections may go to it."""
        server = servers.start(self.kind, self.binaries, env=TIMES)
        while not await probe(server):
            await asyncio.sleep(0.1)
        await asyncio.sleep(LAG)
        self.endpoints.append(server)
        return server

    async def leave(self, server: Server) -> None:
        """Tell a replica to stop; it stays in the list for a while."""
        server.process.send_signal(signal.SIGTERM)
        if self.by_probe:
            failures = 0  # at its slowest: the last success was just now
            while failures < THRESHOLD:
                await asyncio.sleep(PERIOD)
                failures = 0 if await probe(server) else failures + 1
        await asyncio.sleep(LAG)
        self.endpoints.remove(server)
        code = await asyncio.to_thread(server.process.wait)
        if self.kind == SERVICE and code != 0:
            sys.exit(f"bench.rolling: the service exited {code}")

    async def client(self, pause: float) -> None:
        """Send requests until cancelled, on one connection for as long as that lasts."""
        connection: tuple[StreamReader, StreamWriter] | None = None
        while True:
            await asyncio.sleep(random.uniform(0, pause))
            # That a connection was closed between two requests is no loss.
            if connection and connection[0].at_eof():
                connection[1].close()
                connection = None
            self.requests += 1
            try:
                async with asyncio.timeout(10):
                    if not connection:
                        port = random.choice(self.endpoints).port
                        connection = await asyncio.open_connection("127.0.0.1", port)
                    status, close = await exchange(*connection)
            except (OSError, EOFError) as problem:
                status, close = type(problem).__name__, True
            if status != "200":
                self.lost[status] += 1
            if connection and (close or random.random() < RENEWED):
                connection[1].close()
                connection = None


async def exchange(reader: StreamReader, writer: StreamWriter) -> tuple[str, bool]:
    """One request: the status, and whether the server is about to close."""
    writer.write(REQUEST)
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status = head.split(" ", 2)[1]
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
    await reader.readexactly(int(headers["content-length"]))
    return status, headers.get("connection") == "close"


async def probe(server: Server) -> bool:
    """Whether the endpoint answers that it is ready."""

    def ask() -> bool:
        try:
            with urllib.request.urlopen(server.ready, timeout=PROBE_TIMEOUT) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    return await asyncio.to_thread(ask)


async def measured(binaries: Binaries) -> list[list[str]]:
    """The rows of the table, all measured at the same time."""
    clusters = {
        "the default service": Cluster(SERVICE, binaries),
        "the default service, which leaves the list only by its probe": Cluster(
            SERVICE, binaries, by_probe=True
        ),
        "`gin.Default()`, `Run`": Cluster(DEFAULT, binaries),
        "`gin.Default()`, `Shutdown` at once": Cluster(SHUTDOWN, binaries),
    }
    await asyncio.gather(*(cluster.run() for cluster in clusters.values()))
    return [row(name, cluster) for name, cluster in clusters.items()]


def row(name: str, cluster: Cluster) -> list[str]:
    """One row: a cluster's requests, and those lost with their causes."""
    total = cluster.lost.total()
    causes = ", ".join(f"{count} {cause}" for cause, count in cluster.lost.most_common())
    ours = cluster.kind == SERVICE and not cluster.by_probe
    goal = ["0", table.verdict(total, 0)] if ours else ["", ""]
    return [name, str(cluster.replaced), f"{cluster.requests:,}", f"{total:,}", causes, *goal]


def main() -> None:
    """Measure, and write the table `rolling`."""
    with tempfile.TemporaryDirectory() as name:
        rows = asyncio.run(measured(servers.default(Path(name), DEFAULT, SHUTDOWN)))
    header = ["Server", "replacements", "requests", "lost", "of which", "goal", ""]
    table.write("rolling", header, rows)


if __name__ == "__main__":
    main()
