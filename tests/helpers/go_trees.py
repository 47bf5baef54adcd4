"""The answers behind the Go trees that are compiled, vetted and started.

Nothing here names an option: which questions change Go text is read from the template, and their
values come from `combinations`. Any two values that can meet do so in one of the trees.
"""

from __future__ import annotations

import fnmatch
import functools
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import covertable
import jinja2.meta
import yaml

from helpers.combinations import CUSTOM, Row, Rule, asked, factors, jinja, rules
from helpers.machine import ROOT

#: The value of a question that is left to its default.
DEFAULT = "(default)"

#: The longest and largest of the texts and numbers that stand in Go text.
LONGEST: dict[str, Any] = {
    "service_name": "s" + "-long-name" * 5 + "z",
    "module_path": "example.com/" + "/".join(["a-rather-long-element"] * 8) + "/v2",
    "http_port": 65535,
    "admin_port": 65534,
    "liveness_path": "/" + "/".join(["alive"] * 16),
    "readiness_path": "/" + "/".join(["takes-requests"] * 6),
    "probe_timeout_seconds": 60,
}

#: Set by `make go-trees`: every combination of choices, and every tree takes every check.
ALL = os.environ.get("GO_TREES") == "all"


def is_go(path: str) -> bool:
    """Whether a file of a render is part of what Go builds."""
    return path.startswith(("cmd/", "internal/")) or path.endswith((".go", "go.mod", "go.sum"))


def variables(text: str) -> set[str]:
    """Return the names that a Jinja text asks for."""
    return jinja2.meta.find_undeclared_variables(jinja().parse(text))


def excludes_go(pattern: str, paths: Sequence[str]) -> bool:
    """Whether a line of `_exclude` in copier.yml can leave out a file that Go builds."""
    bare = pattern.partition("%]")[2].partition("[%")[0].strip("/")
    parents = ([path, *map(str, PurePosixPath(path).parents)] for path in paths)
    return any(fnmatch.fnmatchcase(path, bare) for path in itertools.chain(*parents))


def go_questions(source: Path = ROOT) -> list[str]:
    """Return the questions on whose answers Go text depends, in the order of copier.yml.

    `source` holds copier.yml and template/.
    """
    copier_yml = _copier_yml(source)
    folder = source / "template"
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    go = {path: file for path, file in files.items() if is_go(path.removesuffix(".jinja"))}
    used = set().union(*map(variables, go))
    for path, file in go.items():
        if path.endswith(".jinja"):
            used |= variables(file.read_text(encoding="utf-8"))
    for pattern in copier_yml["_exclude"]:
        if excludes_go(pattern, list(go)):
            used |= variables(pattern)
    questions = asked(copier_yml)
    while derived := {name for name in used if name in copier_yml and name not in questions}:
        used -= derived
        used |= set().union(*(variables(str(copier_yml[name]["default"])) for name in derived))
    return [name for name in questions if name in used]


def go_values(source: Path = ROOT) -> dict[str, list[Any]]:
    """Return the questions that change Go text, each with the values that are tried.

    A text or a number is tried as it is by default and with one other value; None stands for a
    question that is not asked.
    """
    known = factors(_copier_yml(source))
    return {
        name: known.get(name, [DEFAULT, *([CUSTOM[name]] if name in CUSTOM else [])])
        for name in go_questions(source)
    }


@functools.cache
def go_trees(source: Path = ROOT) -> dict[str, dict[str, Any]]:
    """Return answers by a name of their own, in which any two of `go_values` meet that can.

    Among them are the default, each value of a choice by itself, everything at once, and the
    longest of all texts.
    """
    values, known = go_values(source), factors(_copier_yml(source))
    binding = rules(_copier_yml(source))
    rows = covertable.make(
        values,
        presets=list(_presets(values, known)),
        constraints=[
            {"operator": "fn", "requires": names, "evaluate": rule}
            for names, rule in binding
            if {*names} <= values.keys()
        ],
    )
    trees: dict[str, dict[str, Any]] = {}
    for row in rows:
        whole = next(completions(row, known, binding), {})
        answers = {k: v for k, v in whole.items() if v not in (None, DEFAULT)}
        if answers and answers not in trees.values():
            name = _name(row, values)
            trees[f"{name}-{len(trees)}" if name in trees else name] = answers
    trees["longest"] = {name: LONGEST[name] for name in values if name in LONGEST}
    return trees


def raced_trees(source: Path = ROOT) -> list[str]:
    """Return the trees that take the slow checks: each choice by itself, and everything at once.

    A choice that needs another comes with that.
    """
    trees, values = go_trees(source), go_values(source)
    choices = {name: tried for name, tried in values.items() if tried[0] != DEFAULT}
    plain = [name for name, row in trees.items() if not row.keys() & (values.keys() - choices)]
    found = ["default", everything(source), *(trees if ALL else [])]
    for name, tried in choices.items():
        for value in tried:
            having = [tree for tree in plain if trees[tree].get(name) == value is not None]
            found += having[:1]
    return list(dict.fromkeys(found))


def linted_trees() -> list[str]:
    """Return the trees that golangci-lint reads, in which every Go file of `raced_trees` stands."""
    if ALL:
        return raced_trees()
    found = ["default", everything()]
    for stores in (["redis"], ["postgres", "redis"]):  # Everything has MySQL, and Redis beside it.
        having = [tree for tree in raced_trees() if go_trees()[tree].get("datastores") == stores]
        found += having[:1]
    return found


def everything(source: Path = ROOT) -> str:
    """Return the tree with the most of all choices at once, and another value of every text."""
    last, trees = _last(go_values(source)).items(), go_trees(source)
    return max(trees, key=lambda tree: sum(trees[tree].get(name) == value for name, value in last))


def never_started(trees: Iterable[Row], source: Path = ROOT) -> list[str]:
    """Return what none of `trees` has, of the values that change Go text and their pairs.

    Each comes with what to do about it.
    """
    values, known = go_values(source), factors(_copier_yml(source))
    binding = rules(_copier_yml(source))
    said = [
        f"{name} changes Go text, and is tried with no value: give it one in CUSTOM, "
        "tests/helpers/combinations.py"
        for name, tried in values.items()
        if len(tried) < 2
    ]
    started = {
        pair
        for answers in trees
        for pair in itertools.combinations(
            [
                (name, json.dumps(answers.get(name, None if name in known else DEFAULT)))
                for name in values
            ],
            2,
        )
    }
    for one, other in itertools.combinations(values, 2):
        for pair in itertools.product(values[one], values[other]):
            row = {one: pair[0], other: pair[1]}
            wanted = tuple((name, json.dumps(value)) for name, value in row.items())
            if wanted not in started and next(completions(row, known, binding), None):
                said.append(f"no tree of tests/helpers/go_trees.py has {row}")
    return said


def completions(
    row: Row, known: Mapping[str, list[Any]], binding: Sequence[Rule]
) -> Iterator[dict[str, Any]]:
    """Yield the ways to answer, beside `row`, every other question that decides what is rendered.

    The first is the one nearest to the defaults; there is none where the values cannot meet.
    """

    def longer(row: dict[str, Any], names: Sequence[str]) -> Iterator[dict[str, Any]]:
        if not all(rule(row) for needed, rule in binding if {*needed} <= row.keys()):
            return
        if not names:
            yield row
        for value in known[names[0]] if names else []:
            yield from longer(row | {names[0]: value}, names[1:])

    yield from longer(dict(row), [name for name in known if name not in row])


def _presets(values: Mapping[str, list[Any]], known: Row) -> Iterator[dict[str, Any]]:
    plain = {name: DEFAULT for name in values if name not in known}
    choices = {name: tried for name, tried in values.items() if name in known}
    yield plain
    for name, tried in choices.items():
        yield from (plain | {name: value} for value in tried[1:] if value is not None)
    yield _last(values)
    if ALL:
        for row in itertools.product(*choices.values()):
            yield plain | dict(zip(choices, row, strict=True))


def _last(values: Mapping[str, list[Any]]) -> dict[str, Any]:
    return {
        name: [value for value in tried if value is not None][-1] for name, tried in values.items()
    }


def _name(row: Row, values: Mapping[str, list[Any]]) -> str:
    words, texts = [], []
    for name, tried in values.items():
        if row[name] in (tried[0], None):
            continue
        if tried[0] == DEFAULT:
            texts = ["texts"]
        elif isinstance(row[name], list):
            words += row[name]
        else:
            words.append(name if row[name] is True else f"{name}-{row[name]}")
    return "-".join(words + texts) or "default"


def _copier_yml(source: Path) -> dict[str, Any]:
    questions: dict[str, Any] = yaml.safe_load((source / "copier.yml").read_text(encoding="utf-8"))
    return questions
