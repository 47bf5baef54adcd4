"""Size of the image, and a rebuild after an edit against the article's own Dockerfile.

The quick form leaves the fullest images out, and has the render's Dockerfile on both sides.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from helpers import engine as engines
from helpers import go_trees
from helpers.combinations import FACTORS
from helpers.engine import Engine
from helpers.rendering import render

from bench import table

RUNS = 5
HEADER = ["What", "measured", "of which", "goal", ""]
MB = 1_000_000

#: The article's first Dockerfile. Mended so far that it builds: its Go and its base are the
#: render's, the main package lies in cmd/, and `apk add ca-certificates`, which needs Alpine's
#: package registry, is left out.
ARTICLE = """\
FROM {go} AS builder
WORKDIR /app
COPY . .
RUN CGO_ENABLED=0 GOOS=linux go build -o main ./cmd/myservice
FROM {alpine}
WORKDIR /root/
COPY --from=builder /app/main .
EXPOSE 8080
CMD ["./main"]
"""


@dataclass(frozen=True)
class Bench:
    """An engine, and a folder for renders."""

    engine: Engine
    folder: Path

    def build(self, source: Path, dockerfile: str | None = None) -> float:
        """Build as an image of the folder's name; return the seconds it took."""
        text = (source / "Dockerfile").read_text() if dockerfile is None else dockerfile
        images = dict(re.findall(r"^ARG (GO_IMAGE|BASE_IMAGE)=(\S+)$", text, re.MULTILINE))
        given = [f"--build-arg={k}={engines.base(self.engine, v).image}" for k, v in images.items()]
        began = time.perf_counter()
        self.engine.build(source, tag(source), *given, dockerfile=dockerfile)
        return time.perf_counter() - began

    def size(self, name: str, goal: float | None, **answers: Any) -> list[str]:
        """One row: the image, and the binary's share of it."""
        source = render(self.folder / re.sub(r"\W+", "-", name.lower()).strip("-"), **answers)
        self.build(source)
        image = self.engine.inspect(tag(source))["Size"] / MB
        reference = base_of(source, "BASE_IMAGE")
        base = engines.base(self.engine, reference)
        rest = self.engine.inspect(base.image)["Size"] / MB
        kind = "real" if base.real else "stand-in"
        return [
            f"Image size, {name}",
            f"{image:.2f} MB",
            f"binary {image - rest:.2f} MB, base {rest:.2f} MB ({kind})",
            *(["", ""] if goal is None else [f"≤ {goal:.0f} MB", table.verdict(image, goal)]),
        ]

    def rebuild(self, goal: float, runs: int) -> list[str]:
        """One row: after a one-line edit, the render's Dockerfile against the article's."""
        ours, theirs = render(self.folder / "ours"), render(self.folder / "theirs")
        (theirs / ".dockerignore").unlink()  # the article has none
        go = engines.base(self.engine, base_of(ours, "GO_IMAGE"))
        alpine = engines.base(self.engine, alpine_reference(self.folder))
        article = ARTICLE.format(go=go.image, alpine=alpine.image)
        if table.few(usual=False, quick=True):  # The article's takes a minute for every edit.
            article = (theirs / "Dockerfile").read_text()
        self.build(ours)
        self.build(theirs, article)
        times = []
        for turn in range(runs):
            for source in (ours, theirs):
                edit(source, turn)
            times.append((self.build(ours), self.build(theirs, article)))
        ratio = statistics.median(own / other for own, other in times)
        own, other = (statistics.median(column) for column in zip(*times, strict=True))
        return [
            "Rebuild after a one-line edit, against the article's Dockerfile",
            f"{ratio:.3f}",
            f"{own:.1f} s against {other:.1f} s, median of {runs} alternating",
            f"≤ {goal}",
            table.verdict(ratio, goal),
        ]


def everything() -> dict[str, Any]:
    """The answers that add to the Go code, all at once, as the Go trees of the tests have them."""
    answers = go_trees.go_trees()[go_trees.everything()]
    changing = FACTORS.keys() & {*go_trees.go_questions()}
    return {name: value for name, value in answers.items() if name in changing}


def words(answers: dict[str, Any]) -> str:
    """The answers in the words of the questions."""
    return ", ".join(
        ", ".join(value) if isinstance(value, list) else name for name, value in answers.items()
    )


def tag(source: Path) -> str:
    """The name of a render's image."""
    return f"gindock-bench/{source.name}"


def base_of(source: Path, argument: str) -> str:
    """The default of a build argument in a render's Dockerfile."""
    found = re.search(rf"^ARG {argument}=(\S+)$", (source / "Dockerfile").read_text(), re.MULTILINE)
    assert found, f"no {argument} in the Dockerfile"
    return found[1]


def alpine_reference(folder: Path) -> str:
    """The alpine that the template names."""
    return base_of(render(folder / "alpine", base_image="alpine"), "BASE_IMAGE")


def edit(source: Path, turn: int) -> None:
    """Change one line of one package, differently each turn."""
    path = source / "internal/api/api.go"
    text, count = re.subn(r'"Hello\d*, "', f'"Hello{turn}, "', path.read_text())
    assert count == 1
    path.write_text(text)


def main() -> None:
    """Measure, and write the table `images`."""
    try:
        with engines.start() as engine, tempfile.TemporaryDirectory() as name:
            rows = measured(Bench(engine, Path(name)))
    except (pytest.skip.Exception, pytest.fail.Exception) as problem:
        sys.exit(f"bench.images: {problem}")
    table.write("images", HEADER, rows)


def measured(bench: Bench) -> list[list[str]]:
    """The rows of the table."""
    rows = [bench.size("default answers", 15)]
    if table.few(usual=True, quick=False):
        full = everything()
        rows += [
            bench.size(f"everything ({words(full)})", 42, **full),
            bench.size("everything, on alpine", None, **full, base_image="alpine"),
        ]
    return [*rows, bench.rebuild(0.08, table.few(RUNS, 1))]


if __name__ == "__main__":
    main()
