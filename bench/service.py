"""Start, memory at rest and size of the default service, each against `gin.New()` alone."""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import servers, table
from bench.servers import NEW, SERVICE, Binaries

RUNS, REST = table.few((11, 2), (1, 0))
MB = 1_000_000
HEADER = ["What", "the default service", "`gin.New()`", "ratio", "goal", ""]


def main() -> None:
    """Measure, and write the table `service`."""
    with tempfile.TemporaryDirectory() as name:
        binaries = servers.default(Path(name), NEW)
        runs = [(*measured(SERVICE, binaries), *measured(NEW, binaries)) for _ in range(RUNS + 1)]
        size, bare_size = (path.stat().st_size / MB for path in (binaries[SERVICE], binaries[NEW]))
    start, memory, bare_start, bare_memory = zip(*runs[1:], strict=True)
    rows = [
        row("Start to ready", "ms", start, bare_start, 1.5),
        row(f"Memory {REST} s later (RSS)", "MB", memory, bare_memory),
        row("Binary", "MB", [size], [bare_size]),
    ]
    table.write("service", HEADER, rows)


def measured(kind: str, binaries: Binaries) -> tuple[float, float]:
    """The milliseconds from start to ready, and then the megabytes at rest."""
    began = time.perf_counter()
    server = servers.start(kind, binaries)
    try:
        ready = servers.await_ready(server) - began
        time.sleep(REST)
        status = Path(f"/proc/{server.process.pid}/status").read_text()
    finally:
        server.process.kill()
        server.process.wait()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found
    return ready * 1000, int(found[1]) * 1024 / MB


def row(
    name: str,
    unit: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    goal: float | None = None,
) -> list[str]:
    """One row: both medians, and the median of the ratios of neighbouring runs."""
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    medians = (f"{statistics.median(values):.1f} {unit}" for values in (ours, theirs))
    verdict = ["", ""] if goal is None else [f"≤ {goal}", table.verdict(ratio, goal)]
    return [name, *medians, f"{ratio:.2f}", *verdict]


if __name__ == "__main__":
    main()
