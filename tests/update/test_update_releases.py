"""From every earlier release to this one: what a fresh render would be."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import covertable
import pytest
import yaml
from helpers import releases
from helpers.combinations import FACTORS, RULES
from helpers.earlier import LANDED, offline
from helpers.file_trees import Tree, snapshot
from helpers.machine import ROOT, git, need, run
from helpers.projects import answers
from helpers.releases import NEXT
from helpers.rendering import build_flags

#: Probes take part by none, one and all: with each of their subsets there would be twice the cases.
PAIRED = FACTORS | {"probes": [[], ["liveness"], ["startup", "liveness", "readiness"], None]}


#: Of these, any two answers meet. Of those before, each is given: every one of them was a newest once.
PAIRED_RELEASES = LANDED if os.environ.get("RELEASES") == "all" else LANDED[-3:]


@functools.cache
def questions(version: str) -> Mapping[str, Any]:
    """Return the questions of an earlier release, as it is installed."""
    package = releases.installed(version).parent.glob("lib/python*/site-packages/gindock")
    text = (next(package) / "_template" / "copier.yml").read_text()
    return {key: value for key, value in yaml.safe_load(text).items() if key[0] != "_"}


def offered(question: Mapping[str, Any], value: object) -> bool:
    """Whether a question of an earlier release has the choices of an answer."""
    choices = question.get("choices")
    if value is None or not choices:
        return True
    known = [*(choices.values() if isinstance(choices, dict) else choices)]
    return all(one in known for one in (value if isinstance(value, list) else [value]))


def cases_of(version: str) -> list[dict[str, Any]]:
    """Return answers that the release asks for: each value, or, of the newest, any two that can meet."""
    known = questions(version)
    asked = {
        name: [value for value in values if offered(known[name], value)]
        for name, values in PAIRED.items()
        if name in known
    }
    rules = [(names, rule) for names, rule in RULES if asked.keys() >= {*names}]
    rows = covertable.make(
        asked,
        strength=2 if version in PAIRED_RELEASES else 1,
        constraints=[{"operator": "fn", "requires": n, "evaluate": rule} for n, rule in rules],
    )
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def created(version: str, folder: Path, wanted: Mapping[str, Mapping[str, Any]]) -> None:
    """Let the installed release `version` render each of the answers into `folder` by its name."""
    folder.mkdir(parents=True)
    (folder / "answers").mkdir()
    files = []
    for name, row in wanted.items():
        files.append(folder / "answers" / f"{name}.yml")
        files[-1].write_text(yaml.safe_dump({"service_name": "svc", **row}))
    script = ROOT / "tests" / "helpers" / "created_in_one_go.py"
    command: list[str | Path] = ["nice", releases.installed(version) / "python", script]

    def create(number: int) -> None:
        # Not two at once with one of Copier's mirrors: one would refresh it under the other.
        mirrors = {"COPIER_CACHE_DIR": str(folder / f"mirrors-{number}")}
        run([*command, *files[number::2]], folder, mirrors, timeout=1800)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(create, range(2)))


@dataclass(frozen=True)
class Updated:
    """A project of an earlier release, after its update, and what it is to be."""

    answers: Mapping[str, Any]
    project: Path
    fresh: Path


@pytest.fixture(scope="module")
def updated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Updated]]:
    """Projects of every earlier release by its version, updated by one command."""
    folder = tmp_path_factory.mktemp("releases")
    cases = {
        version: {f"{version}-{n}": row for n, row in enumerate(cases_of(version))}
        for version in LANDED
    }
    for version, wanted in cases.items():
        created(version, folder / "projects" / version, wanted)
    recorded = {
        name: {k: v for k, v in answers(project(folder, name)).items() if k[0] != "_"}
        for wanted in cases.values()
        for name in wanted
    }
    # Releases that ask the same are rendered afresh once.
    called = {json.dumps(answered, sort_keys=True): name for name, answered in recorded.items()}
    created(NEXT, folder / "fresh", {name: recorded[name] for name in called.values()})
    done = offline(
        releases.installed(NEXT) / "gindock", "update", "--defaults", "projects", cwd=folder
    )
    assert done.code == 0, done.stdout + done.stderr
    return {
        version: [
            Updated(
                row,
                project(folder, name),
                folder / "fresh" / called[json.dumps(recorded[name], sort_keys=True)],
            )
            for name, row in wanted.items()
        ]
        for version, wanted in cases.items()
    }


def project(folder: Path, name: str) -> Path:
    """Return where the project `name`, which begins with its release, lies below `folder`."""
    return folder / "projects" / name.rpartition("-")[0] / name


@pytest.mark.parametrize("version", LANDED)
def test_an_update_equals_a_fresh_render(
    version: str,
    updated: dict[str, list[Updated]],
    record_property: Callable[[str, object], None],
) -> None:
    for case in updated[version]:
        assert git(case.project, "diff", "--name-only") == ""
        assert git(case.project, "ls-files", "--others") == ""
        found, expected = snapshot(case.project), snapshot(case.fresh)
        differing = [p for p in found | expected if found.get(p) != expected.get(p)]
        assert differing == [], case.answers
        assert answers(case.project)["_commit"] == f"v{NEXT}"
    record_property("projects", len(updated[version]))


def test_any_two_answers_of_a_release_meet() -> None:
    """The oldest release asks least; the newest, all that there is to pair."""
    for version in LANDED:
        rows = cases_of(version)
        assert 2 < len(rows) < (40 if version in PAIRED_RELEASES else 15)
        assert all(set(row) <= questions(version).keys() for row in rows)
    newest = cases_of(LANDED[-1])
    assert set().union(*newest) == PAIRED.keys()


def go_files(project: Path) -> Tree:
    """Return what Go builds of a project."""
    found = snapshot(project)
    return {p: f for p, f in found.items() if p.startswith(("cmd/", "internal/", "go."))}


def test_an_updated_service_of_each_release_builds(updated: dict[str, list[Updated]]) -> None:
    """The fullest of each; every pair of answers is built as a fresh render, which they equal."""
    need("go")
    for cases in updated.values():
        project = max((case.project for case in cases), key=lambda each: len(go_files(each)))
        for verb in ("build", "vet"):
            command = ["nice", "go", verb, *build_flags(project), "./..."]
            run(command, project, {"CGO_ENABLED": "0"})
