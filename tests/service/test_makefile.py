"""What the Makefile tells Go and golangci-lint: the image's build tags, and which Go.

Both are stand-ins that write down how they were called.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from helpers.linters import mutate
from helpers.machine import need, run
from helpers.pipelines import rendered
from helpers.rendering import build_flags

FAKES = {
    "go": """\
case "$*" in
  'env GOVERSION') echo "${GO_IS:-go1.27.4}" ;;
  'env GOFLAGS') echo "$FROM_FILE" ;;
  *) echo "go $1|$GOTOOLCHAIN|$GOFLAGS" >>called ;;
esac
""",
    "golangci-lint": """\
case $1 in
  version) echo "golangci-lint has version 2.15.0 built with ${LINT_IS:-go1.27.4} from 0123abc" ;;
  *) echo "lint $1|$GOTOOLCHAIN|$GOFLAGS" >>called ;;
esac
""",
}

#: What a target runs that compiles or reads code.
CALLS = {
    "run": ["go run"],
    "dev": ["go run"],
    "test": ["go test"],
    "lint": ["go vet", "go mod", "lint run"],
    "vuln": ["go run"],
}


class Project:
    """A render, and what its Makefile calls."""

    def __init__(self, path: Path) -> None:
        need("make", "gofmt")
        self.path = path
        shutil.copytree(rendered("github"), path)
        (path / "fakes").mkdir()
        for name, script in FAKES.items():
            fake = path / "fakes" / name
            fake.write_text(f"#!/bin/sh\n{script}")
            fake.chmod(0o755)

    def make(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run make with the stand-ins, and without GOFLAGS of this machine."""
        fakes = {
            "PATH": f"{self.path}/fakes:{os.environ['PATH']}",
            "GOFLAGS": "",
            "GOTOOLCHAIN": "",
        }
        return run(["make", *arguments], self.path, fakes | env, ok=False)

    def called(self, *arguments: str, **env: str) -> list[list[str]]:
        """What was called by a make that succeeds: the words, GOTOOLCHAIN, GOFLAGS."""
        (self.path / "called").unlink(missing_ok=True)
        done = self.make(*arguments, **env)
        assert done.returncode == 0, done.stdout
        return [line.split("|") for line in (self.path / "called").read_text().splitlines()]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


# -- build tags ----------------------------------------------------------------------------


def image_tags(project: Project) -> str:
    flags = build_flags(project.path)
    return flags[flags.index("-tags") + 1]


@pytest.mark.parametrize("target", CALLS)
def test_all_that_compiles_has_the_tags_of_the_image(project: Project, target: str) -> None:
    calls = project.called(target)
    assert [words for words, _, _ in calls] == CALLS[target]
    tags = image_tags(project)
    assert "validator_novalidatefn" in tags
    assert {flags.strip() for _, _, flags in calls} == {f"-tags={tags}"}
    # They stand in one place.
    dockerfile = project.path / "Dockerfile"
    dockerfile.write_text(mutate(dockerfile.read_text(), f"-tags={tags}", "-tags=mine"))
    assert {flags.strip() for _, _, flags in project.called(target)} == {"-tags=mine"}


def test_flags_of_ones_own_stay(project: Project) -> None:
    tags = image_tags(project)
    for given in (
        {"GOFLAGS": "-count=1 -tags=integration"},
        {"FROM_FILE": "-count=1 -tags=integration"},  # By `go env -w`.
    ):
        [[_, _, flags]] = project.called("test", **given)
        assert flags.split() == ["-count=1", f"-tags={tags},integration"]
    [[_, _, flags]] = project.called("test", "GOFLAGS=-v", FROM_FILE="-count=1")
    assert flags.split() == ["-v", f"-tags={tags}"]


@pytest.mark.parametrize("path", ["internal/api/order.go", "web/order.go", "order.go"])
@pytest.mark.parametrize("tag", ["validateFn", "required,validateFn=IsValid", "dive,validateFn"])
def test_lint_refuses_what_the_tags_leave_out(project: Project, path: str, tag: str) -> None:
    source = project.path / path
    source.parent.mkdir(exist_ok=True)
    field = f'\tName string `json:"name" binding:"{tag}"`'
    source.write_text(f"package order\n\ntype order struct {{\n{field}\n}}\n")
    done = project.make("lint")
    assert done.returncode
    assert f"{path}:4:{field}" in done.stdout
    assert "use RegisterValidation, or take validator_novalidatefn out" in done.stdout
    # Either step helps.
    dockerfile = project.path / "Dockerfile"
    text = dockerfile.read_text()
    dockerfile.write_text(mutate(text, ",validator_novalidatefn", ""))
    assert project.make("lint").returncode == 0
    dockerfile.write_text(text)
    source.write_text(source.read_text().replace("validateFn", "mine"))
    assert project.make("lint").returncode == 0


def test_lint_lets_other_uses_of_the_word_pass(project: Project) -> None:
    source = project.path / "internal/api/other.go"
    source.write_text(
        "package api\n\n// validateFn, say.\nfunc validateFn(validateFn bool) bool { return validateFn }\n"
    )
    assert project.make("lint").returncode == 0


def test_lint_asks_for_the_format_of_what_a_team_adds(project: Project) -> None:
    for name in ("web/web.go", "web.go"):
        source = project.path / name
        source.parent.mkdir(exist_ok=True)
        source.write_text("package web\nvar  a = 1\n")
        done = project.make("lint")
        assert done.returncode
        assert "-var  a = 1" in done.stdout
        source.unlink()
    vendored = project.path / "vendor/example.com/a/a.go"
    vendored.parent.mkdir(parents=True)
    vendored.write_text("package web\nvar  a = 1\n")
    assert project.make("lint").returncode == 0


# -- which Go ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("go", "named"),
    [
        ("go1.27.4", "go1.27.4"),
        ("go1.28rc1", "go1.28rc1"),
        # What its own builder called differently is nowhere to be downloaded.
        ("go1.26.8-X:nodwarf5", "local"),
        ("go1.27.4 X:nodwarf5", "local"),
        ("devel go1.28-1a2b3c4 Mon Nov 30 10:00:00 2026 +0000", "local"),
    ],
)
def test_tools_are_run_by_the_go_in_use(project: Project, go: str, named: str) -> None:
    [[_, toolchain, _]] = project.called("vuln", GO_IS=go)
    assert toolchain == named


@pytest.mark.parametrize(
    ("go", "lint", "named"),
    [
        ("go1.27.4", "go1.27.4", "go1.27.4"),
        ("go1.27.4", "go1.26.8", "go1.26.8"),  # It could not read the library of a newer Go.
        ("go1.26.8", "go1.27.1", "go1.26.8"),
        ("go1.27.4", "go1.27.1", "go1.27.4"),
        ("go1.27.1", "go1.27.4", "go1.27.1"),
        ("go1.26.8-X:nodwarf5", "go1.27.1", "go1.26.8-X:nodwarf5"),
        ("devel go1.28-1a2b3c4 Mon Nov 30 10:00:00 2026 +0000", "go1.27.1", "go1.27.1"),
    ],
)
def test_golangci_lint_gets_no_go_newer_than_its_own(
    project: Project, go: str, lint: str, named: str
) -> None:
    *_, [_, toolchain, _] = project.called("lint", GO_IS=go, LINT_IS=lint)
    assert toolchain == named


def test_golangci_lint_is_told_the_language_and_not_the_toolchain() -> None:
    """Else one that was built with the oldest Go that go.mod allows would refuse the module."""
    module = (rendered("github") / "go.mod").read_text()
    language = re.search(r"^go (\d+\.\d+)\.\d+$", module, re.MULTILINE)
    assert language
    settings = yaml.safe_load((rendered("github") / ".golangci.yml").read_text())
    assert settings["run"]["go"] == language[1]
