"""`gindock update --set`: several choices in both spellings, and answers that are secret."""

from __future__ import annotations

import pytest
from helpers.commands import gindock
from helpers.projects import answers
from helpers.update_cases import Case

from gindock.errors import RefusedAnswerError
from gindock.updating.assignments import parsed
from gindock.upstream import source
from gindock.upstream.source import Source

CHOICES = "parts: {type: str, multiselect: true, choices: [a, b, c], default: [a]}\nname: {type: str, default: x}\n"


@pytest.mark.parametrize(
    "spelled", [["parts=b,c"], ["parts=b", "parts=c"], ["parts=[b, c]"], ["parts=b", "parts=[c]"]]
)
def test_several_choices_are_given_in_one_or_one_by_one(spelled: list[str], case: Case) -> None:
    files = {"copier.yml": CHOICES, "a.txt": "a\n"}
    case.releases(files, files)
    options = [part for text in spelled for part in ("--set", text)]
    done = gindock("update", *options, cwd=case.project)
    assert done.code == 0, done.stderr
    assert answers(case.project)["parts"] == ["b", "c"]


@pytest.mark.parametrize(
    ("spelled", "message"),
    [
        (["name=one", "name=two"], "--set name: it takes one value, got one and two"),
        (["parts=none", "parts=a"], "--set parts: 'none' goes with nothing else"),
    ],
)
def test_what_does_not_go_together_is_refused(spelled: list[str], message: str, case: Case) -> None:
    files = {"copier.yml": CHOICES, "a.txt": "a\n"}
    case.releases(files, files)
    options = [part for text in spelled for part in ("--set", text)]
    done = gindock("update", *options, cwd=case.project)
    assert (done.code, message in done.stderr) == (2, True), done


def test_gindocks_own_choices_too() -> None:
    own = Source(source.URL, "v0.8.0")
    found = parsed({"deploy": ["kubernetes", "compose"], "datastores": ["redis,postgres"]}, own)
    assert found == {"deploy": ["kubernetes", "compose"], "datastores": ["redis", "postgres"]}
    with pytest.raises(RefusedAnswerError, match="base_image: it takes one value"):
        parsed({"base_image": ["alpine", "distroless"]}, own)


@pytest.mark.parametrize(
    "question",
    [
        "token: {type: str, secret: true, default: none yet}\n",
        "token: {type: str, default: none yet}\n_secret_questions: [token]\n",
    ],
)
def test_a_secret_question_is_answered_and_not_recorded(question: str, case: Case) -> None:
    files = {"copier.yml": question, "a.txt.jinja": "token: {{ token }}\n"}
    case.releases(files, files)
    done = gindock("update", "--set", "token=abc", cwd=case.project)
    assert (done.code, "the answer to 'token' is secret and not recorded" in done.stderr) == (
        0,
        True,
    ), done
    assert (case.project / "a.txt").read_text() == "token: abc\n"
    assert "abc" not in (case.project / ".copier-answers.yml").read_text()
    case.git("commit", "-qam", "Mine")
    # What was rendered with it stays.
    assert gindock("update", cwd=case.project).code == 0
    assert (case.project / "a.txt").read_text() == "token: abc\n"
    refused = gindock("update", "--set", "tokens=abc", cwd=case.project)
    assert (refused.code, "no such question" in refused.stderr) == (2, True)
