"""gindock's commands against plain Copier's, alternating in one run.

The work tree is built and installed as the next release, into an environment of its own; in the
quick form, the one that this runs in does.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers import releases

from bench import table

RUNS, WARM_UPS = table.few((21, 1), (1, 0))
HEADER = ["Command", "seconds", "against", "seconds", "ratio", "goal", ""]


def main() -> None:
    """Measure, and write the table `commands`."""
    with environment() as (folder, env):
        project = folder / "svc"

        def nothing() -> None:
            shutil.rmtree(project, ignore_errors=True)

        copy = ["copier", "copy", "--quiet", "--defaults", "git+gindock::template", str(project)]
        new = ["gindock", "new", str(project), "--defaults", "--quiet"]
        name = "`gindock new --defaults`, with git init and commit"
        rows = [
            compare(name, new, copy, 0.8, env, nothing),
            compare("`gindock --help`", ["gindock", "--help"], ["copier", "--help"], 0.4, env),
        ]
    table.write("commands", HEADER, rows)


@contextmanager
def environment() -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder, and an environment with the work tree's commands and with caches in that folder."""
    usual = table.few(usual=True, quick=False)
    scripts = releases.installed(releases.NEXT) if usual else Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "settings.yml").write_text("{}\n")
        (folder / "gitconfig").write_text("[user]\nname = Bench\nemail = bench@example.com\n")
        yield (
            folder,
            {
                **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
                "PATH": f"{scripts}:{os.environ['PATH']}",
                "COPIER_CACHE_DIR": str(folder / "copier"),
                "GINDOCK_CACHE_DIR": str(folder / "gindock"),
                "COPIER_SETTINGS_PATH": str(folder / "settings.yml"),
                "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
            },
        )


def compare(
    name: str,
    ours: list[str],
    theirs: list[str],
    goal: float,
    env: dict[str, str],
    prepare: Callable[[], None] = lambda: None,
    runs: int = RUNS,
) -> list[str]:
    """One row: the median of both, and the median of the ratios of neighbouring runs.

    `prepare` runs before each of them, and does not count.
    """
    turns = range(WARM_UPS + runs)
    pairs = [(timed(ours, env, prepare), timed(theirs, env, prepare)) for _ in turns]
    against = " ".join(theirs[:2]) if len(theirs) > 2 else " ".join(theirs)
    return row(name, f"`{against}`", goal, pairs[WARM_UPS:])


def row(name: str, against: str, goal: float, pairs: list[tuple[float, float]]) -> list[str]:
    """One row, from the seconds of neighbouring runs."""
    ratio = statistics.median(a / b for a, b in pairs)
    own, other = (statistics.median(times) for times in zip(*pairs, strict=True))
    return [
        name,
        f"{own:.2f}",
        against,
        f"{other:.2f}",
        f"{ratio:.2f}",
        f"≤ {goal}",
        table.verdict(ratio, goal),
    ]


def timed(command: list[str], env: dict[str, str], prepare: Callable[[], None]) -> float:
    """The seconds that `command` takes, after `prepare`."""
    prepare()
    began = time.perf_counter()
    subprocess.run(
        command, env=env, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
