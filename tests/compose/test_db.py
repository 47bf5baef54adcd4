"""`make db`, `make run` and `make test` of a service with data stores: a real engine, real Compose.

The stores' images are stand-ins where no registry is at hand.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.engine.compose import built
from helpers.engine.docker import ask, eventually
from helpers.engine.images import ImageBuilds
from helpers.machine import need, run
from helpers.rendering import render
from helpers.service import free_port

SKIPPED = "SKIPPED: the tests of internal/"


@dataclass(frozen=True)
class Project:
    """A render whose stores have ports of their own, and the environment of its make."""

    path: Path
    env: dict[str, str]

    def make(self, *arguments: str) -> str:
        return run(["make", *arguments], self.path, self.env, timeout=900).stdout

    def test(self) -> str:
        """What `make test` prints; of the tests, those of the example run."""
        return self.make("test", "GOFLAGS=-run=TestGreetings -v")


@pytest.fixture(params=[["postgres", "redis"]], ids="-".join)
def project(
    request: pytest.FixtureRequest, builds: ImageBuilds, tmp_path: Path
) -> Iterator[Project]:
    need("go", "gcc", "make")
    path = render(tmp_path / "myservice", datastores=request.param)
    stores = path / "deploy/db.yaml"
    found = re.sub(
        r"image: (\S+)", lambda m: f"image: {builds.base(m[1]).image}", stores.read_text()
    )
    stores.write_text(found)
    plugins = tmp_path / "docker/cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-compose").symlink_to(built())
    env = {
        **builds.engine.env,
        "DOCKER_CONFIG": str(plugins.parent),
        "DB_PORT": str(free_port()),
        "REDIS_PORT": str(free_port()),
    }
    yield Project(path, env)
    down = ["docker", "compose", "--file", "deploy/db.yaml", "down", "--volumes", "--timeout=1"]
    run(down, path, env)


def test_the_stores_are_there_for_run_and_test(project: Project) -> None:
    without = project.test()
    assert without.count(SKIPPED) == 2
    assert "--- SKIP: TestGreetings" in without

    made = project.make("db")
    assert "00001_greetings.sql" in made
    # Again, they are there already.
    assert "schema is up to date" in project.make("db")
    tested = project.test()
    assert SKIPPED not in tested
    assert "--- SKIP" not in tested
    assert tested.count("--- PASS: TestGreetings") >= 2

    http, admin = free_port(), free_port()
    ports = {"HTTP_ADDR": f"127.0.0.1:{http}", "ADMIN_ADDR": f"127.0.0.1:{admin}"}
    with subprocess.Popen(
        ["make", "run"], cwd=project.path, env={**os.environ, **project.env, **ports}
    ) as running:
        try:
            body = b'{"name":"Ada"}'
            assert eventually(
                lambda: ask("127.0.0.1", http, "/v1/greetings", "POST", body).status == 201, 120
            )
            assert ask("127.0.0.1", http, "/v1/greetings/Ada").status == 200
            assert ask("127.0.0.1", admin, "/ready").status == 200
        finally:
            subprocess.run(["pkill", "-TERM", "-P", str(running.pid)], check=False)
            running.terminate()


def test_the_stores_listen_on_loopback_alone(project: Project) -> None:
    text = (project.path / "deploy/db.yaml").read_text()
    published = re.findall(r"ports: \[(.*)\]", text)
    assert len(published) == text.count("image: ")
    assert all(port.startswith('"127.0.0.1:') for port in published)
