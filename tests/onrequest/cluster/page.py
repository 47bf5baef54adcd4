"""docs/measured/cluster.md, whose tables the tests write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from helpers.machine import ROOT

from onrequest.cluster import version

PAGE = ROOT / "docs" / "measured" / "cluster.md"


def write_table(section: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Put a table in the place of the one in `section`, between two comments."""
    lines = [header, ["---"] * len(header), *rows]
    text = "".join("| " + " | ".join(cells) + " |\n" for cells in lines)
    text += f"\nWritten on {date.today().isoformat()} with Kubernetes {version()}.\n"
    begin, end = f"<!-- {section} -->\n", f"<!-- /{section} -->\n"
    before, rest = PAGE.read_text().split(begin)
    PAGE.write_text(f"{before}{begin}{text}{end}{rest.split(end)[1]}")
