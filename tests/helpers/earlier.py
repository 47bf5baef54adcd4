"""Services of earlier releases: made, edited and updated with the releases themselves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from gindock.upstream import history
from helpers import releases
from helpers.commands import Outcome
from helpers.machine import ROOT, git
from helpers.projects import answers, tree
from helpers.releases import NEXT

#: The versions that have landed, oldest first.
LANDED = [release.version for release in history.releases(ROOT)]


def offline(*command: str | Path, cwd: Path, path: Path | None = None) -> Outcome:
    """Run `command` without any network; `path` is put before PATH."""
    env = {**os.environ, **({"PATH": f"{path}:{os.environ['PATH']}"} if path else {})}
    done = subprocess.run(
        [*releases.offline(), *map(str, command)],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def created_by(version: str, folder: Path, *options: str) -> Path:
    """A service, rendered offline by the installed release `version`."""
    scripts = releases.installed(version)
    done = offline(scripts / "gindock", "new", "svc", "--defaults", *options, cwd=folder)
    assert done.code == 0, done.stderr
    assert answers(folder / "svc")["_commit"] == f"v{version}"
    assert answers(folder / "svc")["_src_path"] == "git+gindock::template"
    return folder / "svc"


def edit_service(project: Path) -> dict[str, str]:
    """Edit `project` as its owner would, commit, and return what was written where."""
    edits = {
        "README.md": "\n## Runbook\n\nCall Tess.\n",
        "internal/api/orders.go": "package api\n\n// Orders are mine.\nconst Orders = 1\n",
        "Makefile": "\n# mine\nmine:\n\techo mine\n",
    }
    for name, text in edits.items():
        with (project / name).open("a") as file:
            file.write(text)
    (project / "renovate.json").unlink()
    git(project, "add", "--all")
    git(project, "commit", "-qm", "Mine")
    return edits


def check_edits(project: Path, edits: dict[str, str]) -> None:
    """Every edit_service is there, without a conflict."""
    for name, text in edits.items():
        assert text in (project / name).read_text(), name
    assert not (project / "renovate.json").exists()
    assert not [name for name, text in tree(project).items() if "<<<<<<<" in text]


def options(answered: dict[str, list[str]]) -> list[str]:
    """Return what `gindock new` is told for these answers."""
    return [
        part
        for key, values in answered.items()
        for value in values or ["none"]
        for part in (f"--{key}", value)
    ]


def answered_again(project: Path, answered: dict[str, list[str]]) -> Outcome:
    """Answer again, at the same version."""
    given = [
        f"--set={key.replace('-', '_')}={','.join(values) or 'none'}"
        for key, values in answered.items()
    ]
    command = (releases.installed(NEXT) / "gindock", "update", "--to", "current", "--commit")
    return offline(*command, *given, cwd=project)
