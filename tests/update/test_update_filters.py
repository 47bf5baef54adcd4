"""Filters, encodings and `ident` in a `.gitattributes` that an update brings, changes or removes."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Callable
from typing import NamedTuple

import pytest
from helpers.commands import gindock
from helpers.update_cases import (
    AGAINST,
    BOTH,
    EXECUTABLE,
    FIXED,
    MINE,
    TEXT,
    Case,
    conflict,
    read,
    write,
)


class Filter(NamedTuple):
    """A filter's commands, neither of which may run twice, and what git stores of a text."""

    clean: str
    smudge: str
    stored: Callable[[str], str]


ROTATE = "tr a-z n-za-m"
FILTERS = {
    "rot13": Filter(ROTATE, ROTATE, lambda text: codecs.encode(text, "rot13")),
    "base64": Filter(
        "base64 -w0", "base64 -d", lambda text: base64.b64encode(text.encode()).decode()
    ),
}
ATTRIBUTES = {".gitattributes": "*.txt filter=odd\n"}


@pytest.fixture(params=FILTERS)
def odd(request: pytest.FixtureRequest) -> Filter:
    return FILTERS[request.param]


def configure(case: Case, clean: str, smudge: str) -> None:
    """Let the user have the filter."""
    case.git("config", "filter.odd.clean", clean)
    case.git("config", "filter.odd.smudge", smudge)
    case.git("config", "filter.odd.required", "true")


def update(case: Case, *options: str, code: int = 0) -> str:
    """Update the project; return what gindock says."""
    done = gindock("update", *options, cwd=case.project)
    assert done.code == code, done
    return done.stdout


def check_as_git_has_it(case: Case) -> None:
    """Nothing differs from the last commit, and what git checks out of it is what is there."""
    case.git("add", "--renormalize", ".")
    assert case.git("status", "--porcelain") == ""
    files = read(case.project)
    for path in case.git("ls-files", "-z").split("\0")[:-1]:
        (case.project / path).unlink()
    # As a clone would have it: with the attributes first.
    case.git("checkout", "--", ".gitattributes") if ".gitattributes" in files else None
    case.git("checkout", "--", ".")
    assert read(case.project) == files


@pytest.mark.parametrize("commit", [True, False], ids=["commit", "staged"])
def test_a_filter_that_comes_is_in_force(commit: bool, odd: Filter, case: Case) -> None:
    files = dict.fromkeys(("a.txt", "b.txt", "c.txt"), TEXT)
    new = {"a.txt": FIXED, "b.txt": TEXT, "c.txt": FIXED, "new.txt": "new\n"}
    case.releases(files, {**ATTRIBUTES, **new})
    configure(case, odd.clean, odd.smudge)
    case.edit({"a.txt": MINE, "mine.txt": "mine\n"})
    said = update(case, *(["--commit"] if commit else []))
    case.git("commit", "-qm", "Updated") if not commit else None
    on_disk = {**new, "a.txt": BOTH, "mine.txt": "mine\n"}
    assert {path: read(case.project).get(path) for path in on_disk} == on_disk
    stored = {path: case.git("cat-file", "blob", f"HEAD:{path}") for path in on_disk}
    assert stored == {path: odd.stored(text) for path, text in on_disk.items()}
    assert "  merged     a.txt\n" in said
    assert "  updated    c.txt\n" in said
    assert "  updated    mine.txt (stored as its new filter has it)\n" in said
    check_as_git_has_it(case)


def test_a_filter_that_goes_is_not_in_force(odd: Filter, case: Case) -> None:
    files = {"a.txt": TEXT, "b.txt": TEXT}
    case.releases({**ATTRIBUTES, **files}, {"a.txt": FIXED, "b.txt": TEXT})
    configure(case, odd.clean, odd.smudge)
    case.git("add", "--renormalize", ".")
    case.edit({"a.txt": MINE})
    assert case.git("cat-file", "blob", "HEAD:a.txt") == odd.stored(MINE)
    update(case, "--commit")
    assert case.git("cat-file", "blob", "HEAD:a.txt") == BOTH
    assert {path: read(case.project)[path] for path in files} == {"a.txt": BOTH, "b.txt": TEXT}
    check_as_git_has_it(case)


def test_an_update_that_brings_a_filter_is_undone(odd: Filter, case: Case) -> None:
    old = {".gitattributes": "*.md text\n", "a.txt": TEXT, "b.txt": TEXT}
    case.releases(old, {**ATTRIBUTES, "a.txt": FIXED, "b.txt": TEXT})
    configure(case, odd.clean, odd.smudge)
    case.edit({"a.txt": MINE})
    before = read(case.project), case.git("ls-files", "--stage")
    update(case)
    update(case, "--abort")
    assert (read(case.project), case.git("ls-files", "--stage")) == before
    assert case.git("status", "--porcelain") == ""


@pytest.mark.parametrize("since", ["v1.0.0", "v2.0.0"])
def test_a_conflict_in_a_filtered_file_is_readable(since: str, odd: Filter, case: Case) -> None:
    old = ATTRIBUTES if since == "v1.0.0" else {}
    case.releases({**old, "a.txt": TEXT}, {**ATTRIBUTES, "a.txt": FIXED})
    configure(case, odd.clean, odd.smudge)
    case.git("add", "--renormalize", ".")
    case.edit({"a.txt": AGAINST})
    update(case, code=3)
    expected = conflict("seven, mine\n", "seven, fixed\n")
    assert (case.project / "a.txt").read_text() == expected
    for side, text in (("--ours", AGAINST), ("--theirs", FIXED)):
        case.git("checkout", side, "a.txt")
        assert (case.project / "a.txt").read_text() == text
    case.git("commit", "-qam", "Theirs")
    check_as_git_has_it(case)


def test_an_edit_in_a_filtered_file_is_merged_as_it_is_on_disk(odd: Filter, case: Case) -> None:
    case.releases({**ATTRIBUTES, "a.txt": TEXT}, {**ATTRIBUTES, "a.txt": FIXED})
    configure(case, odd.clean, odd.smudge)
    case.git("add", "--renormalize", ".")
    case.edit({"a.txt": MINE})
    update(case, "--commit")
    assert (case.project / "a.txt").read_text() == BOTH
    check_as_git_has_it(case)


@pytest.mark.parametrize(
    ("attribute", "line", "on_disk"),
    [
        ("ident", "$Id$", b"$Id: "),
        ("working-tree-encoding=UTF-16LE-BOM", "two", "\ufeffone, mine".encode("utf-16-le")),
    ],
    ids=["ident", "encoding"],
)
def test_what_git_itself_converts_is_converted(
    attribute: str, line: str, on_disk: bytes, case: Case
) -> None:
    # For the template's own repository it is no such file.
    attributes = {".gitattributes.jinja": f"*.txt {attribute}\n"}
    texts = [text.replace("two", line) for text in (TEXT, FIXED, MINE, BOTH)]
    case.releases({"a.txt": texts[0]}, {**attributes, "a.txt": texts[1]})
    case.edit({"a.txt": texts[2]})
    update(case, "--commit")
    assert case.git("cat-file", "blob", "HEAD:a.txt") == texts[3]
    assert on_disk in (case.project / "a.txt").read_bytes()
    check_as_git_has_it(case)


@pytest.mark.parametrize("clean", ["false", ""], ids=["fails", "is missing"])
def test_without_a_filter_that_is_required_nothing_changes(clean: str, case: Case) -> None:
    case.releases({"a.txt": TEXT}, {**ATTRIBUTES, "a.txt": FIXED})
    case.git("config", "filter.odd.required", "true")
    case.git("config", "filter.odd.clean", clean) if clean else None
    case.edit({"a.txt": MINE})
    before = read(case.project), case.git("ls-files", "--stage")
    done = gindock("update", "--commit", cwd=case.project)
    assert done.code == 1
    assert "the filter that .gitattributes has for a.txt" in done.stderr
    assert (read(case.project), case.git("ls-files", "--stage")) == before
    assert case.git("status", "--porcelain") == ""


def test_a_filter_may_be_a_script_of_the_project(case: Case) -> None:
    script = {"tools/rotate": EXECUTABLE + f"#!/bin/sh\nexec {ROTATE}\n"}
    attributes = {"docs/.gitattributes": "*.txt filter=odd\n"}
    case.releases({**script, "docs/a.txt": TEXT}, {**script, **attributes, "docs/a.txt": FIXED})
    configure(case, "./tools/rotate", "./tools/rotate")
    case.edit({"docs/a.txt": MINE})
    update(case)
    assert (case.project / "docs" / "a.txt").read_text() == BOTH
    assert case.git("cat-file", "blob", ":docs/a.txt") == codecs.encode(BOTH, "rot13")
    write(case.project, {"docs/a.txt": None})
    case.git("checkout", "--", "docs/a.txt")
    assert (case.project / "docs" / "a.txt").read_text() == BOTH
