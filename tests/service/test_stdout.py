"""All that the service prints, from its start to its exit, is JSON."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
from pathlib import Path

from helpers.config_files import Volume, reloading
from helpers.log_lines import faulty_lines
from helpers.service import RenderedTree, Service, build, exchange, running, substitute_once


def provoke(binary: Path, folder: Path) -> tuple[Service, int]:
    """Run the service through all that prints; return it, ended, with its exit code."""
    volume = Volume(folder / "config")
    volume.write("log_level: debug\n")
    with running(
        binary,
        CONFIG_FILE=str(volume.file),
        GIN_MODE="debug",
        DRAIN_DELAY="500ms",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
    ) as service:
        service.wait(service.admin_port, "/ready", 200)
        service.greet()
        for path in [
            "/extra/panic",
            "/extra/superfluous",
            "/extra/print",
            "/extra/log",
            "/extra/abort",
            "/none",
        ]:
            with contextlib.suppress(http.client.HTTPException, ConnectionError):
                service.ask(path)
        for port in (service.http_port, service.admin_port):
            for data in [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(40), b"\0\n\n",
                         b"GET / HTTP/9.9\r\n\r\n", b"GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n"]:  # fmt: skip
                exchange(port, data + b"\r\n\r\n")
        with reloading(service):
            volume.write("log_level: info\n")
        with reloading(service, "failure"):
            volume.write("log_level: none\n")
        code = service.stop(20)
    return service, code


def test_stdout_is_json_from_start_to_exit(binary: Path, tmp_path: Path) -> None:
    service, code = provoke(binary, tmp_path)
    assert faulty_lines(service.lines) == []
    assert code == 0
    text = "".join(service.lines)
    for provoked in [
        "GIN-debug",
        "planted panic",
        "superfluous",
        "printed by an extra route",
        "logged by a library",
        "draining",
    ]:
        assert provoked in text, provoked
    [own] = [line for line in service.log if line["message"] == "logged by an extra route"]
    [access] = [line for line in service.log if line.get("route") == "/extra/log"]
    for name in ("traceId", "spanId", "requestId"):
        assert own[name] == access[name]
    panic = next(line for line in service.log if "planted panic" in json.dumps(line))
    [access] = [line for line in service.log if line.get("route") == "/extra/panic" and line["message"] == "request"]  # fmt: skip
    assert panic["level"] == "ERROR"
    assert access["status"] == 500
    assert panic["traceId"] == access["traceId"]
    levels = {line["level"] for line in service.log}
    assert levels <= {"DEBUG", "INFO", "WARN", "ERROR"}


def test_text_on_stdout_is_noticed(mutable: RenderedTree, tmp_path: Path) -> None:
    """A library that prints by itself: gin, left to its own writer."""
    substitute_once(
        mutable.file("internal/api/extra.go"),
        r"fmt\.Fprintln\(gin\.DefaultWriter, ",
        "fmt.Println(",
    )
    service, _ = provoke(build(mutable), tmp_path)
    assert faulty_lines(service.lines) == ["printed by an extra route\n"]
