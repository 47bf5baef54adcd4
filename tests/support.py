"""What every test module shares: rendering, the combinations, and tools that may be missing."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import copier
import pytest

ROOT = Path(__file__).resolve().parent.parent

#: Set by `.ci/run`: what cannot be checked there is a failure, not a skip.
STRICT = os.environ.get("GINDOCK_TEST_STRICT") == "1"

#: Where expensive things that tests share are kept between runs (Go tools, images).
CACHE = ROOT / ".cache"


def subsets(*values: str, least: int = 0) -> list[list[str]]:
    """Every subset of `values` with at least `least` members, in the order given."""
    sizes = range(least, len(values) + 1)
    return [list(c) for size in sizes for c in itertools.combinations(values, size)]


def combinations() -> Iterator[dict[str, Any]]:
    """Every combination of the answers that decide which files and lines are rendered."""
    for base_image, deploy, datastores, ci, go_env in itertools.product(
        ["distroless", "alpine"],
        subsets("kubernetes", "compose", least=1),
        subsets("postgres", "redis"),
        ["github", "gitlab", "none"],
        [{}, {"goproxy": "https://goproxy.example.com,direct"}, {"goprivate": "github.com/acme/*"}],
    ):
        probe_sets = subsets("startup", "liveness", "readiness")
        for probes in probe_sets if "kubernetes" in deploy else [None]:
            yield {
                "base_image": base_image,
                "deploy": deploy,
                "datastores": datastores,
                "ci": ci,
                **({} if probes is None else {"probes": probes}),
                **go_env,
            }


@functools.cache
def template() -> Path:
    """A copy of the working tree's template in a folder without git.

    Copier commits a dirty work tree into a clone on every render; a plain folder spares that.
    """
    folder = Path(tempfile.mkdtemp(prefix="gindock-template-"))
    shutil.copy(ROOT / "copier.yml", folder)
    shutil.copytree(ROOT / "template", folder / "template", symlinks=True)
    return folder


def render(destination: Path, **answers: Any) -> Path:
    """Render the working tree's template with `answers`, the rest by default."""
    data = {"service_name": "myservice", "module_path": "github.com/acme/myservice", **answers}
    copier.run_copy(
        str(template()),
        destination,
        data=data,
        defaults=True,
        quiet=True,
        settings=copier.Settings(),
    )
    return destination


def unavailable(reason: str) -> None:
    """Skip the test because of what this machine lacks; fail where nothing may be lacking."""
    if STRICT:
        pytest.fail(f"needed in CI: {reason}", pytrace=False)
    pytest.skip(reason)


def need(*tools: str) -> None:
    """Skip (in CI: fail) where one of `tools` is not on PATH."""
    for tool in tools:
        if shutil.which(tool) is None:
            unavailable(f"{tool} is not installed")


def run(
    command: Sequence[str | Path],
    cwd: Path,
    env: Mapping[str, str] | None = None,
    *,
    ok: bool = True,
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    """Run `command` in `cwd` with `env` added; where `ok`, a failure shows its output.

    `timeout` is in seconds.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )
    if ok and done.returncode:
        pytest.fail(f"{command} exited {done.returncode}\n{done.stdout}", pytrace=False)
    return done
