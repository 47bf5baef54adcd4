"""Every combination of answers renders exactly its own files, and none of them has a scar."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml
from everything import Render, everything, read
from support import ROOT, combinations

NAME = "myservice"

#: What stands in the repository only for some answers. Written here once more, so that the
#: exclusions of copier.yml are checked against something.
ONLY: dict[str, Callable[[dict[str, Any]], bool]] = {
    "deploy/kubernetes/": lambda answers: "kubernetes" in answers["deploy"],
    "compose.yaml": lambda answers: "compose" in answers["deploy"],
    "internal/postgres/": lambda answers: "postgres" in answers["datastores"],
    "internal/redis/": lambda answers: "redis" in answers["datastores"],
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


def test_all_combinations_are_rendered() -> None:
    assert [r.answers for r in everything()] == list(combinations())


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


def test_the_default_is_small() -> None:
    [default] = [
        r
        for r in everything()
        if r.answers["base_image"] == "distroless"
        and r.answers["deploy"] == ["kubernetes"]
        and len(r.answers["probes"]) == 3
        and r.answers["datastores"] == []
        and r.answers["ci"] == "github"
        and "goproxy" not in r.answers
        and "goprivate" not in r.answers
    ]
    go = [p for p in default.files if p.endswith(".go") and not p.endswith("_test.go")]
    assert len(default.files) <= 45
    assert sum(default.read(path).count("\n") for path in go) <= 1200


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
        ".yaml": yaml.safe_load,
        ".yml": yaml.safe_load,
    }
    for path, text in distinct():
        if parse := parsers.get(PurePosixPath(path).suffix):
            assert parse(text), path


def test_what_was_not_chosen_is_not_mentioned() -> None:
    words: dict[str, Callable[[dict[str, Any]], bool]] = {
        "(?i:postgres|database)": lambda answers: "postgres" in answers["datastores"],
        "(?i:redis)": lambda answers: "redis" in answers["datastores"],
        r"secretName": lambda answers: bool(answers["datastores"]),
        r"\.secrets/": lambda answers: (
            bool(answers["datastores"]) and "compose" in answers["deploy"]
        ),
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
            for word, wanted in words.items():
                if (digest, word) not in mentions:
                    mentions[digest, word] = re.search(word, read(digest)) is not None
                if mentions[digest, word] and not wanted(rendered.answers):
                    wrong.add(f"{path} mentions {word} for {json.dumps(rendered.answers)}")
    assert sorted(wrong)[:5] == []
