"""The wizard, on a real pseudo-terminal: the screen, the exit code and the disk."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from helpers.commands import Terminal

DOWN, ENTER, SPACE = "\x1b[B", "\r", " "

QUESTIONS = [
    "What it does, in one line",
    "Go module path",
    "Base image of the container",
    "Registry and path",
    "Where it runs",
    "Kubernetes probes",
    "Public host name",
    "How a new version takes over",
    "Data stores",
    "Prometheus alerts",
    "Send traces",
    "Continuous integration",
    "Customise further",
]
#: Those that only a service on Kubernetes is asked.
OF_KUBERNETES = ["Kubernetes probes", "Public host name", "How a new version", "Prometheus alerts"]
REVIEW = "Create this service?"


@pytest.fixture
def wizard(tmp_path: Path) -> Iterator[Terminal]:
    """`gindock new myservice` on a terminal."""
    with Terminal("new", "myservice", cwd=tmp_path) as terminal:
        yield terminal


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
    for shown in ("service name", "example.com/myservice", "distroless", "myservice/", "go.mod"):
        assert shown in wizard.screen
    sections = (
        "service ",
        "image ",
        "deployment ",
        "dependency ",
        "observe ",
        "delivery ",
        "customise ",
    )
    positions = [
        wizard.screen.index("\n" + s) if s != "service " else wizard.screen.index(s)
        for s in sections
    ]
    assert positions == sorted(positions)
    wizard.answer(REVIEW)
    assert wizard.exit_code() == 0
    assert "gindock new myservice --defaults" in wizard.screen
    assert (tmp_path / "myservice" / ".git").is_dir()
    assert [p.name for p in tmp_path.iterdir()] == ["myservice"]


def test_change_an_answer_and_what_derives_from_it(wizard: Terminal, tmp_path: Path) -> None:
    straight_through(wizard, Base=DOWN + ENTER)
    wizard.answer(REVIEW, DOWN + ENTER)
    # Service name, description, module path.
    wizard.answer("Which answer?", DOWN + DOWN + ENTER)
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
            if not question.startswith(("Where it runs", *OF_KUBERNETES)):
                wizard.answer(question)
            if question == "Send traces":
                wizard.answer("Compose profiles", DOWN + SPACE + ENTER)
        wizard.answer(REVIEW, DOWN + ENTER)
        assert "Kubernetes probes" not in wizard.screen
        # Service name, description, module path, base image, registry, deploy.
        wizard.answer("Which answer?", DOWN * 5 + ENTER)
        wizard.answer("Where it runs", SPACE + ENTER)
        wizard.answer("Kubernetes probes", SPACE + ENTER)
        for question in OF_KUBERNETES[1:]:
            wizard.answer(question)
        wizard.answer(REVIEW, times=2)
        assert wizard.exit_code() == 0
    recorded = answers(tmp_path / "myservice")
    assert recorded["deploy"] == ["kubernetes", "compose"]
    assert recorded["probes"] == ["liveness", "readiness"]
    assert recorded["compose_profiles"] == ["logging"]


def test_customise_opens_the_rest(wizard: Terminal, tmp_path: Path) -> None:
    straight_through(wizard, Customise="y")
    wizard.answer("Port of the API", "\x158081" + ENTER)
    for question in (
        "Port of probes",
        "Contract of the API",
        "Path of the liveness",
        "Path of the readiness",
        "Seconds that a start",
        "Seconds between liveness",
        "Seconds between readiness",
        "Seconds that a probe",
        "CPU that a replica",
        "Memory that a replica",
        "Image pull secret",
        "Where Fluent Bit",
        "GOPROXY",
        "GOPRIVATE",
    ):
        wizard.answer(question)
    wizard.answer(REVIEW)
    assert wizard.exit_code() == 0
    assert answers(tmp_path / "myservice")["http_port"] == 8081


def test_a_bad_answer_is_refused_at_its_question(wizard: Terminal) -> None:
    wizard.answer(QUESTIONS[0])
    wizard.answer("Go module path", "\x15no module" + ENTER)
    wizard.wait_for("start with a host, e.g. github.com/acme/myservice")


def test_cancel_leaves_nothing(wizard: Terminal, tmp_path: Path) -> None:
    straight_through(wizard)
    wizard.answer(REVIEW, DOWN + DOWN + ENTER)
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
    wizard.answer(QUESTIONS[0], "\x15\x1b[200~Sells books,\rand more\x1b[201~")
    assert QUESTIONS[1] not in wizard.at_rest()


def test_a_dumb_terminal_is_asked_too(tmp_path: Path) -> None:
    with Terminal("new", "myservice", cwd=tmp_path, env={"TERM": "dumb"}) as wizard:
        straight_through(wizard)
        wizard.answer(REVIEW)
        assert wizard.exit_code() == 0
    assert (tmp_path / "myservice" / "go.mod").is_file()
