"""What an update does to what a user has done: each scenario with plain Copier and with gindock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from helpers.commands import SCRIPTS, Terminal
from helpers.findings import table
from helpers.machine import run
from helpers.update_cases import (
    AGAINST,
    ANSWERS,
    BOTH,
    EXECUTABLE,
    FIXED,
    FIXED_FILES,
    LINK,
    MINE,
    PAGE,
    TEXT,
    TOOLS,
    TRIED,
    Case,
    Files,
    Left,
    conflict,
    read,
    refused,
    rejected,
    scenario,
    write,
)

from gindock.upstream import answers

#: What gindock leaves of `AGAINST`, and what Copier does.
CONFLICT = conflict("seven, mine\n", "seven, fixed\n")
REJECTED = rejected("seven, mine\n", "seven, fixed\n")

#: Copier's own error, unexplained.
TRACEBACK = refused("Traceback")

#: A file that an answer leaves out.
KUBERNETES = """\
kubernetes: {type: bool, default: true}
_exclude: ["{% if not kubernetes %}kube.yaml{% endif %}"]
"""


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    case = Case(request.param, tmp_path, request.function.row.words[request.param])
    yield case
    case.check_the_end()


INTRODUCTION = """\
# What an update does

Written by `make scenarios`; every row is a test in `tests/update/test_update_scenarios.py`, run there with
plain `copier update --defaults` and with `gindock update --defaults`; `make test` runs the latter. Lost means that a line of the user's
is nowhere in the project's folder any more; what was committed is still in git.
"""


def page() -> str:
    """Return the table of the scenarios."""
    found = [test for test in globals().values() if hasattr(test, "row")]
    groups: dict[str, list[tuple[object, ...]]] = {}
    for test in found:
        words = [f"**{w}**" if "lost" in w else w for w in test.row.words.values()]
        groups.setdefault(test.row.group, []).append((test.__doc__.rstrip("."), *words))
    counts = [sum("lost" in test.row.words[tool] for test in found) for tool in TOOLS]
    return (
        f"{INTRODUCTION}\nOf {len(found)} scenarios, `copier update` loses something in {counts[0]}, "
        f"`gindock update` in {counts[1]}.\n"
        + "".join(
            f"\n## {group}\n\n{table(('Scenario', *TOOLS), *rows)}"
            for group, rows in groups.items()
        )
    )


def test_the_page_shows_these_scenarios() -> None:
    """The page is written where every tool has been tried, and else has to be right."""
    if TRIED == TOOLS:
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text() == page(), "run `make scenarios`"


# Edits


@scenario("Edits", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_an_edit_and_a_fix_meet_in_one_file(case: Case) -> None:
    """An edit and a fix at two places of a file."""
    case.releases()
    case.edit({"a.txt": MINE, "mine.txt": "mine\n"})
    case.update(Left({"a.txt": BOTH}), Left({"a.txt": BOTH}, {"a.txt": "merged"}))


@scenario("Edits", copier="conflict, exit 0", gindock="conflict with its base, exit 3")
def test_an_edit_against_a_fix_is_a_conflict(case: Case) -> None:
    """An edit and a fix at the same place."""
    case.releases()
    case.edit({"a.txt": AGAINST})
    case.update(
        Left({"a.txt": REJECTED}, unmerged=("a.txt",)),
        Left({"a.txt": CONFLICT}, {"a.txt": "conflict"}, code=3),
    )


@scenario("Edits", copier="nothing to do", gindock="nothing to do")
def test_a_fix_that_the_user_made_already_is_no_conflict(case: Case) -> None:
    """The user made the same fix."""
    case.releases()
    case.edit({"a.txt": FIXED})
    case.update(Left(), Left())


@scenario("Edits", copier="stays deleted, unsaid", gindock="stays deleted, said")
def test_a_deleted_file_stays_deleted(case: Case) -> None:
    """The user deleted a file, the template fixes it."""
    case.releases()
    case.edit({"a.txt": None, "mine.txt": "mine\n"})
    case.update(Left(), Left(changes={"a.txt": "kept"}))


@scenario("Edits", copier="edit lost, exit 0", gindock="conflict, edit kept, exit 3")
def test_a_file_that_the_template_deletes_keeps_its_edit(case: Case) -> None:
    """The user edited a file, the template deletes it."""
    case.releases({"a.txt": TEXT, "b.txt": "b\n"}, {"b.txt": "b\n"})
    case.edit({"a.txt": MINE})
    case.update(Left({"a.txt": None}), Left(changes={"a.txt": "conflict"}, code=3))


@scenario("Edits", copier="removed", gindock="removed")
def test_a_file_that_the_template_deletes_goes(case: Case) -> None:
    """The template deletes a file that the user left alone."""
    case.releases({"a.txt": TEXT, "b.txt": "b\n"}, {"b.txt": "b\n"})
    case.edit({"b.txt": "b, mine\n"})
    case.update(Left({"a.txt": None}), Left({"a.txt": None}, {"a.txt": "removed"}))


@scenario("Edits", copier="kept", gindock="kept")
def test_a_file_that_the_user_already_has_is_kept(case: Case) -> None:
    """The template adds a file that the user already has, with the same content."""
    case.releases({"a.txt": TEXT}, {"a.txt": TEXT, "new.txt": "new\n"})
    case.edit({"new.txt": "new\n"})
    case.update(Left(), Left())


@scenario("Edits", copier="conflict, exit 0", gindock="conflict, exit 3")
def test_two_files_added_under_one_name_are_a_conflict(case: Case) -> None:
    """The template adds a file that the user already has, with other content."""
    case.releases({"a.txt": TEXT}, {"a.txt": TEXT, "new.txt": "new\n"})
    case.edit({"new.txt": "new, mine\n"})
    case.update(
        Left(
            {"new.txt": rejected("new, mine\n", "new\n", above="")},
            unmerged=("new.txt",),
        ),
        Left(
            {"new.txt": conflict("new, mine\n", "new\n", above="", base=None)},
            {"new.txt": "conflict"},
            code=3,
        ),
    )


@scenario("Edits", copier="both items are there", gindock="both items are there")
def test_items_at_both_ends_of_a_list_are_merged(case: Case) -> None:
    """The template hooks into the end of a YAML list, the user added to its beginning."""
    case.releases(
        {"ci.yaml": "steps:\n  - lint\n  - test\n  - build\n"},
        {"ci.yaml": "steps:\n  - lint\n  - test\n  - build\n  - scan\n"},
    )
    case.edit({"ci.yaml": "steps:\n  - mine\n  - lint\n  - test\n  - build\n"})
    merged = {"ci.yaml": "steps:\n  - mine\n  - lint\n  - test\n  - build\n  - scan\n"}
    case.update(Left(merged), Left(merged, {"ci.yaml": "merged"}))


@scenario("Edits", copier="conflict, exit 0", gindock="conflict, exit 3")
def test_items_at_the_same_end_of_a_list_are_a_conflict(case: Case) -> None:
    """The template hooks into the end of a YAML list, the user added there too."""
    above = "steps:\n  - lint\n  - test\n"
    case.releases({"ci.yaml": above}, {"ci.yaml": above + "  - scan\n"})
    case.edit({"ci.yaml": above + "  - mine\n"})
    case.update(
        Left({"ci.yaml": rejected("  - mine\n", "  - scan\n", above=above)}, unmerged=("ci.yaml",)),
        Left(
            {"ci.yaml": conflict("  - mine\n", "  - scan\n", above=above, base="")},
            {"ci.yaml": "conflict"},
            code=3,
        ),
    )


@scenario("Edits", copier="conflict, exit 0", gindock="conflict, exit 3")
def test_a_list_that_the_user_indented_anew_is_a_conflict(case: Case) -> None:
    """The template hooks into a YAML list that the user indented anew."""
    case.releases(
        {"ci.yaml": "steps:\n  - lint\n  - test\n"},
        {"ci.yaml": "steps:\n  - lint\n  - test\n  - scan\n"},
    )
    case.edit({"ci.yaml": "steps:\n- lint\n- test\n"})
    theirs = "  - lint\n  - test\n  - scan\n"
    case.update(
        Left(
            {"ci.yaml": rejected("- lint\n- test\n", theirs, above="steps:\n")},
            unmerged=("ci.yaml",),
        ),
        Left(
            {
                "ci.yaml": conflict(
                    "- lint\n- test\n", theirs, above="steps:\n", base="  - lint\n  - test\n"
                )
            },
            {"ci.yaml": "conflict"},
            code=3,
        ),
    )


@scenario("Edits", copier="edit kept", gindock="edit kept")
def test_a_file_that_the_template_empties_keeps_its_edit(case: Case) -> None:
    """The user emptied a file, and the template adds and empties others."""
    case.releases({"a.txt": TEXT, "b.txt": TEXT}, {"a.txt": TEXT, "b.txt": "", "c.txt": ""})
    case.edit({"a.txt": ""})
    files = {"b.txt": "", "c.txt": ""}
    case.update(Left(files), Left(files, {"b.txt": "updated", "c.txt": "added"}))


@scenario("Edits", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_a_file_without_a_newline_at_its_end_is_merged(case: Case) -> None:
    """A file without a newline at its end, of the template's and of the user's making."""
    case.releases({"a.txt": TEXT, "b.txt": TEXT}, {"a.txt": FIXED[:-1], "b.txt": FIXED})
    case.edit({"a.txt": MINE, "b.txt": MINE, "mine.txt": "mine"})
    files = {"a.txt": BOTH[:-1], "b.txt": BOTH}
    case.update(Left(files), Left(files, {"a.txt": "merged", "b.txt": "merged"}))


@scenario("Edits", copier="edit kept", gindock="edit kept")
def test_a_file_to_skip_is_the_users(case: Case) -> None:
    """The template changes a file that it names in `_skip_if_exists`, the user edited it."""
    skip = "_skip_if_exists: [a.txt]\n"
    case.releases({"copier.yml": skip, "a.txt": TEXT}, {"copier.yml": skip, "a.txt": FIXED})
    case.edit({"a.txt": MINE})
    case.update(Left(), Left())


@scenario("Edits", copier="edit kept", gindock="edit kept")
def test_a_link_in_the_place_of_a_file_to_skip_is_the_users(case: Case) -> None:
    """The template changes a file that it names in `_skip_if_exists`, the user made it a link."""
    skip = "_skip_if_exists: [a.txt]\n"
    case.releases({"copier.yml": skip, "a.txt": TEXT}, {"copier.yml": skip, "a.txt": FIXED})
    case.edit({"a.txt": LINK + "mine.txt", "mine.txt": MINE})
    case.update(Left(), Left())


# Renames


@scenario("Renames", copier="the fix never arrives, unsaid", gindock="the fix follows the file")
def test_a_fix_follows_a_file_that_the_user_renamed(case: Case) -> None:
    """The user renamed and edited a file, the template fixes it."""
    case.releases()
    case.edit({"a.txt": None, "b.txt": MINE})
    case.update(Left(), Left({"b.txt": BOTH}, {"b.txt": "merged"}))


@scenario("Renames", copier="edit lost, exit 0", gindock="the edit follows the file")
def test_an_edit_follows_a_file_that_the_template_renamed(case: Case) -> None:
    """The user edited a file, the template renames and fixes it."""
    case.releases({"a.txt": TEXT}, {"b.txt": FIXED})
    case.edit({"a.txt": MINE})
    case.update(
        Left({"a.txt": None, "b.txt": FIXED}),
        Left({"a.txt": None, "b.txt": BOTH}, {"b.txt": "merged"}),
    )


@scenario("Renames", copier="needless conflicts, exit 0", gindock="merged")
def test_the_same_rename_on_both_sides_is_merged(case: Case) -> None:
    """The user and the template gave a file the same new name, and both edited it."""
    case.releases({"a.txt": TEXT}, {"b.txt": FIXED})
    case.edit({"a.txt": None, "b.txt": MINE})
    case.update(
        Left(
            {
                "b.txt": rejected("one, mine\n", "one\n", above="")
                + TEXT.removeprefix("one\n").removesuffix("seven\n")
                + rejected("seven\n", "seven, fixed\n", above="")
            },
            unmerged=("b.txt",),
        ),
        Left({"b.txt": BOTH}, {"b.txt": "merged"}),
    )


@scenario("Renames", copier="a second copy, exit 0", gindock="conflict, exit 3")
def test_two_renames_of_one_file_are_a_conflict(case: Case) -> None:
    """The user and the template gave a file different new names."""
    case.releases({"a.txt": TEXT}, {"theirs.txt": FIXED})
    case.edit({"a.txt": None, "mine.txt": MINE})
    case.update(
        Left({"theirs.txt": FIXED}),
        Left(
            {"mine.txt": BOTH, "theirs.txt": BOTH},
            {"mine.txt": "conflict", "theirs.txt": "conflict", "a.txt": "conflict"},
            code=3,
        ),
    )


@scenario(
    "Renames",
    copier="fixes never arrive, new files at the old place",
    gindock="fixes and new files follow",
)
def test_fixes_and_new_files_follow_a_directory_that_the_user_moved(case: Case) -> None:
    """The user moved a directory, the template fixes files in it and adds one."""
    case.releases(
        {"old/a.txt": TEXT, "old/b.txt": "b\n" * 9},
        {"old/a.txt": FIXED, "old/b.txt": "b\n" * 9, "old/c.txt": "c\n"},
    )
    case.edit({"old/a.txt": None, "old/b.txt": None, "new/a.txt": MINE, "new/b.txt": "b\n" * 9})
    case.update(
        Left({"old/c.txt": "c\n"}),
        Left(
            {"new/a.txt": BOTH, "new/c.txt": "c\n"}, {"new/a.txt": "merged", "new/c.txt": "added"}
        ),
    )


@scenario("Renames", copier="edit lost, exit 0", gindock="edits and own files follow")
def test_edits_and_own_files_follow_a_directory_that_the_template_moved(case: Case) -> None:
    """The template moved a directory in which the user edited a file and has one of their own."""
    case.releases(
        {"old/a.txt": TEXT, "old/b.txt": "b\n" * 9}, {"new/a.txt": FIXED, "new/b.txt": "b\n" * 9}
    )
    case.edit({"old/a.txt": MINE, "old/mine.txt": "mine\n"})
    moved = {"old/a.txt": None, "old/b.txt": None, "new/b.txt": "b\n" * 9}
    case.update(
        Left({**moved, "new/a.txt": FIXED}),
        Left(
            {**moved, "new/a.txt": BOTH, "old/mine.txt": None, "new/mine.txt": "mine\n"},
            {"new/a.txt": "merged", "new/b.txt": "updated", "new/mine.txt": "merged"},
        ),
    )


@scenario("Renames", copier="raw traceback", gindock="conflict, yours at x~yours, exit 3")
def test_a_file_against_a_directory_of_its_name_is_a_conflict(case: Case) -> None:
    """The template makes a directory where the user has a file of that name."""
    case.releases({"a.txt": TEXT}, {"a.txt": TEXT, "x/b.txt": "b\n"})
    case.edit({"x": "mine\n"})
    left = {"x": None, "x~yours": "mine\n", "x/b.txt": "b\n"}
    case.update(TRACEBACK, Left(left, {"x/b.txt": "added", "x~yours": "conflict"}, code=3))


@scenario("Renames", copier="raw traceback", gindock="conflict, theirs beside it, exit 3")
def test_a_directory_against_a_file_of_its_name_is_a_conflict(case: Case) -> None:
    """The template adds a file where the user has a directory of that name."""
    case.releases({"a.txt": TEXT}, {"a.txt": TEXT, "x": "x\n"})
    case.edit({"x/mine.txt": "mine\n"})
    theirs = "x~template-v2.0.0"
    case.update(TRACEBACK, Left({theirs: "x\n"}, {theirs: "conflict"}, code=3))


# Answers


@scenario("Answers", copier="edit lost, exit 0", gindock="conflict, edit kept, exit 3")
def test_a_file_that_an_answer_leaves_out_keeps_its_edit(case: Case) -> None:
    """A new answer leaves out a file that the user edited."""
    files = {"copier.yml": KUBERNETES, "kube.yaml": TEXT}
    case.releases(files, {**files, "a.txt": "a\n"})
    case.edit({"kube.yaml": MINE})
    case.update(
        Left({"a.txt": "a\n", "kube.yaml": None}),
        Left({"a.txt": "a\n"}, {"a.txt": "added", "kube.yaml": "conflict"}, code=3),
        options={
            "copier": ("--data", "kubernetes=false"),
            "gindock": ("--set", "kubernetes=false"),
        },
    )


@scenario("Answers", copier="as before", gindock="as before")
def test_an_answer_given_there_and_back_changes_nothing(case: Case) -> None:
    """An answer changed and changed back, at the project's own version."""
    files = {
        "copier.yml": KUBERNETES,
        "kube.yaml": TEXT,
        "a.txt.jinja": TEXT + "{% if kubernetes %}kube\n{% endif %}",
    }
    case.releases(files, files)
    case.edit({"a.txt": MINE + "kube\n"})
    for answer, left in (
        ("false", {"a.txt": MINE, "kube.yaml": None}),
        ("true", {"a.txt": MINE + "kube\n", "kube.yaml": TEXT}),
    ):
        change = "removed" if left["kube.yaml"] is None else "added"
        case.update(
            Left(left),
            Left(left, {"a.txt": "merged", "kube.yaml": change}),
            options={
                "copier": ("--vcs-ref", ":current:", "--data", f"kubernetes={answer}"),
                "gindock": ("--to", "current", "--set", f"kubernetes={answer}"),
            },
            to="v1.0.0",
        )
        assert f"kubernetes: {answer}\n" in (case.project / ANSWERS).read_text()
        case.git("add", "--all")
        case.git("commit", "-qm", "Answered again")


@scenario("Answers", copier="takes its default", gindock="takes its default")
def test_a_new_question_takes_its_default(case: Case) -> None:
    """A new question, with `--defaults`."""
    case.releases(
        {"a.txt": TEXT},
        {"copier.yml": "port: {type: int, default: 80}\n", "a.txt.jinja": TEXT + "[[ port ]]"},
    )
    case.edit({"a.txt": MINE})
    files = {"a.txt": MINE + "[[ port ]]"}
    case.update(Left(files), Left(files, {"a.txt": "merged"}))
    assert "port: 80\n" in (case.project / ANSWERS).read_text()


@scenario("Answers", copier="asks every question again", gindock="asks the new one only")
def test_a_new_question_is_asked_on_a_terminal(case: Case) -> None:
    """A new question, on a terminal."""
    name = "name: {type: str, default: shop}\n"
    port = "port: {type: int, default: 80}\n"
    case.releases(
        {"copier.yml": name, "a.txt": TEXT},
        {"copier.yml": name + port, "a.txt.jinja": TEXT + "{{ port }}\n"},
    )
    case.edit({"a.txt": MINE})
    if case.tool == "gindock":
        with Terminal("update", cwd=case.project) as terminal:
            terminal.answer("port", "1\r")
            assert terminal.exit_code() == 0, terminal.screen
            assert "name" not in terminal.screen
    else:
        plain = {**os.environ, "TERM": "dumb"}
        with pexpect.spawn(
            str(SCRIPTS / "copier"), ["update"], cwd=case.project, env=plain
        ) as child:
            child.expect("name")
            child.send("\r")
            child.expect("port")
            child.send("1\r")
            child.expect(pexpect.EOF)
    assert read(case.project)["a.txt"] == MINE + "801\n"


@scenario("Answers", copier="takes the new default, unsaid", gindock="takes the new default, said")
def test_an_answer_that_is_no_longer_valid_takes_the_default(case: Case) -> None:
    """The new release refuses a recorded answer."""
    text = "size: {type: str, default: small, choices: [%s]}\n"
    case.releases(
        {"copier.yml": text % "small, huge", "a.txt": TEXT},
        {"copier.yml": text % "small, large", "a.txt": FIXED},
        size="huge",
    )
    case.edit({"a.txt": MINE})
    said = "size: huge is now small"
    case.update(Left({"a.txt": BOTH}), Left({"a.txt": BOTH}, {"a.txt": "merged"}, says=said))
    assert "size: small\n" in (case.project / ANSWERS).read_text()


# Files


@scenario("Files", copier="edit lost, exit 0", gindock="edit kept")
def test_a_binary_that_the_user_changed_is_kept(case: Case) -> None:
    """The user changed a binary that the template ships and does not change."""
    case.releases({"logo": "\0logo\n", "a.txt": TEXT}, {"logo": "\0logo\n", "a.txt": FIXED})
    case.edit({"logo": "\0mine\n"})
    case.update(
        Left({"logo": "\0logo\n", "a.txt": FIXED}), Left({"a.txt": FIXED}, {"a.txt": "updated"})
    )


@scenario("Files", copier="edit lost, exit 0", gindock="conflict, yours stays, exit 3")
def test_a_binary_that_both_changed_is_a_conflict(case: Case) -> None:
    """The user and the template changed a binary."""
    case.releases({"logo": "\0logo\n"}, {"logo": "\0new\n"})
    case.edit({"logo": "\0mine\n"})
    case.update(Left({"logo": "\0new\n"}), Left(changes={"logo": "conflict"}, code=3))


@scenario("Files", copier="edit lost, exit 0", gindock="conflict, yours stays, exit 3")
def test_a_text_that_holds_nul_now_is_kept(case: Case) -> None:
    """The user wrote a NUL into a text that the template fixes."""
    case.releases()
    case.edit({"a.txt": MINE + "\0\n"})
    case.update(Left({"a.txt": FIXED}), Left(changes={"a.txt": "conflict"}, code=3))


@scenario("Files", copier="edit kept, mode arrives", gindock="edit kept, mode arrives")
def test_a_mode_that_the_template_sets_arrives(case: Case) -> None:
    """The template makes a file executable that the user edited."""
    case.releases({"run": TEXT}, {"run": EXECUTABLE + TEXT})
    case.edit({"run": MINE})
    case.update(
        Left({"run": EXECUTABLE + MINE}), Left({"run": EXECUTABLE + MINE}, {"run": "merged"})
    )


@scenario("Files", copier="mode kept, fix arrives", gindock="mode kept, fix arrives")
def test_a_mode_that_the_user_set_is_kept(case: Case) -> None:
    """The user made a file executable that the template fixes."""
    case.releases({"run": TEXT}, {"run": FIXED})
    case.edit({"run": EXECUTABLE + TEXT})
    case.update(
        Left({"run": EXECUTABLE + FIXED}), Left({"run": EXECUTABLE + FIXED}, {"run": "merged"})
    )


@scenario("Files", copier="edit kept, mode arrives", gindock="edit kept, mode arrives")
def test_without_file_modes_the_mode_arrives_in_the_index(case: Case) -> None:
    """`core.fileMode=false`, and the template makes a file executable."""
    case.releases({"run": TEXT}, {"run": EXECUTABLE + FIXED})
    case.git("config", "core.fileMode", "false")
    case.edit({"run": MINE})
    case.update(
        Left({"run": BOTH}, staged=("run",)),
        Left({"run": EXECUTABLE + BOTH}, {"run": "merged"}),
    )
    assert case.git("ls-files", "--stage", "run").startswith("100755 ")


@scenario("Files", copier="the fix never arrives, unsaid", gindock="link kept, said")
def test_a_file_that_the_user_made_a_link_stays_one(case: Case) -> None:
    """The user replaced a file by a symlink, the template fixes the file."""
    case.releases()
    case.edit({"a.txt": LINK + "mine.txt", "mine.txt": MINE})
    case.update(Left(), Left(changes={"a.txt": "kept"}))


@scenario("Files", copier="the new target arrives", gindock="the new target arrives")
def test_a_link_of_the_template_is_updated(case: Case) -> None:
    """The template ships a symlink, and changes its target."""
    case.releases(
        {"a.txt": TEXT, "b.txt": TEXT, "link": LINK + "a.txt"},
        {"a.txt": TEXT, "b.txt": TEXT, "link": LINK + "b.txt"},
    )
    case.edit({"a.txt": MINE})
    files = {"link": LINK + "b.txt"}
    case.update(Left(files), Left(files, {"link": "updated"}))


@scenario("Files", copier="own target kept", gindock="own target kept")
def test_a_link_that_the_user_changed_is_kept(case: Case) -> None:
    """The user changed the target of a symlink that the template ships."""
    case.releases({"a.txt": TEXT, "link": LINK + "a.txt"}, {"a.txt": FIXED, "link": LINK + "a.txt"})
    case.edit({"mine.txt": "mine\n", "link": LINK + "mine.txt"})
    case.update(Left({"a.txt": FIXED}), Left({"a.txt": FIXED}, {"a.txt": "updated"}))


@scenario("Files", copier="raw traceback", gindock="conflict, yours at conf~yours, exit 3")
def test_nothing_is_written_through_a_linked_directory(case: Case) -> None:
    """The template adds a file below a path that is the user's symlink to a directory."""
    case.releases({"a.txt": TEXT}, {"a.txt": TEXT, "conf/new.txt": "new\n"})
    outside = case.folder / "outside"
    outside.mkdir()
    case.edit({"conf": LINK + str(outside)})
    left = {"conf": None, "conf~yours": LINK + str(outside), "conf/new.txt": "new\n"}
    changes = {"conf~yours": "conflict", "conf/new.txt": "added"}
    case.update(TRACEBACK, Left(left, changes, code=3))
    assert read(outside) == {}


@scenario("Files", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_odd_file_names_are_merged(case: Case) -> None:
    """File names with a space, a quote, a tab, a backslash, a leading dash, beyond ASCII."""
    names = ["with space", "-dash", 'quo"te', "ünïcode 本", "tab\tbed", "back\\slash", ":(glob)*"]
    case.releases(dict.fromkeys(names, TEXT), dict.fromkeys(names, FIXED))
    case.edit(dict.fromkeys(names, MINE))
    merged = dict.fromkeys(names, BOTH)
    case.update(Left(merged), Left(merged, dict.fromkeys(names, "merged")))


@scenario("Files", copier="edit lost, traceback", gindock="edit kept, fix arrives")
def test_own_files_with_odd_names_do_no_harm(case: Case) -> None:
    """The user's own files have names with a newline and beyond UTF-8, `core.quotePath=false`."""
    case.releases()
    case.git("config", "core.quotePath", "false")
    case.edit({"new\nline": "mine\n", os.fsdecode(b"caf\xe9"): "mine\n", "a.txt": MINE})
    case.update(
        Left({"a.txt": FIXED}, code=1, says="UnicodeDecodeError"),
        Left({"a.txt": BOTH}, {"a.txt": "merged"}),
    )


@scenario("Files", copier="edit kept, fix arrives", gindock="conflict, yours stays, exit 3")
def test_a_text_that_the_user_calls_binary_is_kept(case: Case) -> None:
    """The user's `.gitattributes` calls a text binary, both changed it."""
    case.releases()
    case.edit({".gitattributes": "*.txt binary\n", "a.txt": MINE})
    case.update(Left({"a.txt": BOTH}), Left(changes={"a.txt": "conflict"}, code=3))


# In the way


@scenario("In the way", copier="own file lost, exit 0", gindock="refused by name")
def test_an_ignored_file_in_the_way_stops_the_update(case: Case) -> None:
    """The template adds a file where the user has an ignored one, `.env`."""
    ignored = {".gitignore": ".env\n", "a.txt": TEXT}
    case.releases(ignored, {**ignored, ".env": "PORT=80\n"})
    write(case.project, {".env": "SECRET=mine\n"})
    case.update(Left({".env": "PORT=80\n"}), refused(".env", code=2))


@scenario("In the way", copier="own file lost, exit 0", gindock="own file kept")
def test_a_file_that_is_rendered_but_ignored_is_kept(case: Case) -> None:
    """The template ships a file that its `.gitignore` names, the user edited it, both changed it."""
    case.releases(
        {".gitignore": ".env\n", ".env": "PORT=80\n"}, {".gitignore": ".env\n", ".env": "PORT=81\n"}
    )
    write(case.project, {".env": "PORT=80\nSECRET=mine\n"})
    case.update(Left({".env": "PORT=81\n"}), Left(changes={".env": "kept"}))


@scenario("In the way", copier="refused: any untracked file", gindock="refused by name")
def test_an_untracked_file_in_the_way_stops_the_update(case: Case) -> None:
    """The template adds a file where the user has an untracked one."""
    case.releases(new={"a.txt": FIXED, "new.txt": "new\n"})
    write(case.project, {"new.txt": "mine\n"})
    case.update(refused("dirty"), refused("new.txt", code=2))


@scenario("In the way", copier="new file at the old place", gindock="refused by name")
def test_an_ignored_file_at_the_new_place_stops_the_update(case: Case) -> None:
    """The user moved a directory to which the template adds a file, and has an ignored one there."""
    case.releases({"old/a.txt": TEXT}, {"old/a.txt": TEXT, "old/c.txt": "c\n"})
    case.edit({"old/a.txt": None, "new/a.txt": TEXT})
    write(case.project, {".git/info/exclude": "/new/c.txt\n", "new/c.txt": "mine\n"})
    case.update(Left({"old/c.txt": "c\n"}), refused("new/c.txt", code=2))


@scenario("In the way", copier="refused: any untracked file", gindock="left alone, fix arrives")
def test_an_untracked_file_elsewhere_is_left_alone(case: Case) -> None:
    """An untracked file that is not in the way."""
    case.releases()
    write(case.project, {"notes.txt": "mine\n"})
    case.update(refused("dirty"), Left({"a.txt": FIXED}, {"a.txt": "updated"}))


@scenario("In the way", copier="raw traceback", gindock="refused by name")
def test_an_ignored_directory_in_the_way_stops_the_update(case: Case) -> None:
    """The template adds a file where the user has an ignored directory."""
    ignored = {".gitignore": "build\n", "a.txt": TEXT}
    case.releases(ignored, {**ignored, "build": "new\n"})
    write(case.project, {"build/mine.o": "mine\n"})
    case.update(TRACEBACK, refused("build", code=2))


@scenario("In the way", copier="raw traceback", gindock="refused by name")
def test_an_ignored_directory_of_links_stops_the_update(case: Case) -> None:
    """The template adds a file where the user has an ignored directory with a symlink in it."""
    ignored = {".gitignore": "build\n", "a.txt": TEXT}
    case.releases(ignored, {**ignored, "build": "new\n"})
    write(case.project, {"build/data": LINK + "/usr/share"})
    case.update(TRACEBACK, refused("build", code=2))


@scenario("In the way", copier="own file lost, exit 0", gindock="refused by name")
def test_an_ignored_file_of_another_spelling_stops_the_update(case: Case) -> None:
    """The template spells a file in lower case now, and the user has an ignored one of that name."""
    ignored = {".gitignore": "/local.env\n"}
    case.releases({**ignored, "Local.env": TEXT}, {**ignored, "local.env": TEXT})
    write(case.project, {"local.env": "mine\n"})
    case.update(Left({"Local.env": None, "local.env": TEXT}), refused("local.env", code=2))


@scenario("In the way", copier="raw traceback", gindock="refused by name")
def test_an_ignored_file_in_the_path_stops_the_update(case: Case) -> None:
    """The template adds a file below a path that is the user's ignored file."""
    ignored = {".gitignore": "/conf\n", "a.txt": TEXT}
    case.releases(ignored, {**ignored, "conf/new.txt": "new\n"})
    write(case.project, {"conf": "mine\n"})
    case.update(TRACEBACK, refused("conf", code=2))


@scenario("In the way", copier="refused: any untracked file", gindock="left alone, fix arrives")
def test_a_nested_repository_is_left_alone(case: Case) -> None:
    """A repository of its own lies untracked inside the project."""
    case.releases()
    write(case.project, {"lib/mine.txt": "mine\n"})
    run(["git", "init", "--quiet"], case.project / "lib")
    case.update(refused("dirty"), Left({"a.txt": FIXED}, {"a.txt": "updated"}))


@scenario("In the way", copier="written into it, exit 0", gindock="refused by name")
def test_a_nested_repository_in_the_way_stops_the_update(case: Case) -> None:
    """The template adds a file inside an ignored repository of its own."""
    ignored = {".gitignore": "/lib\n", "a.txt": TEXT}
    case.releases(ignored, {**ignored, "lib/new.txt": "new\n"})
    write(case.project, {"lib/mine.txt": "mine\n"})
    run(["git", "init", "--quiet"], case.project / "lib")
    case.update(Left({"lib/new.txt": "new\n"}), refused("lib", code=2))


def with_submodule(case: Case) -> None:
    """Add a submodule `lib` to the project."""
    library = case.folder / "library"
    write(library, {"mine.txt": "mine\n"})
    run(["git", "init", "--quiet"], library)
    run(["git", "add", "--all"], library)
    run(["git", "commit", "--quiet", "-m", "Mine"], library)
    case.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library, "lib")
    case.git("commit", "--quiet", "-m", "A submodule")


@scenario("In the way", copier="left alone, fix arrives", gindock="left alone, fix arrives")
def test_a_submodule_is_left_alone(case: Case) -> None:
    """The project has a submodule."""
    case.releases()
    with_submodule(case)
    case.edit({"a.txt": MINE})
    check_merged(case)
    assert case.git("submodule", "status").startswith(" ")


@scenario("In the way", copier="written into it, exit 0", gindock="refused by name")
def test_nothing_is_written_into_a_submodule(case: Case) -> None:
    """The template adds a file inside a submodule of the user's."""
    case.releases({"a.txt": TEXT}, {"a.txt": TEXT, "lib/new.txt": "new\n"})
    with_submodule(case)
    case.update(Left({"lib/new.txt": "new\n"}), refused("lib", code=2))


# Refused


@scenario("Refused", copier="refused", gindock="refused")
def test_uncommitted_changes_stop_the_update(case: Case) -> None:
    """Uncommitted changes."""
    case.releases()
    write(case.project, {"a.txt": MINE})
    case.update(refused("dirty"), refused("uncommitted changes", code=2))


@scenario("Refused", copier="refused", gindock="refused")
def test_staged_changes_stop_the_update(case: Case) -> None:
    """Staged changes."""
    case.releases()
    write(case.project, {"new.txt": "mine\n"})
    case.git("add", "new.txt")
    case.update(refused("dirty"), refused("uncommitted changes", code=2))


@scenario("Refused", copier="hidden edit lost, exit 0", gindock="refused by name")
def test_an_edit_hidden_from_git_stops_the_update(case: Case) -> None:
    """An edit in a file that is marked `--assume-unchanged`."""
    case.releases()
    case.git("update-index", "--assume-unchanged", "a.txt")
    write(case.project, {"a.txt": MINE})
    case.update(Left({"a.txt": FIXED}), refused("a.txt", code=2))


@scenario("Refused", copier="hidden edit lost, exit 0", gindock="refused by name")
def test_an_edit_in_a_file_outside_the_work_tree_stops_the_update(case: Case) -> None:
    """An edit in a file that is marked `--skip-worktree`."""
    case.releases()
    case.git("update-index", "--skip-worktree", "a.txt")
    write(case.project, {"a.txt": MINE})
    case.update(Left({"a.txt": FIXED}), refused("a.txt", code=2))


@scenario("Refused", copier="edit kept, fix arrives", gindock="refused")
def test_a_rebase_in_progress_stops_the_update(case: Case) -> None:
    """A rebase that waits for its user."""
    case.releases()
    case.edit({"a.txt": MINE})
    case.edit({"mine.txt": "mine\n"})
    case.env["GIT_SEQUENCE_EDITOR"] = "sed -i s/pick/edit/"
    case.git("rebase", "--quiet", "--interactive", "HEAD~1")
    case.update(Left({"a.txt": BOTH}), refused("in the middle of a rebase", code=2))


@scenario("Refused", copier="refused", gindock="refused")
def test_without_git_there_is_no_update(case: Case) -> None:
    """The project is not in git."""
    case.releases()
    shutil.rmtree(case.project / ".git")
    case.update(refused("git"), refused("not in git", code=2))


@scenario("Refused", copier="raw traceback", gindock="refused, with the next step")
def test_without_an_answers_file_there_is_no_update(case: Case) -> None:
    """No answers file."""
    case.releases()
    case.edit({ANSWERS: None})
    case.update(TRACEBACK, refused(ANSWERS, code=2))


@scenario("Refused", copier="refused", gindock="refused")
def test_without_a_version_there_is_no_update(case: Case) -> None:
    """No `_commit` in the answers file."""
    case.releases()
    case.record("_commit", None)
    case.update(refused("Cannot"), refused("version", code=2))


@scenario("Refused", copier="raw traceback", gindock="refused, with the next step")
def test_a_version_that_the_template_lacks_is_named(case: Case) -> None:
    """`_commit` is not in the template."""
    case.releases()
    case.record("_commit", "v1.5.0")
    case.update(TRACEBACK, refused("v1.5.0", code=2))


@scenario("Refused", copier="the fix never arrives, unsaid", gindock="refused, with the next step")
def test_a_version_that_has_moved_is_no_version(case: Case) -> None:
    """`_commit` is a tag like `v2`, which the template has moved to its newest release since."""
    case.releases()
    template = shutil.copytree(answers.origin(case.project)[0], case.folder / "template")
    run(["git", "tag", "v0", "v2.0.0"], template)
    case.record("_src_path", str(template))
    case.record("_commit", "v0")
    case.update(Left(), refused("v0 and v2.0.0 on one commit", code=2), to="v0")


@scenario("Refused", copier="raw traceback", gindock="refused, with the next step")
def test_a_template_that_is_gone_is_named(case: Case) -> None:
    """The template is gone from where it was."""
    case.releases()
    case.record("_src_path", str(case.folder / "gone.git"))
    case.update(TRACEBACK, refused("gone.git"))


@scenario("Refused", copier="refused", gindock="refused")
def test_there_is_no_way_to_an_older_version(case: Case) -> None:
    """A downgrade."""
    case.releases()
    case.record("_commit", "v2.0.0")
    case.update(
        refused("downgrading"),
        refused("v1.0.0", code=2),
        options={"copier": ("--vcs-ref", "v1.0.0"), "gindock": ("--to", "v1.0.0")},
    )


@scenario("Refused", copier="refused", gindock="refused")
def test_an_unresolved_conflict_stops_the_next_update(case: Case) -> None:
    """Two updates in a row; the conflict of the first is left as it is."""
    case.releases(newest={"a.txt": FIXED + "eight\n"})
    case.edit({"a.txt": AGAINST})
    update_to_the_second(case)
    case.update(refused("dirty"), refused("resolve and commit them", code=2))


@scenario("Refused", copier="edit kept, fixes arrive", gindock="edit kept, fixes arrive")
def test_a_resolved_conflict_does_not_come_back(case: Case) -> None:
    """Two updates in a row; the conflict of the first is resolved and committed."""
    case.releases(newest={"a.txt": FIXED.replace("one", "one, fixed")})
    case.edit({"a.txt": AGAINST})
    update_to_the_second(case)
    resolved = TEXT.replace("seven", "seven, fixed, mine")
    case.edit({"a.txt": resolved}, "Resolved")
    files = {"a.txt": resolved.replace("one", "one, fixed")}
    case.update(Left(files), Left(files, {"a.txt": "merged"}), to="v3.0.0")


def update_to_the_second(case: Case) -> None:
    """Update to v2.0.0 of three, with a conflict in a.txt."""
    case.update(
        Left({"a.txt": REJECTED}, unmerged=("a.txt",)),
        Left({"a.txt": CONFLICT}, {"a.txt": "conflict"}, code=3),
        options={"copier": ("--vcs-ref", "v2.0.0"), "gindock": ("--to", "v2.0.0")},
    )


# Repositories


@scenario("Repositories", copier="new files stay behind", gindock="all as it was")
def test_a_reset_undoes_an_update(case: Case) -> None:
    """`git reset --hard` after an update that fixes one file and adds another."""
    case.releases(new={"a.txt": FIXED, "new.txt": "new\n"})
    before = read(case.project)
    assert case.run()[0] == 0
    case.git("reset", "--hard", "--quiet")
    assert read(case.project) == before | ({"new.txt": "new\n"} if case.tool == "copier" else {})


@scenario("Repositories", copier="no such option", gindock="all as it was")
def test_an_update_is_taken_back(case: Case) -> None:
    """`--abort` after an update with a conflict."""
    case.releases(new={"a.txt": FIXED, "new.txt": "new\n"})
    case.edit({"a.txt": AGAINST})
    before = read(case.project)
    assert case.run()[0] == (3 if case.tool == "gindock" else 0)
    assert case.run("--abort")[0] == (0 if case.tool == "gindock" else 2)
    assert (read(case.project) == before) == (case.tool == "gindock")


def in_a_subfolder(case: Case, edits: Files) -> Path:
    """Let the project be a folder of a repository in which other things are not committed."""
    repository = case.folder / "repository"
    shutil.rmtree(case.project / ".git")
    (repository / "services").mkdir(parents=True)
    case.project = case.project.rename(repository / "services" / "shop")
    run(["git", "init", "--quiet"], repository)
    write(repository, {"other.txt": "other\n", "staged.txt": "staged\n"})
    write(case.project, edits)
    run(["git", "add", "--all"], repository)
    run(["git", "commit", "--quiet", "-m", "Mine"], repository)
    write(repository, {"other.txt": "other, mine\n", "staged.txt": "staged, mine\n"})
    run(["git", "add", "staged.txt"], repository)
    case.in_subfolder = True
    return repository


def check_the_rest_stays(repository: Path) -> None:
    """What was not committed elsewhere is as it was."""
    status = run(["git", "status", "--porcelain"], repository).stdout
    assert {" M other.txt", "M  staged.txt"} <= set(status.splitlines())


def check_merged(case: Case, *options: str) -> None:
    """The fix of a.txt arrives beside the user's edit."""
    case.update(
        Left({"a.txt": BOTH}),
        Left({"a.txt": BOTH}, {"a.txt": "merged"}),
        options={"gindock": options},
    )


@scenario("Repositories", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_a_linked_worktree_is_updated(case: Case) -> None:
    """The project is a linked work tree."""
    case.releases()
    case.edit({"a.txt": MINE})
    linked = case.folder / "linked"
    case.git("worktree", "add", "--quiet", linked)
    main = read(case.project)
    case.project = linked
    check_merged(case)
    assert read(case.folder / "project") == main


@scenario("Repositories", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_a_detached_head_stays_where_it_is(case: Case) -> None:
    """A detached HEAD."""
    case.releases()
    case.edit({"a.txt": MINE})
    case.git("checkout", "--quiet", "--detach")
    refs = case.git("for-each-ref") + case.git("rev-parse", "HEAD")
    check_merged(case)
    assert case.git("for-each-ref") + case.git("rev-parse", "HEAD") == refs


@scenario("Repositories", copier="raw traceback", gindock="edit kept, fix arrives")
def test_a_repository_with_sha256_is_updated(case: Case) -> None:
    """A repository with SHA-256."""
    case.releases()
    shutil.rmtree(case.project / ".git")
    case.git("init", "--quiet", "--object-format=sha256")
    case.edit({"a.txt": MINE})
    case.update(TRACEBACK, Left({"a.txt": BOTH}, {"a.txt": "merged"}))


@scenario("Repositories", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_a_shallow_clone_is_updated(case: Case) -> None:
    """A shallow clone of the project."""
    case.releases()
    case.edit({"a.txt": MINE})
    clone = case.folder / "clone"
    run(["git", "clone", "--quiet", "--depth=1", case.project.as_uri(), clone], case.folder)
    case.project = clone
    check_merged(case)


@scenario("Repositories", copier="they stay, fix arrives", gindock="they stay, fix arrives")
def test_changes_beside_a_project_in_a_subfolder_stay(case: Case) -> None:
    """The project is a subfolder of its repository, with uncommitted changes elsewhere."""
    case.releases()
    repository = in_a_subfolder(case, {"a.txt": MINE})
    check_merged(case)
    check_the_rest_stays(repository)


@scenario("Repositories", copier="files outside appear", gindock="fixes arrive in the index")
def test_a_sparse_checkout_stays_sparse(case: Case) -> None:
    """A sparse checkout, fixes inside and outside it."""
    names = ("a.txt", "in/b.txt", "out/c.txt")
    case.releases(dict.fromkeys(names, TEXT), dict.fromkeys(names, FIXED))
    case.edit({"a.txt": MINE, "out/c.txt": MINE})
    case.git("sparse-checkout", "set", "in")
    case.update(
        Left({"a.txt": BOTH, "in/b.txt": FIXED, "out/c.txt": BOTH}),
        Left(
            {"a.txt": BOTH, "in/b.txt": FIXED},
            {"a.txt": "merged", "in/b.txt": "updated", "out/c.txt": "merged"},
        ),
    )
    assert case.tool == "copier" or case.git("show", ":out/c.txt") == BOTH


@scenario("Repositories", copier="files outside appear", gindock="fixes arrive in the index")
def test_a_partial_clone_fetches_what_it_needs(case: Case) -> None:
    """A partial clone with a sparse checkout, and an edit outside of it that was never fetched."""
    names = ("a.txt", "out/c.txt")
    case.releases(dict.fromkeys(names, TEXT), dict.fromkeys(names, FIXED))
    case.edit(dict.fromkeys(names, MINE))
    case.git("config", "uploadpack.allowFilter", "true")
    origin, case.project = case.project, case.folder / "partial"
    clone = ["git", "clone", "--quiet", "--no-checkout", "--filter=blob:none"]
    run([*clone, f"file://{origin}", case.project], case.folder)
    case.git("sparse-checkout", "set", "--no-cone", "/*", "!/out/")
    case.git("checkout", "--quiet")
    case.update(
        Left({"a.txt": BOTH, "out/c.txt": BOTH}),
        Left({"a.txt": BOTH}, {"a.txt": "merged", "out/c.txt": "merged"}),
    )
    assert case.tool == "copier" or case.git("show", ":out/c.txt") == BOTH


@scenario("Repositories", copier="edit lost, traceback", gindock="edit kept, fix arrives")
def test_a_partial_clone_of_a_part_of_the_repository_is_updated(case: Case) -> None:
    """A partial clone, sparse but for the project, which is a subfolder."""
    case.releases()
    origin = in_a_subfolder(case, {"a.txt": MINE})
    run(["git", "config", "uploadpack.allowFilter", "true"], origin)
    clone = case.folder / "partial"
    command = ["git", "clone", "--quiet", "--no-checkout", "--filter=blob:none"]
    run([*command, f"file://{origin}", clone], case.folder)
    run(["git", "sparse-checkout", "set", "--no-cone", "/services/shop/"], clone)
    run(["git", "checkout", "--quiet"], clone)
    case.project = clone / "services" / "shop"
    case.update(
        Left({"a.txt": FIXED}, code=1, says="Traceback", updated=False),
        Left({"a.txt": BOTH}, {"a.txt": "merged"}),
    )


@scenario("Repositories", copier="edit lost, exit 0", gindock="stays, the edit follows")
def test_a_submodule_stays_where_gitmodules_has_it(case: Case) -> None:
    """The template moves a directory in which the user has a submodule."""
    case.releases({"in/a.txt": TEXT, "in/b.txt": TEXT}, {"out/a.txt": FIXED, "out/b.txt": TEXT})
    other = case.folder / "other"
    run(["git", "init", "--quiet", other], case.folder)
    run(["git", "commit", "--quiet", "--allow-empty", "-m", "Other"], other)
    case.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other, "in/sub")
    case.edit({"in/a.txt": MINE})
    moved = {"in/a.txt": None, "in/b.txt": None, "out/b.txt": TEXT}
    case.update(
        Left({**moved, "out/a.txt": FIXED}),
        Left({**moved, "out/a.txt": BOTH}, {"out/a.txt": "merged", "out/b.txt": "updated"}),
    )
    assert case.git("ls-files", "--stage", "in/sub").startswith("160000 ")


@scenario("Repositories", copier="left alone", gindock="left alone")
def test_a_project_within_the_project_is_left_alone(case: Case) -> None:
    """Another project lies in a folder of this one, which lacks a file of the template's."""
    case.releases({"a.txt": TEXT, "b.txt": MINE}, {"a.txt": FIXED, "b.txt": MINE})
    inner = {f"inner/{path}": text for path, text in case.rendered.items()}
    case.edit({**inner, "a.txt": None})
    case.update(Left(), Left(changes={"a.txt": "kept"}))


@scenario("Repositories", copier="no such option", gindock="committed, and nothing else")
def test_a_commit_in_a_subfolder_has_the_whole_update_and_no_more(case: Case) -> None:
    """`--commit` in a subfolder of a sparse checkout, with a hook, and something else staged."""
    names = ("a.txt", "out/c.txt", "run")
    case.releases(
        dict.fromkeys(names, TEXT), {**dict.fromkeys(names, FIXED), "run": EXECUTABLE + TEXT}
    )
    repository = in_a_subfolder(case, {"a.txt": MINE, "out/c.txt": MINE})
    run(["git", "sparse-checkout", "set", "--no-cone", "/*", "!/services/shop/out/"], repository)
    run(["git", "config", "core.fileMode", "false"], repository)
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\necho checked >>other2.txt && git add other2.txt\n")
    hook.chmod(0o755)
    case.update(
        Left({"a.txt": BOTH, "out/c.txt": BOTH, "run": EXECUTABLE + TEXT}),
        Left(
            {"a.txt": BOTH, "run": EXECUTABLE + TEXT},
            {"a.txt": "merged", "out/c.txt": "merged", "run": "updated"},
        ),
        options={"gindock": ("--commit",)},
    )
    if case.tool == "gindock":
        committed = case.git("show", "--format=", "--name-only").splitlines()
        shop = "services/shop"
        assert committed == [
            "other2.txt", *(f"{shop}/{name}" for name in (ANSWERS, "a.txt", "out/c.txt", "run"))
        ]  # fmt: skip
        assert case.git("show", "HEAD:./out/c.txt") == BOTH
        assert case.git("ls-tree", "HEAD", "run").startswith("100755 ")
        assert case.git("diff", "--cached", "--name-only").splitlines() == ["staged.txt"]
    check_the_rest_stays(repository)


@scenario("Repositories", copier="no such option", gindock="committed")
def test_the_result_is_committed_if_wanted(case: Case) -> None:
    """`--commit`."""
    case.releases()
    case.edit({"a.txt": MINE})
    check_merged(case, "--commit")
    if case.tool == "gindock":
        assert case.git("status", "--porcelain") == ""
        assert case.git("show", "HEAD:a.txt") == BOTH


@scenario("Repositories", copier="no such option", gindock="said, stays staged, exit 1")
def test_a_failing_hook_leaves_the_result_staged(case: Case) -> None:
    """`--commit`, and a commit hook fails."""
    case.releases()
    case.edit({"a.txt": MINE})
    hook = case.project / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no lint >&2\nexit 1\n")
    hook.chmod(0o755)
    head = case.git("rev-parse", "HEAD")
    case.update(
        Left({"a.txt": BOTH}),
        Left({"a.txt": BOTH}, None, code=1, says="no lint"),
        options={"gindock": ("--commit",)},
    )
    assert case.git("rev-parse", "HEAD") == head


def without_key(case: Case) -> None:
    """Let git sign every commit, with no key to do so."""
    case.releases()
    case.edit({"a.txt": MINE})
    case.git("config", "commit.gpgSign", "true")
    case.git("config", "gpg.program", "false")


@scenario("Repositories", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_an_update_signs_nothing(case: Case) -> None:
    """`commit.gpgSign=true` without a key."""
    without_key(case)
    check_merged(case)


@scenario("Repositories", copier="no such option", gindock="said, stays staged, exit 1")
def test_a_commit_that_cannot_be_signed_is_said(case: Case) -> None:
    """`commit.gpgSign=true` without a key, and `--commit`."""
    without_key(case)
    case.update(
        Left({"a.txt": BOTH}),
        Left({"a.txt": BOTH}, None, code=1, says="sign"),
        options={"gindock": ("--commit",)},
    )


@scenario("Repositories", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_an_update_needs_no_name_of_the_user(case: Case) -> None:
    """Git knows no name and no address of the user."""
    case.releases()
    case.edit({"a.txt": MINE})
    case.git("config", "user.useConfigOnly", "true")
    case.env["GIT_CONFIG_GLOBAL"] = os.devnull
    check_merged(case)


# Line endings


def crlf(text: str) -> str:
    """Return `text` with CRLF at the end of every line."""
    return text.replace("\n", "\r\n")


def check_out_with_crlf(case: Case) -> None:
    """Check a.txt out anew, with CRLF."""
    case.git("rm", "--cached", "-rq", ".")
    case.git("reset", "--hard", "--quiet")
    assert (case.project / "a.txt").read_bytes() == crlf(TEXT).encode()


def set_for_all_repositories(case: Case, *names: str) -> None:
    """Let these settings of git be true, wherever it runs."""
    case.env["GIT_CONFIG_COUNT"] = str(len(names))
    for number, name in enumerate(names):
        case.env |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": "true"}


@scenario("Line endings", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_a_checkout_with_crlf_is_merged(case: Case) -> None:
    """`core.autocrlf=true` for all of the user's repositories."""
    case.releases()
    set_for_all_repositories(case, "core.autocrlf")
    check_out_with_crlf(case)
    case.edit({"a.txt": crlf(MINE)})
    both = {"a.txt": crlf(BOTH)}
    case.update(Left(both), Left(both, {"a.txt": "merged"}))


@scenario("Line endings", copier="raw traceback", gindock="edit kept, fix arrives")
def test_a_checkout_with_safe_crlf_is_merged(case: Case) -> None:
    """`core.autocrlf=true` and `core.safecrlf=true` for all of the user's repositories."""
    case.releases()
    set_for_all_repositories(case, "core.autocrlf", "core.safecrlf")
    check_out_with_crlf(case)
    case.edit({"a.txt": crlf(MINE)})
    case.update(TRACEBACK, Left({"a.txt": crlf(BOTH)}, {"a.txt": "merged"}))


@scenario("Line endings", copier="whole-file conflict, exit 0", gindock="conflict there, exit 3")
def test_a_conflict_in_a_checkout_with_crlf_is_no_larger(case: Case) -> None:
    """`core.autocrlf=true` for this repository, an edit and a fix at the same place."""
    case.releases()
    case.git("config", "core.autocrlf", "true")
    check_out_with_crlf(case)
    case.edit({"a.txt": crlf(AGAINST)})
    case.update(
        Left({"a.txt": rejected(crlf(AGAINST), FIXED, above="")}, unmerged=("a.txt",)),
        Left({"a.txt": crlf(CONFLICT)}, {"a.txt": "conflict"}, code=3),
    )


@scenario("Line endings", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_line_endings_that_gitattributes_fixes_are_merged(case: Case) -> None:
    """`core.autocrlf=true`, cured by `* text=auto eol=lf` in `.gitattributes`."""
    lf = {".gitattributes": "* text=auto eol=lf\n"}
    case.releases({**lf, "a.txt": TEXT}, {**lf, "a.txt": FIXED})
    case.git("config", "core.autocrlf", "true")
    case.edit({"a.txt": MINE})
    check_merged(case)


@scenario("Line endings", copier="whole-file conflict, exit 0", gindock="edit kept, fix arrives")
def test_a_file_that_the_user_gave_crlf_is_merged(case: Case) -> None:
    """The user committed a file with CRLF that the template fixes."""
    case.releases()
    case.edit({"a.txt": crlf(MINE)})
    case.update(
        Left({"a.txt": rejected(crlf(MINE), FIXED, above="")}, unmerged=("a.txt",)),
        Left({"a.txt": crlf(BOTH)}, {"a.txt": "merged"}),
    )


@scenario("Line endings", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_line_endings_that_the_template_begins_to_ask_for_are_no_conflict(case: Case) -> None:
    """The template brings a `.gitattributes` that asks for CRLF in files that the user edited."""
    case.releases(
        {"a.txt": TEXT, "b.txt": TEXT},
        {".gitattributes": "*.txt text eol=crlf\n", "a.txt": FIXED, "b.txt": TEXT, "c.txt": TEXT},
    )
    case.edit({"a.txt": MINE, "b.txt": MINE})
    attributes = {".gitattributes": "*.txt text eol=crlf\n"}
    case.update(
        Left({**attributes, "a.txt": crlf(BOTH), "b.txt": crlf(MINE), "c.txt": crlf(TEXT)}),
        Left(
            {**attributes, "a.txt": crlf(BOTH), "c.txt": crlf(TEXT)},
            {".gitattributes": "added", "a.txt": "merged", "c.txt": "added"},
        ),
    )


# Settings of git


def check_settings(case: Case, settings: dict[str, str]) -> None:
    """An edit and a fix are merged with these settings of git."""
    case.releases()
    case.edit({"a.txt": MINE})
    for name, value in settings.items():
        case.git("config", name, value)
    check_merged(case)


@scenario("Settings of git", copier="edit lost, exit 0", gindock="edit kept, fix arrives")
def test_whitespace_as_an_error_loses_no_edit(case: Case) -> None:
    """`apply.whitespace=error`, and the edit ends in a space."""
    case.releases()
    case.edit({"a.txt": TEXT.replace("one", "one, mine ")})
    case.git("config", "apply.whitespace", "error")
    both = {"a.txt": FIXED.replace("one", "one, mine ")}
    case.update(Left(FIXED_FILES), Left(both, {"a.txt": "merged"}))


@scenario("Settings of git", copier="edit lost, exit 0", gindock="edit kept, fix arrives")
def test_whitespace_that_is_mended_loses_no_edit(case: Case) -> None:
    """`apply.whitespace=fix`, and the edit ends in spaces, of Markdown."""
    case.releases()
    case.edit({"a.txt": TEXT.replace("one", "one, mine  ")})
    case.git("config", "apply.whitespace", "fix")
    both = FIXED.replace("one", "one, mine  ")
    case.update(Left({"a.txt": BOTH}), Left({"a.txt": both}, {"a.txt": "merged"}))


@scenario("Settings of git", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_whitespace_that_is_ignored_loses_no_edit(case: Case) -> None:
    """`apply.ignoreWhitespace=change`, and the edit is a deeper indentation."""
    case.releases({"a.txt": " one\n" + TEXT}, {"a.txt": " one\n" + FIXED})
    case.edit({"a.txt": "    one\n" + TEXT})
    case.git("config", "apply.ignoreWhitespace", "change")
    both = {"a.txt": "    one\n" + FIXED}
    case.update(Left(both), Left(both, {"a.txt": "merged"}))


@scenario(
    "Settings of git", copier="conflict with zdiff3, exit 0", gindock="conflict with diff3, exit 3"
)
def test_markers_are_diff3_whatever_the_style(case: Case) -> None:
    """`merge.conflictStyle=zdiff3`."""
    case.releases()
    case.edit({"a.txt": AGAINST})
    case.git("config", "merge.conflictStyle", "zdiff3")
    with_base = REJECTED.replace("=======", "||||||| last update\nseven\n=======")
    case.update(
        Left({"a.txt": with_base}, unmerged=("a.txt",)),
        Left({"a.txt": CONFLICT}, {"a.txt": "conflict"}, code=3),
    )


@scenario("Settings of git", copier="the fix never arrives, unsaid", gindock="the fix follows")
def test_renames_are_followed_whatever_is_set(case: Case) -> None:
    """`merge.renames=false` and `diff.renames=false`, and the user renamed a file."""
    case.releases()
    case.edit({"a.txt": None, "b.txt": MINE})
    case.git("config", "merge.renames", "false")
    case.git("config", "diff.renames", "false")
    case.update(Left(), Left({"b.txt": BOTH}, {"b.txt": "merged"}))


@scenario("Settings of git", copier="new file at the old place", gindock="the new file follows")
def test_directories_are_followed_whatever_is_set(case: Case) -> None:
    """`merge.directoryRenames=false`, and the user moved a directory to which the template adds."""
    case.releases({"old/a.txt": TEXT}, {"old/a.txt": TEXT, "old/c.txt": "c\n"})
    case.edit({"old/a.txt": None, "new/a.txt": TEXT})
    case.git("config", "merge.directoryRenames", "false")
    case.update(Left({"old/c.txt": "c\n"}), Left({"new/c.txt": "c\n"}, {"new/c.txt": "added"}))


@scenario("Settings of git", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_merge_drivers_do_no_harm(case: Case) -> None:
    """A merge driver that takes the user's side, and `merge.default` naming one that fails."""
    case.releases({"a.txt": TEXT, "b.txt": TEXT}, {"a.txt": FIXED, "b.txt": FIXED})
    case.edit({".gitattributes": "a.txt merge=mine\n", "a.txt": MINE, "b.txt": MINE})
    case.git("config", "merge.mine.driver", "true")
    case.git("config", "merge.default", "broken")
    case.git("config", "merge.broken.driver", "false")
    files = {"a.txt": BOTH, "b.txt": BOTH}
    case.update(Left(files), Left(files, {"a.txt": "merged", "b.txt": "merged"}))


@scenario("Settings of git", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_how_differences_are_shown_does_no_harm(case: Case) -> None:
    """`diff.noprefix`, `diff.external`, `color.ui=always`, `status.showUntrackedFiles=no`."""
    settings = {
        "diff.noprefix": "true",
        "diff.external": "true",
        "color.ui": "always",
        "status.showUntrackedFiles": "no",
        "status.relativePaths": "false",
        "core.quotePath": "false",
    }
    check_settings(case, settings)


@scenario("Settings of git", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_how_git_keeps_its_index_does_no_harm(case: Case) -> None:
    """`core.splitIndex`, `core.untrackedCache`, `core.fsmonitor`, `index.version=4`."""
    monitor = case.folder / "monitor"
    write(case.folder, {"monitor": EXECUTABLE + "#!/bin/sh\nprintf 'token\\0/\\0'\n"})
    settings = {
        "core.splitIndex": "true",
        "core.untrackedCache": "true",
        "core.fsmonitor": str(monitor),
        "index.version": "4",
    }
    check_settings(case, settings)


@scenario("Settings of git", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_hooks_that_fail_do_no_harm(case: Case) -> None:
    """`core.hooksPath` names hooks that all fail; `merge.renormalize=true`."""
    hooks = case.folder / "hooks"
    names = ("pre-commit", "post-checkout", "post-merge", "post-index-change", "pre-merge-commit")
    write(hooks, dict.fromkeys(names, EXECUTABLE + "#!/bin/sh\nexit 1\n"))
    check_settings(case, {"core.hooksPath": str(hooks), "merge.renormalize": "true"})


@scenario("Settings of git", copier="new file arrives, unseen by git", gindock="new file is staged")
def test_a_file_that_the_user_ignores_everywhere_arrives(case: Case) -> None:
    """`core.excludesFile` names what the template ships."""
    case.releases(new={"a.txt": FIXED, "new.txt": "new\n"})
    case.edit({"a.txt": MINE})
    (case.folder / "ignored").write_text("*.txt\n")
    case.git("config", "core.excludesFile", case.folder / "ignored")
    files = {"a.txt": BOTH, "new.txt": "new\n"}
    case.update(Left(files), Left(files, {"a.txt": "merged", "new.txt": "added"}))


@scenario("Settings of git", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_a_text_that_git_finds_too_big_is_kept(case: Case) -> None:
    """`core.bigFileThreshold` is less than the file's size."""
    case.releases()
    case.edit({"a.txt": MINE})
    case.git("config", "core.bigFileThreshold", "1")
    check_merged(case)


@scenario("Settings of git", copier="edit kept, fix arrives", gindock="edit kept, fix arrives")
def test_a_filter_of_the_users_is_heard(case: Case) -> None:
    """The user's filter keeps a word out of git."""
    case.releases()
    case.git("config", "filter.secret.clean", "sed s/mine/hidden/")
    case.git("config", "filter.secret.smudge", "sed s/hidden/mine/")
    case.edit({".gitattributes": "a.txt filter=secret\n", "a.txt": MINE})
    assert "hidden" in case.git("show", "HEAD:a.txt")
    check_merged(case)


@scenario("Settings of git", copier="fix arrives", gindock="fix arrives")
def test_a_file_that_a_filter_changes_wholly_is_updated(case: Case) -> None:
    """The user's filter changes a whole file, as Git LFS does, and the template fixes it."""
    case.releases()
    case.git("config", "filter.upper.clean", "tr a-z A-Z")
    case.git("config", "filter.upper.smudge", "tr A-Z a-z")
    case.git("rm", "--cached", "--quiet", "a.txt")
    case.edit({".gitattributes": "a.txt filter=upper\n"})
    assert "SEVEN" in case.git("show", "HEAD:a.txt")
    case.update(Left(FIXED_FILES), Left(FIXED_FILES, {"a.txt": "updated"}))
