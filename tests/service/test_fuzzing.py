"""Fuzz tests of what the service parses find nothing, and find a fault that is planted."""

from __future__ import annotations

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


def test_fuzzing_the_configuration_finds_nothing(mutable: RenderedTree) -> None:
    add_config_tests(mutable)
    assert fuzz(mutable, "./internal/config", "FuzzConfigFile", seconds=10) == ""


def test_fuzzing_the_configuration_finds_a_fault(mutable: RenderedTree) -> None:
    add_config_tests(mutable)
    planted = r'\g<0>\n\t\tif len(key) == 3 {\n\t\t\tpanic("planted")\n\t\t}'
    substitute_once(
        mutable.file("internal/config/config.go"), r"^\tfor key, value := range texts \{$", planted
    )
    found = fuzz(mutable, "./internal/config", "FuzzConfigFile", seconds=60)
    assert "Failing input written" in found
    assert "planted" in found
