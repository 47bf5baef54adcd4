"""Every bench runs through, in its quick form. `make test-bench` asks for it: it takes minutes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from helpers.engine.images import opened
from helpers.machine import ROOT, need, run

sys.path.insert(0, str(ROOT))

from bench import images, table

#: The benches, with the programs that they need; that of images has a test of its own.
BENCHES = {
    "commands": (),
    "updates": (),
    "http": ("go", "wrk"),
    "choices": ("go", "wrk"),
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


def test_the_bench_of_images_runs_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.setenv("GINDOCK_BENCH_QUICK", "1")
    with opened(tmp_path / "renders", pytestconfig) as builds:
        builds.image("distroless", ())  # Which the others take, too; what it compiles is kept.
        rows = images.measured(images.Bench(builds.engine, tmp_path))
    assert {len(row) for row in rows} == {len(images.HEADER)}


def test_every_bench_is_tested() -> None:
    modules = {path.stem for path in (ROOT / "bench").glob("*.py")}
    benches = modules - {"__init__", "__main__", "loading", "servers", "table", "variants"}
    assert benches == {*BENCHES, "images"}
