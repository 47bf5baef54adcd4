"""Servers under load: what wrk finds, and one line of the access log for each request."""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import servers
from bench.servers import MIDDLEWARES, NEW, SERVICE, Binaries, Server

CONNECTIONS = 64
#: A part of every access-log line: some have the route, some the path.
LINE = "/v1/greetings"
#: For wrk: a request that creates a greeting, where the URL alone would ask for one.
CREATE = servers.HERE / "create.lua"


@dataclass(frozen=True)
class Load:
    """What one run of wrk found; p99 is in ms, the server's CPU time in µs for a request."""

    requests: int
    rate: float
    p99: float
    cpu: float

    def __str__(self) -> str:
        """The figures, in one line."""
        return f"{self.rate:.0f}/s {self.p99:.1f} ms {self.cpu:.1f} µs"


class Logged:
    """A server whose standard output is a pipe that `grep` reads and counts."""

    def __init__(
        self,
        kind: str,
        binaries: Binaries,
        *,
        env: Mapping[str, str] | None = None,
        create: bool = False,
    ) -> None:
        """Start both; where `create`, the load is requests with a body."""
        self.kind = kind
        self.create = create
        self.loads: list[Load] = []
        self.counted: int | None = None
        self.reader = subprocess.Popen(
            ["grep", "--count", "--fixed-strings", LINE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"LC_ALL": "C"},
        )
        assert self.reader.stdin
        self.server = servers.start(kind, binaries, self.reader.stdin.fileno(), env)
        self.reader.stdin.close()
        servers.await_ready(self.server)

    def load(self, seconds: int) -> Load:
        """Load the server; a failed request ends the bench."""
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
        command += ["-s", str(CREATE)] if self.create else []
        before = self.cpu()
        report = subprocess.check_output([*command, self.server.url], text=True)
        if "Non-2xx" in report or "Socket errors" in report:
            sys.exit(f"bench: {self.kind}: requests failed\n{report}")
        found = re.search(
            r"99%\s+([\d.]+)(us|ms|s)\s+(\d+) requests in .*Requests/sec:\s+([\d.]+)",
            report,
            re.DOTALL,
        )
        assert found, report
        scale = {"us": 0.001, "ms": 1, "s": 1000}[found[2]]
        requests, p99 = int(found[3]), float(found[1]) * scale
        cpu = (self.cpu() - before) / requests * 1e6
        self.loads.append(Load(requests, float(found[4]), p99, cpu))
        return self.loads[-1]

    def cpu(self) -> float:
        """The seconds of CPU time that the server has used."""
        stat = Path(f"/proc/{self.server.process.pid}/stat").read_text().rpartition(")")[2]
        return sum(int(ticks) for ticks in stat.split()[11:13]) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Ask the server to end, when it has counted all its requests."""
        self.counted = requests_total(self.server) if self.kind in (SERVICE, MIDDLEWARES) else None
        self.server.process.send_signal(signal.SIGTERM)

    def require_log(self) -> None:
        """Wait for the end, and exit unless the reader has seen one line for each request.

        wrk drops up to one request on each connection when its time is up: these are
        answered and logged, but not in its figure. A counter of the server's own is exact.
        """
        assert self.reader.stdout
        lines = int(self.reader.stdout.read())
        self.reader.wait()
        self.server.process.wait()
        answered = sum(load.requests for load in self.loads)
        # One more was asked until the server without `/ready` was up.
        most = answered + CONNECTIONS * len(self.loads) + (self.kind != SERVICE)
        if self.kind == NEW:
            assert lines == 0
        elif not answered <= lines <= most or self.counted not in (None, lines):
            sys.exit(
                f"bench: {self.kind}: {lines} log lines for {answered} to {most} requests"
                f" ({self.counted} counted): figures without the access log do not count"
            )
        print(f"{self.kind}: {answered} requests, {lines} lines in the access log")

    def kill(self) -> None:
        """End both, whatever they do."""
        self.server.process.kill()
        self.reader.kill()


def requests_total(server: Server) -> int:
    """What the server has counted for its routes."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = re.findall(rf"^\w+_requests_total\{{.*{LINE}.*\}} (\S+)$", text, re.MULTILINE)
    return sum(int(float(value)) for value in found)


def in_turn(running: Sequence[Logged], rounds: int, seconds: int) -> list[list[Load]]:
    """What each found in every round, in each of which all are loaded, after one to warm up.

    All have ended then.
    """
    try:
        for turn in range(rounds + 1):
            loads = [str(each.load(seconds)) for each in running]
            print(f"round {turn}" if turn else "warm-up", *loads, sep="  ", flush=True)
        time.sleep(1)  # What wrk has dropped is answered.
        for each in running:
            each.stop()
        for each in running:
            each.require_log()
    finally:
        for each in running:
            each.kill()
    return [each.loads[1:] for each in running]


def require_tools() -> None:
    """Exit where the programs are missing that load a server and read its log."""
    for tool in ("wrk", "grep"):
        if shutil.which(tool) is None:
            sys.exit(f"bench: {tool} is not installed (wrk is in the Debian package wrk)")


@dataclass(frozen=True)
class Ratio:
    """How one server stands to another: medians of the ratios within the rounds."""

    rate: float
    low: float
    high: float
    p99: float

    @classmethod
    def of(cls, one: Sequence[Load], other: Sequence[Load]) -> Ratio:
        """Compare the loads of the same rounds."""
        pairs = list(zip(one, other, strict=True))
        low, rate, high = statistics.quantiles((a.rate / b.rate for a, b in pairs), n=4)
        return cls(rate, low, high, statistics.median(a.p99 / b.p99 for a, b in pairs))

    def __str__(self) -> str:
        """The ratio of the requests, with its quartiles."""
        return f"{self.rate:.2f} ({self.low:.2f} to {self.high:.2f})"
