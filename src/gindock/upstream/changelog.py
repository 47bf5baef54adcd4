"""What a changelog says of the releases between two versions."""

from __future__ import annotations

import re

from gindock.upstream.source import version_of

_HEADING = re.compile(r"(?m)^## +\[?(?P<version>v?\d[^\s\]]*)\]?.*$")


def between(text: str, before: str, after: str) -> str:
    """The sections of `text` for the releases after `before`, up to and with `after`."""
    low, high = version_of(before), version_of(after)
    if low is None or high is None:
        return ""
    headings = [*_HEADING.finditer(text)]
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    sections = [
        text[heading.start() : end].strip()
        for heading, end in zip(headings, ends, strict=False)
        if (version := version_of(heading["version"])) is not None and low < version <= high
    ]
    return "\n\n".join(sections)
