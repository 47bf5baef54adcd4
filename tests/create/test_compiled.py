"""A render in which no text is compiled twice is the render that Copier makes alone."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import copier
import jinja2
import pytest
from helpers import file_trees, rendering
from helpers.combinations import CUSTOM
from jinja2 import nodes

from gindock.upstream import compiled

#: A template with what may tell two compilations of one text apart: a tag that Copier repeats a
#: name for, files that include others, delimiters of its own.
FOREIGN = {
    "copier.yml": """
        _envops: {variable_start_string: "<<", variable_end_string: ">>"}
        names: {type: yaml, default: [one, two]}
        greeting: {type: str, default: "<< names | join(' ') | upper >>", validator: ""}
        """,
    "{% yield name from names %}<< name >>{% endyield %}/said.txt.jinja": """
        {% from "parts/macros.txt" import shout %}
        {% include "parts/start.txt" %}
        << shout(name) >> << greeting >> {{ name }}
        """,
    "{% yield name from names %}<< name >>{% endyield %}/again.txt.jinja": "<< name >>",
    "parts/macros.txt": "{% macro shout(word) %}<< word | upper >>!{% endmacro %}",
    "parts/start.txt": "<< name >> of << names | length >>",
}


def template(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text).lstrip())
    return folder


def rendered(
    folder: Path,
    destination: Path,
    around: AbstractContextManager[None] | None = None,
    **answers: Any,
) -> file_trees.Tree:
    """What Copier makes of the template in `folder`, at `destination`."""
    with around or nullcontext():
        copier.run_copy(
            str(folder), destination, data=answers, defaults=True, quiet=True, unsafe=True
        )
    return file_trees.snapshot(destination)


@pytest.mark.parametrize("answers", [{}, CUSTOM], ids=["default", "fullest"])
def test_a_service_is_the_same(tmp_path: Path, answers: dict[str, Any]) -> None:
    folder = rendering.template()
    alone = rendered(folder, tmp_path / "alone" / "svc", **answers)
    for time in ("first", "second"):
        ours = rendered(folder, tmp_path / time / "svc", compiled.once(), **answers)
        assert ours == alone


def test_a_foreign_template_is_the_same(tmp_path: Path) -> None:
    folder = template(tmp_path / "foreign", FOREIGN)
    alone = rendered(folder, tmp_path / "alone" / "svc")
    assert alone["two/said.txt"].content.splitlines()[-1] == b"TWO! ONE TWO {{ name }}"
    for time in ("first", "second"):
        assert rendered(folder, tmp_path / time / "svc", compiled.once()) == alone


def test_versions_with_other_delimiters_do_not_mix(tmp_path: Path) -> None:
    text = {"text.txt.jinja": "<< name >> {{ name }} [[ name ]]"}
    for number, marks in enumerate(["<<", "{{", "[["]):
        end = {"<<": ">>", "{{": "}}", "[[": "]]"}[marks]
        settings = f'variable_start_string: "{marks}", variable_end_string: "{end}"'
        questions = {"copier.yml": f"_envops: {{{settings}}}\nname: {{type: str, default: Ada}}"}
        folder = template(tmp_path / str(number), questions | text)
        found = rendered(folder, tmp_path / f"svc{number}", compiled.once())
        told = text["text.txt.jinja"].replace(f"{marks} name {end}", "Ada")
        assert found["text.txt"].content.decode() == told


def test_the_text_of_another_version_is_its_own(tmp_path: Path) -> None:
    for word in ("before", "after"):
        questions = {"copier.yml": "name: {type: str, default: Ada}"}
        folder = template(tmp_path / word, questions | {"text.txt.jinja": f"{{{{ name }}}} {word}"})
        found = rendered(folder, tmp_path / f"svc-{word}", compiled.once())
        assert found["text.txt"].content == f"Ada {word}".encode()


def test_chance_is_another_each_time(tmp_path: Path) -> None:
    text = "{{ 999999999999999999 | ans_random }} {{ [1, 2] | length }}"
    files = {"copier.yml": "", "one.txt.jinja": text, "parts/two.txt": text}
    files["two.txt.jinja"] = "{% include 'parts/two.txt' %}"
    folder = template(tmp_path / "foreign", files)
    found = [
        tree[name].content
        for time in range(3)
        for tree in [rendered(folder, tmp_path / str(time), compiled.once())]
        for name in ("one.txt", "two.txt")
    ]
    assert len({*found}) == 6


def test_an_extension_sees_every_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "counting.py").write_text(
        textwrap.dedent(
            """
            import itertools
            from jinja2 import nodes
            from jinja2.ext import Extension

            class Count(Extension):
                tags = {"count"}
                numbers = itertools.count(1)

                def parse(self, parser):
                    line = next(parser.stream).lineno
                    number = nodes.TemplateData(str(next(self.numbers)))
                    return nodes.Output([number], lineno=line)
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    questions = "_jinja_extensions: [counting.Count]"
    files = {
        "copier.yml": questions,
        "one.txt.jinja": "{% count %}",
        "two.txt.jinja": "{% count %}",
    }
    folder = template(tmp_path / "foreign", files)
    found = [
        file.content
        for time in ("first", "second")
        for file in rendered(folder, tmp_path / time, compiled.once()).values()
    ]
    assert sorted(found) == [b"1", b"2", b"3", b"4"]


def test_an_error_names_its_own_file(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        folder = template(tmp_path / name, {"copier.yml": "", "x.txt.jinja": "\n{{ 1 // none }}"})
        with pytest.raises(TypeError) as error:
            rendered(folder, tmp_path / f"svc-{name}", compiled.once())
        found.append(Path(error.traceback[-1].path))
    assert found == [tmp_path / name / "x.txt.jinja" for name in ("one", "two")]


def test_no_text_is_compiled_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    generate = jinja2.compiler.generate

    def noted(node: nodes.Template, *arguments: Any, **options: Any) -> Any:
        if isinstance(node, nodes.Template):  # Copier also tries what is no text.
            texts.append(node)
        return generate(node, *arguments, **options)

    monkeypatch.setattr("jinja2.environment.generate", noted)
    folder = template(tmp_path / "foreign", FOREIGN)
    rendered(folder, tmp_path / "first" / "svc", compiled.once())
    distinct = len(texts)
    rendered(folder, tmp_path / "second" / "svc", compiled.once())
    assert len(texts) == distinct
    rendered(folder, tmp_path / "alone" / "svc")
    assert len(texts) > 2 * distinct
