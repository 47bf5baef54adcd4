"""Write the module pins of the template: go.mod and go.sum for every combination of answers.

    make pins                     raise every module to its current release
    make pins ARGS=--no-refresh   only tidy the pins, after a change of the Go code

The template is rendered once for each combination of the answers that change the Go
code, and each render is tidied by the go command itself. A line that not every render
holds stands under a condition, the smallest that is true exactly where the line is
needed.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2 import meta, nodes
from sympy import And, Not, Or, Symbol
from sympy.logic.boolalg import Boolean, SOPform, true

from tools import rendered
from tools.rendered import ROOT

TEMPLATE = ROOT / "template"
MODULE = "example.com/pins"

#: One combination: whether each of the `switches` is true.
Combination = tuple[bool, ...]

#: A line and how often it stood in the file before, so that lines such as `)` differ.
Line = tuple[str, int]


@functools.cache
def switches(source: Path = ROOT) -> tuple[str, ...]:
    """The yes-or-no variables of copier.yml that decide which Go code is rendered.

    They stand in the conditions of the Go files, and in the lines of `_exclude` that leave Go
    files out. One that follows from others is left out. `source` holds copier.yml and template/.
    Ends the program where a condition asks for something that is no yes or no.
    """
    questions = yaml.safe_load((source / "copier.yml").read_text())
    template = source / "template"
    texts = [file.read_text() for file in template.rglob("*.go.jinja")]
    texts += [line for line in questions["_exclude"] if leaves_out_go(line, template)]
    asked = set().union(*(conditions(text, questions["_envops"]) for text in texts))
    for name in sorted(asked):
        if questions[name]["type"] != "bool":
            sys.exit(f"{name}: name what the Go code asks of it in one word, under 'Derived'")
    sources = {name: variables(questions[name]["default"], questions["_envops"]) for name in asked}
    follows = {name for name in asked if sources[name] and sources[name] <= asked}
    return tuple(name for name in questions if name in asked - follows)


def leaves_out_go(line: str, template: Path) -> bool:
    """Whether a line of `_exclude` leaves Go files of `template` out for some answers."""
    pattern = re.search(r"%\]/(.+?)\[%", line)
    found = template.glob(pattern[1]) if pattern else iter(())
    files = (file for path in found for file in ([path] if path.is_file() else path.rglob("*")))
    return any(file.name.removesuffix(".jinja").endswith(".go") for file in files)


def conditions(text: str, options: dict[str, Any]) -> set[str]:
    """The variables that the conditions in the template `text` ask for."""
    tree = environment(options).parse(text)
    tests = [
        *(node.test for node in tree.find_all(nodes.If)),
        *(node.test for node in tree.find_all(nodes.CondExpr)),
    ]
    # What `find_all` finds lies below the node that it is asked of.
    names = [name for test in tests for name in [test, *test.find_all(nodes.Name)]]
    return {name.name for name in names if isinstance(name, nodes.Name)}


def variables(default: object, options: dict[str, Any]) -> set[str]:
    """The variables that a default is worked out from."""
    return meta.find_undeclared_variables(environment(options).parse(str(default)))


def environment(options: dict[str, Any]) -> jinja2.Environment:
    """Jinja with the delimiters of the template."""
    return jinja2.Environment(**{k: v for k, v in options.items() if k.endswith("_string")})


def combinations() -> Iterator[Combination]:
    """Every combination, the fullest first."""
    return itertools.product([True, False], repeat=len(switches()))


def render(destination: Path, combination: Combination) -> None:
    """Render the template as it lies in the working tree."""
    with tempfile.TemporaryDirectory() as folder:
        source = rendered.copy_template(Path(folder, "source"))
        on = dict(zip(switches(), combination, strict=True))
        rendered.render(source, destination, module_path=MODULE, **on)


def try_go(
    *arguments: str, folder: Path, toolchain: str = "local"
) -> subprocess.CompletedProcess[str]:
    """Run the go command in `folder`."""
    return subprocess.run(
        ["go", *arguments],
        cwd=folder,
        env={**os.environ, "GOTOOLCHAIN": toolchain, "GOFLAGS": "-mod=mod", "GOWORK": "off"},
        text=True,
        capture_output=True,
        check=False,
    )


def go(*arguments: str, folder: Path, toolchain: str = "local") -> str:
    """Run the go command in `folder`; end the program where it fails."""
    done = try_go(*arguments, folder=folder, toolchain=toolchain)
    if done.returncode:
        sys.exit(f"go {' '.join(arguments)} ({toolchain}):\n{done.stdout}{done.stderr}")
    return done.stdout


def tidied(folder: Path, *, refresh: bool) -> dict[str, dict[Combination, list[str]]]:
    """The lines of go.mod and go.sum in every combination."""
    lines: dict[str, dict[Combination, list[str]]] = {"go.mod": {}, "go.sum": {}}
    fullest: Path | None = None
    for combination in combinations():
        project = folder / "".join("01"[on] for on in combination)
        render(project, combination)
        if fullest is None:
            fullest = project
            if refresh:
                raise_versions(project)
        else:
            # All combinations take their versions from the fullest.
            for name in lines:
                shutil.copy(fullest / name, project)
        go("mod", "tidy", folder=project)
        for name in lines:
            lines[name][combination] = (project / name).read_text().splitlines()
    return lines


def raise_versions(project: Path) -> None:
    """Give `project` the current release of every module that it needs.

    One that needs a newer Go than the go line of go.mod says is left where it is:
    `go get -u` would raise that line, or give up on all of them.
    """
    head = (project / "go.mod").read_text().partition("\nrequire")[0]
    (project / "go.mod").write_text(head.rstrip() + "\n")
    (project / "go.sum").unlink(missing_ok=True)
    go("mod", "tidy", folder=project)
    required = go("list", "-m", "-f", "{{if not .Main}}{{.Path}}{{end}}", "all", folder=project)
    pinned = (project / "go.mod").read_text()
    for module in required.split():
        if f"\t{module} " not in pinned:
            continue
        before = {name: (project / name).read_text() for name in ("go.mod", "go.sum")}
        done = try_go("get", f"{module}@latest", folder=project)
        if done.returncode or not (project / "go.mod").read_text().startswith(head.rstrip()):
            print(f"not raised: {module}: {done.stderr.strip().splitlines()[-1]}")
            for name, text in before.items():
                (project / name).write_text(text)


def merged(lines: dict[Combination, list[str]]) -> str:
    """One template that renders to `lines` in each combination."""
    holders: dict[Line, set[Combination]] = {}
    order: TopologicalSorter[Line] = TopologicalSorter()
    for combination, texts in lines.items():
        before: Line | None = None
        for line in numbered(texts):
            holders.setdefault(line, set()).add(combination)
            order.add(line, *([] if before is None else [before]))
            before = line

    conditioned = [(condition(holders[line]), line[0]) for line in in_order(order)]
    output: list[str] = []
    for needed, group in itertools.groupby(conditioned, key=lambda pair: pair[0]):
        texts = [text for _, text in group]
        output += [f"[% if {needed} %]", *texts, "[% endif %]"] if needed else texts
    return "\n".join(output) + "\n"


def numbered(texts: Iterable[str]) -> Iterator[Line]:
    """Lines that are told apart when their text repeats."""
    seen: Counter[str] = Counter()
    for text in texts:
        yield text, seen[text]
        seen[text] += 1


def in_order(order: TopologicalSorter[Line]) -> Iterator[Line]:
    """The lines in the order that every file agrees with; the same on each run."""
    order.prepare()
    ready: list[Line] = []
    while order.is_active():
        ready = sorted([*ready, *order.get_ready()])
        line = ready.pop(0)
        yield line
        order.done(line)


def condition(combinations_with_line: set[Combination]) -> str:
    """The smallest condition that is true in exactly these combinations; empty for all."""
    minterms = [[int(on) for on in combination] for combination in sorted(combinations_with_line)]
    expression = SOPform([Symbol(name) for name in switches()], minterms)
    return "" if expression == true else jinja(expression)


def jinja(expression: Boolean) -> str:
    """A condition as Jinja spells it."""
    if isinstance(expression, Not):
        return f"not {jinja(expression.args[0])}"
    if isinstance(expression, (And, Or)):
        word = " and " if isinstance(expression, And) else " or "
        return word.join(sorted(jinja(part) for part in expression.args))
    return str(expression)


def verify(folder: Path, toolchains: Sequence[str]) -> None:
    """Fail unless every render of the written template is tidy, for each toolchain."""
    for combination in combinations():
        project = folder / "".join("01"[on] for on in combination)
        render(project, combination)
        for toolchain in toolchains:
            go("mod", "tidy", "-diff", folder=project, toolchain=toolchain)


def main() -> None:
    """Write template/go.mod.jinja and template/go.sum.jinja."""
    parser = argparse.ArgumentParser(
        prog="make pins ARGS=…", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--refresh",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="raise every module to its current release; --no-refresh only tidies",
    )
    arguments = parser.parse_args()

    questions = yaml.safe_load((ROOT / "copier.yml").read_text())
    go_version = questions["go_version"]["default"]
    with tempfile.TemporaryDirectory() as folder:
        files = tidied(Path(folder), refresh=arguments.refresh)
    for name, lines in files.items():
        text = merged(lines)
        text = text.replace(f"module {MODULE}\n", "module [[ module_path ]]\n")
        text = re.sub(r"(?m)^toolchain go.*$", "toolchain go[[ go_version ]]", text)
        file = TEMPLATE / f"{name}.jinja"
        print(f"template/{file.name}: {'as it was' if file.read_text() == text else 'changed'}")
        file.write_text(text)
    with tempfile.TemporaryDirectory() as folder:
        verify(Path(folder), ["local", f"go{go_version}"])


if __name__ == "__main__":
    main()
