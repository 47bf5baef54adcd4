"""A service that has all edits of the team, at work."""

from __future__ import annotations

import json
from pathlib import Path

from helpers.machine import run
from helpers.servers import Postgres
from helpers.service import RenderedTree, Service, build, running


def faults(project: Path, postgres: Postgres) -> list[str]:
    """What the edits do not do any more in the service, built as in the image and run."""
    binary = build(RenderedTree(project, {"service_name": "svc"}))
    url = {"DATABASE_URL": postgres.url(postgres.create().name)}
    refused = run([binary], project, {**url, "DATABASE_CONNS": "0"}, ok=False, timeout=20)
    found = [] if "DATABASE_CONNS" in refused.stdout else ["DATABASE_CONNS=0 is not refused"]
    run([binary, "migrate"], project, url)
    with running(binary, DATABASE_CONNS="7", **url) as service:
        service.wait(service.admin_port, "/ready", 200)
        found += _answers(service)
        service.stop(20)
    ordered = [line for line in map(json.loads, service.lines) if line["message"] == "ordered"]
    if [line.get("requestId") for line in ordered] != ["r-1"]:
        found.append(f"the log has {ordered}")
    return found


def _answers(service: Service) -> list[str]:
    """What is wrong with the answers of the edited service."""
    found = []
    body = json.dumps({"item": "tea", "quantity": 2})
    for path, method, text, status, want in (
        ("/robots.txt", "GET", None, 200, "Disallow: /"),
        ("/v1/orders", "POST", body, 201, '{"id":1}'),
        ("/v1/orders/1", "GET", None, 200, '"item":"tea"'),
        ("/v1/orders", "POST", "{}", 400, '"item"'),
        ("/v1/prices/tea", "GET", None, 502, '"status":502'),
        ("/v1/greetings", "POST", '{"name":"Ada"}', 201, "Hello, Ada!"),
    ):
        answer = service.ask(path, method, text, X_Client="shop", X_Request_ID="r-1")
        if answer.status != status or want not in answer.body:
            found.append(f"{method} {path}: {answer.status} {answer.body}")
        if answer.headers["Access-Control-Allow-Origin"] != "https://shop.example.com":
            found.append(f"{method} {path}: no CORS")
    metrics = service.get(service.admin_port, "/metrics")[1]
    return found + [
        f"no metric {line}"
        for line in (
            'api_calls_total{client="shop"} 4',
            'db_client_connections_max{pool="postgres"} 7',
            'http_client_request_duration_seconds_count{client="prices",method="GET",status="error"} 3',
        )
        if line not in metrics
    ]
