"""Fuzz tests of what the service parses find nothing, and find a fault that is planted."""

from __future__ import annotations

import re
from pathlib import Path

from helpers.machine import run
from helpers.service import (
    RenderedTree,
    add_config_tests,
    substitute_once,
)


def fuzz(tree: RenderedTree, package: str, target: str, seconds: int) -> str:
    """What the fuzzer found, empty where it found nothing."""
    binary, cache = tree.path.parent / "fuzz.test", tree.path.parent / "fuzzed"
    run(["nice", "go", "test", "-c", f"-fuzz=^{target}$", "-o", binary, package], tree.path)
    options = {"run": "^$", "fuzz": f"^{target}$", "fuzztime": f"{seconds}s", "fuzzcachedir": cache}
    # What is found shall be said, not made short.
    options["fuzzminimizetime"] = "10x"
    flags = [f"-test.{name}={value}" for name, value in options.items()]
    done = run(["nice", binary, *flags], tree.file(package), ok=False)
    assert "now fuzzing" in done.stdout, done.stdout
    return done.stdout if done.returncode else ""


def declaration(source: str, name: str) -> str:
    """One declaration of a Go file, and those that it needs, as a file of their own."""
    package, *blocks = re.split(r"\n\n(?=\S)", source.strip())
    declared = {
        match[1]: block
        for block in blocks
        if (match := re.search(r"^(?:func|var|const|type) (\w+)", block, re.MULTILINE))
    }
    needed = [name]
    for one in needed:  # which grows meanwhile
        words = set(re.findall(r"\w+", re.sub(r"//.*", "", declared[one])))
        needed += [other for other in declared if other in words and other not in needed]
    text = "\n\n".join(declared[one] for one in needed)
    imports = re.findall(r'^\t("(?:[\w./-]+/)?(\w+)")$', source, re.MULTILINE)
    used = [path for path, alias in imports if f"{alias}." in text]
    return "\n".join([package, *(f"import {path}" for path in used), text, ""])


def parser(tree: RenderedTree, folder: Path) -> RenderedTree:
    """The parser of traceparents alone: all that a package imports is compiled for the fuzzer.

    With gin that would take minutes.
    """
    alone = RenderedTree(folder / "project", tree.answers)
    alone.path.mkdir()
    alone.file("go.mod").write_text("module example.com/parser\n\ngo 1.26\n")
    for name, wanted in [("trace.go", "parseTraceparent"), ("router_test.go", "FuzzTraceparent")]:
        source = tree.file(f"internal/httpserver/{name}").read_text()
        alone.file(name).write_text(declaration(source, wanted))
    return alone


def test_fuzzing_the_configuration_finds_nothing(mutable: RenderedTree) -> None:
    add_config_tests(mutable)
    assert fuzz(mutable, "./internal/config", "FuzzConfigFile", seconds=10) == ""


def test_fuzzing_the_traceparent_finds_nothing(tree: RenderedTree, tmp_path: Path) -> None:
    assert fuzz(parser(tree, tmp_path), ".", "FuzzTraceparent", seconds=10) == ""


def test_fuzzing_the_configuration_finds_a_fault(mutable: RenderedTree) -> None:
    add_config_tests(mutable)
    planted = r'\g<0>\n\t\tif len(name) == 3 {\n\t\t\tpanic("planted")\n\t\t}'
    substitute_once(
        mutable.file("internal/config/load.go"), r"^\t\tkey := strings\.ToUpper\(name\)$", planted
    )
    found = fuzz(mutable, "./internal/config", "FuzzConfigFile", seconds=60)
    assert "Failing input written" in found
    assert "planted" in found


def test_fuzzing_the_traceparent_finds_a_fault(tree: RenderedTree, tmp_path: Path) -> None:
    alone = parser(tree, tmp_path)
    # The header may begin with anything.
    substitute_once(alone.file("trace.go"), r"MustCompile\(`\\A", "MustCompile(`")
    assert "Failing input written" in fuzz(alone, ".", "FuzzTraceparent", seconds=60)
