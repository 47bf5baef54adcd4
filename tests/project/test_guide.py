"""CONTRIBUTING.md is true: its commands work, and "Add an option" leaves no step to guess."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.checkout import checkout, make_in
from helpers.machine import ROOT, git, need, run

GUIDE = (ROOT / "CONTRIBUTING.md").read_text()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository; a test leaves it as it was."""
    return checkout(tmp_path_factory.mktemp("guide") / "gindock")


# -- every command works -------------------------------------------------------------------


def commands(page: str) -> set[str]:
    """The commands of `page`: the lines of its `sh` blocks, and what stands inline."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return {*lines, *re.findall(r"`((?:make|pip|git|python3?|sudo|\.venv/\S+) [^`]+)`", page)}


def test_commands_are_found() -> None:
    page = 'Run `make a ARGS="b c"`, in `make`.\n```sh\nx y  # why\n```\n```text\nno\n```\n`make a`'
    assert commands(page) == {"x y", 'make a ARGS="b c"', "make a"}


def runs(command: str, repository: Path) -> None:
    """Run `command` as it stands, with a question in the place of KEY."""
    arguments = shlex.split(command.replace("KEY", "goproxy"))[1:]
    if "pins" in arguments:
        need("go")
    shown = make_in(repository, *arguments)
    assert git(repository, "status", "--porcelain") == ""
    if "pins" in arguments:
        assert shown.count(": as it was\n") == 2


def runs_here(command: str, _repository: Path) -> None:
    """Run `command` in the repository itself, where its tools have looked at the files before."""
    make_in(ROOT, *shlex.split(command)[1:])


def collects(command: str, repository: Path) -> None:
    """Let `command`, which runs tests, only collect them."""
    arguments = shlex.split(command.replace("KEY", "tracing"))[1:]
    given = "".join(a.removeprefix("ARGS=") for a in arguments if a.startswith("ARGS="))
    targets = [a for a in arguments if not a.startswith("ARGS=")]
    shown = make_in(repository, *targets, f"ARGS={given} --collect-only --quiet")
    assert re.search(r"^[1-9]\d*(/\d+)? tests collected", shown, re.MULTILINE), shown


def is_known(command: str, repository: Path) -> None:
    """Let make say what `command` would run; the Python module that this names is there."""
    recipe = make_in(repository, "--dry-run", *shlex.split(command)[1:])
    modules = re.findall(r"python -m (\S+)", recipe)
    assert modules, recipe
    for module in modules:
        assert importlib.util.find_spec(module), module


def offers_help(command: str, repository: Path) -> None:
    """Let the tool behind `command` say what it takes."""
    assert "usage: make pins" in make_in(repository, *shlex.split(command)[1:], "ARGS=--help")


def is_ci(command: str, repository: Path) -> None:
    """Parse the script, and look for what it runs."""
    script = ROOT / command.split()[-1]
    assert os.access(script, os.X_OK)
    run(["bash", "-n", script], ROOT)
    targets = re.findall(r"^make (.+)$", script.read_text(), re.MULTILINE)
    assert targets
    for target in targets:
        make_in(repository, "--dry-run", *shlex.split(target))


def creates(command: str, repository: Path) -> None:
    """Create a service of a template that was just changed."""
    with (repository / "template" / ".gitattributes").open("a") as file:
        file.write("# Changed.\n")
    run(shlex.split(command), repository, {"PYTHONPATH": str(repository / "src")})
    created = repository.parent / "trial" / ".gitattributes"
    assert created.read_text().endswith("# Changed.\n")
    git(repository, "checkout", "--quiet", "--", "template")


def finds(command: str, repository: Path) -> None:
    """Run `command`, which looks for an option in all the places that the guide names."""
    found = run(shlex.split(command), repository).stdout
    for name in ("copier.yml", "template/", "tests/create/test_questions.py", "README.md"):
        assert re.search(rf"^{re.escape(name)}.*:\d+:", found, re.MULTILINE), name


#: How each command of the guide is checked. What takes long is not run to its end.
CHECKS: dict[str, Callable[[str, Path], None]] = {
    "make help": runs,
    'make test ARGS="tests/create tests/project -k KEY"': runs,
    "make diff": runs,
    'make diff ARGS="--against HEAD~3"': runs,
    'make diff ARGS="-d rollout=canary"': runs,
    "make pins ARGS=--no-refresh": runs,
    "make lint": runs_here,
    'make test ARGS="tests/create/test_new.py"': collects,
    'make test ARGS="tests/service/test_go.py tests/service/test_start.py -k KEY"': collects,
    "make test": collects,
    "make go-trees": collects,
    "make lint test": is_known,
    "make scenarios": collects,
    "make prompts": is_known,
    "make images-exist": is_known,
    'make images-exist ARGS="alpine:3.25"': is_known,
    "make team-edits": collects,
    "make test-stack": collects,
    "make test-cluster": collects,
    "make findings": is_known,
    "make test-bench": is_known,
    "make bench": is_known,
    "make pins": offers_help,
    "git grep -nw tracing": finds,
    ".venv/bin/gindock new ../trial --defaults": creates,
    "sudo .ci/run": is_ci,
}


def test_every_command_of_the_guide_is_checked() -> None:
    assert commands(GUIDE) == set(CHECKS)


@pytest.mark.parametrize("command", CHECKS)
def test_a_command_works(command: str, repository: Path) -> None:
    CHECKS[command](command, repository)


@pytest.mark.parametrize(
    ("command", "check"),
    [
        ("make nothing", runs),
        ("make pins ARGS=--nothing", runs),
        ("make help", collects),
        ('make test ARGS="tests/nothing.py"', collects),
        ("make nothing", is_known),
        ("make help", is_known),
        ("make help", offers_help),
    ],
)
def test_a_check_rejects(
    command: str, check: Callable[[str, Path], None], repository: Path
) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(command, repository)


# -- a made-up option, step by step --------------------------------------------------------

QUESTION = """\
robots:
  type: bool
  qmark: "observability"
  help: Keep crawlers away?
  default: false
  ask: "[[ 'observability' in customise ]]"

compose_profiles:
"""

SCRAPERS_GO = """\
// Package scrapers asks crawlers to stay away.
package scrapers

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// Register adds /robots.txt to the router.
func Register(router gin.IRouter) {
	router.GET("/robots.txt", func(c *gin.Context) {
		c.String(http.StatusOK, "User-agent: *\\nDisallow: /\\n")
	})
}
"""


#: What main.go has on the line before, and what is added below it for the option.
IN_MAIN = {
    '\t"[[ module_path ]]/internal/redis"\n[% endif %]\n': '\t"[[ module_path ]]/internal/scrapers"\n',
    "', Require: verifier.Require' if auth ]]})\n": "\tscrapers.Register(router)\n",
}

GUARD = " | default(false)"
LEFT_OUT = f'  - "[% if not robots{GUARD} %]/internal/scrapers[% endif %]"\n'

#: Before which lines of the two tables in the tests the option is added.
ASKED_BEFORE = '    "compose_profiles": (\n'
FILES_BEFORE = '    "config/": on_compose,\n'


@dataclass(frozen=True)
class Newcomer:
    """Who adds the option `robots` to a copy of the repository, by the guide."""

    repository: Path

    def write(self, name: str, text: str) -> None:
        """Write a new file."""
        path = self.repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        """Write `new` in the place of `old`, which stands there once."""
        text = (self.repository / name).read_text()
        assert text.count(old) == 1, (name, old)
        (self.repository / name).write_text(text.replace(old, new))

    def failing(self, where: str = "tests/create tests/project") -> set[str]:
        """The tests that fail in the quick loop."""
        # In one process: more of them only cost time here.
        loop = f"ARGS={where} -k robots --numprocesses 0"
        shown = make_in(self.repository, "test", loop, ok=None)
        assert re.search(r"\d passed", shown), shown
        assert not re.search(r"^ERROR", shown, re.MULTILINE), shown
        return set(re.findall(r"^FAILED \S+?::(\w+)", shown, re.MULTILINE))


def test_a_step_that_is_left_out_is_named(tmp_path: Path) -> None:
    new = Newcomer(checkout(tmp_path / "gindock"))
    told = {"test_a_new_question_is_in_the_changelog"}
    changes = {"test_an_answer_changes_what_is_rendered"}

    # Step 2, with two mistakes.
    wrong = QUESTION.replace("Keep crawlers away?", '""').replace("  ask:", "  when:")
    new.edit("copier.yml", "compose_profiles:\n", wrong)
    mistakes = {"test_a_question_is_complete", "test_an_answer_is_recorded"}
    assert new.failing("tests/create/test_questions.py") >= changes | mistakes
    new.edit("copier.yml", wrong, QUESTION)

    # Step 3, without what an update needs.
    new.write("template/internal/scrapers/scrapers.go", SCRAPERS_GO)
    for old, more in IN_MAIN.items():
        main = "template/cmd/[[ service_name ]]/main.go.jinja"
        new.edit(main, old, f"{old}[% if robots %]\n{more}[% endif %]\n")
    new.edit("copier.yml", "_exclude:\n", f"_exclude:\n{LEFT_OUT.replace(GUARD, '')}")
    files = {"test_an_answer_has_exactly_its_files", "test_the_tree_shows"}
    assert new.failing() == told | changes | files | {"test_old_services_know_what_leaves_out"}
    new.edit("copier.yml", LEFT_OUT.replace(GUARD, ""), LEFT_OUT)

    # Step 4.
    changed = '    "robots": ({"robots": True}, "scrapers.Register"),\n'
    new.edit("tests/create/test_questions.py", ASKED_BEFORE, f"{changed}{ASKED_BEFORE}")
    only = '    "internal/scrapers/": lambda answers: answers["robots"],\n'
    new.edit("tests/create/test_combinations.py", FILES_BEFORE, f"{only}{FILES_BEFORE}")
    assert new.failing() == told | {"test_the_tree_shows"}

    # Step 6.
    new.edit("README.md", "| observability | ", "| observability | keeping crawlers away, ")
    new.edit("docs/use/service.md", "mysql/, redis/ ", "mysql/, redis/, scrapers/ ")
    entry = "## Unreleased\n\n- `--robots` keeps crawlers away.\n"
    changelog = (new.repository / "CHANGELOG.md").read_text()
    if "## Unreleased\n" in changelog:
        changelog = changelog.replace("## Unreleased\n", entry, 1)
    else:
        changelog = re.sub(r"^## ", rf"{entry}\n\g<0>", changelog, count=1, flags=re.M)
    new.write("CHANGELOG.md", changelog)
    assert new.failing() == set()
