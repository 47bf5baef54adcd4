"""Requests per second and p99 of the default service against gin alone, side by side.

With `--quick FOLDER`, of the service in FOLDER, in half a minute, and no table is written.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench import servers, table
from bench.servers import DEFAULT, NEW, SERVICE, Binaries, Server

CONNECTIONS = 64
ROUNDS, SECONDS = table.few((11, 3), (2, 1))
QUICK_ROUNDS, QUICK_SECONDS = 7, 1
#: A part of every access-log line, the service's (which has the route) and gin's (the path).
LINE = "/v1/greetings/"


@dataclass(frozen=True)
class Load:
    """What one run of wrk found; p99 is in ms, the server's CPU time in µs for a request."""

    requests: int
    rate: float
    p99: float
    cpu: float


class Logged:
    """A server whose standard output is a pipe that `grep` reads and counts."""

    def __init__(self, kind: str, binaries: Binaries) -> None:
        """Start both."""
        self.kind = kind
        self.loads: list[Load] = []
        self.reader = subprocess.Popen(
            ["grep", "--count", "--fixed-strings", LINE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"LC_ALL": "C"},
        )
        assert self.reader.stdin
        self.server = servers.start(kind, binaries, self.reader.stdin.fileno())
        self.reader.stdin.close()
        servers.await_ready(self.server)

    def load(self, seconds: int) -> Load:
        """Load the server; a failed request ends the bench."""
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", self.server.url]
        before = self.cpu()
        report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        if "Non-2xx" in report or "Socket errors" in report:
            sys.exit(f"bench.http: {self.kind}: requests failed\n{report}")
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

    def finish(self) -> int:
        """Stop the server, and require one log line for each request; return the lines.

        wrk drops up to one request on each connection when its time is up: these are
        answered and logged, but not in its figure. The service's own counter is exact.
        """
        time.sleep(1)
        counted = requests_total(self.server) if self.kind == SERVICE else None
        self.server.process.send_signal(signal.SIGTERM)
        assert self.reader.stdout
        lines = int(self.reader.stdout.read())
        self.reader.wait()
        self.server.process.wait()
        answered = sum(load.requests for load in self.loads)
        # One more was asked until the server without `/ready` was up.
        most = answered + CONNECTIONS * len(self.loads) + (self.kind != SERVICE)
        if self.kind == NEW:
            assert lines == 0
        elif not answered <= lines <= most or counted not in (None, lines):
            sys.exit(
                f"bench.http: {self.kind}: {lines} log lines for {answered} to {most} requests"
                f" ({counted} counted): figures without the access log do not count"
            )
        return lines


def requests_total(server: Server) -> int:
    """What the service has counted for the route."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = re.findall(r"^http_requests_total\{.*/v1/greetings/.*\} (\d+)$", text, re.MULTILINE)
    return sum(int(value) for value in found)


def measured(binaries: Binaries, rounds: int, seconds: int) -> list[list[str]]:
    """The rows of the table."""
    running = [Logged(kind, binaries) for kind in (SERVICE, NEW, DEFAULT)]
    try:
        for turn in range(rounds + 1):
            loads = [each.load(seconds) for each in running]
            name = f"round {turn}" if turn else "warm-up"
            figures = [f"{load.rate:.0f}/s {load.p99:.1f} ms {load.cpu:.1f} µs" for load in loads]
            print(name, *figures, sep="  ", flush=True)
        lines = [each.finish() for each in running]
    finally:
        for each in running:
            each.server.process.kill()
            each.reader.kill()
    service, new, default = ([*each.loads[1:]] for each in running)
    print(f"{lines[0]} requests, as many lines in the service's access log")
    return [
        row("the default service", service, service, None),
        row("bare `gin.New()`, which logs nothing", service, new, 0.8),
        row("`gin.Default()`", service, default, 1.1),
    ]


def row(name: str, service: list[Load], other: list[Load], goal: float | None) -> list[str]:
    """One row: a server, and the service's ratio to it, from the ratios within the rounds."""
    rate = statistics.median(load.rate for load in other)
    p99 = statistics.median(load.p99 for load in other)
    busy = statistics.median(load.cpu * load.rate / 1e6 for load in other)
    cells = [name, f"{rate:,.0f}", f"{p99:.1f} ms", f"{busy:.0%}"]
    if goal is None:
        return [*cells, "", "", "", ""]
    ratios = [a.rate / b.rate for a, b in zip(service, other, strict=True)]
    low, ratio, high = statistics.quantiles(ratios, n=4)
    slower = statistics.median(a.p99 / b.p99 for a, b in zip(service, other, strict=True))
    return [
        *cells,
        f"{ratio:.2f} ({low:.2f} to {high:.2f})",
        f"{slower:.2f}",
        f"≥ {goal}",
        table.verdict(ratio, goal, least=True),
    ]


def main() -> None:
    """Measure, and write the table `http`."""
    for tool in ("wrk", "grep"):
        if shutil.which(tool) is None:
            sys.exit(f"bench.http: {tool} is not installed (wrk is in the Debian package wrk)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if sys.argv[1:2] == ["--quick"]:
            binaries = servers.build(Path(sys.argv[2]), folder)
            for cells in measured(binaries, QUICK_ROUNDS, QUICK_SECONDS):
                print(" | ".join(cells))
            return
        rows = measured(servers.default(folder), ROUNDS, SECONDS)
    header = ["Server", "requests/s", "p99", "CPU of the server"]
    table.write("http", [*header, "service against it", "its p99", "goal", ""], rows)


if __name__ == "__main__":
    main()
