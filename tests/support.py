"""What every test module shares: rendering, the combinations, and tools that may be missing."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import copier
import covertable
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent

#: Set by `.ci/run`: what cannot be checked there is a failure, not a skip.
STRICT = os.environ.get("GINDOCK_TEST_STRICT") == "1"

#: Where expensive things that tests share are kept between runs (Go tools, images).
CACHE = ROOT / ".cache"


def subsets(*values: str, least: int = 0) -> list[list[str]]:
    """Every subset of `values` with at least `least` members, in the order given."""
    sizes = range(least, len(values) + 1)
    return [list(c) for size in sizes for c in itertools.combinations(values, size)]


#: The answers that decide which files and lines are rendered, each with its values; None where
#: the question is not asked.
FACTORS: dict[str, list[Any]] = {
    "base_image": ["distroless", "alpine"],
    "deploy": subsets("kubernetes", "compose", least=1),
    "probes": [*subsets("startup", "liveness", "readiness"), None],
    "host_name": ["", "shop.example.com", None],
    "rollout": ["rolling", "blue-green", "canary", None],
    "datastores": subsets("postgres", "redis"),
    "secrets": ["kubernetes", "vault", "aws", None],
    "monitoring": [False, True, None],
    "log_collection": ["none", "elasticsearch", "kafka", None],
    "tracing": [False, True],
    "compose_profiles": [*subsets("observability", "logging"), None],
    "ci": ["github", "gitlab", "none"],
    "image_pull_secret": ["", "registry-login", None],
    "go_env": [
        {},
        {"goproxy": "https://goproxy.example.com,direct"},
        {"goprivate": "github.com/acme/*"},
    ],
}

#: The questions that are asked for Kubernetes only.
KUBERNETES = (
    "probes",
    "host_name",
    "rollout",
    "monitoring",
    "log_collection",
    "image_pull_secret",
)

Row = Mapping[str, Any]


def on_kubernetes(row: Row) -> bool:
    """Whether these answers render manifests."""
    return "kubernetes" in row["deploy"]


def on_compose(row: Row) -> bool:
    """Whether these answers render a Compose file."""
    return "compose" in row["deploy"]


#: Which values of `FACTORS` can meet: the factors, and a condition that their values fulfil.
RULES: list[tuple[list[str], Callable[[Row], bool]]] = [
    *[
        (["deploy", name], lambda row, name=name: on_kubernetes(row) == (row[name] is not None))
        for name in KUBERNETES
    ],
    (
        ["deploy", "datastores", "secrets"],
        lambda row: (
            (on_kubernetes(row) and row["datastores"] != []) == (row["secrets"] is not None)
        ),
    ),
    (
        ["deploy", "compose_profiles"],
        lambda row: on_compose(row) == (row["compose_profiles"] is not None),
    ),
    (["rollout", "host_name"], lambda row: row["rollout"] != "canary" or row["host_name"] != ""),
    (["rollout", "monitoring"], lambda row: row["rollout"] != "canary" or row["monitoring"]),
]


def possible(row: Row) -> bool:
    """Whether these values of `FACTORS` can meet."""
    return all(rule(row) for _, rule in RULES)


DESCRIPTION = """Sells "books" & 'magazines' for $5, at C:/new, ünïcode 本"""

#: Answers that no combination varies, because they change values and not lines.
CUSTOM: dict[str, Any] = {
    # YAML would read the bare word as a boolean.
    "service_name": "on",
    "description": DESCRIPTION,
    "module_path": "git.example.com/team/on",
    "registry": "localhost:5000/team",
    "base_image": "alpine",
    "deploy": ["kubernetes", "compose"],
    "host_name": "a.b-c.example.org",
    "rollout": "canary",
    "datastores": ["postgres", "redis"],
    "secrets": "vault",
    "secret_store": "https://vault.example.org:8200/kv/team/shop",
    "monitoring": True,
    "log_collection": "kafka",
    "compose_profiles": ["observability", "logging"],
    "http_port": 8081,
    "admin_port": 9091,
    "liveness_path": "/live",
    "readiness_path": "/probes/ready",
    "startup_seconds": 301,
    "liveness_period_seconds": 7,
    "readiness_period_seconds": 3,
    "probe_timeout_seconds": 4,
    "cpu": "2",
    "memory": "1Gi",
    "gateway": "ingress/public.v1",
    "image_pull_secret": "registry-login",
    "goproxy": "off",
    "goprivate": "*.corp.example.com,github.com/acme/*",
}


@functools.cache
def combinations() -> list[dict[str, Any]]:
    """Answers in which any three values that can meet do meet, and the default and the fullest.

    A file whose text depends on at most three of `FACTORS` is so rendered in each of its
    variants; `test_combinations.py` proves the coverage, and names the files with more.
    """
    # To find them takes seconds, in every process that runs tests.
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    kept = CACHE / f"combinations-{digest}.json"
    if not kept.exists():
        CACHE.mkdir(exist_ok=True)
        unfinished = kept.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(_combinations()))
        unfinished.replace(kept)
    rows: list[dict[str, Any]] = json.loads(kept.read_text())
    return rows


def _combinations() -> list[dict[str, Any]]:
    asked = {name: [v for v in values if v is not None] for name, values in FACTORS.items()}
    default = {name: values[0] for name, values in asked.items()}
    fullest = {name: values[-1] for name, values in asked.items()}
    full_go_env = {key: text for values in FACTORS["go_env"] for key, text in values.items()}
    constraints = [{"operator": "fn", "requires": names, "evaluate": rule} for names, rule in RULES]
    rows = [
        default | {"probes": fullest["probes"], "secrets": None, "compose_profiles": None},
        fullest | {"ci": "github", "go_env": full_go_env},
        *covertable.make(FACTORS, strength=3, constraints=constraints),
    ]
    return [
        {name: row[name] for name in FACTORS if name != "go_env" and row[name] is not None}
        | row["go_env"]
        for row in rows
    ]


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


def build_flags(source: Path) -> list[str]:
    """What `go build` is told in the Dockerfile of `source`, its build arguments as they stand."""
    dockerfile = (source / "Dockerfile").read_text().replace("\\\n", " ")
    found = re.search(r" go build (.*) -o /app (.*) \./cmd/\S+$", dockerfile, re.MULTILINE)
    assert found, "no `go build` in the Dockerfile"
    return shlex.split(f"{found[1]} {found[2]}")


def oversize(files: Mapping[str, str]) -> list[str]:
    """Which limits of size a default render, its texts by their paths, breaks.

    It may have 45 files, and 1200 lines of Go that are no tests, as `cloc` counts lines of
    code: neither blank nor a comment.
    """
    lines = [
        line
        for path, text in files.items()
        if path.endswith(".go") and not path.endswith("_test.go")
        for line in text.splitlines()
        if line.strip() and not line.strip().startswith("//")
    ]
    return [
        *([f"{len(files)} files"] if len(files) > 45 else []),
        *([f"{len(lines)} lines of Go"] if len(lines) > 1200 else []),
    ]


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


@functools.cache
def version(of: str) -> str:
    """Return the version that the template names, as copier.yml calls it: `go_version`, say."""
    return str(yaml.safe_load((ROOT / "copier.yml").read_text())[of]["default"])


def make(project: Path, *arguments: str) -> str:
    """Return what make prints."""
    need("make")
    return run(["make", "--no-print-directory", *arguments], project).stdout


def git(folder: Path, *arguments: str) -> str:
    """Return what a git command prints in `folder`."""
    need("git")
    return run(["git", *arguments], folder).stdout.strip()
