"""The package of the settings: what it promises, and what a setting of a team's own takes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from helpers.config_files import Volume, reloading
from helpers.machine import run
from helpers.service import (
    RenderedTree,
    add_config_tests,
    build,
    rendered_tree,
    running,
    substitute_once,
)


def fields_of_the_readme(tree: RenderedTree) -> str:
    """The settings by which the README shows how to add one."""
    blocks = re.findall(r"^```go\n(.*?)^```$", tree.file("README.md").read_text(), re.M | re.S)
    [block] = [block for block in blocks if "env:" in block]
    return "".join(f"\t{line}\n" for line in block.splitlines())


def failed_go_tests(tree: RenderedTree, *packages: str) -> str:
    """The output of the project's own tests, empty where they passed."""
    done = run(["nice", "go", "test", *packages], tree.path, ok=False)
    return done.stdout if done.returncode else ""


# -- the package ---------------------------------------------------------------------------


def test_the_settings_keep_their_promises(mutable: RenderedTree) -> None:
    add_config_tests(mutable)
    assert failed_go_tests(mutable, "./internal/config") == ""


@pytest.mark.parametrize(
    ("pattern", "replacement", "failing"),
    [
        (r"case <-watcher\.Events:", "case <-make(chan int):", "TestFollowsConfigMap"),
        (r"l\.read\(\) != content", 'content == "other"', "TestWaitsForTheWholeFile"),
        (r"^\tl\.content = content$", "", "TestAFailureIsToldOnce"),
        (r"^(.*configuration refused.*\n)\t\treturn\n", r"\1", "TestFollowsConfigMap"),
        (r'\[\]byte\("\\ufeff"\)', "nil", "TestWaysToWriteAList"),
        (r"ErrorUnused: true", "ErrorUnused: false", "TestMistakesInTheFile"),
        (r"^func \(Secret\) GoString.*$", "", "TestASecretIsShownToNobody"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_noticed(
    mutable: RenderedTree, pattern: str, replacement: str, failing: str
) -> None:
    add_config_tests(mutable)
    substitute_once(mutable.file("internal/config/config.go"), pattern, replacement)
    assert f"FAIL: {failing}" in failed_go_tests(mutable, "./internal/config")


# -- a setting of one's own ----------------------------------------------------------------


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> RenderedTree:
    """A render with the README's settings, and nothing else that a team would have to write."""
    tree = rendered_tree(tmp_path_factory.mktemp("setting"), datastores=["postgres", "redis"])
    substitute_once(
        tree.file("internal/config/config.go"),
        r"^(type Config struct \{\n)",
        rf"\1{fields_of_the_readme(tree)}\n",
    )
    return tree


def test_a_new_setting_breaks_no_test(extended: RenderedTree) -> None:
    assert run(["gofmt", "-l", "cmd", "internal"], extended.path).stdout == ""
    assert failed_go_tests(extended, "./...") == ""


def test_a_test_that_knows_every_setting_is_noticed(extended: RenderedTree, tmp_path: Path) -> None:
    tree = RenderedTree(Path(shutil.copytree(extended.path, tmp_path / "project")), {})
    # As if the tests gave nothing that is required but what they name.
    substitute_once(tree.file("internal/config/config_test.go"), r'"required"\)', '"nothing")')
    assert "CURRENCY_API: required" in failed_go_tests(tree, "./internal/config")


def test_a_new_setting_is_read_checked_and_shown(extended: RenderedTree, tmp_path: Path) -> None:
    binary, volume = build(extended), Volume(tmp_path / "config")
    volume.write("currency_api: https://rates.example.com/v1\ncurrencies:\n  - CHF\n  - JPY\n")
    (tmp_path / "key").write_text("hunter2\n")
    others = {
        "DATABASE_URL": "postgres://user:hunter2@127.0.0.1:1/app",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "API_KEY_FILE": str(tmp_path / "key"),
    }
    with running(binary, CONFIG_FILE=str(volume.file), **others) as service:
        service.wait(service.admin_port, "/healthz", 200)
        shown = service.logged(message="starting")["config"]
        assert shown["CURRENCY_API"] == "https://rates.example.com/v1"
        assert shown["CURRENCIES"] == "[CHF JPY]"
        assert shown["DATABASE_URL"] == shown["API_KEY"] == "[redacted]"
        with reloading(service):
            volume.write("currency_api: https://elsewhere.example.com\ncurrencies: [SEK]\n")
        reloaded = service.logged(message="configuration reloaded")
        assert reloaded["changed"] == {"CURRENCIES": "[SEK]"}
        assert service.logged(message="restart required")["settings"] == ["CURRENCY_API"]
        assert service.stop(20) == 0
    assert "hunter2" not in "".join(service.lines)

    for variables, said in [
        ({}, "CURRENCY_API: required"),
        ({"CURRENCY_API": "rates"}, 'CURRENCY_API (environment): \\"rates\\" does not satisfy url'),
        (
            {"CURRENCY_API": "https://rates.example.com", "CURRENCIES": "CHF,EURO"},
            'CURRENCIES[1] (environment): \\"EURO\\" does not satisfy len=3',
        ),
    ]:
        done = run([binary], tmp_path, {**others, **variables}, ok=False, timeout=10)
        assert done.returncode == 1
        assert said in done.stdout
        assert "hunter2" not in done.stdout
