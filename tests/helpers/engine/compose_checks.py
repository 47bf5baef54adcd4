"""What the containers of a Compose stack must be: each check returns, or raises AssertionError."""

from __future__ import annotations

import json
import secrets
from typing import Any

from helpers.engine import Container
from helpers.engine.compose import Stack
from helpers.engine.docker import ask, eventually
from helpers.engine.image_checks import ADMIN, HTTP

SERVICES = ("nginx", "app", "migrate", "postgres", "redis")
PROBLEM = "application/problem+json"
HIDDEN = (
    *("/metrics", "/health", "/healthz", "/ready", "/version", "/debug/pprof/"),
    *(
        "//metrics",
        "/%6detrics",
        "/%2fmetrics",
        "/./health",
        "/v1/../metrics",
        "/v1/%2e%2e/version",
    ),
    *("/metrics/", "/ready//", "/healthz?x=1", "/metrics%3fx", "/METRICS"),
)
CLAIMS = {
    "X-Forwarded-For": "203.0.113.1, 203.0.113.2",
    "X-Real-IP": "203.0.113.3",
    "Forwarded": "for=203.0.113.4",
    "True-Client-IP": "203.0.113.5",
}


def check_published(its: Stack) -> None:
    """Only nginx publishes a port, and to this machine alone."""
    published = {
        service: [
            binding["HostIp"]
            for container in its.containers(service)
            for bindings in (container.inspect()["HostConfig"]["PortBindings"] or {}).values()
            for binding in bindings
        ]
        for service in SERVICES
    }
    assert published == {service: [] for service in SERVICES} | {"nginx": ["127.0.0.1"]}


def check_hardened(its: Stack) -> None:
    """No container may write to its root, gain a right, or take more than its share."""
    for service in SERVICES:
        for container in its.containers(service):
            found = container.inspect()
            host = found["HostConfig"]
            assert host["ReadonlyRootfs"], service
            assert host["CapDrop"] == ["ALL"], service
            assert not host["CapAdd"], service
            assert not host["Privileged"], service
            assert host["SecurityOpt"] == ["no-new-privileges:true"], service
            assert 0 < host["Memory"] == host["MemorySwap"], service
            assert 0 < (host["PidsLimit"] or 0) <= 256, service
            assert 0 < host["NanoCpus"] <= 2e9, service
            assert found["Config"]["User"].split(":")[0] not in ("", "0", "root"), service


def check_hidden(its: Stack) -> None:
    """What operators ask is answered inside, and nowhere outside."""
    [app] = its.containers("app")
    address = app.address("edge")
    for path in ("/metrics", "/health", "/healthz", "/ready", "/version"):
        assert ask(address, ADMIN, path).status == 200, path
    for path in HIDDEN:
        answer = its.ask(path)
        assert (answer.status, answer.headers["content-type"]) == (404, PROBLEM), path


def check_addresses(its: Stack, neighbour: Container) -> None:
    """Both logs name the client's own address, whatever it claims."""
    id = secrets.token_hex(8)
    claims = [f"{name}: {value}" for name, value in CLAIMS.items()]
    headers = [part for claim in (*claims, f"X-Request-ID: {id}") for part in ("--header", claim)]
    url = f"http://nginx:{HTTP}/v1/greetings/Ada"
    assert neighbour.execute("curl", "--fail", "--silent", *headers, url) == 0
    for service in ("nginx", "app"):
        [line] = logged(its, service, id)
        assert line["clientIp"] == neighbour.address("edge"), line
        assert "203.0.113." not in json.dumps(line), line


def logged(its: Stack, service: str, request_id: str) -> list[dict[str, Any]]:
    """The lines of a request, which may take a moment."""

    def found() -> list[dict[str, Any]]:
        return [line for line in its.lines(service) if line.get("requestId") == request_id]

    eventually(lambda: bool(found()), 5)
    return found()
