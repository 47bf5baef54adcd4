"""Requests per second and p99 of the default service against others, side by side.

With `--quick FOLDER`, of the service in FOLDER, in half a minute, and no table is written.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import loading, servers, table
from bench.loading import Load, Logged, Ratio
from bench.servers import DEFAULT, MIDDLEWARES, NEW, SERVICE, Binaries

ROUNDS, SECONDS = table.few((11, 3), (2, 1))
QUICK_ROUNDS, QUICK_SECONDS = 7, 1
KINDS = (NEW, DEFAULT, MIDDLEWARES)
HEADER = [
    *("Server", "requests/s", "p99", "CPU of the server"),
    *("service against it", "goal", "", "its p99", "goal", ""),
]


def measured(binaries: Binaries, rounds: int, seconds: int) -> list[list[str]]:
    """The rows of the table."""
    running = [Logged(kind, binaries) for kind in (SERVICE, *KINDS)]
    service, new, default, middlewares = loading.in_turn(running, rounds, seconds)
    return [
        [*figures("the default service", service), *[""] * 6],
        row("bare `gin.New()`, which logs nothing", service, new),
        row("`gin.Default()`", service, default, least=1.0, p99=1.15),
        row("the same features from middlewares", service, middlewares, least=1.2),
    ]


def figures(name: str, loads: Sequence[Load]) -> list[str]:
    """What a server does, as the first cells of a row."""
    rate = statistics.median(load.rate for load in loads)
    p99 = statistics.median(load.p99 for load in loads)
    busy = statistics.median(load.cpu * load.rate / 1e6 for load in loads)
    return [name, f"{rate:,.0f}", f"{p99:.1f} ms", f"{busy:.0%}"]


def row(
    name: str,
    service: Sequence[Load],
    other: Sequence[Load],
    *,
    least: float | None = None,
    p99: float | None = None,
) -> list[str]:
    """One row: another server, and the service's ratios to it, beside their goals."""
    ratio = Ratio.of(service, other)
    rate = (
        ["", ""] if least is None else [f"≥ {least}", table.verdict(ratio.rate, least, least=True)]
    )
    slower = ["", ""] if p99 is None else [f"≤ {p99}", table.verdict(ratio.p99, p99)]
    return [*figures(name, other), str(ratio), *rate, f"{ratio.p99:.2f}", *slower]


def main() -> None:
    """Measure, and write the table `http`."""
    loading.require_tools()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if sys.argv[1:2] == ["--quick"]:
            binaries = servers.build(Path(sys.argv[2]), folder, *KINDS)
            for cells in measured(binaries, QUICK_ROUNDS, QUICK_SECONDS):
                print(" | ".join(cells))
            return
        rows = measured(servers.default(folder, *KINDS), ROUNDS, SECONDS)
    table.write("http", HEADER, rows)


if __name__ == "__main__":
    main()
