"""gindock's commands against plain Copier's, alternating in one run.

The work tree is built and installed as the next release, into an environment of its own.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import table

sys.path.insert(0, str(table.ROOT / "tests"))

import releases

RUNS = 21


def main() -> None:
    """Measure, and write the table `commands`."""
    scripts = releases.installed(releases.NEXT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
            "PATH": f"{scripts}:{os.environ['PATH']}",
            "COPIER_CACHE_DIR": str(folder / "copier"),
            "GINDOCK_CACHE_DIR": str(folder / "gindock"),
            "COPIER_SETTINGS_PATH": str(folder / "settings.yml"),
            "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        }
        (folder / "settings.yml").write_text("{}\n")
        (folder / "gitconfig").write_text("[user]\nname = Bench\nemail = bench@example.com\n")
        project = folder / "svc"
        copy = ["copier", "copy", "--quiet", "--defaults", "git+gindock::template", str(project)]
        rows = [
            compare(
                "`gindock new --defaults`, with git init and commit",
                ["gindock", "new", str(project), "--defaults", "--quiet"],
                copy,
                1.1,
                env,
                project,
            ),
            compare(
                "`gindock --help`", ["gindock", "--help"], ["copier", "--help"], 0.4, env, project
            ),
        ]
    header = ["Command", "seconds", "against", "seconds", "ratio", "goal", ""]
    table.write("commands", header, rows)


def compare(
    name: str, ours: list[str], theirs: list[str], goal: float, env: dict[str, str], made: Path
) -> list[str]:
    """One row: the median of both, and the median of the ratios of neighbouring runs."""
    pairs = [(timed(ours, env, made), timed(theirs, env, made)) for _ in range(RUNS + 1)][1:]
    ratio = statistics.median(a / b for a, b in pairs)
    own, other = (statistics.median(times) for times in zip(*pairs, strict=True))
    against = " ".join(theirs[:2]) if "copy" in theirs else " ".join(theirs)
    return [
        name,
        f"{own:.2f}",
        f"`{against}`",
        f"{other:.2f}",
        f"{ratio:.2f}",
        f"≤ {goal}",
        table.verdict(ratio, goal),
    ]


def timed(command: list[str], env: dict[str, str], made: Path) -> float:
    """The seconds that `command` takes; `made` is removed before."""
    shutil.rmtree(made, ignore_errors=True)
    began = time.perf_counter()
    subprocess.run(
        command, env=env, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
