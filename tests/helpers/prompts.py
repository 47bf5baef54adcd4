"""Measure the default path of `gindock new` on a terminal, and write docs/measured/prompts.md."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from helpers import releases
from helpers.commands import Terminal
from helpers.findings import table
from helpers.machine import ROOT, git
from helpers.releases import NEXT

PAGE = ROOT / "docs" / "measured" / "prompts.md"
#: The last release that asked everything at once.
BEFORE = "0.8.0"
REVIEW = "Create this service?"

INTRODUCTION = """\
# From the command to the service: prompts

Written by `make prompts`, on a pseudo-terminal (*real*). Every prompt is answered by Enter, at once.
Seconds are what gindock itself takes, from the command to the created and committed service, on this
machine. *Clone* is `gindock new .` in an empty clone of a repository on GitHub, whose address tells the
module path and the registry.

"""

BESIDE = """
`docker init` asks four things of a Go project: the platform, the version of Go, the folder of the main
package and the port (the [reference](https://docs.docker.com/reference/cli/docker/init/) shows them), and
once more before it overwrites a file. It adds a Dockerfile, a Compose file and a `.dockerignore` to an
application that exists. It was not run here: it is a part of Docker Desktop.
"""


@dataclass(frozen=True)
class Taken:
    """What one way through the wizard took."""

    prompts: int
    keystrokes: int
    seconds: float


def measured(version: str, arguments: list[str], folder: Path) -> Taken:
    """Go through the wizard of the release `version` by Enter, in `folder`."""
    idle, prompts = 0.0, 0
    scripts = releases.installed(version)
    begun = time.monotonic()
    with Terminal("new", *arguments, cwd=folder, scripts=scripts) as terminal:
        while True:
            terminal.drawn()
            rested = time.monotonic()
            terminal.at_rest()
            idle += time.monotonic() - rested
            prompts += 1
            terminal.press("\r")
            if REVIEW in terminal.screen:
                break
        code = terminal.exit_code()
    assert code == 0, terminal.screen
    return Taken(prompts - 1, prompts, time.monotonic() - begun - idle)


def clone(folder: Path) -> Path:
    """An empty clone of a repository on GitHub."""
    project = folder / "shop"
    project.mkdir()
    git(project, "init", "--quiet")
    git(project, "remote", "add", "origin", "https://github.com/acme/shop.git")
    return project


def main() -> None:
    """Measure, and write the page."""
    rows: list[tuple[object, ...]] = [
        ("", "gindock", "Prompts", "Keystrokes, with the review", "Seconds")
    ]
    for version in BEFORE, NEXT:
        named = "this working tree" if version == NEXT else f"v{version}"
        with tempfile.TemporaryDirectory() as folder:
            took = measured(version, ["myservice"], Path(folder))
            rows.append(("new folder", named, took.prompts, took.keystrokes, f"{took.seconds:.1f}"))
            took = measured(version, ["."], clone(Path(folder)))
            rows.append(("clone", named, took.prompts, took.keystrokes, f"{took.seconds:.1f}"))
    PAGE.write_text(INTRODUCTION + table(*rows) + BESIDE, encoding="utf-8")


if __name__ == "__main__":
    main()
