"""`make pins`: what decides which modules a service needs, and the conditions that say so."""

from __future__ import annotations

import shutil
from pathlib import Path

import jinja2
import pytest
import yaml
from helpers.machine import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from tools import pins

ENVOPS = yaml.safe_load((ROOT / "copier.yml").read_text())["_envops"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the template, for a test to change."""
    shutil.copy(ROOT / "copier.yml", tmp_path)
    shutil.copytree(ROOT / "template", tmp_path / "template", symlinks=True)
    return tmp_path


def add_question(source: Path) -> None:
    """Add a question of yes or no."""
    with (source / "copier.yml").open("a") as file:
        file.write("flag: {type: bool, default: false}\n")


def test_what_changes_go_code_is_a_switch() -> None:
    assert pins.switches() == ("openapi", "auth", "tracing", "postgres", "redis", "mysql")


def test_a_new_condition_in_go_code_is_a_switch(source: Path) -> None:
    add_question(source)
    (source / "template" / "x.go.jinja").write_text("[[ 'a' if flag and not postgres else 'b' ]]")
    assert set(pins.switches(source)) == {*pins.switches(), "flag"}


def test_go_code_that_is_left_out_has_a_switch(source: Path) -> None:
    add_question(source)
    lines = (source / "copier.yml").read_text()
    guard = "[% if not flag | default(false) %]{}[% endif %]"
    elsewhere = lines.replace("_exclude:\n", f'_exclude:\n  - "{guard.format("/config")}"\n')
    (source / "copier.yml").write_text(elsewhere)
    assert "flag" not in pins.switches(source)

    pins.switches.cache_clear()
    package = lines.replace("_exclude:\n", f'_exclude:\n  - "{guard.format("/internal/api")}"\n')
    (source / "copier.yml").write_text(package)
    assert "flag" in pins.switches(source)


def test_what_is_no_yes_or_no_is_refused(source: Path) -> None:
    (source / "template" / "x.go.jinja").write_text("[% if ci == 'github' %]\n[% endif %]\n")
    with pytest.raises(SystemExit) as left:
        pins.switches(source)
    assert left.value.code == "ci: name what the Go code asks of it in one word, under 'Derived'"


COMBINATIONS = list(pins.combinations())


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from(COMBINATIONS))))
def test_the_pins_render_to_the_lines_of_each_combination(
    holders: dict[str, set[pins.Combination]],
) -> None:
    lines = {
        combination: ["(", *sorted(n for n, held in holders.items() if combination in held), ")"]
        for combination in COMBINATIONS
    }
    template = jinja2.Environment(**ENVOPS | {"undefined": jinja2.StrictUndefined}).from_string(
        pins.merged(lines)
    )
    for combination, expected in lines.items():
        answers = dict(zip(pins.switches(), combination, strict=True))
        assert template.render(answers).splitlines() == expected


def test_a_condition_is_the_smallest() -> None:
    all_on = {c for c in COMBINATIONS if c[0]}
    assert pins.condition(all_on) == pins.switches()[0]
    assert pins.condition(set(COMBINATIONS)) == ""
    places = [pins.switches().index(name) for name in ("postgres", "redis")]
    both = {c for c in COMBINATIONS if all(c[place] for place in places)}
    assert pins.condition(both) == "postgres and redis"
