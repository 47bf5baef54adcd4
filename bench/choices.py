"""What each choice of the rendered service costs: the service beside variants that chose otherwise.

Each choice is measured by itself: the service and its variants are loaded in turn.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import loading, servers, table, variants
from bench.loading import Load, Logged, Ratio
from bench.servers import SERVICE
from bench.variants import CHOICES, Choice, Variant

ROUNDS, SECONDS = table.few((9, 3), (2, 1))
MB = 1_000_000
HEADER = [
    *("Choice", "built with", "requests/s", "against the service's", "p99 against its"),
    *("CPU of a request", "binary"),
]


def main() -> None:
    """Measure, and write the table `choices`."""
    loading.require_tools()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        service = servers.default(folder)[SERVICE]
        built = {id(each): binary(each, folder, service) for each in every_variant()}
        rows = [
            cells
            for choice in CHOICES
            for cells in measured(choice, service, [built[id(each)] for each in choice.variants])
        ]
    table.write("choices", HEADER, rows)


def every_variant() -> Iterator[Variant]:
    """All variants, of every choice."""
    for choice in CHOICES:
        yield from choice.variants


def binary(variant: Variant, folder: Path, service: Path) -> Path:
    """The variant's binary, which may be the service's."""
    if not variant.builds:
        return service
    return variants.build(variant, folder / "source", Path(tempfile.mkdtemp(dir=folder)))


def measured(choice: Choice, service: Path, binaries: Sequence[Path]) -> list[list[str]]:
    """The rows of one choice: what the service does, then the variants."""
    names = [f"{choice.taken} (the service)", *(each.name for each in choice.variants)]
    loads: list[list[Load]] = [[] for _ in names]
    sizes = [path.stat().st_size / MB for path in (service, *binaries)]
    if choice.loaded:
        environments = [{}, *(each.env for each in choice.variants)]
        running = [
            Logged(SERVICE, {SERVICE: path}, env=env, create=choice.create)
            for path, env in zip((service, *binaries), environments, strict=True)
        ]
        loads = loading.in_turn(running, ROUNDS, SECONDS)
    return [
        [choice.subject, name, *figures(load, loads[0]), f"{size:.2f} MB"]
        for name, load, size in zip(names, loads, sizes, strict=True)
    ]


def figures(loads: Sequence[Load], service: Sequence[Load]) -> list[str]:
    """What a server does, and how that stands to what the service does."""
    if not loads:
        return [""] * 4
    rate = statistics.median(load.rate for load in loads)
    cpu = statistics.median(load.cpu for load in loads)
    ratio = Ratio.of(loads, service)
    against = ["", ""] if loads is service else [str(ratio), f"{ratio.p99:.2f}"]
    return [f"{rate:,.0f}", *against, f"{cpu:.1f} µs"]


if __name__ == "__main__":
    main()
