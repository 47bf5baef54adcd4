"""What each middleware of the default service costs: growing prefixes of its chain."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench import servers, table
from bench.servers import build_flags

RUNS, TIME = table.few((9, "200ms"), (1, "1ms"))
BENCHMARK = re.compile(
    r"^BenchmarkChain/\d+/(\S+)\s+\d+\s+([\d.]+) ns/op\s+(\d+) B/op\s+(\d+) allocs/op$",
    re.MULTILINE,
)
#: What the first and the last step are; the others have the name of their function.
STEPS = {"none": "router and handler alone", "pipe": "log to a pipe that is read, not to nowhere"}


def main() -> None:
    """Measure, and write the table `middleware`."""
    with tempfile.TemporaryDirectory() as name:
        source, binary = Path(name) / "source", Path(name) / "chain.test"
        package = servers.render(source) / "internal" / "chain"
        package.mkdir()
        shutil.copy(servers.HERE / "chain_test.go", package)
        servers.go(source, "test", *build_flags(source), "-c", "-o", str(binary), str(package))
        options = ["-test.run=^$", "-test.bench=.", "-test.cpu=1", f"-test.benchtime={TIME}"]
        runs = [
            BENCHMARK.findall(subprocess.check_output([str(binary), *options], text=True))
            for _ in range(RUNS)
        ]
    table.write(
        "middleware", ["Step", "all so far", "the step", "allocations", "bytes"], rows(runs)
    )


def rows(runs: list[list[tuple[str, str, str, str]]]) -> list[list[str]]:
    """A row for each step, in the chain's order: the least of all runs, which noise only raises."""
    made = []
    before = (0.0, 0.0, 0.0)
    for same in zip(*runs, strict=True):
        name = same[0][0]
        time, size, count = (min(float(figures[i]) for figures in same) for i in (1, 2, 3))
        made.append(
            [
                STEPS.get(name, f"`{name}`"),
                f"{time / 1000:.2f} µs",
                f"{(time - before[0]) / 1000:+.2f} µs",
                f"{count - before[2]:+.0f}",
                f"{size - before[1]:+.0f}",
            ]
        )
        before = (time, size, count)
    return made


if __name__ == "__main__":
    main()
