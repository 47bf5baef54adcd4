"""Two services side by side: one nginx for both, calls by name, and one trace."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from helpers.engine.compose import Stack, stack
from helpers.engine.docker import Response, ask, eventually
from helpers.engine.images import ImageBuilds, replace_once
from helpers.machine import ROOT
from helpers.rendering import render
from helpers.service import free_port

#: The lines that give users.localhost to the second service, as a user is told them.
[UPSTREAM] = re.findall(
    r"```nginx\n(.*?)```", (ROOT / "docs/use/compose.md").read_text(), re.DOTALL
)
HANDLER = """\
package api

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/acme/orders/internal/httpclient"
)

var client = httpclient.New("users", prometheus.NewRegistry())

func askUsers(c *gin.Context) {
	request, err := http.NewRequestWithContext(c.Request.Context(), http.MethodGet, "http://users:8080/v1/greetings/Ada", nil)
	if err != nil {
		_ = c.Error(err)
		return
	}
	response, err := client.Do(request)
	if err != nil {
		_ = c.Error(err)
		return
	}
	defer response.Body.Close()
	c.DataFromReader(response.StatusCode, response.ContentLength, "application/json", response.Body, nil)
}
"""


class Pair(NamedTuple):
    """Both services; nginx belongs to the first."""

    orders: Stack
    users: Stack

    def ask(self, host: str, path: str, **headers: str) -> Response:
        """What nginx answers for a host."""
        return ask("127.0.0.1", self.orders.port, path, headers={"Host": host, **headers})


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "traced"])
def pair(
    request: pytest.FixtureRequest, builds: ImageBuilds, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Both at work on one engine, with stores of the same names."""
    folder = tmp_path_factory.mktemp("pair")
    stacks = {}
    for name, profiles in (("orders", "gateway"), ("users", "")):
        project = render(
            folder / name,
            service_name=name,
            module_path=f"github.com/acme/{name}",
            deploy=["compose"],
            datastores=["postgres", "redis"],
            tracing=request.param,
        )
        if name == "orders":
            (project / "internal/api/ask.go").write_text(HANDLER)
            old = '\tv1.POST("/greetings", postGreeting)\n'
            replace_once(project / "internal/api/api.go", old, f'{old}\tv1.GET("/ask", askUsers)\n')
            conf = project / "deploy/compose/nginx/nginx.conf"
            old = "    # A reload leaves"
            replace_once(conf, old, UPSTREAM + old)
            replace_once(conf, "proxy_pass http://orders;", "proxy_pass http://$service;")
        stacks[name] = stack(builds, project, free_port())
        with (project / ".env").open("a") as settings:
            files = "compose.yaml:deploy/compose/shared.yaml:compose.override.yaml"
            settings.write(f"COMPOSE_FILE={files}\nCOMPOSE_PROFILES={profiles}\n")
    pair = Pair(**stacks)
    with builds.engine.network("services"):
        try:
            yield pair
        finally:
            for its in pair:
                its.down()


def test_two_services_run_side_by_side(pair: Pair) -> None:
    pair.orders.up()
    assert pair.ask("orders.localhost", "/v1/greetings/Ada").status == 200
    # nginx starts without the second service, and finds it later by itself.
    assert pair.ask("users.localhost", "/v1/greetings/Ada").status == 502
    pair.users.up()
    assert eventually(lambda: pair.ask("users.localhost", "/v1/greetings/Ada").status == 200, 10)
    assert set(pair.users.compose.state(pair.users.project)) == {
        *("app", "migrate", "postgres", "redis")
    }
    for host in ("orders.localhost", "users.localhost"):
        answer = pair.ask(host, "/metrics")
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")


def test_each_host_leads_to_its_service(pair: Pair) -> None:
    for name, its in zip(pair._fields, pair, strict=True):
        id = secrets.token_hex(8)
        pair.ask(f"{name}.localhost", "/v1/greetings/Ada", **{"X-Request-ID": id})
        [line] = found(its, id=id)
        assert line["service"] == name


def test_a_call_by_name_belongs_to_the_same_trace(pair: Pair) -> None:
    trace = secrets.token_hex(16)
    traceparent = f"00-{trace}-{secrets.token_hex(8)}-01"
    answer = pair.ask("orders.localhost", "/v1/ask", traceparent=traceparent)
    assert json.loads(answer.body) == {"message": "Hello, Ada!"}
    [nginx] = [line for line in pair.orders.lines("nginx") if line["traceId"] == trace]
    [outer], [inner] = found(pair.orders, trace=trace), found(pair.users, trace=trace)
    assert (nginx["path"], outer["route"]) == ("/v1/ask", "/v1/ask")
    assert (inner["service"], inner["route"]) == ("users", "/v1/greetings/:name")
    # nginx is not in between: the caller is the other service.
    [app] = pair.orders.containers("app")
    assert inner["clientIp"] == app.address("services")

    id = secrets.token_hex(8)
    pair.ask("orders.localhost", "/v1/ask", **{"X-Request-ID": id})
    [outer] = found(pair.orders, id=id)
    [inner] = found(pair.users, trace=outer["traceId"])
    assert inner["spanId"] != outer["spanId"]


def found(its: Stack, id: str = "", trace: str = "") -> list[dict[str, str]]:
    """The lines of a request in the log of the service."""

    def lines() -> list[dict[str, str]]:
        return [
            line
            for line in its.lines("app")
            if line["message"] == "request"
            and (line["requestId"] == id or line["traceId"] == trace)
        ]

    eventually(lambda: bool(lines()), 5)
    return lines()
