"""Under a container's memory limit, the service collects garbage in time instead of being killed.

The image is the service's binary, with the routes of lab/lab.go, and nothing else: what the
kernel counts against the limit is the same as in the image of the render.
"""

from __future__ import annotations

import http.client
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from helpers import engine as engines
from helpers.engine import Container, Engine
from helpers.log_lines import faulty_lines
from helpers.service import add_extra_routes, build, rendered_tree

IMAGE = "gindock-test/memory"
LIMIT = 64 << 20
DOCKERFILE = 'FROM scratch\nCOPY app /app\nUSER 65532:65532\nENTRYPOINT ["/app"]\n'

#: Kept alive in MiB, as a cache would be, and made by each request in KiB: the heap may double
#: before the next collection where only GOGC rules, and twice this is more than the limit.
HELD, GARBAGE = 36, 256


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine, with the image."""
    binary = build(add_extra_routes(rendered_tree(tmp_path_factory.mktemp("memory"))))
    context = tmp_path_factory.mktemp("image")
    shutil.copy(binary, context / "app")
    with engines.start() as engine:
        engine.build(context, IMAGE, dockerfile=DOCKERFILE)
        yield engine


@contextmanager
def limited(engine: Engine, *args: str) -> Iterator[Container]:
    """The service with a memory limit, and no swap to escape to."""
    limits = (f"--memory={LIMIT}", f"--memory-swap={LIMIT}", "--read-only")
    with engine.run(IMAGE, *limits, "--publish=127.0.0.1::8080", *args) as container:
        assert container.answers(8080, "/v1/greetings/Ada")
        yield container


def served(container: Container, seconds: float) -> int:
    """How many requests that make garbage are answered, while something is kept alive."""
    port, answered, lock = container.port(8080), 0, threading.Lock()
    deadline = time.monotonic() + seconds

    def client() -> None:
        nonlocal answered
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with suppress(OSError, http.client.HTTPException):
            while time.monotonic() < deadline:
                connection.request("GET", f"/extra/garbage/{GARBAGE}")
                response = connection.getresponse()
                response.read()
                if response.status == 200:
                    with lock:
                        answered += 1
        connection.close()

    with suppress(OSError, http.client.HTTPException):
        container.get(8080, f"/extra/hold/{HELD}")
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(client) for _ in range(4)]:
            future.result()
    return answered


def test_the_service_survives_its_limit(engine: Engine) -> None:
    with limited(engine) as container:
        assert served(container, 5) > 1000
        state = container.state
        stdout, _ = container.streams()
    assert state["Running"]
    assert not state["OOMKilled"]
    lines = stdout.splitlines()
    assert faulty_lines(lines) == []
    # The library says at start what it has set: nine tenths of the limit.
    assert any(str(LIMIT * 9 // 10) in line for line in lines), lines[:5]


def test_without_gomemlimit_the_same_load_kills_it(engine: Engine) -> None:
    with limited(engine, "--env=GOMEMLIMIT=off") as container:
        served(container, 5)
        deadline = time.monotonic() + 5
        while container.state["Running"] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert container.state["ExitCode"] == 137
        assert container.state["OOMKilled"]
