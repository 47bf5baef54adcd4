"""What a handler or a library logged is on stdout, however the process ends."""

from __future__ import annotations

import contextlib
import http.client
from pathlib import Path

import pytest
from helpers.service import RenderedTree, build, running, substitute_once


def last_lines(binary: Path, end: str) -> list[str]:
    """What a service printed that ends by `/extra/END`, amid other requests."""
    with running(binary) as service:
        service.wait(service.admin_port, "/ready", 200)
        service.greet()
        with contextlib.suppress(http.client.HTTPException, ConnectionError):
            service.ask(f"/extra/{end}")
        service.process.wait(10)
    return service.lines


def kept(lines: list[str], end: str) -> bool:
    return any("last words" in line and end in line for line in lines)


@pytest.mark.parametrize("end", ["killed", "exited", "goroutine"])
def test_the_last_line_is_there(binary: Path, end: str) -> None:
    for _ in range(5):
        lines = last_lines(binary, end)
        assert kept(lines, end), lines
        # The access line of the request before it had to go out first.
        routes = [number for number, line in enumerate(lines) if "/v1/greetings/:name" in line]
        words = [number for number, line in enumerate(lines) if "last words" in line]
        assert routes < words


def test_a_line_that_waits_is_missed(mutable: RenderedTree) -> None:
    substitute_once(
        mutable.file("cmd/myservice/main.go"),
        r"log := logging\.New\(output,",
        "log := logging.New(output.Gathered(),",
    )
    binary = build(mutable)
    assert not all(kept(last_lines(binary, "killed"), "killed") for _ in range(5))


def test_a_derived_context_costs_no_goroutine(binary: Path) -> None:
    with running(binary) as service:
        service.wait(service.admin_port, "/ready", 200)
        assert int(service.ask("/extra/contexts/50").body) <= 2
