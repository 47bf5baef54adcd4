"""Isolation of every test from the user's own settings, and the summary by family."""

from __future__ import annotations

import os
import signal
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.combinations import CUSTOM
from helpers.machine import STRICT
from helpers.rendering import render

_USED = pytest.StashKey[float]()
_OUTCOMES = ("passed", "failed", "error", "skipped")
_GIT_CONFIG = """\
[user]
name = Tess Tester
email = tess@example.com
[init]
defaultBranch = main
"""


#: The files that take longest, of which each worker takes one at a time.
LONGEST = (
    "test_combinations.py",
    "test_containers.py",
    "test_buildah.py",
    "test_update_releases.py",
    "test_go.py",
    "test_recipes.py",
    "test_update_properties.py",
    "test_update_scenarios.py",
    "test_manifests.py",
    "test_update_interrupted.py",
    "test_bench.py",
    "test_team_edits.py",
    "test_start.py",
    "test_datastores.py",
    "test_wizard.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: else the last of them would run alone in the end."""
    first = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: first.get(item.path.name, len(first)))


@pytest.fixture(scope="session", autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's Copier settings, caches and git configuration out of every test."""
    # Who starts the tests in the background ignores Ctrl-C, and what they start would, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    home = tmp_path_factory.mktemp("home")
    (home / "gitconfig").write_text(_GIT_CONFIG)
    (home / "settings.yml").write_text("{}\n")
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("GIT_") and n != "GIT_SSL_CAINFO"]:
            patch.delenv(name)
        patch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
        patch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
        patch.setenv("COPIER_SETTINGS_PATH", str(home / "settings.yml"))
        patch.setenv("COPIER_CACHE_DIR", str(home / "copier"))
        patch.setenv("GINDOCK_CACHE_DIR", str(home / "gindock"))
        yield


@pytest.fixture(scope="session")
def custom(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Render the answers that combinations do not vary, once for each CI."""
    folder = tmp_path_factory.mktemp("custom")
    return {ci: render(folder / ci, **CUSTOM, ci=ci) for ci in ("github", "gitlab")}


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render everything that can be chosen at once."""
    return render(
        tmp_path_factory.mktemp("full") / "myservice",
        deploy=["kubernetes", "compose"],
        datastores=["postgres", "redis"],
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Note the CPU seconds of each phase of a test, which other load on the machine leaves alone."""
    report = yield
    used = sum(os.times()[:4])  # This process, and those that it has waited for.
    report.cpu_seconds = used - item.session.stash.get(_USED, 0.0)
    item.session.stash[_USED] = used
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where nothing may be missing, a skip is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if STRICT and reporter and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what tests recorded, and for each family, a file, the outcomes and the minutes."""
    families: dict[str, Counter[str]] = {}
    seconds: defaultdict[str, float] = defaultdict(float)
    computed: defaultdict[str, float] = defaultdict(float)
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if not isinstance(report, pytest.TestReport):
                continue
            family = Path(report.nodeid.split("::")[0]).stem.removeprefix("test_")
            seconds[family] += report.duration
            computed[family] += getattr(report, "cpu_seconds", 0)
            if outcome in _OUTCOMES:
                families.setdefault(family, Counter())[outcome] += 1
    if not families:
        return
    terminalreporter.section("families")
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{report.nodeid.split('::')[-1]}: {name} {value}")
    for family, counts in sorted(families.items()):
        line = ", ".join(f"{counts[outcome]} {outcome}" for outcome in _OUTCOMES)
        terminalreporter.write_line(
            f"{family:<20} {line:<44} "
            f"{seconds[family] / 60:5.1f} min, {computed[family] / 60:5.1f} min of CPU"
        )
