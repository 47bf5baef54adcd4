"""The rendered Compose stack under load, while something fails; run by `make test-stack`."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from helpers.engine import Container
from helpers.engine.bases import CONFIGURATION
from helpers.engine.compose import Stack, built
from helpers.engine.docker import ask, eventually
from helpers.engine.images import ImageBuilds
from helpers.machine import CACHE, ROOT, need, run
from helpers.rendering import render

PAGE = ROOT / "docs" / "measured" / "stack.md"
ADMIN = 9090


def generator() -> Path:
    """The program that makes the load and counts what is lost."""
    need("go")
    binary = CACHE / "tools" / "load"
    binary.parent.mkdir(parents=True, exist_ok=True)
    run(["go", "build", "-o", binary, "."], ROOT / "tests" / "onrequest" / "stack" / "load")
    return binary


@dataclass
class Load:
    """What became of every request of a load."""

    began: float
    report: dict[str, Any] = field(default_factory=dict)
    #: What nginx had to say meanwhile.
    errors: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return int(self.report["requests"])

    @property
    def lost(self) -> dict[str, int]:
        """How many, by method and kind."""
        return dict(self.report["lost"])

    @property
    def outage(self) -> float:
        """The seconds from the first loss to the last."""
        return float(self.report["last"] - self.report["first"])

    @property
    def slowest(self) -> float:
        """The seconds of the slowest answer."""
        return float(self.report["slowest"])


@contextmanager
def load(its: Stack, *options: str) -> Iterator[Load]:
    """Ask the API through nginx all the while, a second before and two after."""
    command: list[str | Path] = [generator(), f"-address=127.0.0.1:{its.port}", *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    made = Load(time.time())
    try:
        time.sleep(1)
        yield made
        time.sleep(2)
    finally:
        output, _ = process.communicate(timeout=60)
    made.report = json.loads(output)
    made.errors = [
        line
        for container in its.containers("nginx")
        for line in container.engine.docker(
            "logs", f"--since={made.began:.3f}", container.id, apart=True
        ).stderr.splitlines()
    ]
    assert made.requests > 100


def admin(replica: Container, path: str) -> tuple[int, str]:
    """What the admin port of a replica answers; 0 where nothing does."""
    try:
        answer = ask(replica.address("edge"), ADMIN, path, timeout=2)
    except (OSError, AssertionError):
        return 0, ""
    return answer.status, answer.body


def metric(replica: Container, series: str) -> float:
    """The sum of the series whose names begin so, 0 where there is none yet."""
    found = re.findall(rf"^{re.escape(series)}.* (\S+)$", admin(replica, "/metrics")[1], re.M)
    return sum(float(value) for value in found)


def served(replica: Container) -> float:
    """How many requests of the API it has answered."""
    return metric(replica, "http_requests_total")


def seconds_until(what: str, holds: Any, limit: float = 90) -> float:
    """How long it takes until something holds."""
    began = time.monotonic()
    assert eventually(holds, limit), f"never within {limit} s: {what}"
    return time.monotonic() - began


HEADER = ("What is done", "Requests", "Lost", "Slowest", "Recovery", "What is seen")


@dataclass
class Table:
    """The rows of docs/measured/stack.md."""

    rows: dict[str, Sequence[str]] = field(default_factory=dict)

    def add(self, what: str, made: Load, recovery: float | None, seen: str) -> None:
        """A row; `recovery` is None where nothing was gone."""
        lost = ", ".join(f"{count} {kind}" for kind, count in sorted(made.lost.items()))
        cells = (
            what,
            f"{made.requests:,}",
            f"**{sum(made.lost.values())}**" + (f": {lost}" if lost else ""),
            f"{made.slowest * 1000:.0f} ms",
            "" if recovery is None else f"{recovery:.1f} s",
            seen,
        )
        self.rows[what] = cells
        print(" | ".join(cells))

    def write(self, builds: ImageBuilds, brought_up: set[str]) -> None:
        """Put the table and what it was made with into the page."""
        lines = [HEADER, ("---",) * len(HEADER), *self.rows.values()]
        text = "".join("| " + " | ".join(cells) + " |\n" for cells in lines)
        text += f"\nWritten on {date.today().isoformat()}: {platform.system()} {platform.machine()}, {os.cpu_count()} cores; "
        text += f"Docker {builds.engine.version()}, Compose {built().name.split('-')[2]}.\n\n"
        text += "| Image | |\n| --- | --- |\n"
        for reference, base in builds.bases.items():
            if reference.partition(":")[0] in brought_up:
                text += f"| `{reference}` | {'real' if base.real else f'stand-in: {within(builds, reference)}'} |\n"
        text += "\nNot brought up as containers: no registry answered, and nothing stands in for "
        text += ", ".join(f"`{reference}`" for reference in others(builds)) + ".\n"
        replace("failures", text)


def others(builds: ImageBuilds) -> list[str]:
    """The images of a render with everything for which there is no stand-in."""
    project = render(
        builds.folder / "everything",
        deploy=["compose"],
        datastores=["postgres", "redis"],
        compose_profiles=["observability", "logging"],
        tracing=True,
    )
    files = [project / "compose.yaml", *(project / "deploy/compose").glob("*.yaml")]
    found = re.findall(r"^ +image: ([^$\s]+)$", "".join(f.read_text() for f in files), re.M)
    return sorted(name for name in set(found) if not any(kind in name for kind in CONFIGURATION))


def within(builds: ImageBuilds, reference: str) -> str:
    """What a stand-in runs in place of the image."""
    name = reference.partition(":")[0]
    command = {
        "nginx": ("nginx", "-v"),
        "postgres": ("postgres", "--version"),
        "redis": ("redis-server", "--version"),
    }[name]
    image = builds.bases[reference].image
    output = builds.engine.docker(
        "run", "--rm", f"--entrypoint={command[0]}", image, *command[1:]
    ).stdout
    found = re.search(r"\d+\.\d+(\.\d+)?", output)
    assert found, output
    return f"Debian's {found[0]}"


def replace(name: str, text: str) -> None:
    """Put a text between the comments `<!-- name -->` and `<!-- /name -->` of the page."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, rest = PAGE.read_text().split(begin)
    PAGE.write_text(f"{before}{begin}{text}{end}{rest.split(end)[1]}")


def wrk(its: Stack, seconds: int = 8) -> str:
    """Requests a second, as fast as it goes; none may fail."""
    need("wrk")
    url = f"http://127.0.0.1:{its.port}/v1/greetings/Ada"
    output = run(["wrk", "-t2", "-c32", f"-d{seconds}s", url], ROOT).stdout
    found = re.search(r"Requests/sec:\s+(\d+)", output)
    if not found or "Non-2xx" in output or "Socket errors" in output:
        pytest.fail(output, pytrace=False)
    return found[1]
