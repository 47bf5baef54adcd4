"""The template of the working tree, rendered."""

from __future__ import annotations

import functools
import re
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gindock.upstream import compiled
from helpers.machine import ROOT
from tools import rendered


@functools.cache
def template() -> Path:
    """A copy of the working tree's template in a folder without git."""
    return rendered.copy_template(Path(tempfile.mkdtemp(prefix="gindock-template-"), "template"))


def render(destination: Path, **answers: Any) -> Path:
    """Render the working tree's template with `answers`, the rest by default."""
    return render_from(template(), destination, answers)


def render_from(source: Path, destination: Path, answers: Mapping[str, Any]) -> Path:
    """Render the template in `source`, a folder without git, with `answers`."""
    with compiled.once():  # As gindock renders.
        rendered.render(
            source, destination, **{"module_path": "github.com/acme/myservice", **answers}
        )
    return destination


def build_flags(source: Path) -> list[str]:
    """What `go build` is told in the Dockerfile of `source`, its build arguments as they stand."""
    dockerfile = (source / "Dockerfile").read_text().replace("\\\n", " ")
    found = re.search(r" go build (.*) -o /app (.*) \./cmd/\S+$", dockerfile, re.MULTILINE)
    assert found, "no `go build` in the Dockerfile"
    tags = re.search(r"^ENV GOFLAGS=-tags=(\S+)$", dockerfile, re.MULTILINE)
    assert tags, "no build tags in the Dockerfile"
    return shlex.split(f"-tags {tags[1]} {found[1]} {found[2]}")


def oversize(files: Mapping[str, str]) -> list[str]:
    """Which limits of size a default render, its texts by their paths, breaks.

    It may have 45 files, and 1614 lines of Go that are no tests, of whatever kind. The goal is
    1200; this keeps what is there from growing.
    """
    lines = [
        line
        for path, text in files.items()
        if path.endswith(".go") and not path.endswith("_test.go")
        for line in text.splitlines()
    ]
    return [
        *([f"{len(files)} files"] if len(files) > 45 else []),
        *([f"{len(lines)} lines of Go"] if len(lines) > 1614 else []),
    ]


@functools.cache
def version(of: str) -> str:
    """Return the version that the template names, as copier.yml calls it: `go_version`, say."""
    return str(yaml.safe_load((ROOT / "copier.yml").read_text())[of]["default"])
