"""What a line of the rendered service's log must be."""

from __future__ import annotations

import json
import re

#: What each line says, and what the line of a request says too.
LINE = {"timestamp", "level", "service", "version", "message"}
REQUEST_LINE = LINE | {
    *("traceId", "spanId", "requestId", "method", "route", "status", "durationMs", "clientIp")
}


def faulty_lines(lines: list[str]) -> list[str]:
    """The lines that are no JSON object with the fields that log systems rely on."""
    return [line for line in lines if not sound(line)]


def sound(line: str) -> bool:
    try:
        fields = json.loads(line)
    except ValueError:
        return False
    if not isinstance(fields, dict) or not all(fields.get(name) for name in LINE):
        return False
    needed = REQUEST_LINE if fields["message"] == "request" else LINE
    timestamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    return needed <= set(fields) and bool(re.fullmatch(timestamp, str(fields["timestamp"])))
