"""Every service starts, serves and stops: whatever its answers change in the Go code.

Code may compile, pass its own tests, and panic at every start.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import stores
from helpers.go_trees import everything, go_trees, go_values, never_started, raced_trees
from helpers.log_lines import faulty_lines
from helpers.machine import ROOT, run
from helpers.rendering import render_from
from helpers.service import (
    TOOLCHAINS,
    RenderedTree,
    Service,
    build,
    rendered_tree,
    running,
    substitute_once,
)
from helpers.stores import Stores


@pytest.fixture(scope="module")
def servers() -> Iterator[Stores]:
    with stores.at_hand() as started:
        yield started


#: A service starts although the issuer of its tokens is down.
NO_ISSUER = {
    "AUTH_ISSUER": "http://127.0.0.1:1",
    "AUTH_AUDIENCE": "greetings",
    "AUTH_JWKS_URL": "http://127.0.0.1:1",
}


def fault_of_start(tree: RenderedTree, binary: Path, **environment: str) -> str:
    """Why the service does not start, serve and stop as promised; empty where it does."""
    with running(
        binary, DRAIN_DELAY="0s", FLUSH_TIMEOUT="2s", **NO_ISSUER, **environment
    ) as service:
        try:
            serve(tree, service)
        except pytest.fail.Exception as fault:
            return str(fault)
        code = service.stop(20)
    wrong = [f"exit code {code}"] if code else []
    return "\n".join([*wrong, *faulty_lines(service.lines)])


def serve(tree: RenderedTree, service: Service) -> None:
    """Ask what a rendered service answers from the first."""
    service.wait(service.admin_port, tree.answers.get("liveness_path", "/healthz"), 200)
    service.wait(service.admin_port, tree.answers.get("readiness_path", "/ready"), 200)
    # A write needs a token where there is `auth`, and nobody has one here.
    auth, stores = tree.answers.get("auth"), tree.answers.get("datastores")
    assert service.post('{"name":"Ada"}').status == (401 if auth else 201)
    service.wait(service.http_port, "/v1/greetings/Ada", 404 if auth and stores else 200)


@pytest.mark.parametrize("name", go_trees())
def test_a_service_starts_and_stops(name: str, servers: Stores, tmp_path: Path) -> None:
    tree = rendered_tree(tmp_path, **go_trees()[name])
    # As in the image, whose Go is the newest; what is built often, with the oldest as well.
    for toolchain in TOOLCHAINS if name in raced_trees() else TOOLCHAINS[-1:]:
        binary = build(tree, toolchain)
        assert fault_of_start(tree, binary, **servers.ready(tree.answers, binary)) == ""
        assert run([binary, "version"], tree.path).stdout.startswith(
            f"{tree.service} v1.2.3 (revision abc, built 2026-11-23, go1."
        )


# -- the check rejects a panic under every answer ------------------------------------------

#: Each value that changes Go text but the first, which is the default, as its question has it.
VALUES = {
    f"{name}={json.dumps(value)}": (name, value)
    for name, tried in go_values().items()
    for value in tried[1:]
    if value is not None
}


@pytest.fixture(scope="module")
def panicking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template in which each value brings code that panics at start, where FAULT names it."""
    source = tmp_path_factory.mktemp("panicking")
    shutil.copy(ROOT / "copier.yml", source)
    shutil.copytree(ROOT / "template", source / "template", symlinks=True)
    with (source / "template/cmd/[[ service_name ]]/main.go.jinja").open("a") as main:
        for said, (name, value) in VALUES.items():
            fault = f'if os.Getenv("FAULT") == `{said}` {{\n\t\tpanic(`{said}`)\n\t}}'
            main.write(
                f"[% if {name} == {value!r} %]\n\nfunc init() {{\n\t{fault}\n}}\n[% endif %]\n"
            )
    return source


@pytest.fixture(scope="module")
def built(
    panicking: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[RenderedTree, Path]]:
    """A tree of that template by its name, and its binary, built once."""

    @functools.cache
    def one(name: str) -> tuple[RenderedTree, Path]:
        answers = go_trees()[name]
        project = render_from(panicking, tmp_path_factory.mktemp("built") / "project", answers)
        tree = RenderedTree(project, answers)
        return tree, build(tree, TOOLCHAINS[-1])

    return one


def first_with(name: str, value: Any) -> str:
    """The first of the started trees that has this answer; the fullest, where that has it."""
    trees = {everything(): go_trees()[everything()]} | go_trees()
    return next(tree for tree, answers in trees.items() if answers.get(name) == value)


@pytest.mark.parametrize("said", VALUES)
def test_a_panic_at_start_is_noticed(
    said: str, built: Callable[[str], tuple[RenderedTree, Path]], servers: Stores
) -> None:
    tree, binary = built(first_with(*VALUES[said]))
    assert f"panic: {said}" in fault_of_start(
        tree, binary, **servers.ready(tree.answers, binary), FAULT=said
    )


def test_a_service_that_does_not_panic_is_not_refused(
    built: Callable[[str], tuple[RenderedTree, Path]], servers: Stores
) -> None:
    tree, binary = built(everything())
    assert fault_of_start(tree, binary, **servers.ready(tree.answers, binary)) == ""


def test_a_stop_that_fails_is_noticed(tmp_path: Path) -> None:
    tree = rendered_tree(tmp_path)
    substitute_once(tree.main, r"^(\tlog.InfoContext\(ctx, \"stopped\"\))$", r"\1\n\tos.Exit(3)")
    assert fault_of_start(tree, build(tree)) == "exit code 3"


# -- every pair of values is started -------------------------------------------------------


def test_any_two_answers_that_change_go_are_started() -> None:
    assert never_started(go_trees().values()) == []


def test_a_tree_that_is_missing_is_noticed() -> None:
    """One pair at least is in no other tree, but for some that are there to be plain."""
    trees = go_trees()
    plain = {"default", "longest", *raced_trees()} - {everything()}
    for name in trees.keys() - plain:
        others = [answers for other, answers in trees.items() if other != name]
        assert never_started(others), name
    without = [answers for answers in trees.values() if answers.get("tracing") is not True]
    assert (
        "no tree of tests/helpers/go_trees.py has {'datastores': ['redis'], 'tracing': True}"
        in (never_started(without))
    )


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (
            "  default: hello\n  type: str\n  validator: ''\n",
            ["greeting changes Go text, and is tried with no value"],
        ),
        (
            "  default: false\n  type: bool\n",
            ["has {'datastores': ['redis'], 'greeting': True}", "has {'tracing': True, 'greeting'"],
        ),
        (
            "  default: false\n  type: bool\n  when: \"[[ 'redis' in datastores ]]\"\n",
            ["has {'tracing': True, 'greeting': True}"],
        ),
    ],
)
def test_a_new_question_that_changes_go_is_noticed(
    question: str, said: list[str], tmp_path: Path
) -> None:
    copier_yml = (ROOT / "copier.yml").read_text()
    head, line, tail = copier_yml.partition("\nci:\n")
    (tmp_path / "copier.yml").write_text(f"{head}\ngreeting:\n{question}{line}{tail}")
    shutil.copytree(ROOT / "template", tmp_path / "template", symlinks=True)
    assert never_started(go_trees().values(), tmp_path) == []

    with (tmp_path / "template/internal/api/api.go").open("a") as source:
        source.write("// [[ greeting ]]\n")
    (tmp_path / "template/internal/api/api.go").rename(
        tmp_path / "template/internal/api/api.go.jinja"
    )
    missing = "\n".join(never_started(go_trees().values(), tmp_path))
    for part in said:
        assert part in missing
    # The trees of that template have it, where it has values.
    assert never_started(go_trees(tmp_path).values(), tmp_path) == [
        line for line in missing.splitlines() if "no value" in line
    ]
