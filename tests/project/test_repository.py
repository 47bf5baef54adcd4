"""gindock's own repository: its workflows, its docs, and facts that stand in one place."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from helpers.linters import go_tool, python_tool
from helpers.machine import ROOT, run

TRACKED = [
    ROOT / name
    for name in run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], ROOT
    ).stdout.splitlines()
    if (ROOT / name).is_file()
]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def text(file: Path) -> str:
    """The text of `file`; what is no text is empty."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_the_workflows_pass_the_linters_that_renders_pass() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert len(workflows) == 3
    run([go_tool("actionlint"), *workflows], ROOT)
    run([python_tool("zizmor"), "--offline", "--no-progress", *workflows], ROOT)
    for workflow in workflows:
        steps = [s for job in yaml.safe_load(text(workflow))["jobs"].values() for s in job["steps"]]
        depths = [s["with"]["fetch-depth"] for s in steps if "checkout" in s.get("uses", "")]
        assert set(depths) == {0}, "a shallow checkout lacks releases"


@pytest.mark.parametrize(
    "host",
    [
        "proxy." + "golang.org",
        "sum." + "golang.org",
        "pypi" + ".org",
        "pythonhosted" + ".org",
        "npmjs" + ".org",
        "deb.debian" + ".org",
    ],
)
def test_no_package_registry_is_named(host: str) -> None:
    assert [f for f in TRACKED if host in text(f)] == []


def test_every_version_of_the_template_is_written_once() -> None:
    questions = yaml.safe_load((ROOT / "copier.yml").read_text())
    versions = {
        k: v["default"] for k, v in questions.items() if k.endswith("_version") and k[0] != "_"
    }
    assert len(versions) >= 2
    sources = [
        f for f in TRACKED if f == ROOT / "copier.yml" or f.is_relative_to(ROOT / "template")
    ]
    for key, version in versions.items():
        pattern = re.compile(rf"(?<![\d.]){re.escape(version)}(?![\d.])")
        found = [
            f"{f.name}: {line}"
            for f in sources
            for line in text(f).splitlines()
            if pattern.search(line)
        ]
        assert len(found) == 1, (key, found)


def test_the_changelog_tells_of_this_version() -> None:
    changelog = text(ROOT / "CHANGELOG.md")
    assert changelog.startswith("# Changelog\n")
    if VERSION != "0.0.0":
        assert re.search(
            rf"^## {re.escape(VERSION)} \(\d{{4}}-\d\d-\d\d\)$", changelog, re.MULTILINE
        )


def test_the_readme_stays_short() -> None:
    assert len(text(ROOT / "README.md").splitlines()) <= 80


def test_a_release_that_is_not_tagged_gets_its_tag(tmp_path: Path) -> None:
    from helpers import releases

    clone = tmp_path / "clone"
    run(
        ["git", "clone", "-q", "--no-tags", "--no-local", releases.after_next_checkout(), clone],
        tmp_path,
    )
    command = ["python3", "-m", "tools.tags"]
    first = run(command, clone, {"PYTHONPATH": "src"}).stdout
    assert f"v{releases.NEXT} " in first
    assert f"v{releases.AFTER_NEXT} " in first
    assert run(command, clone, {"PYTHONPATH": "src"}).stdout == ""
    assert run(["git", "describe", "--exact-match"], clone, ok=False).returncode != 0, (
        "tags are lightweight"
    )
    assert (
        run(["git", "describe", "--tags", "--exact-match"], clone).stdout.strip()
        == f"v{releases.AFTER_NEXT}"
    )


def test_make_help_lists_every_target() -> None:
    shown = run(["make", "--no-print-directory", "help"], ROOT).stdout
    targets = re.search(r"^\.PHONY: (.+)$", text(ROOT / "Makefile"), re.MULTILINE)
    assert targets
    assert sorted(line.split()[0] for line in shown.splitlines()) == sorted(targets[1].split())


def test_the_files_that_are_begun_first_are_there(pytestconfig: pytest.Config) -> None:
    path = str(ROOT / "tests" / "conftest.py")
    [conftest] = [
        plugin
        for plugin in pytestconfig.pluginmanager.get_plugins()
        if getattr(plugin, "__file__", None) == path
    ]
    assert set(conftest.LONGEST) <= {file.name for file in TRACKED}
