"""Show what a change of the template does to rendered services.

    make diff                             the working tree against the last commit
    make diff ARGS="--against HEAD~3"     against another commit
    make diff ARGS="-d rollout=canary"    with this choice in the fullest service

Two services are rendered from either: one with the default answers, and the fullest, in which
each yes-or-no question is answered by yes, and each choice by its last value.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml
from helpers.combinations import factors

from gindock.errors import UserError
from gindock.gitio.command import git
from tools import rendered
from tools.rendered import ROOT

SERVICES = ("default", "fullest")


def committed_template(commit: str, folder: Path) -> Path:
    """Write the template of `commit` into `folder`, which is new, and return it.

    Raises:
        UserError: there is no such commit, or it has no template.

    """
    archive = git("archive", "--format=tar", commit, "copier.yml", "template", folder=ROOT)
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def fullest(source: Path) -> dict[str, Any]:
    """The answers that choose everything that the template in `source` offers."""
    known = factors(yaml.safe_load((source / "copier.yml").read_text()))
    return {
        key: [value for value in values if value not in (None, "none")][-1]
        for key, values in known.items()
    }


def render(source: Path, folder: Path, chosen: dict[str, Any]) -> None:
    """Render the `SERVICES` of the template in `source` into `folder`."""
    rendered.render(source, folder / "default")
    rendered.render(source, folder / "fullest", **fullest(source) | chosen)


def changes(folder: Path, service: str, *options: str) -> list[str]:
    """The lines by which git tells how `service` differs in `folder`, before and after."""
    told = git(
        *("diff", "--no-index", *options, f"before/{service}", f"after/{service}"),
        folder=folder,
        accept=(0, 1),
    )
    return told.decode().splitlines()


def summary(folder: Path) -> str:
    """One line for each service: how much of it changes."""
    lines = []
    for service in SERVICES:
        told = changes(folder, service, "--shortstat")
        lines.append(f"{service}: {told[0].strip() if told else 'nothing changes'}")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """What the maintainer asks for."""
    parser = argparse.ArgumentParser(
        prog="make diff ARGS=…", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--against", metavar="COMMIT", default="HEAD", help="HEAD by default")
    parser.add_argument(
        *("-d", "--data"),
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="another answer of the fullest service, in YAML",
    )
    return parser.parse_args()


def main() -> None:
    """Print the difference of the rendered services, and a summary."""
    asked = arguments()
    chosen = {
        key: yaml.safe_load(value) for key, _, value in (d.partition("=") for d in asked.data)
    }
    with tempfile.TemporaryDirectory(prefix="gindock-diff-") as name:
        folder = Path(name)
        # Both lie at the same path in turn, because a service records where it came from.
        source = folder / "source"
        try:
            render(committed_template(asked.against, source), folder / "before", chosen)
        except UserError as error:
            sys.exit(str(error))
        shutil.rmtree(source)
        render(rendered.copy_template(source), folder / "after", chosen)
        # Git knows whether this is a terminal, and brings colours and a pager there.
        subprocess.run(
            ["git", "diff", "--no-index", "--no-prefix", "before", "after"], cwd=folder, check=False
        )
        print(summary(folder))


if __name__ == "__main__":
    main()
