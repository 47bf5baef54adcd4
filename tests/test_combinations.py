"""Every combination that is rendered has exactly its own files, and none of them has a scar."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from everything import Render, everything, read
from support import FACTORS, ROOT, combinations, oversize, possible, render

NAME = "myservice"

#: What stands in the repository only for some answers. Written here once more, so that the
#: exclusions of copier.yml are checked against something.
ONLY: dict[str, Callable[[dict[str, Any]], bool]] = {
    "deploy/kubernetes/": lambda answers: "kubernetes" in answers["deploy"],
    "deploy/kubernetes/overlays/dev/postgres": lambda answers: "postgres" in answers["datastores"],
    "deploy/kubernetes/overlays/dev/redis": lambda answers: "redis" in answers["datastores"],
    "compose.yaml": lambda answers: "compose" in answers["deploy"],
    "internal/postgres/": lambda answers: "postgres" in answers["datastores"],
    "internal/redis/": lambda answers: "redis" in answers["datastores"],
    "config/": lambda answers: "compose" in answers["deploy"],
    "internal/tracing/": lambda answers: answers["tracing"],
    "internal/httpserver/trace_otel": lambda answers: answers["tracing"],
    "internal/httpserver/trace.go": lambda answers: not answers["tracing"],
    "internal/httpserver/trace_test.go": lambda answers: not answers["tracing"],
    "internal/config/secret": lambda answers: bool(answers["datastores"]),
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
    files = {(path, digest) for r in everything() for path, digest in r.files.items()}
    return [(path, read(digest)) for path, digest in sorted(files)]


def feasible() -> list[dict[str, Any]]:
    """Return all the rows that `FACTORS` allow, the many that are not rendered included."""
    rows = (
        dict(zip(FACTORS, values, strict=True)) for values in itertools.product(*FACTORS.values())
    )
    return [row for row in rows if possible(row)]


def answers_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers that a row stands for."""
    answers = {k: v for k, v in row.items() if k != "go_env" and v is not None}
    answers.update(row["go_env"])
    return answers


def row_of(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row that answers stand for."""
    row = {name: answers.get(name) for name in FACTORS}
    row["go_env"] = {k: v for k, v in answers.items() if k in ("goproxy", "goprivate")}
    return row


def triples(rows: Iterable[Mapping[str, Any]]) -> set[tuple[tuple[str, str], ...]]:
    """Return all that three values of a row make, in any of the rows."""
    return {
        three
        for row in rows
        for three in itertools.combinations([(k, json.dumps(row[k])) for k in FACTORS], 3)
    }


def never_met(renders: Sequence[dict[str, Any]]) -> set[tuple[tuple[str, str], ...]]:
    """Return the triples of values that can meet, and do not in these answers."""
    return triples(feasible()) - triples(map(row_of, renders))


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
    assert [r.answers for r in everything()] == combinations()


def test_any_three_answers_meet_in_a_combination() -> None:
    rows = combinations()
    assert never_met(rows) == set()
    # One of the rows alone brings some triple, and its loss is noticed.
    assert any(never_met(rows[:n] + rows[n + 1 :]) for n in range(2, 12))
    assert len(triples(feasible())) > 1000
    assert len(rows) < len(feasible()) / 10


def test_other_combinations_have_the_same_texts(tmp_path: Path) -> None:
    rendered = combinations()
    others = [a for row in feasible() if (a := answers_of(row)) not in rendered]
    known = texts(everything())
    # What tells of all the answers at once; no linter but that of their format reads these two.
    told = {".copier-answers.yml", "README.md"}
    for number, answers in enumerate(random.Random(3).sample(others, 16)):
        assert unseen(tmp_path / str(number), known, answers) <= told, answers

    few = texts(everything()[:1])
    assert unseen(tmp_path / "few", few, combinations()[1]) > told


def test_each_combination_has_exactly_its_files() -> None:
    paths = in_template()

    def expected(render: Render) -> set[str]:
        off = tuple(prefix for prefix, wanted in ONLY.items() if not wanted(render.answers))
        return {path for path in paths if not path.startswith(off)}

    wrong = {
        json.dumps(r.answers): sorted(expected(r) ^ set(r.files))
        for r in everything()
        if expected(r) != set(r.files)
    }
    assert wrong == {}


def test_the_default_is_small(tmp_path: Path) -> None:
    default = everything()[0]
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
    words: dict[str, Callable[[dict[str, Any]], bool]] = {
        "(?i:postgres|database)": lambda answers: "postgres" in answers["datastores"],
        "(?i:redis)": lambda answers: "redis" in answers["datastores"],
        r"secretName": lambda answers: bool(answers["datastores"]),
        r"\.secrets/": lambda answers: bool(answers["datastores"]),
        "(?i:kubectl|kustomiz)": lambda answers: "kubernetes" in answers["deploy"],
        "docker compose|compose.yaml": lambda answers: "compose" in answers["deploy"],
        "GOPROXY": lambda answers: "goproxy" in answers,
        "GOPRIVATE|(?i:netrc)": lambda answers: "goprivate" in answers,
        "addgroup|alpine:": lambda answers: answers["base_image"] == "alpine",
        "distroless/": lambda answers: answers["base_image"] == "distroless",
        "startupProbe": lambda answers: "startup" in answers.get("probes", []),
        "livenessProbe": lambda answers: "liveness" in answers.get("probes", []),
        "readinessProbe": lambda answers: "readiness" in answers.get("probes", []),
    }
    # The modules that stand in go.sum, and the words of the Go code, are checked by Go's tests.
    mentions: dict[tuple[str, str], bool] = {}
    wrong = set()
    for rendered in everything():
        for path, digest in rendered.files.items():
            if path.startswith(("internal/", "cmd/", "go.", ".copier-answers")):
                continue
            # The stores of the dev overlay have probes of their own, whatever the service has.
            if path.startswith("deploy/kubernetes/overlays/dev/") and path.endswith(
                ("/postgres.yaml", "/redis.yaml")
            ):
                continue
            for word, wanted in words.items():
                if (digest, word) not in mentions:
                    mentions[digest, word] = re.search(word, read(digest)) is not None
                if mentions[digest, word] and not wanted(rendered.answers):
                    wrong.add(f"{path} mentions {word} for {json.dumps(rendered.answers)}")
    assert sorted(wrong)[:5] == []
