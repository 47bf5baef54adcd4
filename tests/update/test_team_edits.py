"""Thirteen edits of a team on a service of v0.6.0, alone and together, and the update to this template."""

from __future__ import annotations

import functools
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from helpers import servers
from helpers.findings import table
from helpers.machine import ROOT, git, make, need, run
from helpers.servers import Postgres
from helpers.team import EDITS
from helpers.team.at_work import faults
from helpers.team.edit import Change, Edit
from helpers.team.updates import (
    VERSION,
    change,
    conflicts,
    edited_before,
    go_fails,
    go_findings,
    lost,
    resolve,
    update,
)

PAGE = ROOT / "docs" / "measured" / "team-edits.md"
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()

#: Set by `make team-edits`: each edit that changes Go code is built and tested by itself, too.
ALL = os.environ.get("TEAM_EDITS") == "all"

TOGETHER = "together"
CASES: dict[str, Sequence[Edit]] = {edit.name: [edit] for edit in EDITS} | {TOGETHER: EDITS}
BUILT = [name for name, edits in CASES.items() if any(edit.is_go for edit in edits)]


@dataclass(frozen=True)
class Service:
    """A service after its update, with every conflict resolved."""

    project: Path
    edits: Sequence[Edit]
    conflicts: dict[str, int]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Service]:
    need("go")
    folder = tmp_path_factory.mktemp("team")
    projects = edited_before(folder, CASES)
    update(folder)
    found = {name: conflicts(project) for name, project in projects.items()}
    for name, project in projects.items():
        resolve(project, CASES[name])
    return {name: Service(projects[name], CASES[name], found[name]) for name in CASES}


@functools.cache
def findings(project: Path) -> str:
    """What Go has against the project."""
    return go_findings(project)


# -- the edits go on -----------------------------------------------------------------------


if ALL:

    def test_the_edited_service_works_before(tmp_path: Path) -> None:
        project = edited_before(tmp_path, {TOGETHER: EDITS})[TOGETHER]
        assert go_fails(project, ["vet"], ["test"]) == ""


@pytest.mark.parametrize("name", CASES)
def test_nothing_of_an_edit_is_lost(name: str, services: dict[str, Service]) -> None:
    service = services[name]
    assert lost(service.project, service.edits, service.conflicts) == []


@pytest.mark.parametrize("name", BUILT if ALL else [TOGETHER])
def test_the_service_builds_and_passes_its_tests(name: str, services: dict[str, Service]) -> None:
    assert findings(services[name].project) == ""


def test_what_is_not_go_is_whole(services: dict[str, Service]) -> None:
    project = services[TOGETHER].project
    assert re.search(r"^seed +Fill the database", make(project, "help"), re.MULTILINE)
    names = git(project, "ls-files", "*.yaml", "*.yml").splitlines()
    assert len(names) > 15
    for name in names:
        assert list(yaml.safe_load_all((project / name).read_text())), name


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with servers.at_hand(Postgres) as postgres:
        postgres.start()
        yield postgres


def test_every_edit_does_its_work(services: dict[str, Service], postgres: Postgres) -> None:
    assert faults(services[TOGETHER].project, postgres) == []


# -- what is said of it --------------------------------------------------------------------


def untold(edits: Sequence[Edit], changelog: str) -> list[str]:
    """Which edits break without a word in the changelog since the release that they were made on."""
    since = " ".join(changelog.partition(f"\n## {VERSION} ")[0].split())
    return [
        edit.name
        for edit in edits
        if (edit.mended and not edit.told) or any(words not in since for words in edit.told)
    ]


def test_the_changelog_names_each_break() -> None:
    assert untold(EDITS, CHANGELOG) == []


INTRODUCTION = f"""\
# What a team's edits meet in an update

Written by `make team-edits`. Each edit is made to a service of v{VERSION} with PostgreSQL, Compose, Kubernetes
and GitHub's CI, by itself and together with all others; `gindock update` then brings the template of this
working tree. A conflict is resolved by the template's side (`git checkout --theirs`) and the edit again;
`go mod tidy` follows. The edits stand in `tests/helpers/team/`, with what is done again and mended.
`make test` runs all that this page says, but builds and tests Go for all edits together only.

"""
HEAD = ("Edit", "Files in conflict", "Hunks", "Resolution", "Then", "What CHANGELOG.md says")


def row(service: Service, title: str, then: str) -> tuple[object, ...]:
    """The row of a service in the page."""
    edits, found = service.edits, service.conflicts
    anew = sorted({one.path for edit in edits for one in edit.again} & found.keys())
    mended = sorted({one.path for edit in edits for one in edit.mended})
    needless = sorted({path for edit in edits for path in edit.needless} & found.keys())
    resolution = [
        *(["the edit again"] if found.keys() - needless else []),
        *([f"in other words in {', '.join(f'`{path}`' for path in anew)}"] if anew else []),
        *([f"needless in {', '.join(f'`{path}`' for path in needless)}"] if needless else []),
        *([f"mended: {', '.join(f'`{path}`' for path in mended)}"] if mended else []),
    ]
    return (
        title,
        f"{len(found)}: {', '.join(f'`{path}`' for path in sorted(found))}" if found else 0,
        sum(found.values()),
        "; ".join(resolution),
        then,
        "<br>".join(dict.fromkeys(words for edit in edits for words in edit.told)),
    )


def page(services: dict[str, Service]) -> str:
    """The page of these services; what is not built here was when the page was written."""
    titles = {edit.name: edit.title for edit in EDITS} | {TOGETHER: "All of them"}
    rows = []
    for name, service in services.items():
        fails = ALL and name in BUILT and findings(service.project)
        works = "builds, passes `go vet` and `go test`" if name in BUILT else "is all there"
        if name == TOGETHER:
            works += "; run with PostgreSQL, it does what each edit is for"
        rows.append(row(service, titles[name], "**fails**" if fails else works))
    return INTRODUCTION + table(HEAD, *rows)


def test_the_page_shows_these_updates(services: dict[str, Service]) -> None:
    """The page is written where every service has been built, and else has to be right."""
    if ALL:
        PAGE.write_text(page(services), encoding="utf-8")
    assert PAGE.read_text() == page(services), "run `make team-edits`"


# -- the checks reject ---------------------------------------------------------------------


def test_conflicts_are_counted(tmp_path: Path) -> None:
    texts = {"ours": "\nours\n", "main": "\ntheirs\n"}
    run(["git", "init", "--quiet"], tmp_path)
    lines = "".join(f"{number}\n" for number in range(20))
    for name in ("both", "removed", "same"):
        (tmp_path / name).write_text(lines)
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "Before")
    git(tmp_path, "branch", "ours")
    for branch, text in texts.items():
        git(tmp_path, "checkout", "--quiet", branch)
        (tmp_path / "both").write_text(lines.replace("\n3\n", text).replace("\n12\n", text))
        if branch == "main":
            (tmp_path / "removed").unlink()
        else:
            (tmp_path / "removed").write_text("edited\n")
        git(tmp_path, "commit", "--quiet", "--all", "--message", branch)
    run(["git", "merge", "--quiet", "ours"], tmp_path, ok=False)
    assert conflicts(tmp_path) == {"both": 2, "removed": 1}


def test_the_checks_reject(tmp_path: Path, services: dict[str, Service]) -> None:
    service = services[TOGETHER]
    spoilt = tmp_path / "spoilt"
    shutil.copytree(service.project, spoilt, symlinks=True)
    (spoilt / "renovate.json").write_text("{}\n")
    (spoilt / "Makefile").write_text("<<<<<<< yours\n")
    change(
        spoilt, [Change("internal/api/orders.go", "ShouldBindJSON", "ShouldBindJason")], "spoilt"
    )
    found = lost(spoilt, service.edits, service.conflicts)
    assert "deletions: renovate.json is back" in found
    assert "Makefile has a marker" in found
    assert any(line.startswith("makefile: Makefile lacks 'seed: ##") for line in found)
    assert any(line.startswith("route: internal/api/orders.go lacks ") for line in found)
    assert "ShouldBindJason" in go_findings(spoilt)


def test_an_edit_that_does_no_work_is_seen(
    tmp_path: Path, services: dict[str, Service], postgres: Postgres
) -> None:
    idle = tmp_path / "idle"
    shutil.copytree(services[TOGETHER].project, idle, symlinks=True)
    without = {
        "cmd/svc/main.go": "\tpostgresConfig.MaxConns = cfg.DatabaseConns\n",
        "internal/httpserver/router.go": ', cors("https://shop.example.com")',
        "internal/api/api.go": ", counted(deps.Called)",
    }
    change(idle, [Change(path, text, "") for path, text in without.items()], "idle")
    found = faults(idle, postgres)
    assert "GET /robots.txt: no CORS" in found
    assert 'no metric api_calls_total{client="shop"} 4' in found
    assert 'no metric db_client_connections_max{pool="postgres"} 7' in found


def test_a_break_that_is_not_told_is_rejected() -> None:
    mended = [Change("a.go", "a", "b")]
    head = f"# Changelog\n\n## Unreleased\n\n- `a` is `b`\n  now.\n\n## {VERSION} (2026-11-28)\n\n"
    assert untold([Edit("silent", "", mended=mended)], head) == ["silent"]
    assert untold([Edit("told", "", mended=mended, told=["`a` is `b` now"])], head) == []
    assert untold([Edit("long ago", "", mended=mended, told=["c"])], f"{head}- c\n") == ["long ago"]
