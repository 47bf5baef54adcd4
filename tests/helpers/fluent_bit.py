"""What Fluent Bit's documentation knows of its configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from helpers.machine import ROOT

#: The documented keys of each section and plugin.
KEYS: dict[str, list[str]] = yaml.safe_load(
    (ROOT / "tests/helpers/fluent_bit_keys.yaml").read_text()
)


def undocumented(text: str) -> list[str]:
    """The sections, plugins and keys of a configuration that Fluent Bit's documentation lacks."""
    config = yaml.safe_load(text)
    parts: list[tuple[str, dict[str, Any]]] = [("service", config.pop("service"))]
    for name in ("env", "parsers", "stream_processor"):
        parts += [(name, part) for part in config.pop(name, [])]
    pipeline = config.pop("pipeline")
    for kind in ("inputs", "filters", "outputs"):
        parts += [(f"{kind}: {part['name']}", part) for part in pipeline.pop(kind, [])]
    found = [*config, *pipeline]
    for name, part in parts:
        # An input and an output may share a name.
        keys = KEYS.get(name, KEYS.get(name.rpartition(": ")[2]))
        known = {*keys, *KEYS["all"]} if keys else set()
        if name.endswith(": kafka"):
            known |= {f"rdkafka.{key}" for key in KEYS[f"rdkafka {name.partition('s:')[0]}"]}
        found += [f"{name}: {key}" for key in part if key not in known]
    return found


def paths(value: Any) -> Iterator[str]:
    """Every absolute path in a configuration."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from paths(part)
    elif isinstance(value, str) and re.match(r"(file://)?/\w", value):
        yield value.removeprefix("file://")
