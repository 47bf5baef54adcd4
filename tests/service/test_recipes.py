"""The recipes of docs/use/recipes/: each page, as it stands, makes of a render what it says.

A test of one recipe has its name in its own, so that `-k NAME` runs it.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.config_files import Volume, reloading
from helpers.machine import need, run
from helpers.recipes import (
    PAGES,
    RECIPES,
    add_calls,
    add_modules,
    apply,
    changed_files,
    packages,
)
from helpers.rendering import build_flags
from helpers.service import (
    RenderedTree,
    Service,
    build,
    eventually,
    free_port,
    go_as_in_the_image,
    rendered_tree,
    running,
    substitute_once,
)

DATASTORES: dict[str, Any] = {"datastores": ["postgres", "redis"], "tracing": True}
#: Another name, and another port.
ORDERS = {"service_name": "orders", "module_path": "github.com/acme/orders", "http_port": 8000}
STORES = {
    "DATABASE_URL": "postgres://app:x@127.0.0.1:1/app",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}
APP, OTHER = "https://app.example.com", "https://other.example.com"


def with_unauthorized_route(tree: RenderedTree) -> None:
    """Add a route that wants somebody to log in."""
    substitute_once(
        tree.file("internal/api/api.go"),
        r'^(\tv1 := router\.Group\("/v1"\)\n)',
        r'\1\tv1.GET("/private", func(c *gin.Context) { httpserver.Unauthorized(c, "who are you?") })\n',
    )


def with_calls(tree: RenderedTree) -> None:
    """Add a gRPC service, where the page says that one's own goes."""
    substitute_once(tree.main, r"^\t// Your services, .*$", "\tregisterWaiter(rpc)")
    add_calls(tree)


EXTRAS: dict[str, Callable[[RenderedTree], None]] = {
    "cors": with_unauthorized_route,
    "grpc": with_calls,
}


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RenderedTree]:
    """The default render with one recipe, and nothing else."""

    @functools.cache
    def tree(recipe: str) -> RenderedTree:
        tree = rendered_tree(tmp_path_factory.mktemp(recipe))
        apply(tree, recipe)
        add_modules(tree, recipe)
        return tree

    return tree


@pytest.fixture(scope="module")
def binary(applied: Callable[[str], RenderedTree]) -> Callable[[str], Path]:
    """The service of one recipe, with what the tests need besides."""

    @functools.cache
    def built(recipe: str) -> Path:
        tree = copied(applied(recipe), applied(recipe).path.parent / "extended")
        if recipe in EXTRAS:
            EXTRAS[recipe](tree)
        return build(tree)

    return built


def copied(tree: RenderedTree, folder: Path) -> RenderedTree:
    return RenderedTree(Path(shutil.copytree(tree.path, folder / "project")), tree.answers)


def unformatted(tree: RenderedTree) -> str:
    return run(["gofmt", "-l", "."], tree.path).stdout


def leftovers(tree: RenderedTree) -> list[str]:
    """What patch could not do, or kept of what was there."""
    return [path.name for path in tree.path.rglob("*") if path.suffix in (".rej", ".orig")]


def failed_checks(tree: RenderedTree, *packages: str) -> str:
    """What vet and the project's own tests say, empty where all is well."""
    flags = build_flags(tree.path)
    # As in the image, for which the same is compiled.
    env = {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": f"-trimpath -tags={flags[flags.index('-tags') + 1]}",
    }
    done = run(["nice", "go", "test", "-vet=all", *packages], tree.path, env, ok=False)
    return done.stdout if done.returncode else ""


# -- the pages -----------------------------------------------------------------------------


def test_there_is_a_test_of_each_page() -> None:
    assert RECIPES == ["cors", "grpc", "pprof", "rate-limits"]
    listed = re.findall(r"^- \[.*?\]\((.*?)\.md\)", (PAGES / "README.md").read_text(), re.M)
    assert sorted(listed) == RECIPES


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("answers", [{}, DATASTORES | ORDERS], ids=["default", "datastores"])
def test_a_recipe_applies(recipe: str, answers: dict[str, Any], tmp_path: Path) -> None:
    tree = rendered_tree(tmp_path, **answers)
    names = [name.replace("myservice", tree.service) for name in changed_files(recipe)]
    before = {name: tree.file(name).read_text() for name in names}
    apply(tree, recipe)
    assert all(tree.file(name).read_text() != text for name, text in before.items())
    assert unformatted(tree) == ""
    assert leftovers(tree) == []
    assert run(["grep", "-r", "myservice", "."], tree.path, ok=False).returncode == bool(answers)


def test_what_a_service_does_not_have_is_skipped(tmp_path: Path) -> None:
    whole, bare = (
        rendered_tree(tmp_path / name, deploy=deploy)
        for name, deploy in [("whole", ["kubernetes"]), ("bare", ["compose"])]
    )
    apply(whole, "grpc")
    apply(bare, "grpc", ok=False)
    for name in ("cmd", "internal"):
        run(["diff", "-r", whole.file(name), bare.file(name)], tmp_path)
    assert leftovers(bare) == []


def test_a_recipe_that_no_longer_fits_is_noticed(tmp_path: Path) -> None:
    tree = rendered_tree(tmp_path)
    substitute_once(tree.main, r"^\t\tpublic\.Drain\(\)$", "\t\tpublic.Leave()")
    with pytest.raises(pytest.fail.Exception, match="1 out of 6 hunks FAILED"):
        apply(tree, "grpc")


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_passes_the_checks(recipe: str, applied: Callable[[str], RenderedTree]) -> None:
    assert failed_checks(applied(recipe), *packages(recipe)) == ""


@pytest.mark.parametrize(
    ("recipe", "file", "pattern", "replacement", "failing"),
    [
        ("cors", "internal/httpserver/cors.go", r"AllowOrigins: origins", 'AllowOrigins: []string{"*"}', "TestOnlyAllowedOriginsMayCall"),
        ("rate-limits", "internal/httpserver/ratelimit.go", r"^\t+turn\.Cancel\(\)\n", "", "TestAClientIsHeldToItsRate"),
        ("grpc", "internal/grpcserver/grpcserver.go", r"^\tdefer context\.AfterFunc\(s\.shutdown, cancel\)\(\)\n", "", "TestClientsAreToldToLeave"),
    ],
    ids=lambda value: value if value in RECIPES else "",
)  # fmt: skip
def test_a_broken_recipe_fails_its_own_test(
    recipe: str, file: str, pattern: str, replacement: str, failing: str,
    applied: Callable[[str], RenderedTree], tmp_path: Path,
) -> None:  # fmt: skip
    tree = copied(applied(recipe), tmp_path)
    substitute_once(tree.file(file), pattern, replacement)
    assert f"FAIL: {failing}" in failed_checks(tree, f"./{Path(file).parent}")


# -- CORS ----------------------------------------------------------------------------------


def test_cors(binary: Callable[[str], Path]) -> None:
    with running(binary("cors"), ALLOWED_ORIGINS=f"{APP},http://localhost:3000") as service:
        service.wait(service.admin_port, "/ready", 200)
        for origin in (APP, "http://localhost:3000"):
            wants = {"Origin": origin, "Access_Control_Request_Method": "POST"}
            for path in ("/v1/greetings", "/v1/private"):
                preflight = service.ask(path, "OPTIONS", **wants)
                assert preflight.status == 204
                assert preflight.headers["Access-Control-Allow-Origin"] == origin
                assert "POST" in preflight.headers["Access-Control-Allow-Methods"].split(",")
                assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
                assert "Origin" in preflight.headers.get_all("Vary", [])
        assert service.greet(Origin=APP).headers["Access-Control-Allow-Origin"] == APP
        assert service.post('{"name":"Ada"}', Origin=APP).status == 201
        for path, method, status in [
            ("/v1/private", "GET", 401),
            ("/v1/nothing", "GET", 404),
            ("/v1/greetings", "DELETE", 405),
            ("/v1/greetings", "POST", 400),
        ]:
            refused = service.ask(path, method, Origin=APP)
            assert refused.problem["status"] == status
            assert refused.headers["Access-Control-Allow-Origin"] == APP
            assert refused.headers["Vary"] == "Origin"

        for method in ("OPTIONS", "GET", "POST"):
            stranger = service.ask("/v1/greetings", method, Origin=OTHER)
            assert stranger.problem["status"] == 403
            assert "Access-Control-Allow-Origin" not in stranger.headers
        # No browser, or a page of this very host.
        assert service.greet().status == 200
        assert service.greet(Origin=f"http://127.0.0.1:{service.http_port}").status == 200
        assert service.metric('http_requests_total{method="OPTIONS",route="unmatched",status="204"}') == 4  # fmt: skip


def test_cors_is_off_by_default(binary: Callable[[str], Path]) -> None:
    with running(binary("cors")) as service:
        service.wait(service.admin_port, "/ready", 200)
        answer = service.greet(Origin=APP)
        assert answer.status == 200
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert service.ask("/v1/greetings", "OPTIONS", Origin=APP).status == 405


@pytest.mark.parametrize("origin", ["*", "app.example.com", f"{APP}/"])
def test_cors_refuses_what_is_no_origin(
    origin: str, binary: Callable[[str], Path], tmp_path: Path
) -> None:
    done = run([binary("cors")], tmp_path, {"ALLOWED_ORIGINS": origin}, ok=False, timeout=10)
    assert done.returncode == 1
    assert f'ALLOWED_ORIGINS[0] (environment): \\"{origin}\\" does not satisfy' in done.stdout


# -- profiles ------------------------------------------------------------------------------


def public_profiles(service: Service) -> int:
    """What the public port answers to one who asks for profiles."""
    return service.ask("/debug/pprof/").status


def test_pprof(binary: Callable[[str], Path], tmp_path: Path) -> None:
    volume = Volume(tmp_path / "config")
    volume.write("log_level: info\n")
    with running(binary("pprof"), CONFIG_FILE=str(volume.file)) as service:
        service.wait(service.admin_port, "/ready", 200)
        assert service.get(service.admin_port, "/debug/pprof/")[0] == 404
        with reloading(service):
            volume.write("profiling: true\n")
        assert "heap" in service.get(service.admin_port, "/debug/pprof/")[1]
        assert "serve" in service.get(service.admin_port, "/debug/pprof/goroutine?debug=1")[1]
        assert service.get(service.admin_port, "/metrics")[0] == 200
        assert public_profiles(service) == 404

        # Longer than an answer of this port may take.
        url = f"http://127.0.0.1:{service.admin_port}/debug/pprof/profile?seconds=31"
        done = run(["go", "tool", "pprof", "-top", url], tmp_path, {"PPROF_TMPDIR": str(tmp_path)})
        duration = re.search(r"^Duration: ([\d.]+)s", done.stdout, re.M)
        assert duration, done.stdout
        assert float(duration[1]) >= 31
        assert re.search(r"^ +flat +flat% +sum% ", done.stdout, re.M), done.stdout


def test_pprof_on_the_public_port_is_noticed(
    applied: Callable[[str], RenderedTree], tmp_path: Path
) -> None:
    tree = copied(applied("pprof"), tmp_path)
    substitute_once(tree.main, r"httpserver\.New\(router, log\)", "httpserver.New(withProfiles(router, s.cfg), log)")  # fmt: skip
    with running(build(tree), PROFILING="true") as service:
        service.wait(service.admin_port, "/ready", 200)
        assert public_profiles(service) == 200


# -- rate limits ---------------------------------------------------------------------------


def test_rate_limits(binary: Callable[[str], Path], tmp_path: Path) -> None:
    volume = Volume(tmp_path / "config")
    volume.write("rate_limit: 0.5\nrate_burst: 3\ntrusted_proxies: 127.0.0.1\n")
    with running(binary("rate-limits"), CONFIG_FILE=str(volume.file)) as service:
        service.wait(service.admin_port, "/ready", 200)

        def statuses(client: str, count: int) -> list[int]:
            return [service.greet(X_Forwarded_For=client).status for _ in range(count)]

        assert statuses("192.0.2.1", 4) == [200, 200, 200, 429]
        refused = service.ask("/v1/nothing", X_Forwarded_For="192.0.2.1")
        assert refused.problem["status"] == 429
        assert refused.headers["Retry-After"] in ("1", "2")
        assert statuses("192.0.2.2", 3) == [200] * 3
        time.sleep(int(refused.headers["Retry-After"]))
        assert statuses("192.0.2.1", 2) == [200, 429]
        assert service.metric('http_requests_total{method="GET",route="/v1/greetings/:name",status="429"}') == 2  # fmt: skip

        with reloading(service):
            volume.write("rate_limit: 0\nrate_burst: 3\ntrusted_proxies: 127.0.0.1\n")
        assert statuses("192.0.2.1", 20) == [200] * 20


def test_rate_limits_do_not_believe_everybody(binary: Callable[[str], Path]) -> None:
    with running(binary("rate-limits"), RATE_LIMIT="0.1", RATE_BURST="1") as service:
        service.wait(service.admin_port, "/ready", 200)
        claimed = [service.greet(X_Forwarded_For=f"192.0.2.{n}").status for n in range(2)]
        assert claimed == [200, 429]


# -- gRPC ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(binary: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gRPC client, which prints the code that a call ends with."""
    tree = RenderedTree(binary("grpc").parent / "project", {})
    file = tmp_path_factory.mktemp("client") / "client"
    go_as_in_the_image(tree, "build", "-o", file, "./cmd/client")
    return file


class Calls:
    """A service that is called by gRPC."""

    def __init__(self, client: Path, service: Service) -> None:
        self.client, self.service = client, service
        self.address = service.environment["GRPC_ADDR"]

    def call(self, what: str, **env: str) -> str:
        """What a call is answered: `check`, or for how long it is to wait."""
        return run([self.client, self.address, what], self.client.parent, env).stdout.strip()

    def watch(self) -> subprocess.Popen[str]:
        """A stream of the service's health."""
        return subprocess.Popen(
            [self.client, self.address, "watch"], stdout=subprocess.PIPE, text=True
        )

    def running_calls(self) -> float:
        series = 'grpc_server_started_total{grpc_method="Wait",grpc_service="test.Waiter",grpc_type="unary"}'
        handled = sum(
            value for name, value in self.service.metrics().items()
            if name.startswith("grpc_server_handled_total{") and 'service="test.Waiter"' in name
        )  # fmt: skip
        return self.service.metric(series) - handled


@pytest.fixture
def calls(
    request: pytest.FixtureRequest, binary: Callable[[str], Path], client: Path
) -> Iterator[Calls]:
    environment = {"GRPC_ADDR": f"127.0.0.1:{free_port()}", **getattr(request, "param", {})}
    with running(binary("grpc"), **environment) as service:
        service.wait(service.admin_port, "/ready", 200)
        yield Calls(client, service)


@pytest.mark.parametrize("calls", [{"REQUEST_TIMEOUT": "1s"}], indirect=True, ids=["grpc"])
def test_grpc(calls: Calls) -> None:
    service = calls.service
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert calls.call("check") == "SERVING\nOK"
    assert calls.call("10ms", TRACEPARENT=f"00-{trace}-00f067aa0ba902b7-01") == "OK"
    line = service.logged(message="request", route="/test.Waiter/Wait", code="OK")
    assert line["traceId"] == trace
    assert line["clientIp"] == "127.0.0.1"
    assert line["durationMs"] >= 10
    assert line["requestId"]
    assert calls.call("5s") == "DeadlineExceeded DeadlineExceeded"
    # What no client may read, and what must not end the process.
    for failing in ("-1s", "-2s"):
        assert calls.call(failing) == "Internal Internal"
    assert sum("hunter2" in line for line in service.lines) == 2
    assert not any(line.get("route", "").endswith("/Check") for line in service.log)
    handled = 'grpc_server_handled_total{grpc_code="Internal",grpc_method="Wait",grpc_service="test.Waiter",grpc_type="unary"}'
    assert service.metric(handled) == 2
    # The API is there as before.
    assert service.greet().status == 200


@pytest.mark.parametrize("calls", [{"DRAIN_DELAY": "1s"}], indirect=True, ids=["grpc"])
def test_grpc_drains(calls: Calls) -> None:
    watch = calls.watch()
    assert watch.stdout
    assert watch.stdout.readline() == "SERVING\n"
    with ThreadPoolExecutor() as pool:
        under_way = pool.submit(calls.call, "3s")
        eventually("a call under way", lambda: calls.running_calls() == 1)
        calls.service.process.terminate()
        assert watch.stdout.readline() == "NOT_SERVING\n"
        assert calls.call("10ms") == "OK"  # during the drain
        assert under_way.result() == "OK"
    assert calls.service.process.wait(timeout=10) == 0
    assert watch.communicate(timeout=10)[0].startswith("Canceled")
    assert calls.call("check").startswith("Unavailable")


@pytest.mark.parametrize("calls", [{"SHUTDOWN_TIMEOUT": "1s", "DRAIN_DELAY": "0s"}], indirect=True, ids=["grpc"])  # fmt: skip
def test_grpc_calls_are_cut_off_in_the_end(calls: Calls) -> None:
    with ThreadPoolExecutor() as pool:
        under_way = pool.submit(calls.call, "15s")
        eventually("a call under way", lambda: calls.running_calls() == 1)
        start = time.monotonic()
        assert calls.service.stop(10) == 1
        assert 1 <= time.monotonic() - start < 5
        assert under_way.result().startswith("Unavailable")
    assert "gRPC: context deadline exceeded" in calls.service.logged(message="failed")["error"]


def test_the_manifests_of_grpc(tmp_path: Path) -> None:
    need("kubectl")
    tree = rendered_tree(tmp_path)
    apply(tree, "grpc")
    text = run(["kubectl", "kustomize", "deploy/kubernetes/overlays/prod"], tree.path).stdout
    found = {(d["kind"], d["metadata"]["name"]): d["spec"] for d in yaml.safe_load_all(text) if "spec" in d}  # fmt: skip
    [port] = found["Service", "myservice-grpc"]["ports"]
    [container] = found["Deployment", "myservice"]["template"]["spec"]["containers"]
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert ports[port["targetPort"]] == port["port"] == 50051
    assert {"port": "grpc"} in found["NetworkPolicy", "myservice"]["ingress"][0]["ports"]


# -- together ------------------------------------------------------------------------------


def test_all_recipes_together(tmp_path: Path) -> None:
    forwards, backwards = (
        rendered_tree(tmp_path / name, **DATASTORES) for name in ("forwards", "backwards")
    )
    for recipe in RECIPES:
        apply(forwards, recipe)
    for recipe in reversed(RECIPES):
        apply(backwards, recipe)
    run(["diff", "-r", forwards.path, backwards.path], tmp_path)
    tree = forwards
    assert unformatted(tree) == ""
    assert leftovers(tree) == []

    add_modules(tree, *RECIPES)
    touched = {package for recipe in RECIPES for package in packages(recipe)}
    assert failed_checks(tree, *sorted(touched)) == ""
    settings = {
        "ALLOWED_ORIGINS": APP,
        "PROFILING": "true",
        "RATE_LIMIT": "0.1",
        "RATE_BURST": "1",
        "GRPC_ADDR": f"127.0.0.1:{free_port()}",
    }
    with running(build(tree), **STORES, **settings) as service:
        service.wait(service.admin_port, "/healthz", 200)
        # Preflights cost nothing, and a page can read why it is refused.
        wants = {"Origin": APP, "Access_Control_Request_Method": "GET"}
        assert [service.ask("/x", "OPTIONS", **wants).status for _ in range(3)] == [204] * 3
        assert [service.ask("/x", Origin=APP).status for _ in range(2)] == [404, 429]
        refused = service.ask("/x", Origin=APP)
        assert refused.problem["status"] == 429
        assert refused.headers["Access-Control-Allow-Origin"] == APP
        assert service.get(service.admin_port, "/debug/pprof/cmdline")[0] == 200
        assert service.logged(message="listening")["grpc"] == settings["GRPC_ADDR"]
        assert service.stop(30) == 0
