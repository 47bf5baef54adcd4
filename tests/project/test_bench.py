"""Every bench runs through; they measure the default render and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.machine import ROOT, need, run
from helpers.rendering import render

sys.path.insert(0, str(ROOT))

from bench import servers, table

#: The benches, with the programs that they need; that of images is in test_containers.py.
BENCHES = {
    "commands": (),
    "updates": (),
    "http": ("go", "wrk"),
    "middleware": ("go",),
    "service": ("go",),
    "rolling": ("go",),
}


def header(name: str) -> str:
    """The first line of the table `name` on the page."""
    return table.PAGE.read_text().split(f"<!-- {name} -->\n")[1].splitlines()[0]


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_runs_through(name: str) -> None:
    need(*BENCHES[name])
    before = table.PAGE.read_bytes()
    command = [sys.executable, "-m", f"bench.{name}"]
    printed = run(command, ROOT, {"GINDOCK_BENCH_QUICK": "1"}).stdout
    assert f"{header(name)}\n" in printed
    assert table.PAGE.read_bytes() == before, "the quick form has written its figures"


def test_every_bench_is_tested_and_run() -> None:
    modules = {path.stem for path in (ROOT / "bench").glob("*.py")}
    benches = modules - {"__init__", "__main__", "servers", "table"}
    assert benches == {*BENCHES, "images"}
    main = (ROOT / "bench" / "__main__.py").read_text()
    assert {f"{name}.main()" for name in benches} <= {*main.splitlines()}


def append(name: str) -> Callable[[Path], None]:
    def edit(tree: Path) -> None:
        with (tree / name).open("a") as file:
            file.write("\n")

    return edit


def test_the_bench_takes_the_default_render(tmp_path: Path) -> None:
    servers.require_default(render(tmp_path / "tree"))


@pytest.mark.parametrize(
    ("answers", "edit"),
    [
        ({"description": "A faster service"}, None),
        ({}, append("internal/httpserver/router.go")),
        ({}, append("internal/httpserver/extra.go")),
        ({}, lambda tree: (tree / "go.sum").unlink()),
        ({}, lambda tree: (tree / "Makefile").chmod(0o755)),
    ],
    ids=["an answer", "a line", "a file more", "a file less", "a mode"],
)
def test_the_bench_refuses_any_other(
    tmp_path: Path, answers: dict[str, Any], edit: Callable[[Path], object] | None
) -> None:
    tree = render(tmp_path / "tree", **answers)
    if edit:
        edit(tree)
    with pytest.raises(SystemExit, match="not the default render"):
        servers.require_default(tree)


def test_a_server_gets_its_addresses_its_memory_and_no_other_variable(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec env\n")
    program.chmod(0o755)
    binaries = servers.Binaries(program, program)
    environments = [
        servers.start(kind, binaries, -1).process.communicate()[0].decode()
        for kind in (servers.SERVICE, servers.DEFAULT)
    ]
    names = [{line.split("=")[0] for line in each.splitlines()} for each in environments]
    added = {"PWD", "SHLVL", "_", "OLDPWD"}  # by the shell
    assert [each - added for each in names] == [
        {"GOMEMLIMIT", "HTTP_ADDR", "ADMIN_ADDR"},
        {"GOMEMLIMIT"},
    ]
