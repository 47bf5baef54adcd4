"""Two releases and an owner's edits that make every kind of change in an update."""

from __future__ import annotations

from helpers.update_cases import AGAINST, FIXED, MINE, TEXT

OLD = {"a.txt": TEXT, "b.txt": TEXT, "c.txt": TEXT, "gone.txt": "once\n", "leaves.txt": "old\n"}
NEW = {
    "a.txt": FIXED,
    "b.txt": FIXED,
    "moved/c.txt": FIXED,
    "new.txt": "new\n",
    "gone.txt": "twice\n",
    "CHANGELOG.md": None,
}
MINE_NOW = {"a.txt": AGAINST, "b.txt": MINE, "c.txt": MINE, "gone.txt": None}


def questions(old: str = "", new: str = "") -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Two releases with these questions in `copier.yml`, and a fix in the second."""
    return {"a.txt": TEXT, "copier.yml": old}, {"a.txt": FIXED, "copier.yml": new}
