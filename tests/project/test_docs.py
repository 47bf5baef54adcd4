"""The docs: links lead somewhere, and what they list is what there is.

A test of one question has its key in its name, so that `-k KEY` runs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from helpers.exclusions import questions_of_path
from helpers.machine import ROOT, git

from gindock.upstream import history

QUESTIONS = {
    key: question
    for key, question in yaml.safe_load((ROOT / "copier.yml").read_text()).items()
    if not key.startswith("_") and question.get("when") is not False and key != "customise"
}
STEP = "see step {} of 'Add an option' in CONTRIBUTING.md"

README = (ROOT / "README.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
SERVICE = (ROOT / "docs" / "use" / "service.md").read_text()
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
HOW_IT_WORKS = (ROOT / "docs" / "explain" / "how-it-works.md").read_text()


# -- links ---------------------------------------------------------------------------------


def broken_links(page: Path) -> list[str]:
    """The relative links in `page` that lead nowhere."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.M | re.S)  # without code
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    return [
        target
        for target in targets
        if not target.startswith("https://") and not (page.parent / target).exists()
    ]


PAGES = [
    ROOT / name for name in git(ROOT, "ls-files", "*.md").splitlines() if "template/" not in name
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_the_link_check_rejects(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    code = "```go\nf[int](x)\n```\n"
    page.write_text(
        f"{code}[a](page.md#part) [b](https://x.io) [c](gone.md)\n{code}[d](gone.md#part)"
    )
    assert broken_links(page) == ["gone.md", "gone.md"]


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    pages = {f.relative_to(ROOT / "docs").as_posix() for f in (ROOT / "docs").rglob("*.md")}
    assert pages - {"index.md"} == set(re.findall(r"\]\((\w[^)]*)\)", index))


# -- what is said of the questions ---------------------------------------------------------


def rows(readme: str) -> set[str]:
    """The questions in the README's table, by their keys."""
    table = readme.partition("| Question |")[2].partition("\n\n")[0]
    return {row.split("|")[1].strip().replace(" ", "_") for row in table.splitlines()[2:]}


#: What everyone is asked, but for what names the service.
IN_FRONT = [
    key
    for key, question in QUESTIONS.items()
    if "customise" not in str(question.get("ask")) and key != "service_name"
]


@pytest.mark.parametrize("key", IN_FRONT)
def test_the_readme_has_a_row(key: str) -> None:
    assert key in rows(README), f"{key} is not in the README's table: {STEP.format(6)}"


def test_the_readme_has_no_other_row() -> None:
    assert rows(README) == {*IN_FRONT, "customise"}


def untold(key: str, released: Iterable[str], changelog: str) -> bool:
    """Whether the changelog is silent on `key`, which is not among the `released` questions."""
    unreleased = changelog.partition("\n## Unreleased\n")[2].partition("\n## ")[0]
    named = (f"--{key.replace('_', '-')}", key)
    return key not in released and not any(f"`{name}`" in unreleased for name in named)


@pytest.mark.parametrize("key", QUESTIONS)
def test_a_new_question_is_in_the_changelog(key: str) -> None:
    newest = history.releases(ROOT)[-1].commit
    released = yaml.safe_load(git(ROOT, "show", f"{newest}:copier.yml"))
    told = f"say `--{key.replace('_', '-')}` under 'Unreleased' in CHANGELOG.md: {STEP.format(6)}"
    assert not untold(key, released, CHANGELOG), told


def test_the_check_of_the_changelog_rejects() -> None:
    head = "# Changelog\n\n## Unreleased\n\n"
    assert untold("a_b", [], f"{head}- Nothing.\n\n## 1.0.0\n\n- `--a-b`\n")
    assert not untold("a_b", [], f"{head}- `--a-b` is new.\n\n## 1.0.0\n")
    assert not untold("a_b", ["a_b"], "# Changelog\n")


# -- the tree of a rendered service --------------------------------------------------------


def drawn(page: str) -> set[str]:
    """The files and folders in the tree that `page` draws."""
    found: set[str] = set()
    above: list[str] = []
    for line in page.partition("```text\n")[2].partition("```")[0].splitlines()[1:]:
        match = re.match(r"((?:│   |    )*)[├└]── (.+?)(?:  .*)?$", line)
        assert match, line
        names = [name.rstrip("/") for name in re.split(r", | or ", match[2])]
        depth = len(match[1]) // 4
        above[depth:] = [names[0]]
        found |= {"/".join([*above[:depth], name]) for name in names}
    return found


def to_draw() -> set[str]:
    """What a tree of the template shows: what lies at the top, and the folders in some of these."""
    template = ROOT / "template"
    names = {
        (f"{folder}/" if folder else "") + path.name
        for folder in ("", "internal", "deploy", "deploy/kubernetes")
        for path in (template / folder).iterdir()
    } | {"cmd/myservice"}
    answers = "[[ _copier_conf.answers_file ]]"
    names = {n.removesuffix(".jinja").replace(answers, ".copier-answers.yml") for n in names}
    return {name for name in names if not any(other.startswith(f"{name}/") for other in names)}


@pytest.mark.parametrize(
    "name", sorted(to_draw()), ids=lambda name: " ".join([name, *questions_of_path(name)])
)
def test_the_tree_shows(name: str) -> None:
    assert name in drawn(SERVICE), (
        f"{name} is not in the tree of docs/use/service.md: {STEP.format(6)}"
    )


def test_the_tree_shows_only_what_there_is() -> None:
    folders = {"/".join(name.split("/")[:n]) for name in to_draw() for n in range(1, 4)}
    assert drawn(SERVICE) - to_draw() <= folders
    spoilt = SERVICE.replace("├── Makefile", "├── Fakemile")
    assert "Fakemile" in drawn(spoilt)
    assert "Makefile" not in drawn(spoilt)


# -- the rooms and the two paths -----------------------------------------------------------

PACKAGE = ROOT / "src" / "gindock"


def named_modules(text: str) -> set[str]:
    """The Python files that `text` names, as paths in the package."""
    return set(re.findall(r"`((?:[a-z_]+/)?[a-z_]+\.py)`", text))


def modules() -> set[str]:
    """Every module of the package that holds more than a docstring."""
    files = (f for f in PACKAGE.rglob("*.py") if "_template" not in f.parts)
    return {f.relative_to(PACKAGE).as_posix() for f in files if len(f.read_text().splitlines()) > 1}


def test_how_it_works_names_every_module() -> None:
    missing = modules() - named_modules(HOW_IT_WORKS) - {"__init__.py"}
    assert not missing, f"say in docs/explain/how-it-works.md what they do: {sorted(missing)}"


def test_how_it_works_names_only_what_there_is() -> None:
    gone = {name for name in named_modules(HOW_IT_WORKS) if not (PACKAGE / name).is_file()}
    assert not gone, f"docs/explain/how-it-works.md tells of {sorted(gone)}"
    assert named_modules("`a/b.py`, `c_d.py` and `E.md`") == {"a/b.py", "c_d.py"}


def test_the_guide_names_every_room() -> None:
    rooms = {
        f"`{path.name}/`"
        for folder in (PACKAGE, ROOT / "tests", ROOT / "docs")
        for path in folder.iterdir()
        if path.is_dir() and path.name not in ("__pycache__", "_template")
    }
    assert {room for room in rooms if room not in GUIDE} == set()
