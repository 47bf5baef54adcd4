"""The tables of docs/measured/performance.md.

Where GINDOCK_BENCH_QUICK is 1, a bench measures just enough to run through, and writes no table.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "measured" / "performance.md"


def few(usual: _T, quick: _T) -> _T:
    """What to measure: as much as is `usual`, or as little as `quick`."""
    return quick if os.environ.get("GINDOCK_BENCH_QUICK") == "1" else usual


def write(name: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, and put it between the comments `<!-- name -->` and `<!-- /name -->`.

    Raises:
        ValueError: the page has no such place.

    """
    lines = [header, ["---"] * len(header), *rows]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    text = f"{table}\n\nMeasured on {date.today().isoformat()}: {machine}.\n"
    print(text)
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, rest = page.split(begin, 1)
    after = rest.split(end, 1)[1]
    if few(usual=True, quick=False):
        PAGE.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")


def verdict(measured: float, goal: float, *, least: bool = False) -> str:
    """Whether `measured` meets `goal`, a limit or the least; for the last column of a table."""
    return "met" if (measured >= goal if least else measured <= goal) else "missed"
