"""`make diff`: what a change of the template does to rendered services."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.checkout import checkout, make_in
from helpers.machine import git

NOTHING = "default: nothing changes\nfullest: nothing changes\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("diff") / "gindock")


@pytest.fixture(autouse=True)
def _clean(repository: Path) -> None:
    git(repository, "reset", "--quiet", "--hard")
    git(repository, "clean", "--quiet", "--force", "-d")


def append(file: Path, text: str) -> None:
    with file.open("a") as opened:
        opened.write(text)


def test_without_a_change_it_says_so(repository: Path) -> None:
    append(repository / "README.md", "Not of the template.\n")
    assert make_in(repository, "diff") == NOTHING


def test_a_change_shows_in_the_services_that_have_it(repository: Path) -> None:
    append(repository / "template" / "internal" / "redis" / "redis.go", "// A change.\n")
    append(repository / "template" / "Dockerfile.jinja", "# Another.\n")
    (repository / "template" / "NEW.md").write_text("New\n")
    shown = make_in(repository, "diff")
    assert "diff --git before/default/Dockerfile after/default/Dockerfile\n" in shown
    assert "diff --git before/fullest/internal/redis/redis.go " in shown
    assert "before/default/internal/redis" not in shown
    assert shown.count("\n+// A change.\n") == 1
    assert shown.count("\n+# Another.\n") == shown.count("\n+New\n") == 2
    assert shown.endswith(
        "default: 2 files changed, 2 insertions(+)\nfullest: 3 files changed, 3 insertions(+)\n"
    )


def test_a_new_question_is_chosen_in_the_fullest(repository: Path) -> None:
    append(
        repository / "copier.yml",
        'flag:\n  {type: bool, default: false, qmark: "delivery   ", help: "Flag?"}\n',
    )
    append(repository / "template" / "Dockerfile.jinja", "[% if flag %]\n# Flag.\n[% endif %]\n")
    shown = make_in(repository, "diff")
    assert shown.count("\n+# Flag.\n") == 1
    assert "before/fullest/Dockerfile after/fullest/Dockerfile" in shown
    assert "\n+flag: true\n" in shown
    assert "\n+flag: false\n" in shown


def test_another_commit_and_another_answer(repository: Path) -> None:
    canary = "template/deploy/kubernetes/components/canary/rollout.yaml.jinja"
    append(repository / canary, "# A change.\n")
    assert make_in(repository, "diff") == NOTHING
    assert "\n+# A change.\n" in make_in(repository, "diff", "ARGS=-d rollout=canary")

    git(repository, "commit", "--quiet", "--all", "--message", "A change")
    assert make_in(repository, "diff", "ARGS=-d rollout=canary") == NOTHING
    shown = make_in(repository, "diff", "ARGS=-d rollout=canary --against HEAD~1")
    assert "\n+# A change.\n" in shown

    assert "nowhere" in make_in(repository, "diff", "ARGS=--against nowhere", ok=False)
