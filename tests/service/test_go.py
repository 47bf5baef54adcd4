"""Every Go tree is formatted, vetted, tidy and small, and passes its own tests and linters."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import stores
from helpers.go_trees import everything, go_trees, linted_trees, raced_trees
from helpers.linters import golangci
from helpers.machine import CACHE, ROOT, need, run
from helpers.rendering import build_flags, oversize
from helpers.service import (
    TOOLCHAINS,
    RenderedTree,
    go,
    go_as_in_the_image,
    rendered_tree,
)
from helpers.stores import Stores


@pytest.fixture(scope="session")
def tree_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RenderedTree]:
    """Each tree by its name, rendered once."""

    @functools.cache
    def tree(name: str) -> RenderedTree:
        return rendered_tree(tmp_path_factory.mktemp("go"), **go_trees()[name])

    return tree


@pytest.fixture(params=go_trees())
def tree(request: pytest.FixtureRequest, tree_of: Callable[[str], RenderedTree]) -> RenderedTree:
    return tree_of(request.param)


@pytest.fixture(params=raced_trees())
def raced_tree(
    request: pytest.FixtureRequest, tree_of: Callable[[str], RenderedTree]
) -> RenderedTree:
    return tree_of(request.param)


@pytest.fixture(scope="module")
def servers() -> Iterator[Stores]:
    with stores.at_hand() as started:
        yield started


@pytest.fixture(params=linted_trees())
def linted_tree(
    request: pytest.FixtureRequest, tree_of: Callable[[str], RenderedTree]
) -> RenderedTree:
    return tree_of(request.param)


@pytest.fixture
def mutable(tmp_path: Path) -> RenderedTree:
    """A tree for a test to spoil."""
    return rendered_tree(tmp_path)


# -- checkers ------------------------------------------------------------------------------


def unformatted(tree: RenderedTree) -> str:
    need("gofmt")
    return run(["gofmt", "-l", "."], tree.path).stdout


def tidy_diff(tree: RenderedTree, toolchain: str) -> str:
    done = run(["go", "mod", "tidy", "-diff"], tree.path, {"GOTOOLCHAIN": toolchain}, ok=False)
    return done.stdout if done.returncode else ""


def lint_findings(tree: RenderedTree) -> str:
    """What golangci-lint has against the project, by the project's own configuration."""
    flags = build_flags(tree.path)
    env = {
        "GOTOOLCHAIN": TOOLCHAINS[-1],
        "GOLANGCI_LINT_CACHE": str(CACHE / "golangci-cache"),
        # As in the image, for which the same is compiled.
        "CGO_ENABLED": "0",
        "GOFLAGS": f"-trimpath -tags={flags[flags.index('-tags') + 1]}",
    }
    command: list[str | Path] = ["nice", golangci(), "run", "--allow-serial-runners"]
    done = run(command, tree.path, env, ok=False)
    assert ("0 issues." in done.stdout) == (done.returncode == 0), done.stdout
    return done.stdout if done.returncode else ""


def failed_tests(tree: RenderedTree, *, covered: bool = False, **env: str) -> str:
    """The output of the project's own tests, empty where they passed; `covered` is for `coverage`.

    `env` names the servers of its data stores.
    """
    need("gcc")  # for the race detector
    measured = ["-coverpkg=./...", f"-coverprofile={profile(tree)}"] if covered else []
    command = ["nice", "go", "test", "-race", "-trimpath", "-shuffle=on", *measured, "./..."]
    done = run(command, tree.path, env, ok=False)
    return done.stdout if done.returncode else ""


def profile(tree: RenderedTree) -> Path:
    """Where the coverage of the project's own tests is noted."""
    return tree.path.parent / "cover.out"


def coverage(tree: RenderedTree) -> float:
    """Percent of the statements that the last `failed_tests` ran through."""
    report = go(tree, "tool", "cover", f"-func={profile(tree)}") or ""
    return float(report.split()[-1].rstrip("%"))


def texts(tree: RenderedTree) -> dict[str, str]:
    """The text of every file by its path."""
    files = [p for p in tree.path.rglob("*") if p.is_file() and ".git" not in p.parts]
    return {p.relative_to(tree.path).as_posix(): p.read_text() for p in files}


def conditions(template: Path) -> set[str]:
    """The Go files of the template that hold a condition, tests apart."""
    return {
        path.name
        for path in template.rglob("*.go.jinja")
        if "[%" in path.read_text() and not path.name.endswith("_test.go.jinja")
    }


# -- the code ------------------------------------------------------------------------------


def test_go_is_formatted(tree: RenderedTree) -> None:
    assert unformatted(tree) == ""


def test_go_passes_vet(tree: RenderedTree) -> None:
    go_as_in_the_image(tree, "vet", "./...")


def test_golangci_lint_finds_nothing(linted_tree: RenderedTree) -> None:
    assert lint_findings(linted_tree) == ""


def test_golangci_lint_reads_every_file(tree_of: Callable[[str], RenderedTree]) -> None:
    def files(names: list[str]) -> set[str]:
        return {path for name in names for path in texts(tree_of(name)) if path.endswith(".go")}

    missing = files(raced_trees()) - files(linted_trees())
    assert {path for path in missing if not path.startswith("cmd/")} == set()
    assert files(["default"]) < files(linted_trees())


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_modules_are_tidy(tree: RenderedTree, toolchain: str) -> None:
    assert tidy_diff(tree, toolchain) == ""


def test_project_passes_its_own_tests(raced_tree: RenderedTree, servers: Stores) -> None:
    # What is covered is compiled apart; the plainest and the fullest tell it of all.
    covered = raced_tree.answers in (go_trees()["default"], go_trees()[everything()])
    env = servers.for_tests(raced_tree.answers)
    assert failed_tests(raced_tree, covered=covered, **env) == ""
    if covered:
        assert coverage(raced_tree) >= 85


def test_project_passes_its_own_tests_with_the_longest_names(
    tree_of: Callable[[str], RenderedTree],
) -> None:
    go_as_in_the_image(tree_of("longest"), "test", "-shuffle=on", "./...")


def test_project_passes_its_own_tests_as_in_the_image(
    tree_of: Callable[[str], RenderedTree],
) -> None:
    go_as_in_the_image(tree_of(everything()), "test", "./...", toolchain=TOOLCHAINS[-1])


def test_default_render_is_small(tree_of: Callable[[str], RenderedTree]) -> None:
    assert oversize(texts(tree_of("default"))) == []


def test_conditions_stay_out_of_the_packages() -> None:
    allowed = {"main.go", "config.go", "api.go", "router.go", "httpclient.go"}
    assert conditions(ROOT / "template") == {f"{name}.jinja" for name in allowed}


#: Which packages of the service a package may import, main apart.
IMPORTS = {
    "api": {"greeting", "httpserver"},
    "auth": {"httpserver", "logging"},
    "greeting/greetingtest": {"greeting"},
    "httpserver": {"logging"},
    "mysql": {"greeting"},
    "mysql/mysqltest": {"mysql"},
    "postgres": {"greeting"},
    "postgres/postgrestest": {"postgres"},
    "redis": {"greeting"},
}


def imports(tree: RenderedTree) -> dict[str, set[str]]:
    """What each package below internal/ imports of the others."""
    listing = go(tree, "list", "-f", '{{.ImportPath}} {{join .Imports " "}}', "./internal/...")
    assert listing
    own = f"{tree.answers['module_path']}/internal/"
    lines = [line.split() for line in listing.splitlines()]
    return {
        line[0].removeprefix(own): {name.removeprefix(own) for name in line[1:] if own in name}
        for line in lines
    }


def test_packages_import_few_others(tree_of: Callable[[str], RenderedTree]) -> None:
    found = imports(tree_of(everything()))
    assert {name: used for name, used in found.items() if used - IMPORTS.get(name, set())} == {}


# -- each checker rejects a fault ----------------------------------------------------------


def test_format_check_rejects(mutable: RenderedTree) -> None:
    mutable.main.write_text(mutable.main.read_text().replace("\tversion  = ", "\tversion = "))
    assert unformatted(mutable)


def test_vet_rejects(mutable: RenderedTree) -> None:
    source = mutable.file("internal/api/fault.go")
    source.write_text('package api\n\nimport "fmt"\n\nfunc init() { fmt.Printf("%d", "x") }\n')
    assert go(mutable, "vet", "./internal/api", ok=False) is None


def test_golangci_lint_rejects(mutable: RenderedTree) -> None:
    source = mutable.file("internal/api/fault.go")
    source.write_text(
        'package api\n\nimport "io"\n\nfunc fault(err error) bool {\n\treturn err == io.EOF\n}\n'
    )
    findings = lint_findings(mutable)
    assert "(unused)" in findings
    # What only the project's own configuration enables.
    assert "(errorlint)" in findings


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_tidy_check_rejects(mutable: RenderedTree, toolchain: str) -> None:
    module = mutable.file("go.mod")
    module.write_text(re.sub(r"\n\t\S*beorn7/perks .*", "", module.read_text()))
    assert tidy_diff(mutable, toolchain)


def test_tests_reject_a_fault(mutable: RenderedTree) -> None:
    source = mutable.file("internal/api/api.go")
    source.write_text(source.read_text().replace("Hello, ", "Bye, "))
    assert "TestGreetings" in failed_tests(mutable)


def test_coverage_notices_missing_tests(mutable: RenderedTree) -> None:
    for path in mutable.path.rglob("*_test.go"):
        if path.parent.name != "api":
            path.unlink()
    assert failed_tests(mutable, covered=True) == ""
    assert coverage(mutable) < 85


def test_size_check_rejects(mutable: RenderedTree) -> None:
    small = texts(mutable)
    code = {path: text for path, text in small.items() if path.endswith(".go")}
    assert oversize(code | {"a_test.go": "// more\n" * 1614}) == []
    assert oversize(code | {"a.go": "// why\n" * 1614})[0].endswith("lines of Go")
    assert oversize(small | {f"{number}.txt": "" for number in range(45)})[0].endswith("files")


def test_condition_check_rejects(tmp_path: Path) -> None:
    (tmp_path / "api.go.jinja").write_text("[% if postgres %]\n[% endif %]\n")
    assert conditions(tmp_path) == {"api.go.jinja"}
