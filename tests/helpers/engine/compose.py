"""Compose, against the engine of the tests."""

from __future__ import annotations

import json
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from helpers.engine.docker import Container, Engine, Response, ask, eventually
from helpers.engine.images import ImageBuilds, replace_once, tag
from helpers.machine import CACHE, make, run, unavailable

TOOLS = Path(__file__).parent / "tools"
COMPOSE = "github.com/docker/compose/v2"


@dataclass(frozen=True)
class Compose:
    """A Compose v2 that speaks to an engine."""

    engine: Engine
    command: tuple[str, ...]

    def __call__(self, project: Path, *args: str) -> str:
        """Run Compose in a project; a failure shows its output."""
        return run([*self.command, *args], project, self.engine.env, timeout=900).stdout

    def state(self, project: Path) -> dict[str, str]:
        """The health of each service, or its state where it has none."""
        lines = self(project, "ps", "--all", "--format=json").splitlines()
        found: list[dict[str, Any]] = [json.loads(line) for line in lines if line.startswith("{")]
        return {service["Service"]: service["Health"] or service["State"] for service in found}


@dataclass(frozen=True)
class Stack:
    """A project as Compose runs it, and the port at which nginx lets this machine in."""

    compose: Compose
    project: Path
    port: int

    def __call__(self, *args: str) -> str:
        """Run Compose in the project."""
        return self.compose(self.project, *args)

    def up(self, *args: str) -> None:
        """Bring it up, or what has changed of it, until all of it is healthy."""
        self("up", "--detach", "--no-build", "--wait", "--wait-timeout=180", *args)

    def down(self) -> None:
        """Remove it, with its data."""
        self("down", "--volumes", "--timeout=1")

    def containers(self, service: str) -> list[Container]:
        """The replicas of a service, oldest first."""
        ids = self("ps", "--all", "--quiet", service).split()
        found = [Container(self.compose.engine, id) for id in ids]
        return sorted(found, key=lambda container: str(container.inspect()["Created"]))

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Response:
        """What nginx answers; an underscore in a header's name stands for a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask("127.0.0.1", self.port, path, method, body or None, named)

    @contextmanager
    def nginx_with(self, old: str, new: str) -> Iterator[None]:
        """Let nginx run with something else in its configuration, as its users would."""
        path = self.project / "deploy/compose/nginx/nginx.conf"
        text = path.read_text()
        replace_once(path, old, new)
        try:
            former = self.reload()
            assert eventually(lambda: not self.workers() & former, 30)
            yield
        finally:
            path.write_text(text)
            self.reload()

    def reload(self) -> set[str]:
        """Let nginx read its configuration again; return its former workers, which may live on."""
        [nginx] = self.containers("nginx")
        before = self.workers()
        assert nginx.execute("nginx", "-s", "reload") == 0, nginx.output()
        assert eventually(lambda: bool(self.workers() - before), 10), nginx.output()
        return before

    def workers(self) -> set[str]:
        """The processes of nginx that answer requests."""
        [nginx] = self.containers("nginx")
        table = self.compose.engine.docker("top", nginx.id, "-o", "pid,args").stdout
        return {line.split()[0] for line in table.splitlines() if "worker process" in line}

    def lines(self, service: str) -> list[dict[str, Any]]:
        """All that the replicas of a service have logged; it must be JSON."""
        texts = [container.streams()[0] for container in self.containers(service)]
        return [json.loads(line) for text in texts for line in text.splitlines()]


def stack(builds: ImageBuilds, project: Path, port: int = 0) -> Stack:
    """A render made ready: its image built, its stores' stood in for, its secrets made up.

    Without a `port`, it has its own.
    """
    builds.build(project)
    text = (project / "compose.yaml").read_text()
    references = re.findall(
        r"^    image: ((?:nginx|mysql|postgres|redis):\S+)$", text, re.MULTILINE
    )
    images = {ref.partition(":")[0]: builds.base(ref).image for ref in references}
    images["app"] = tag(project)
    if {"mysql", "postgres"} & images.keys():
        images["migrate"] = tag(project)
    if len(references) > 1:
        make(project, "secrets")
    override(project, images)
    if port:
        (project / ".env").write_text(f"LISTEN=127.0.0.1:{port}\n")
    return Stack(compose_client(builds.engine), project, port or 8080)


def override(project: Path, images: dict[str, str]) -> None:
    """Let services come from other images, in the file that Compose itself reads beside its own."""
    services = {name: {"image": image} for name, image in images.items()}
    (project / "compose.override.yaml").write_text(yaml.safe_dump({"services": services}))


def compose_client(engine: Engine) -> Compose:
    """The machine's Compose with the machine's engine, else one that is built here."""
    if not engine.own and engine.docker("compose", "version", ok=False).returncode == 0:
        return Compose(engine, (engine.client, "compose"))
    return Compose(engine, (str(built()),))


def built() -> Path:
    """Compose from its Go module, at the version that is pinned beside this file."""
    if shutil.which("go") is None:
        unavailable("no Compose is installed, and there is no Go to build one")
    pins = (TOOLS / "go.mod").read_text()
    version = next(w[1] for line in pins.splitlines() if (w := line.split())[:1] == [COMPOSE])
    binary = CACHE / "tools" / f"docker-compose-{version}-{platform.machine()}"
    if not binary.exists():
        binary.parent.mkdir(parents=True, exist_ok=True)
        flags = f"-s -w -X {COMPOSE}/internal.Version={version}"
        part = binary.with_suffix(".part")
        command = ("go", "build", "-trimpath", "-ldflags", flags, "-o", part, f"{COMPOSE}/cmd")
        run(command, TOOLS, timeout=1800)
        part.rename(binary)
    return binary
