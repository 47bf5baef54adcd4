"""Compose, against the engine of the tests."""

from __future__ import annotations

import json
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from support import CACHE, run, unavailable

from engine.docker import Engine

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


def override(project: Path, images: dict[str, str]) -> None:
    """Let stores come from other images, in the file that Compose itself reads beside its own."""
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
