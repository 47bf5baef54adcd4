"""Every combination that is rendered has exactly its own files, and none of them has a scar."""

from __future__ import annotations

import functools
import itertools
import json
import os
import random
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from helpers.all_renders import Render, all_renders, read
from helpers.combinations import (
    COPIER_YML,
    CUSTOM,
    FACTORS,
    RULES,
    asked,
    combinations,
    factors,
    on_compose,
    on_kubernetes,
    possible,
)
from helpers.go_trees import go_questions, is_go
from helpers.machine import ROOT
from helpers.rendering import oversize, render

NAME = "myservice"


def external_secrets(answers: Mapping[str, Any]) -> bool:
    """Whether the secrets come from a store of their own."""
    return answers.get("secrets") in ("vault", "aws")


def collected(answers: Mapping[str, Any]) -> bool:
    """Whether Fluent Bit ships the logs."""
    return bool(answers.get("log_collection", "none") != "none")


def profile(name: str) -> Callable[[Mapping[str, Any]], bool]:
    """Whether Compose has this profile."""
    return lambda answers: name in answers.get("compose_profiles", [])


#: What stands in the repository only for some answers. Written here once more, so that the
#: exclusions of copier.yml are checked against something.
ONLY: dict[str, Callable[[dict[str, Any]], bool]] = {
    "deploy/kubernetes/": on_kubernetes,
    "deploy/kubernetes/overlays/dev/postgres": lambda answers: "postgres" in answers["datastores"],
    "deploy/kubernetes/overlays/dev/mysql": lambda answers: "mysql" in answers["datastores"],
    "deploy/kubernetes/overlays/dev/redis": lambda answers: "redis" in answers["datastores"],
    "compose.yaml": on_compose,
    "deploy/compose/": on_compose,
    "deploy/compose/observability": profile("observability"),
    "deploy/compose/observability/jaeger": lambda answers: answers["tracing"],
    # The dashboard of the monitoring component serves both.
    "deploy/compose/observability/dashboard.json": lambda answers: not answers.get("monitoring"),
    "deploy/compose/logging": profile("logging"),
    "internal/postgres/": lambda answers: "postgres" in answers["datastores"],
    "internal/mysql/": lambda answers: "mysql" in answers["datastores"],
    "internal/metrics/waits": lambda answers: "mysql" in answers["datastores"],
    "internal/tracing/sql": lambda answers: "mysql" in answers["datastores"],
    "internal/redis/": lambda answers: "redis" in answers["datastores"],
    "config/": on_compose,
    "internal/tracing/": lambda answers: answers["tracing"],
    "internal/auth/": lambda answers: answers["auth"],
    "api/": lambda answers: answers["openapi"],
    "internal/api/contract_test": lambda answers: answers["openapi"],
    "internal/greeting/": lambda answers: bool(answers["datastores"]),
    "internal/api/greetings": lambda answers: bool(answers["datastores"]),
    "internal/redis/greetings": lambda answers: answers["datastores"] == ["redis"],
    "internal/redis/cache": lambda answers: len(answers["datastores"]) == 2,
    "internal/tracing/redis": lambda answers: "redis" in answers["datastores"],
    "deploy/db.yaml": lambda answers: bool(answers["datastores"]),
    "internal/config/secret": lambda answers: bool(answers["datastores"]),
    "internal/health/checks": lambda answers: bool(answers["datastores"]),
    "internal/metrics/pool": lambda answers: bool(answers["datastores"]),
    "scripts/rollout.sh": on_kubernetes,
    "deploy/kubernetes/components/route/": lambda answers: bool(answers.get("host_name")),
    "deploy/kubernetes/components/canary/": lambda answers: answers.get("rollout") == "canary",
    "deploy/kubernetes/components/blue-green/": lambda answers: (
        answers.get("rollout") == "blue-green"
    ),
    "deploy/kubernetes/components/secrets/": lambda answers: external_secrets(answers),
    "deploy/kubernetes/components/monitoring/": lambda answers: bool(answers.get("monitoring")),
    "deploy/kubernetes/logging/": lambda answers: collected(answers),
    "renovate.json": lambda answers: not answers.get("monorepo"),
    ".github/": lambda answers: answers["ci"] == "github",
    ".gitlab-ci.yml": lambda answers: answers["ci"] == "gitlab",
}


def in_template() -> set[str]:
    """Return the paths of all files of the template, as they are called in a render."""
    folder = ROOT / "template"
    return {
        path.relative_to(folder)
        .as_posix()
        .removesuffix(".jinja")
        .replace("[[ service_name ]]", NAME)
        .replace("[[ _copier_conf.answers_file ]]", ".copier-answers.yml")
        for path in folder.rglob("*")
        if path.is_file()
    }


def distinct() -> list[tuple[str, str]]:
    """Return every path with every text it has, each once."""
    files = {(path, digest) for r in all_renders() for path, digest in r.files.items()}
    return [(path, read(digest)) for path, digest in sorted(files)]


#: The factors that a rule binds to others; any value of the rest can meet anything.
BOUND = [name for name in FACTORS if any(name in names for names, _ in RULES)]


@functools.cache
def feasible() -> list[dict[str, Any]]:
    """Return all that the bound `FACTORS` can be, each with the first value of the rest."""
    rows: list[dict[str, Any]] = [{name: values[0] for name, values in FACTORS.items()}]
    for n, name in enumerate(BOUND):
        due = [rule for names, rule in RULES if name in names and {*names} <= {*BOUND[: n + 1]}]
        longer = (row | {name: value} for row in rows for value in FACTORS[name])
        rows = [row for row in longer if all(rule(row) for rule in due)]
    return rows


@functools.cache
def that_can_meet() -> set[tuple[tuple[str, str], ...]]:
    """Return all triples of values that can meet."""
    found = set()
    free = [name for name in FACTORS if name not in BOUND]
    rows = [{name: json.dumps(row[name]) for name in BOUND} for row in feasible()]

    @functools.cache
    def meeting(*bound: str) -> set[tuple[str, ...]]:
        return {tuple(row[name] for name in bound) for row in rows}

    for names in itertools.combinations(FACTORS, 3):
        bound = [name for name in names if name in BOUND]
        meet = meeting(*bound)
        values = [
            [(name, json.dumps(value)) for value in FACTORS[name]] for name in names if name in free
        ]
        for held in meet:
            texts = dict(zip(bound, held, strict=True))
            for others in itertools.product(*values):
                all_three = texts | dict(others)
                found.add(tuple((name, all_three[name]) for name in names))
    return found


def any_row(chance: random.Random) -> dict[str, Any]:
    """Return a row whose values can meet."""
    while True:
        row = {name: chance.choice(values) for name, values in FACTORS.items()}
        row |= {name: value for name, value in chance.choice(feasible()).items() if name in BOUND}
        if possible(row):
            return row


def answers_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers that a row stands for."""
    return {name: value for name, value in row.items() if value is not None}


def row_of(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row that answers stand for."""
    return {name: answers.get(name) for name in FACTORS}


def triples(rows: Iterable[Mapping[str, Any]]) -> set[tuple[tuple[str, str], ...]]:
    """Return all that three values of a row make, in any of the rows."""
    return {
        three
        for row in rows
        for three in itertools.combinations([(k, json.dumps(row[k])) for k in FACTORS], 3)
    }


def never_met(renders: Sequence[dict[str, Any]]) -> set[tuple[tuple[str, str], ...]]:
    """Return the triples of values that can meet, and do not in these answers."""
    return that_can_meet() - triples(map(row_of, renders))


def unseen(folder: Path, known: Mapping[str, set[str]], answers: Mapping[str, Any]) -> set[str]:
    """Return the files whose text, for these answers, is none of those known by its path."""
    project = render(folder, **answers)
    return {
        path
        for file in project.rglob("*")
        if file.is_file()
        and file.read_bytes().decode()
        not in known.get(path := file.relative_to(project).as_posix(), set())
    }


def texts(renders: Sequence[Render]) -> dict[str, set[str]]:
    """Return every text by its path."""
    known: dict[str, set[str]] = {}
    for path, digest in {(path, digest) for r in renders for path, digest in r.files.items()}:
        known.setdefault(path, set()).add(read(digest))
    return known


def test_all_combinations_are_rendered() -> None:
    assert [r.answers for r in all_renders()] == combinations()


def untried(copier_yml: Mapping[str, Any]) -> list[str]:
    """Return the questions that are rendered with their default alone, and what to do."""
    tried = factors(copier_yml).keys() | CUSTOM.keys()
    return [
        f"{name} is only rendered as it is by default: give it a value in CUSTOM, "
        "tests/helpers/combinations.py, and in TEXTS there if it may be left empty"
        for name in asked(copier_yml)
        if name not in tried
    ]


def test_every_question_is_rendered_with_another_answer() -> None:
    assert untried(COPIER_YML) == []
    new = {"type": "str", "default": "hello"}
    assert untried(COPIER_YML | {"greeting": new})[0].startswith("greeting is only rendered")
    assert untried(COPIER_YML | {"greeting": new | {"choices": ["hello", "hi"]}}) == []
    assert untried(COPIER_YML | {"greeting": new | {"when": False}}) == []


def go_text(files: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """Return the paths and the digests of what Go builds."""
    return frozenset((path, digest) for path, digest in files.items() if is_go(path))


def go_texts(renders: Sequence[Render], questions: Sequence[str]) -> dict[str, int]:
    """Return how many Go texts there are for each answer to these questions."""
    found: dict[str, set[frozenset[tuple[str, str]]]] = {}
    for rendered in renders:
        answers = json.dumps([rendered.answers.get(name) for name in questions])
        found.setdefault(answers, set()).add(go_text(rendered.files))
    return {answers: len(texts) for answers, texts in found.items()}


def test_go_text_depends_on_no_other_question() -> None:
    """What is read from the template, which answers change Go text, is what is rendered."""
    questions = go_questions()
    assert set(go_texts(all_renders(), questions).values()) == {1}
    for name in set(questions) & FACTORS.keys():
        fewer = [other for other in questions if other != name]
        assert max(go_texts(all_renders(), fewer).values()) > 1, name


def test_go_text_depends_on_no_other_text(tmp_path: Path, custom: dict[str, Path]) -> None:
    questions = go_questions()
    answers = {name: value for name, value in CUSTOM.items() if name in questions}

    def built(project: Path) -> dict[str, str]:
        paths = {p.relative_to(project).as_posix(): p for p in project.rglob("*") if p.is_file()}
        return {name: path.read_text() for name, path in paths.items() if is_go(name)}

    assert built(custom["github"]) == built(render(tmp_path / "all", **answers))
    for name in answers.keys() - FACTORS.keys():
        fewer = {other: value for other, value in answers.items() if other != name}
        assert built(render(tmp_path / name, **fewer)) != built(custom["github"]), name


def test_any_three_answers_meet_in_a_combination() -> None:
    rows = combinations()
    assert never_met(rows) == set()
    # One of the rows alone brings some triple, and its loss is noticed.
    assert any(never_met(rows[:n] + rows[n + 1 :]) for n in range(2, 12))
    assert len(that_can_meet()) > 5000
    assert len(rows) < len(feasible()) / 10


def test_other_combinations_have_the_same_texts(tmp_path: Path) -> None:
    rendered, chance = combinations(), random.Random(3)
    others = [a for _ in range(20) if (a := answers_of(any_row(chance))) not in rendered]
    assert len(others) > 15
    known = texts(all_renders())
    # What tells of all the answers at once; no linter but that of their format reads the first two,
    # and the others are lists, of jobs and their services too, whose parts do not depend on each other.
    overlays = "deploy/kubernetes/overlays"
    told = {
        *(".copier-answers.yml", "README.md", "Makefile", ".gitignore", ".gitlab-ci.yml"),
        *("go.mod", "go.sum"),
        *(f"{overlays}/{name}/kustomization.yaml" for name in ("dev", "staging", "prod")),
    }
    for number, answers in enumerate(others):
        assert unseen(tmp_path / str(number), known, answers) <= told, answers

    few = texts(all_renders()[:1])
    assert unseen(tmp_path / "few", few, combinations()[1]) > {
        "README.md",
        "Makefile",
        "Dockerfile",
    }


def expected(answers: dict[str, Any]) -> set[str]:
    """Return the files that a service with these answers has."""
    off = tuple(prefix for prefix, wanted in ONLY.items() if not wanted(answers))
    return {path for path in in_template() if not path.startswith(off)}


def test_each_combination_has_exactly_its_files() -> None:
    wrong = {
        json.dumps(r.answers): sorted(expected(r.answers) ^ set(r.files))
        for r in all_renders()
        if expected(r.answers) != set(r.files)
    }
    assert wrong == {}


@functools.cache
def files_of(number: int) -> set[str]:
    """Return the files of one of the combinations, rendered for itself: it takes a second."""
    with tempfile.TemporaryDirectory() as folder:
        project = render(Path(folder, "project"), **combinations()[number])
        return {f.relative_to(project).as_posix() for f in project.rglob("*") if f.is_file()}


@pytest.mark.parametrize("key", FACTORS)
def test_an_answer_has_exactly_its_files(key: str) -> None:
    """As above, in seconds: for the first and the last answer to one question."""
    asked = [value for value in FACTORS[key] if value is not None]
    for value in (asked[0], asked[-1]):
        rows = [n for n, answers in enumerate(combinations()) if answers.get(key, value) == value]
        wrong = expected(combinations()[rows[0]]) ^ files_of(rows[0])
        assert not wrong, f"{key}: ONLY does not fit: see step 4 of 'Add an option': {wrong}"


def test_the_default_is_small(tmp_path: Path) -> None:
    default = all_renders()[0]
    answers = yaml.safe_load(default.read(".copier-answers.yml"))
    plain = yaml.safe_load((render(tmp_path / "project") / ".copier-answers.yml").read_text())
    assert {k: v for k, v in answers.items() if k[0] != "_"} == {
        k: v for k, v in plain.items() if k[0] != "_"
    }
    assert oversize({path: default.read(path) for path in default.files}) == []


@pytest.mark.parametrize(
    ("scar", "pattern", "suffixes"),
    [
        # Go writes [][]byte and m[x[i]], a shell script may write [[ -f x ]]; none of the
        # template's own files writes a marker with its space.
        ("an unrendered marker", r"\[\[ | \]\]|\[%[ -]|[ -]%\]|\[# | #\]", ""),
        ("a trailing space", r"[ \t]+$", ""),
        ("a carriage return", r"\r", ""),
        ("a blank line at the start", r"\A\s*\n", ""),
        ("no newline at the end", r"[^\n]\Z", ""),
        ("a blank line at the end", r"\n\n\Z", ""),
        ("two blank lines", r"\n\n\n", ""),
        ("a blank line that opens a block", r"[{(]\n\n", ".go"),
        ("a blank line that closes a block", r"\n\n\s*[})]", ".go"),
        ("a blank line that opens a block", r"(?<!pull_request):\n\n", ".yml .yaml"),
        ("a continued line before a blank one", r"\\\n\s*\n", "Dockerfile Makefile"),
        ("a recipe with a blank line", r"\n\n\t", "Makefile"),
        ("a heading without a blank line above", r"[^\n]\n## ", ".md"),
        ("a heading without a blank line below", r"\n## [^\n]*\n[^\n]", ".md"),
        ("two fenced blocks in a row", r"\n```\n```", ".md"),
    ],
)
def test_no_file_has(scar: str, pattern: str, suffixes: str) -> None:
    looked_at = [(p, t) for p, t in distinct() if p.endswith(tuple(suffixes.split() or [""]))]
    found = {
        f"{path}: {text[max(0, match.start() - 60) : match.end() + 60]!r}"
        for path, text in looked_at
        if (match := re.search(pattern, text, re.MULTILINE))
    }
    assert looked_at
    assert not found, scar


def test_no_file_is_empty() -> None:
    assert [path for path, text in distinct() if not text.strip()] == []


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"deploy": ["compose"], "ci": "none"},
        {"deploy": ["kubernetes", "compose"], "monitoring": True, "datastores": ["redis"]},
    ],
)
def test_no_folder_is_empty(answers: dict[str, Any], tmp_path: Path) -> None:
    project = render(tmp_path / "project", **answers)
    assert [folder for folder, _, _ in os.walk(project) if not any(Path(folder).iterdir())] == []


def test_yaml_and_json_parse() -> None:
    parsers: dict[str, Callable[[str], Any]] = {
        ".json": json.loads,
        ".yaml": lambda text: list(yaml.safe_load_all(text)),
        ".yml": lambda text: list(yaml.safe_load_all(text)),
    }
    for path, text in distinct():
        if parse := parsers.get(PurePosixPath(path).suffix):
            assert parse(text), path


def test_what_was_not_chosen_is_not_mentioned() -> None:
    observability, logging = profile("observability"), profile("logging")
    words: dict[str, Callable[[dict[str, Any]], bool]] = {
        "(?i:postgres)": lambda answers: "postgres" in answers["datastores"],
        "(?i:mysql|mariadb)": lambda answers: "mysql" in answers["datastores"],
        "(?i:database)": lambda answers: bool({"postgres", "mysql"} & {*answers["datastores"]}),
        "(?i:redis)": lambda answers: "redis" in answers["datastores"],
        r"secretName": lambda answers: bool(answers["datastores"]),
        # What the profiles bring has passwords, too.
        r"\.secrets/": lambda answers: bool(
            answers["datastores"] or answers.get("compose_profiles")
        ),
        "(?i:kubectl|kustomiz)": on_kubernetes,
        "HTTPRoute|Gateway API": lambda answers: bool(answers.get("host_name")),
        "shop.example.com": lambda answers: bool(answers.get("host_name")),
        "kind: Rollout|Argo Rollouts|argoproj": lambda answers: (
            answers.get("rollout", "rolling") != "rolling"
        ),
        "(?i:canary)|AnalysisTemplate": lambda answers: answers.get("rollout") == "canary",
        "(?i:blue-?green)|preview": lambda answers: answers.get("rollout") == "blue-green",
        "promote": lambda answers: answers.get("rollout", "rolling") != "rolling",
        "ExternalSecret|SecretStore|External Secrets": external_secrets,
        "(?i:vault)": lambda answers: answers.get("secrets") == "vault",
        "(?i:amazonaws|secretsmanager)": lambda answers: answers.get("secrets") == "aws",
        "ServiceMonitor|PrometheusRule": lambda answers: bool(answers.get("monitoring")),
        "(?i:grafana)": lambda answers: bool(answers.get("monitoring")) or observability(answers),
        "(?i:fluent.?bit)": lambda answers: collected(answers) or logging(answers),
        "(?i:kafka)": lambda answers: answers.get("log_collection") == "kafka" or logging(answers),
        # Out of Kafka, the logs go there too.
        "(?i:elasticsearch)": lambda answers: collected(answers) or logging(answers),
        r"host: elasticsearch": lambda answers: (
            answers.get("log_collection") == "elasticsearch" or logging(answers)
        ),
        "(?i:kibana)": logging,
        "COMPOSE_PROFILES=observability|profile observability": observability,
        "COMPOSE_PROFILES=logging|profile logging": logging,
        "(?i:jaeger)": lambda answers: answers["tracing"] and observability(answers),
        "registry-login": lambda answers: bool(answers.get("image_pull_secret")),
        # `make db` starts the stores by Compose.
        "docker compose": lambda answers: on_compose(answers) or bool(answers["datastores"]),
        "compose.yaml": on_compose,
        "GOPROXY": lambda answers: answers["goproxy"] != "",
        "GOPRIVATE|(?i:netrc)": lambda answers: answers["goprivate"] != "",
        "addgroup|alpine:": lambda answers: answers["base_image"] == "alpine",
        "distroless/": lambda answers: answers["base_image"] == "distroless",
        "startupProbe": lambda answers: "startup" in answers.get("probes", []),
        "livenessProbe": lambda answers: "liveness" in answers.get("probes", []),
        "readinessProbe": lambda answers: "readiness" in answers.get("probes", []),
    }
    # The modules that stand in go.sum, and the words of the Go code, are checked by Go's tests.
    mentions: dict[tuple[str, str], bool] = {}
    wrong = set()
    for rendered in all_renders():
        for path, digest in rendered.files.items():
            if path.startswith(("internal/", "cmd/", "go.", ".copier-answers", ".gitignore")):
                continue
            # These have probes and secrets of their own, whatever the service has.
            if path == "deploy/kubernetes/logging/daemonset.yaml":
                continue
            # Grafana names the data sources that it does without, Fluent Bit a database of its own.
            if path in (
                "deploy/compose/observability/grafana.ini",
                "deploy/compose/logging/collector.yaml",
            ):
                continue
            if path.startswith("deploy/kubernetes/overlays/dev/") and path.endswith(
                ("/postgres.yaml", "/mysql.yaml", "/redis.yaml")
            ):
                continue
            for word, wanted in words.items():
                if (digest, word) not in mentions:
                    mentions[digest, word] = re.search(word, read(digest)) is not None
                if mentions[digest, word] and not wanted(rendered.answers):
                    wrong.add(f"{path} mentions {word} for {json.dumps(rendered.answers)}")
    assert sorted(wrong)[:5] == []
