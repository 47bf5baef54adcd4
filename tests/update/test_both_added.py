"""Files that both the template and the user have added: the lines that differ are a conflict."""

from __future__ import annotations

import pytest
from helpers.commands import gindock
from helpers.update_cases import Case

LONG = "".join(f"line {number}\n" for number in range(400))
MINE = LONG.replace("line 200\n", "line 200, mine\n")
#: Without a base, of which there is none.
ONE_LINE = "<<<<<<< yours\nline 200, mine\n=======\nline 200\n>>>>>>> template-v2.0.0\n"
REFINED = LONG.replace("line 200\n", ONE_LINE)


def test_only_the_lines_that_differ_are_a_conflict(case: Case) -> None:
    case.releases({"a.txt": "a\n"}, {"a.txt": "a\n", "new.txt": LONG})
    case.edit({"new.txt": MINE})
    done = gindock("update", cwd=case.project)
    assert done.code == 3
    assert "  conflict   new.txt (both changed the same lines)\n" in done.stdout
    assert (case.project / "new.txt").read_text() == REFINED
    for side, text in (("--ours", MINE), ("--theirs", LONG)):
        case.git("checkout", "--quiet", side, "new.txt")
        assert (case.project / "new.txt").read_text() == text
    assert gindock("update", "--abort", cwd=case.project).code == 2  # It was edited.


@pytest.mark.parametrize(
    ("attributes", "setting", "expected"),
    [
        ("new.txt conflict-marker-size=9\n", "", REFINED),
        ("new.txt filter=same\n", "filter.same.clean=cat", REFINED),
        ("new.txt merge=binary\n", "", MINE),
        ("", "merge.conflictStyle=zdiff3", REFINED),
    ],
)
def test_settings_of_the_project_count(
    attributes: str, setting: str, expected: str, case: Case
) -> None:
    case.releases({"a.txt": "a\n"}, {"a.txt": "a\n", "new.txt": LONG})
    case.edit({"new.txt": MINE, **({".gitattributes": attributes} if attributes else {})})
    if setting:
        case.git("config", *setting.split("=", 1))
    assert gindock("update", cwd=case.project).code == 3
    text = (case.project / "new.txt").read_text()
    for marker in "<=>":
        text = text.replace(marker * 9, marker * 7)
    assert text == expected


def test_a_file_with_crlf_is_compared_with_crlf(case: Case) -> None:
    case.releases({"a.txt": "a\n"}, {"a.txt": "a\n", "new.txt": LONG, "same.txt": LONG})
    case.edit({"new.txt": MINE.replace("\n", "\r\n"), "same.txt": LONG.replace("\n", "\r\n")})
    assert gindock("update", cwd=case.project).code == 3
    text = (case.project / "new.txt").read_bytes().decode()
    # Git ends its markers with LF where there is no base to tell.
    assert text.replace("\r\n", "\n") == REFINED
    assert case.git("ls-files", "--unmerged", "same.txt") == ""
