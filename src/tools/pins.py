"""Write the module pins of the template: go.mod and go.sum for every combination of answers.

    python src/tools/pins.py            tidy the pins after a change of the Go code
    python src/tools/pins.py --refresh  raise every module to its current release as well

The template is rendered once for each combination of the answers that change the Go
code, and each render is tidied by the go command itself. A line that not every render
holds stands under a condition, the smallest that is true exactly where the line is
needed.
"""

from __future__ import annotations

import argparse
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

import copier
import yaml
from sympy import And, Not, Or, Symbol
from sympy.logic.boolalg import Boolean, SOPform, true

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template"
MODULE = "example.com/pins"

#: What changes which packages the Go code imports, as the template calls it.
DATASTORES = ("postgres", "redis")
SWITCHES = (*DATASTORES, "tracing")

#: One combination: whether each of the derived variables is true.
Combination = tuple[bool, ...]

#: A line and how often it stood in the file before, so that lines such as `)` differ.
Line = tuple[str, int]


def combinations() -> Iterator[Combination]:
    """Every combination, the fullest first."""
    return itertools.product([True, False], repeat=len(SWITCHES))


def render(destination: Path, combination: Combination) -> None:
    """Render the template as it lies in the work tree."""
    with tempfile.TemporaryDirectory() as folder:
        # Copier would commit a dirty work tree into a clone; a plain folder spares that.
        shutil.copy(ROOT / "copier.yml", folder)
        shutil.copytree(TEMPLATE, Path(folder, "template"), symlinks=True)
        on = dict(zip(SWITCHES, combination, strict=True))
        copier.run_copy(
            folder,
            destination,
            data={
                "service_name": "pins",
                "module_path": MODULE,
                "datastores": [name for name in DATASTORES if on[name]],
                "tracing": on["tracing"],
            },
            defaults=True,
            quiet=True,
        )


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
    expression = SOPform([Symbol(name) for name in SWITCHES], minterms)
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--refresh", action="store_true", help="raise the versions as well")
    arguments = parser.parse_args()

    questions = yaml.safe_load((ROOT / "copier.yml").read_text())
    go_version = questions["go_version"]["default"]
    with tempfile.TemporaryDirectory() as folder:
        files = tidied(Path(folder), refresh=arguments.refresh)
    for name, lines in files.items():
        text = merged(lines)
        text = text.replace(f"module {MODULE}\n", "module [[ module_path ]]\n")
        text = re.sub(r"(?m)^toolchain go.*$", "toolchain go[[ go_version ]]", text)
        (TEMPLATE / f"{name}.jinja").write_text(text)
    with tempfile.TemporaryDirectory() as folder:
        verify(Path(folder), ["local", f"go{go_version}"])


if __name__ == "__main__":
    main()
