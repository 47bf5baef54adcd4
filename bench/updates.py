"""Updates: gindock against plain Copier, and many services at once against one after another.

The services are rendered by the newest landed release, have an edit each, and are updated to the
work tree, which is installed as the next release; in the quick form, from the release before the
newest to that, both by the gindock that is installed here.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from helpers import releases

from bench import commands, table
from gindock.upstream import history

RUNS = table.few(11, 1)
SERVICES = table.few(100, 2)
#: Files of the owner's own, and how often an update beside so many is measured.
OWN_FILES, OWN_RUNS = table.few((50_000, 5), (50, 1))


def main() -> None:
    """Measure, and write the table `updates`."""
    with commands.environment() as (folder, env):
        *_, before, newest = (release.version for release in history.releases(table.ROOT))
        landed, to = table.few((newest, []), (before, ["--to", f"v{newest}"]))
        pristine = made(folder, landed, env)
        project = folder / "svc"

        def fresh() -> None:
            shutil.rmtree(project, ignore_errors=True)
            shutil.copytree(pristine, project)

        ours = ["gindock", "update", "--defaults", *to, str(project)]
        theirs = ["copier", "update", "--quiet", "--defaults", str(project)]
        name = f"`gindock update`, of a service of v{landed} with an edit"
        rows = [commands.compare(name, ours, theirs, 0.5, env, fresh, RUNS)]
        # What is up to date and committed stays as it is.
        commands.timed([*ours, "--commit"], env, fresh)
        rows.append(
            commands.compare("`gindock update` without news", ours, theirs, 0.35, env, runs=RUNS)
        )
        rows.append(many(folder, pristine, env, " ".join(to)))
        rows.append(large(folder, pristine, env, to))
    table.write("updates", commands.HEADER, rows)


def many(folder: Path, pristine: Path, env: dict[str, str], to: str) -> list[str]:
    """The row of many services in one command, against a command for each."""
    services = [folder / "services" / f"svc-{number}" for number in range(SERVICES)]

    def fresh() -> None:
        shutil.rmtree(folder / "services", ignore_errors=True)
        for service in services:
            shutil.copytree(pristine, service)

    command = f"gindock update --defaults {to}"
    together = [*command.split(), str(folder / "services")]
    each = " && ".join(f"{command} {service} >/dev/null" for service in services)
    pair = commands.timed(together, env, fresh), commands.timed(["sh", "-c", each], env, fresh)
    against = "one after another"
    return commands.row(f"`gindock update` of {SERVICES} services", against, 0.35, [pair])


def large(folder: Path, pristine: Path, env: dict[str, str], to: Sequence[str]) -> list[str]:
    """The row of a service in whose repository there are many files of its owner's."""
    project = folder / "large"
    shutil.copytree(pristine, project)
    for number in range(OWN_FILES):
        file = project / "assets" / f"{number // 1000}" / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{number}\n")

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=project, env=env, check=True)

    def fresh() -> None:
        git("reset", "--quiet", "--hard")
        git("clean", "--quiet", "-d", "--force")

    git("add", "--all")
    git("commit", "--quiet", "--message", "Assets")
    ours = ["gindock", "update", "--defaults", *to, str(project)]
    theirs = ["copier", "update", "--quiet", "--defaults", str(project)]
    name = f"`gindock update`, beside {OWN_FILES:,} files of the owner's"
    return commands.compare(name, ours, theirs, 1.0, env, fresh, OWN_RUNS)


def made(folder: Path, version: str, env: dict[str, str]) -> Path:
    """A service as the release `version` renders it, with an edit of its owner's."""
    project = folder / "pristine"
    new = ("new", str(project), "--defaults", "--quiet")
    if table.few(usual=True, quick=False):
        command = [str(releases.installed(version) / "gindock"), *new]
    else:
        command = ["gindock", *new, "--ref", f"v{version}"]
    subprocess.run(command, env=env, check=True)
    with (project / "README.md").open("a") as file:
        file.write("\n## Runbook\n\nCall Tess.\n")
    subprocess.run(["git", "commit", "-qam", "Mine"], cwd=project, env=env, check=True)
    return project


if __name__ == "__main__":
    main()
