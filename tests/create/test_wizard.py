"""The wizard, on a real pseudo-terminal: the screen, the exit code and the disk."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import yaml
from helpers.commands import Terminal
from helpers.machine import git

DOWN, ENTER, SPACE = "\x1b[B", "\r", " "

#: On the default path, in their order: at most seven.
QUESTIONS = [
    "Go module path",
    "Base image",
    "Registry for images",
    "Where it runs",
    "Kubernetes probes",
    "Data stores",
    "Sections to customise",
]
REVIEW = "Create this service?"


@pytest.fixture
def wizard(tmp_path: Path) -> Iterator[Terminal]:
    """`gindock new myservice` on a terminal."""
    with Terminal("new", "myservice", cwd=tmp_path) as terminal:
        yield terminal


#: Every section.
ALL = "service,image,deployment,dependencies,observability,delivery"


def straight_through(terminal: Terminal, **keys: str) -> None:
    """Accept every default, but for the questions in `keys`, by their first word."""
    for question in QUESTIONS:
        terminal.answer(question, keys.get(question.split()[0], ENTER))


def answers(project: Path) -> dict[str, object]:
    """The recorded answers of `project`."""
    return yaml.safe_load((project / ".copier-answers.yml").read_text())  # type: ignore[no-any-return]


def test_straight_through(wizard: Terminal, tmp_path: Path) -> None:
    straight_through(wizard)
    wizard.wait_for(REVIEW)
    assert not (tmp_path / "myservice").exists(), "created before the review"
    for shown in ("service name", "example.com/myservice", "distroless", "45 files in", "deploy/ "):
        assert shown in wizard.screen
    asked = [line for line in wizard.screen.splitlines() if re.match(r"[a-z]+ {1,12}[A-Z]", line)]
    assert len(asked) == len(QUESTIONS) + 1 <= 8, "more than seven questions and the review"
    sections = [line.split()[0] for line in asked]
    assert sections == ["service", "image", "image", "deployment", "deployment", "dependencies",
                        "customise", "review"]  # fmt: skip
    wizard.answer(REVIEW)
    assert wizard.exit_code() == 0
    assert "gindock new myservice --defaults" in wizard.screen
    assert (tmp_path / "myservice" / ".git").is_dir()
    assert [p.name for p in tmp_path.iterdir()] == ["myservice"]


def test_change_an_answer_and_what_derives_from_it(wizard: Terminal, tmp_path: Path) -> None:
    straight_through(wizard, Base=DOWN + ENTER)
    wizard.answer(REVIEW, DOWN + ENTER)
    # Service name, module path.
    wizard.answer("Which answer?", DOWN + ENTER)
    wizard.answer("Go module path", "\x15github.com/acme/shop" + ENTER, times=2)
    wizard.answer(REVIEW, times=2)
    assert wizard.exit_code() == 0
    recorded = answers(tmp_path / "myservice")
    assert recorded["module_path"] == "github.com/acme/shop"
    assert recorded["registry"] == "ghcr.io/acme", "a default that derives was not derived anew"
    assert recorded["base_image"] == "alpine", "what was chosen was lost"
    assert (
        "gindock new myservice --module-path github.com/acme/shop --base-image alpine --defaults"
        in wizard.screen
    )


def test_a_changed_answer_opens_its_questions(tmp_path: Path) -> None:
    with Terminal("new", "myservice", "--deploy", "compose", cwd=tmp_path) as wizard:
        for question in QUESTIONS:
            if question not in ("Where it runs", "Kubernetes probes"):
                wizard.answer(question)
        wizard.answer(REVIEW, DOWN + ENTER)
        assert "Kubernetes probes" not in wizard.screen
        # Service name, module path, base image, registry, deploy.
        wizard.answer("Which answer?", DOWN * 4 + ENTER)
        wizard.answer("Where it runs", SPACE + ENTER)
        wizard.answer("Kubernetes probes", SPACE + ENTER)
        wizard.answer(REVIEW, times=2)
        assert wizard.exit_code() == 0
    recorded = answers(tmp_path / "myservice")
    assert recorded["deploy"] == ["kubernetes", "compose"]
    assert recorded["probes"] == ["liveness", "readiness"]


#: By the sections that may be customised, what only their customers are asked.
BEHIND = {
    "service": ["What it does", "Port of the API", "Port of probes", "OpenAPI contract"],
    "image": ["GOPROXY", "GOPRIVATE", "Image pull secret"],
    "deployment": [
        "Public host name",
        "Rollout",
        "Path of liveness",
        "Path of the readiness",
        "Longest start",
        "Liveness probe period",
        "Readiness probe period",
        "Probe timeout",
        "CPU request",
        "Memory limit",
    ],
    "dependencies": ["Bearer tokens"],
    "observability": ["Prometheus alerts", "Traces", "Log shipping"],
    "delivery": ["Part of a monorepo", "Continuous integration"],
}


@pytest.mark.parametrize(
    "chosen",
    [["service"], ["image", "dependencies"], ["deployment"], ["observability", "delivery"]],
)
def test_only_what_is_customised_is_asked(
    chosen: list[str], wizard: Terminal, tmp_path: Path
) -> None:
    keys = "".join((SPACE if section in chosen else "") + DOWN for section in BEHIND)
    straight_through(wizard, Sections=keys + ENTER)
    for section in chosen:
        for question in BEHIND[section]:
            port = question == "Port of the API"
            wizard.answer(question, "\x158081" + ENTER if port else ENTER)
    wizard.wait_for(REVIEW)
    for section, questions in BEHIND.items():
        for question in questions:
            assert (question in wizard.screen) == (section in chosen)
    wizard.answer(REVIEW)
    assert wizard.exit_code() == 0
    assert answers(tmp_path / "myservice")["customise"] == chosen
    assert answers(tmp_path / "myservice")["http_port"] == (8081 if "service" in chosen else 8080)


def test_a_section_is_customised_at_the_review(wizard: Terminal, tmp_path: Path) -> None:
    straight_through(wizard)
    wizard.answer(REVIEW, DOWN + ENTER)
    wizard.answer("Which answer?", DOWN * 7 + ENTER)
    wizard.answer("Sections to customise", DOWN * 5 + SPACE + ENTER, times=2)
    wizard.answer("Part of a monorepo")
    wizard.answer("Continuous integration", DOWN * 2 + ENTER)
    wizard.answer(REVIEW, times=2)
    assert wizard.exit_code() == 0
    assert answers(tmp_path / "myservice")["ci"] == "none"


def test_in_a_clone_five_questions_are_left(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", "https://github.com/acme/shop")
    with Terminal("new", ".", cwd=folder) as wizard:
        for question in ["Base image", *QUESTIONS[3:], REVIEW]:
            wizard.answer(question)
        assert wizard.exit_code() == 0
        for left_out in (QUESTIONS[0], QUESTIONS[2]):
            assert left_out not in wizard.screen
        assert "ghcr.io/acme" in wizard.screen, "what was derived is not shown"


def test_a_name_is_proposed_where_the_directorys_will_not_do(tmp_path: Path) -> None:
    with Terminal("new", "My Service_1", cwd=tmp_path) as wizard:
        wizard.answer("Name of the service")
        straight_through(wizard)
        wizard.answer(REVIEW)
        assert wizard.exit_code() == 0
    assert answers(tmp_path / "My Service_1")["service_name"] == "my-service-1"
    with Terminal("new", "logging", cwd=tmp_path) as wizard:
        wizard.wait_for("logging-service")
        wizard.interrupt()


def test_the_answers_stay_on_a_small_screen(tmp_path: Path) -> None:
    with Terminal("new", "myservice", "--customise", ALL, cwd=tmp_path, size=(24, 80)) as wizard:
        for question in [*QUESTIONS[:-1], *chain.from_iterable(BEHIND.values())]:
            wizard.answer(question)
        wizard.wait_for(REVIEW)
        shown = wizard.at_rest().splitlines()[-24:]
        for key in ("service name", "module path", "registry", "datastores", "customise"):
            assert any(key in line for line in shown), key
        assert any("more at their defaults" in line for line in shown)
        assert any("files in" in line for line in shown)
        wizard.answer(REVIEW, DOWN * 2 + ENTER)
        wizard.wait_for("problem.go")


def test_every_file_is_shown_on_request(wizard: Terminal) -> None:
    straight_through(wizard)
    wizard.wait_for(REVIEW)
    assert "problem.go" not in wizard.screen
    wizard.answer(REVIEW, DOWN * 2 + ENTER)
    wizard.wait_for("problem.go")
    wizard.wait_for(REVIEW, times=2)


@pytest.mark.parametrize("width", [60, 80])
def test_nothing_is_cut_within_a_word(width: int, tmp_path: Path) -> None:
    given = ["--customise", "deployment"]
    with Terminal("new", "myservice", *given, cwd=tmp_path, size=(24, width)) as wizard:
        for question in QUESTIONS[:3]:
            wizard.answer(question)
        wizard.wait_for("Where it runs")
        hint = " ".join(wizard.at_rest().split())
        assert "<space> to select, <a> to toggle, <i> to invert)" in hint
        ends = [line.split()[-1] for line in wizard.screen.splitlines() if "<" in line]
        assert set(ends) <= {"invert)", "to"}
        for question in QUESTIONS[3:-1]:
            wizard.answer(question)
        wizard.answer("Public host name", "localhost" + ENTER)
        wizard.wait_for("no host name")
        said = " ".join(wizard.at_rest().split())
        assert "'localhost' is no host name: use a DNS name in lower case, e.g. myservice" in said
        assert "host_name" not in said


def test_it_says_that_it_is_at_work_and_nothing_typed_is_echoed(
    wizard: Terminal, tmp_path: Path
) -> None:
    straight_through(wizard)
    wizard.give_way()
    eventually_there(tmp_path, first_render_of(tmp_path / "myservice"))
    wizard.type_ahead(DOWN * 3)
    wizard.wait_for(REVIEW)
    assert "Rendering the service" in wizard.printed
    assert "^[[B" not in wizard.printed


def test_files_that_are_there_are_kept(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine\n")
    (tmp_path / "LICENSE").write_text("mine, too\n")
    with Terminal("new", ".", "--service-name", "shop", cwd=tmp_path) as wizard:
        straight_through(wizard)
        wizard.wait_for("Exists already: README.md")
        wizard.answer("create, and keep these files")
        assert wizard.exit_code() == 0
        assert "Kept as it was: README.md" in wizard.screen
        assert "--keep" in wizard.screen
    assert (tmp_path / "README.md").read_text() == "mine\n"
    assert (tmp_path / "go.mod").is_file()


def test_a_bad_answer_is_refused_at_its_question(wizard: Terminal) -> None:
    wizard.answer("Go module path", "\x15no module" + ENTER)
    wizard.wait_for("start with a host, e.g. github.com/acme/myservice")


def test_cancel_leaves_nothing(wizard: Terminal, tmp_path: Path) -> None:
    straight_through(wizard)
    wizard.answer(REVIEW, DOWN * 3 + ENTER)
    assert wizard.exit_code() == 0
    assert "nothing was created" in wizard.screen
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("question", [QUESTIONS[0], QUESTIONS[4], REVIEW])
def test_ctrl_c_leaves_at_once_and_nothing_behind(
    question: str, wizard: Terminal, tmp_path: Path
) -> None:
    for asked in QUESTIONS:
        if asked == question:
            break
        wizard.answer(asked)
    wizard.wait_for(question)
    wizard.interrupt()
    assert wizard.exit_code() == 130
    assert "Traceback" not in wizard.screen
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_at_which_answer(wizard: Terminal, tmp_path: Path) -> None:
    straight_through(wizard)
    wizard.answer(REVIEW, DOWN + ENTER)
    wizard.wait_for("Which answer?")
    wizard.interrupt()
    assert wizard.exit_code() == 130
    assert list(tmp_path.iterdir()) == []


def test_the_users_own_defaults_win(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yml"
    settings.write_text("defaults:\n  registry: registry.acme.io/team\n  base_image: alpine\n")
    folder = tmp_path / "work"
    folder.mkdir()
    with Terminal(
        "new", "myservice", cwd=folder, env={"COPIER_SETTINGS_PATH": str(settings)}
    ) as wizard:
        straight_through(wizard)
        wizard.answer(REVIEW)
        assert wizard.exit_code() == 0
        assert "--base-image alpine --registry registry.acme.io/team --defaults" in wizard.screen
    recorded = answers(folder / "myservice")
    assert recorded["registry"] == "registry.acme.io/team"
    assert recorded["base_image"] == "alpine"


def test_without_a_directory_the_service_names_it(tmp_path: Path) -> None:
    with Terminal("new", cwd=tmp_path) as wizard:
        wizard.answer("Name of the service", "\x15orders" + ENTER)
        straight_through(wizard)
        wizard.answer(REVIEW)
        assert wizard.exit_code() == 0
    assert answers(tmp_path / "orders")["service_name"] == "orders"


def first_render_of(project: Path) -> str:
    """The pattern of the files that the first render of `project` writes."""
    return f".gindock-staging-*/project/1{project.resolve()}/*"


def eventually_there(folder: Path, pattern: str) -> None:
    """Wait until `folder` has something that `pattern` matches."""
    deadline = time.monotonic() + 120
    while not any(folder.glob(pattern)):
        assert time.monotonic() < deadline, f"{pattern} never came"
        time.sleep(0.005)


def test_keys_typed_while_it_renders_do_not_answer_the_review(
    wizard: Terminal, tmp_path: Path
) -> None:
    straight_through(wizard)
    wizard.give_way()
    # The first file of the first render: its questions are over, the review is yet to come.
    eventually_there(tmp_path, first_render_of(tmp_path / "myservice"))
    wizard.type_ahead(ENTER * 5)
    wizard.wait_for(REVIEW)
    wizard.at_rest()
    assert not (tmp_path / "myservice").exists(), "created, and nobody looked at it"
    wizard.answer(REVIEW)
    assert wizard.exit_code() == 0
    assert (tmp_path / "myservice" / "go.mod").is_file()


def test_keys_typed_before_the_first_question_do_not_answer_it(
    wizard: Terminal, tmp_path: Path
) -> None:
    eventually_there(tmp_path, ".gindock-staging-*")
    wizard.type_ahead(ENTER * 3)
    wizard.wait_for(QUESTIONS[0])
    assert QUESTIONS[1] not in wizard.at_rest()
    # Nor do those that come together with the answer to another.
    wizard.answer(QUESTIONS[0], ENTER * 3)
    wizard.wait_for(QUESTIONS[1])
    assert QUESTIONS[2] not in wizard.at_rest()
    wizard.interrupt()
    assert wizard.exit_code() == 130
    assert list(tmp_path.iterdir()) == []


def interrupted_while_it_renders(folder: Path) -> tuple[int, str]:
    """The exit code and the screen of the wizard, which Ctrl-C meets amid its first render."""
    folder.mkdir()
    with Terminal("new", "myservice", cwd=folder) as wizard:
        straight_through(wizard)
        wizard.give_way()
        eventually_there(folder, first_render_of(folder / "myservice"))
        wizard.type_ahead(ENTER * 5 + "\x03")
        return wizard.exit_code(), wizard.screen


def test_ctrl_c_while_it_renders_leaves_nothing_behind(tmp_path: Path) -> None:
    for attempt in map(str, range(5)):
        code, screen = interrupted_while_it_renders(tmp_path / attempt)
        if code:  # else the keys came too late, and ENTER answered the review
            assert code == 130
            assert "Traceback" not in screen
            assert list((tmp_path / attempt).iterdir()) == []
            return
    raise AssertionError("the keys came too late five times")


def test_an_interrupt_from_elsewhere_ends_a_question(wizard: Terminal, tmp_path: Path) -> None:
    """Ctrl-C arrives as a signal, too, where it comes just before the question has the keyboard."""
    straight_through(wizard)
    wizard.wait_for(REVIEW)
    wizard.at_rest()
    wizard.signal(signal.SIGINT)
    assert wizard.exit_code() == 130
    assert "Traceback" not in wizard.screen
    assert list(tmp_path.iterdir()) == []


def test_a_pasted_answer_stays_one_answer(wizard: Terminal) -> None:
    wizard.answer(QUESTIONS[0], "\x15\x1b[200~example.com,\rand more\x1b[201~")
    assert QUESTIONS[1] not in wizard.at_rest()


def test_a_dumb_terminal_is_asked_too(tmp_path: Path) -> None:
    with Terminal("new", "myservice", cwd=tmp_path, env={"TERM": "dumb"}) as wizard:
        straight_through(wizard)
        wizard.answer(REVIEW)
        assert wizard.exit_code() == 0
    assert (tmp_path / "myservice" / "go.mod").is_file()
