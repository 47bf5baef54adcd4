"""The service follows its configuration file, and refuses one that is wrong."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from helpers.config_files import Directory, Volume, reloading
from helpers.log_lines import faulty_lines
from helpers.machine import run
from helpers.service import Service, eventually, running


@pytest.fixture(params=[Volume, Directory])
def mounted(request: pytest.FixtureRequest, tmp_path: Path) -> Volume | Directory:
    volume: Volume | Directory = request.param(tmp_path / "config")
    return volume


BIG = json.dumps({"padding": "x" * 1500, "name": "Ada"})


def greets_aloud(service: Service) -> bool:
    """Whether a request is logged, at the level that holds now."""
    mark = os.urandom(8).hex()
    assert service.greet(X_Request_ID=mark).status == 200
    # A line is written before the next request's answer, if at all.
    service.greet()
    time.sleep(0.1)
    return any(line.get("requestId") == mark for line in service.log)


def test_configuration_follows_its_file(binary: Path, mounted: Volume | Directory) -> None:
    mounted.write("log_level: warn\n")
    with running(binary, CONFIG_FILE=str(mounted.file)) as service:
        service.wait(service.admin_port, "/ready", 200)
        assert not greets_aloud(service)
        for level, aloud in [("info", True), ("error", False), ("debug", True), ("warn", False)]:
            with reloading(service):
                mounted.write(f"log_level: {level}\n")
            assert greets_aloud(service) == aloud, level

        # A bad file changes nothing, and says what is bad.
        for text, named in [
            ("log_levle: info\n", "log_levle"),
            ("log_level: loud\n", "loud"),
            ("max_body_bytes: many\n", "MAX_BODY_BYTES"),
            ("log_level: {debug: true}\n", "config.yaml: "),
            ("log_level: [\n", ""),
        ]:
            with reloading(service, "failure"):
                mounted.write(text)
            assert service.metric("config_last_reload_successful") == 0
            assert not greets_aloud(service)
            assert any(
                named in json.dumps(line) and line["level"] in ("WARN", "ERROR")
                for line in service.log
            ), named

        with reloading(service):
            mounted.write("log_level: info\nmax_body_bytes: 1024\n")
        assert service.metric("config_last_reload_successful") == 1
        assert greets_aloud(service)
        assert service.post(BIG).problem["status"] == 413
        with reloading(service):
            mounted.write("log_level: info\n")
        assert service.post(BIG).status == 201

        # Many swaps at once end in the last.
        for number in range(20):
            mounted.write(f"log_level: {'error' if number % 2 else 'debug'}\n")
        eventually("the last of many swaps", lambda: not greets_aloud(service))
        assert service.stop(20) == 0
    assert faulty_lines(service.lines) == []
    assert any("reload" in line["message"] for line in service.log)


def test_what_needs_a_restart_is_named(binary: Path, tmp_path: Path) -> None:
    volume = Volume(tmp_path / "config")
    volume.write("shutdown_timeout: 30s\n")
    with running(binary, CONFIG_FILE=str(volume.file)) as service:
        service.wait(service.admin_port, "/ready", 200)
        volume.write("shutdown_timeout: 20s\nlog_level: debug\n")

        def named() -> bool:
            return any(
                "restart required" in line["message"]
                and "shutdown_timeout" in json.dumps(line).lower()
                for line in service.log
            )

        eventually("restart required", named)
        assert not any("restart" in line["message"] and "log_level" in json.dumps(line).lower()
                       for line in service.log)  # fmt: skip


def test_the_environment_wins(binary: Path, tmp_path: Path) -> None:
    volume = Volume(tmp_path / "config")
    volume.write("log_level: error\nhttp_addr: 127.0.0.1:1\n")
    with running(
        binary,
        CONFIG_FILE=str(volume.file),
        LOG_LEVEL="info",
        MYSERVICE_PORT="tcp://10.0.0.1:80",
    ) as service:
        service.wait(service.admin_port, "/ready", 200)
        assert greets_aloud(service)
        with reloading(service):
            volume.write("log_level: warn\nmax_body_bytes: 1024\n")
        assert greets_aloud(service)
        assert service.post(BIG).status == 413


@pytest.mark.parametrize(
    "text",
    [
        "trusted_proxies: 127.0.0.0/8, ::1\n",
        "trusted_proxies: [10.0.0.1, 127.0.0.0/8]\n",
        "\ufefftrusted_proxies:  # as Windows writes it\r\n  - 127.0.0.0/8\r\n  - ::1\r\n",
    ],
)
def test_a_list_may_be_written_in_several_ways(binary: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(text.encode())
    with running(binary, CONFIG_FILE=str(file)) as service:
        service.wait(service.admin_port, "/ready", 200)
        service.greet(X_Request_ID="proxied", X_Forwarded_For="203.0.113.9")
        assert service.logged(requestId="proxied")["clientIp"] == "203.0.113.9"


@pytest.mark.parametrize(
    ("text", "variables", "named"),
    [
        ("log_levle: info\n", {}, ["log_levle", "config.yaml"]),
        ("log_level: loud\n", {}, ["loud", "config.yaml"]),
        ("max_body_bytes: -1\n", {}, ["-1", "config.yaml"]),
        ("- a list\n", {}, ["config.yaml"]),
        ("database_url: postgres://u:hunter2@db/app\n", {}, ["database_url"]),
        ("log_level: info\n", {"CONFIG_FILE": "/nowhere/config.yaml"}, ["/nowhere/config.yaml"]),
        ("log_level: info\n", {"MAX_BODY_BYTES": "1MB"}, ["MAX_BODY_BYTES"]),
        ("log_level: info\n", {"DRAIN_DELAY": "50s"}, ["GRACE_PERIOD"]),
        (
            "log_level: loud\nmode: x\n",
            {"TRUSTED_PROXIES": "10.0.0.0/33", "LOG_FORMAT": "xml", "DRAIN_DELAY": "5"},
            [
                '''config.yaml: 'LOG_LEVEL' slog: level string \\"loud\\"''',
                "has invalid keys: mode",
                'TRUSTED_PROXIES[0] (environment): \\"10.0.0.0/33\\" does not satisfy ip|cidr',
                'LOG_FORMAT (environment): \\"xml\\" does not satisfy oneof=json text',
                "environment: 'DRAIN_DELAY' time: missing unit in duration",
            ],
        ),
        ("log_level: info\n", {"REQUEST_TIMEOUT": "31s"}, ["REQUEST_TIMEOUT"]),
    ],
)
def test_a_start_with_a_bad_file_is_refused(
    binary: Path, tmp_path: Path, text: str, variables: dict[str, str], named: list[str]
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    done = run([binary], tmp_path, {"CONFIG_FILE": str(file), **variables}, ok=False, timeout=10)
    assert done.returncode == 1
    assert faulty_lines(done.stdout.splitlines()) == []
    for name in named:
        assert name.lower() in done.stdout.lower()
    assert "hunter2" not in done.stdout
