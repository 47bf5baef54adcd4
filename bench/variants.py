"""The choices that were weighed for the rendered service, and how a render takes the other way.

A variant is the default render with a few edits, built like that.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from helpers.rendering import build_flags

from bench import servers


class Edit(NamedTuple):
    """A text that stands exactly once in a file of the render, and what takes its place."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Variant:
    """A way that was not taken."""

    name: str
    edits: Sequence[Edit] = ()
    #: A folder here, and the package of the render to which its files are added.
    added: tuple[str, str] | None = None
    #: Go modules that it needs, at their versions.
    modules: Sequence[str] = ()
    #: A module, and the folder here that takes its place.
    replaced: tuple[str, str] | None = None
    #: A build tag of the Dockerfile that it does without.
    without_tag: str = ""
    #: Of the running service.
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def builds(self) -> bool:
        """Whether its binary is another than the service's."""
        return bool(self.edits or self.replaced or self.without_tag)


@dataclass(frozen=True)
class Choice:
    """What the service does, beside what else it could do."""

    subject: str
    taken: str
    variants: Sequence[Variant]
    #: Load requests with a body.
    create: bool = False
    #: Where no request can tell the difference, only the binaries are measured.
    loaded: bool = True


def build(variant: Variant, source: Path, folder: Path) -> Path:
    """The binary of the variant of `source`, in a new folder."""
    tree = Path(shutil.copytree(source, folder / "source"))
    for edit in variant.edits:
        apply(edit, tree)
    if variant.added:
        name, package = variant.added
        shutil.copytree(servers.HERE / name, tree / package, dirs_exist_ok=True)
    if variant.replaced:
        module, name = variant.replaced
        shutil.copytree(servers.HERE / name, folder / name)
        servers.go(tree, "mod", "edit", f"-replace={module}={folder / name}")
    if variant.modules:
        servers.require(tree, variant.modules)
    flags = build_flags(tree)
    if variant.without_tag:
        flags = without(variant.without_tag, flags)
    return servers.compiled(tree, folder / "app", flags=flags)


def apply(edit: Edit, tree: Path) -> None:
    """Change one file of `tree`; exit where the text does not stand there exactly once."""
    path = tree / edit.path
    text = path.read_text() if path.is_file() else ""
    if (count := text.count(edit.old)) != 1:
        sys.exit(f"bench/variants.py: {edit.path} has {count} times, not once:\n{edit.old}")
    path.write_text(text.replace(edit.old, edit.new))


def without(tag: str, flags: Sequence[str]) -> list[str]:
    """The flags of `go build` without one of its tags; exit where it is not there."""
    at = flags.index("-tags") + 1
    tags = flags[at].split(",")
    if tag not in tags:
        sys.exit(f"bench: {tag} is none of the build tags {', '.join(tags)}")
    left = ",".join(each for each in tags if each != tag)
    return [*flags[:at], left, *flags[at + 1 :]]


LOGGING, ROUTER, API = (
    "internal/logging/logging.go",
    "internal/httpserver/router.go",
    "internal/api/api.go",
)

CHOICES = (
    Choice(
        "encoder",
        "`slog.JSONHandler` with `ReplaceAttr`",
        [
            Variant(
                "`slog.JSONHandler`, its own field names",
                [Edit(LOGGING, ", ReplaceAttr: rename}", "}")],
            ),
            Variant(
                "zerolog behind slog",
                [
                    Edit(
                        LOGGING, "handler{lines.WithAttrs(attrs)}", "handler{newZerolog(w, attrs)}"
                    ),
                    Edit(LOGGING, "lines := slog.NewJSONHandler", "_ = slog.NewJSONHandler"),
                ],
                added=("zerolog", "internal/logging"),
                modules=["github.com/rs/zerolog@v1.35.1"],
            ),
        ],
    ),
    Choice(
        "access lines",
        "gathered for up to 10 ms",
        [Variant("written at once", [Edit(LOGGING, "{ return gathered{o} }", "{ return o }")])],
    ),
    Choice(
        "deadline",
        "`context.WithTimeout`",
        [
            Variant(
                "none",
                [
                    Edit(
                        ROUTER,
                        "limited, cancel := context.WithTimeout(ctx, limit.Timeout)",
                        "limited, cancel := ctx, func() {}",
                    )
                ],
            )
        ],
    ),
    Choice(
        "metrics",
        "`prometheus/client_golang`",
        [
            Variant(
                "`VictoriaMetrics/metrics`",
                modules=["github.com/VictoriaMetrics/metrics@v1.44.0"],
                replaced=("github.com/prometheus/client_golang", "victoriametrics"),
            )
        ],
    ),
    Choice(
        "validator's calls of methods by name",
        "left out by the tag `validator_novalidatefn`",
        [Variant("kept", without_tag="validator_novalidatefn")],
        loaded=False,
    ),
    Choice(
        "garbage collector",
        "Go's default",
        [Variant("`GOGC=400`", env={"GOGC": "400"})],
    ),
    Choice(
        "a JSON body",
        "`ShouldBindJSON`",
        [
            Variant(
                "`encoding/json`, checked by hand",
                [Edit(API, "c.ShouldBindJSON(&p)", "decode(c, &p)")],
                added=("encodingjson", "internal/api"),
            )
        ],
        create=True,
    ),
)
