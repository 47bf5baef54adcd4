"""Renders, and the images that are built of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from helpers import engine as engines
from helpers.engine import Base, Engine
from helpers.rendering import render


@dataclass
class ImageBuilds:
    """Renders and builds, each variant once."""

    engine: Engine
    folder: Path
    show: Callable[[str], None]
    built: dict[str, str] = field(default_factory=dict)
    bases: dict[str, Base] = field(default_factory=dict)

    def source(self, base_image: str, stores: tuple[str, ...], edition: str = "") -> Path:
        """The render of a variant; each edition has its own, to be edited."""
        folder = self.folder / "-".join(filter(None, (base_image, *stores, edition)))
        if not folder.exists():
            render(folder, base_image=base_image, datastores=list(stores))
        return folder

    def base(self, reference: str) -> Base:
        """A base image; said once, whether it is real."""
        base = engines.base(self.engine, reference)
        if reference not in self.bases:
            self.bases[reference] = base
            self.show(f"{reference}: {base}")
        return base

    def build(self, source: Path, *args: str, dockerfile: str | None = None) -> str:
        """Build a render as an image of its folder's name; return what the build printed."""
        text = (source / "Dockerfile").read_text()
        bases = re.findall(r"^ARG (GO_IMAGE|BASE_IMAGE)=(\S+)$", text, re.MULTILINE)
        assert [name for name, _ in bases] == ["GO_IMAGE", "BASE_IMAGE"]
        given = [f"--build-arg={name}={self.base(value).image}" for name, value in bases]
        return self.engine.build(source, tag(source), *given, *args, dockerfile=dockerfile)

    def image(self, base_image: str, stores: tuple[str, ...]) -> str:
        """The image of a variant."""
        source = self.source(base_image, stores)
        if tag(source) not in self.built:
            self.built[tag(source)] = self.build(
                source, "--build-arg=VERSION=v1.2.3", "--build-arg=REVISION=0123abc"
            )
        return tag(source)

    def mutant(self, base_image: str, name: str, path: str, old: str, new: str) -> str:
        """The image of a render in which one thing is wrong."""
        source = self.source(base_image, (), f"mutant-{name}")
        replace_once(source / path, old, new)
        self.build(source)
        return tag(source)


@contextmanager
def opened(folder: Path, config: pytest.Config) -> Iterator[ImageBuilds]:
    """An engine and a place for renders; what is real there is said where pytest reports."""
    reporter = config.pluginmanager.getplugin("terminalreporter")

    def show(line: str) -> None:
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(f"containers: {line}")

    with engines.start() as engine:
        whose = "started for this run" if engine.own else "the machine's own"
        show(f"Docker {engine.version()}, {whose}")
        yield ImageBuilds(engine, folder, show)


def tag(source: Path) -> str:
    """The name of a render's image."""
    return f"gindock-test/{source.name}"


def replace_once(path: Path, old: str, new: str) -> None:
    """Replace the one `old` in a file, or fail: an edit that does nothing proves nothing."""
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} is in {path.name} {text.count(old)} times"
    path.write_text(text.replace(old, new))
