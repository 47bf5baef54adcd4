"""The benches measure the default render, beside what they say it is beside."""

from __future__ import annotations

import http.client
import json
import re
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from helpers.machine import ROOT, need
from helpers.rendering import render

sys.path.insert(0, str(ROOT))

from bench import images, servers, variants


def test_every_bench_is_run() -> None:
    modules = {path.stem for path in (ROOT / "bench").glob("*.py")}
    benches = modules - {"__init__", "__main__", "loading", "servers", "table", "variants"}
    main = (ROOT / "bench" / "__main__.py").read_text()
    assert {f"{name}.main()" for name in benches} <= {*main.splitlines()}


def append(name: str) -> Callable[[Path], None]:
    def edit(tree: Path) -> None:
        with (tree / name).open("a") as file:
            file.write("\n")

    return edit


def test_the_bench_takes_the_default_render(tmp_path: Path) -> None:
    servers.require_default(render(tmp_path / "tree"))


@pytest.mark.parametrize(
    ("answers", "edit"),
    [
        ({"description": "A faster service"}, None),
        ({}, append("internal/httpserver/router.go")),
        ({}, append("internal/httpserver/extra.go")),
        ({}, lambda tree: (tree / "go.sum").unlink()),
        ({}, lambda tree: (tree / "Makefile").chmod(0o755)),
    ],
    ids=["an answer", "a line", "a file more", "a file less", "a mode"],
)
def test_the_bench_refuses_any_other(
    tmp_path: Path, answers: dict[str, Any], edit: Callable[[Path], object] | None
) -> None:
    tree = render(tmp_path / "tree", **answers)
    if edit:
        edit(tree)
    with pytest.raises(SystemExit, match="not the default render"):
        servers.require_default(tree)


def test_a_server_gets_its_addresses_its_memory_and_no_other_variable(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec env\n")
    program.chmod(0o755)
    binaries = dict.fromkeys((servers.SERVICE, servers.DEFAULT), program)
    environments = [
        servers.start(kind, binaries, -1).process.communicate()[0].decode()
        for kind in (servers.SERVICE, servers.DEFAULT)
    ]
    names = [{line.split("=")[0] for line in each.splitlines()} for each in environments]
    added = {"PWD", "SHLVL", "_", "OLDPWD"}  # by the shell
    assert [each - added for each in names] == [
        {"GOMEMLIMIT", "HTTP_ADDR", "ADMIN_ADDR"},
        {"GOMEMLIMIT"},
    ]


# ---------------------------------------------------------------------------
# The same features from middlewares
# ---------------------------------------------------------------------------

FEATURES = {
    "greets",
    "creates",
    "refuses a long name",
    "refuses a long body",
    "an id",
    "the caller's id",
    "the headers of an API",
    "a JSON line for each request",
    "a counter",
}
LINE = re.compile(r'^\{.*"/v1/greetings.*\}$', re.MULTILINE)


#: Requests by what they show; a body makes it a POST.
ASKED: dict[str, tuple[str, str, dict[str, str]]] = {
    "greeted": ("/v1/greetings/Ada", "", {}),
    "known": ("/v1/greetings/Ada", "", {"X-Request-Id": "order-7"}),
    "created": ("/v1/greetings", '{"name":"Ada"}', {}),
    "long name": ("/v1/greetings", json.dumps({"name": "a" * 65}), {}),
    "long body": ("/v1/greetings", json.dumps({"name": " " * (1 << 20)}), {}),
}


def features(kind: str, binaries: servers.Binaries, log: Path) -> set[str]:
    """What of `FEATURES` a server has, seen from outside."""
    metrics = ""
    with log.open("wb") as stdout:
        server = servers.start(kind, binaries, stdout.fileno())
    try:
        servers.await_ready(server)
        ready = len(LINE.findall(log.read_text()))
        answers = {what: ask(server.port, *request) for what, request in ASKED.items()}
        if kind in (servers.SERVICE, servers.MIDDLEWARES):
            metrics = ask(server.admin, "/metrics")[1]
    finally:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait()
    statuses = {what: (answer.status, text) for what, (answer, text) in answers.items()}
    greeted, known = (answers[what][0].headers for what in ("greeted", "known"))
    lines = [json.loads(line) for line in LINE.findall(log.read_text())[ready:]]
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    seen = {
        "greets": statuses["greeted"] == (200, '{"message":"Hello, Ada!"}'),
        "creates": statuses["created"] == (201, '{"message":"Hello, Ada!"}'),
        "refuses a long name": statuses["long name"][0] == 400,
        "refuses a long body": statuses["long body"][0] in (400, 413),
        "an id": greeted["X-Request-Id"],
        "the caller's id": known["X-Request-Id"] == "order-7",
        "the headers of an API": headers.items() <= {*greeted.items()},
        "a JSON line for each request": len(lines) == len(ASKED),
        "a counter": re.search(r"_requests_total\{.*/v1/greetings/:name.*\} \d", metrics),
    }
    return {name for name, found in seen.items() if found}


def ask(
    port: int, path: str, body: str = "", headers: Mapping[str, str] = MappingProxyType({})
) -> tuple[http.client.HTTPResponse, str]:
    """What a port of this machine answers; with a body, to a POST of JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    json_type = {"Content-Type": "application/json"} if body else {}
    connection.request("POST" if body else "GET", path, body, {**headers, **json_type})
    answer = connection.getresponse()
    return answer, answer.read().decode()


def test_the_middlewares_give_what_the_service_gives(tmp_path: Path) -> None:
    need("go")
    kinds = (servers.SERVICE, servers.MIDDLEWARES, servers.DEFAULT)
    binaries = servers.build(render(tmp_path / "tree"), tmp_path, *kinds)
    service, middlewares, default = (features(k, binaries, tmp_path / f"{k}.log") for k in kinds)
    assert service == FEATURES
    assert middlewares == FEATURES
    assert default == {"greets"}, "the test sees features where there are none"


# ---------------------------------------------------------------------------
# Everything, and the variants
# ---------------------------------------------------------------------------


def modules(go_mod: str) -> set[str]:
    """The modules that a go.mod requires for its own code, whatever it says under conditions."""
    return {*re.findall(r"^\t(\S+) v\S+$", go_mod, re.MULTILINE)}


def test_everything_has_every_module_of_the_template(tmp_path: Path) -> None:
    """With the other database, whose modules alone it lacks; and each of its answers adds some."""
    answers = images.everything()
    assert answers["datastores"] == ["mysql", "redis"]

    def of(name: str, given: dict[str, Any]) -> set[str]:
        return modules((render(tmp_path / name, **given) / "go.mod").read_text())

    full, other = of("full", answers), of("other", answers | {"datastores": ["postgres", "redis"]})
    assert full | other == modules((ROOT / "template" / "go.mod.jinja").read_text())
    for missing in answers:
        fewer = of(f"no-{missing}", {k: v for k, v in answers.items() if k != missing})
        assert fewer < full, f"without {missing}"


def test_an_edit_applies_exactly_once(tmp_path: Path) -> None:
    (tmp_path / "a.go").write_text("one two two")
    variants.apply(variants.Edit("a.go", "one", "1"), tmp_path)
    assert (tmp_path / "a.go").read_text() == "1 two two"
    for edit, times in [
        (variants.Edit("a.go", "two", "2"), 2),
        (variants.Edit("a.go", "one", "1"), 0),
        (variants.Edit("b.go", "one", "1"), 0),
    ]:
        with pytest.raises(SystemExit, match=f"has {times} times, not once"):
            variants.apply(edit, tmp_path)


def test_a_build_tag_is_left_out_where_it_is() -> None:
    flags = ["-trimpath", "-tags", "a,b", "-ldflags", "-s"]
    assert variants.without("a", flags) == ["-trimpath", "-tags", "b", "-ldflags", "-s"]
    with pytest.raises(SystemExit, match="c is none of the build tags a, b"):
        variants.without("c", flags)
