"""The pipelines of a render, and a repository in which what they run is run."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from helpers.all_renders import variants
from helpers.linters import (
    Command,
)
from helpers.machine import git, run
from helpers.rendering import render

GITHUB, GITLAB = ".github/workflows/ci.yml", ".gitlab-ci.yml"
DIGEST = "sha256:" + "0123456789abcdef" * 4

#: What tells a job of which CI it is part, and of what; a test is not to inherit it.
OUTSIDE_CI = {"GITHUB_REF_TYPE": "", "GITHUB_REF_NAME": "", "GITLAB_CI": "", "CI_COMMIT_TAG": ""}


def texts(path: str, *projects: Path) -> dict[str, str]:
    """Return every variant of a file, and what it is in `projects`, if they have it."""
    own = {
        str(number): (project / path).read_text()
        for number, project in enumerate(projects)
        if (project / path).exists()
    }
    return variants(path) | own


class Repository:
    """A git repository that holds what decides the tags of an image, and nothing else."""

    def __init__(self, folder: Path, ci: str = "github", path: str = os.environ["PATH"]) -> None:
        self.folder = folder
        self.path = path
        source = rendered(ci)
        (folder / "scripts").mkdir(parents=True)
        for name in ("Makefile", "Dockerfile", ".gitignore", "scripts/tags.sh"):
            shutil.copy(source / name, folder / name)
        git(folder, "init", "--quiet")
        git(folder, "add", "--all")
        self.commit("first")

    def commit(self, message: str, *tags: str) -> str:
        """Make a commit and tag it; return the tag of its image where it is no release."""
        git(self.folder, "commit", "--quiet", "--allow-empty", f"--message={message}")
        for tag in tags:
            git(self.folder, "tag", tag)
        return "commit-" + git(self.folder, "rev-parse", "--short=12", "HEAD")

    def tags(self, **env: str) -> list[str]:
        """Return what scripts/tags.sh prints."""
        return self.run(["sh", "scripts/tags.sh"], **env).split()

    def run(self, command: Command, **env: str) -> str:
        """Return what a command prints in the repository."""
        return run(command, self.folder, OUTSIDE_CI | {"PATH": self.path} | env).stdout


@functools.cache
def rendered(ci: str) -> Path:
    """Return a render for a CI, to be read only."""
    return render(Path(tempfile.mkdtemp(prefix=f"gindock-{ci}-")) / "project", ci=ci)


def push_job(ci: str, project: Path) -> dict[str, Any]:
    """Return the job that pushes."""
    if ci == "gitlab":
        job = jobs_of(project / GITLAB)["push"]
    else:
        job = yaml.safe_load((project / GITHUB).read_text())["jobs"]["push"]
    assert isinstance(job, dict)
    return job


def jobs_of(path: Path) -> dict[str, Any]:
    """Return the jobs of a GitLab pipeline, hidden ones left out, with what they extend."""
    pipeline = yaml.safe_load(path.read_text())

    def whole(job: Mapping[str, Any]) -> dict[str, Any]:
        above = job.get("extends", [])
        found: dict[str, Any] = {}
        for name in [above] if isinstance(above, str) else above:
            found = merged(found, whole(pipeline[name]))
        return merged(found, job)

    def merged(below: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Any]:
        both = {
            key: merged(below[key], value)
            for key, value in job.items()
            if isinstance(value, dict) and isinstance(below.get(key), dict)
        }
        return {**below, **job, **both}

    words = {"workflow", "default", "stages", "variables"}
    return {k: whole(v) for k, v in pipeline.items() if k not in words and not k.startswith(".")}
