"""Every distinct Go tree is formatted, vetted, tidy, tested, small, and runs as promised."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.linters import golangci
from helpers.machine import CACHE, ROOT, need, run
from helpers.rendering import oversize
from helpers.service import (
    TOOLCHAINS,
    TREES,
    Service,
    Tree,
    build,
    faulty_lines,
    go,
    metric_findings,
    rendered_tree,
    running,
)

#: Trees with code of their own; the rest differ in names and constants.
DISTINCT = ["none", "postgres", "redis", "postgres-redis", "tracing", "everything"]


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tree]:
    return {name: rendered_tree(tmp_path_factory.mktemp("go"), name) for name in TREES}


@pytest.fixture(params=TREES)
def tree(request: pytest.FixtureRequest, trees: dict[str, Tree]) -> Tree:
    return trees[request.param]


@pytest.fixture
def mutable(tmp_path: Path) -> Tree:
    """A tree for a test to spoil."""
    return rendered_tree(tmp_path, "none")


# -- checkers ------------------------------------------------------------------------------


def unformatted(tree: Tree) -> str:
    need("gofmt")
    return run(["gofmt", "-l", "."], tree.path).stdout


def tidy_diff(tree: Tree, toolchain: str) -> str:
    done = run(["go", "mod", "tidy", "-diff"], tree.path, {"GOTOOLCHAIN": toolchain}, ok=False)
    return done.stdout if done.returncode else ""


def lint_findings(tree: Tree) -> str:
    """What golangci-lint has against the project, by the project's own configuration."""
    env = {"GOTOOLCHAIN": TOOLCHAINS[-1], "GOLANGCI_LINT_CACHE": str(CACHE / "golangci-cache")}
    command: list[str | Path] = ["nice", golangci(), "run", "--allow-serial-runners"]
    done = run(command, tree.path, env, ok=False)
    assert ("0 issues." in done.stdout) == (done.returncode == 0), done.stdout
    return done.stdout if done.returncode else ""


def failed_tests(tree: Tree) -> str:
    """The output of the project's own tests, empty where they passed."""
    need("gcc")  # for the race detector
    profile = tree.path.parent / "cover.out"
    done = run(
        ["nice", "go", "test", "-race", "-shuffle=on", "-coverpkg=./...",
         f"-coverprofile={profile}", "./..."],
        tree.path,
        ok=False,
    )  # fmt: skip
    return done.stdout if done.returncode else ""


def coverage(tree: Tree) -> float:
    """Percent of the statements that the last `failed_tests` ran through."""
    report = go(tree, "tool", "cover", f"-func={tree.path.parent / 'cover.out'}") or ""
    return float(report.split()[-1].rstrip("%"))


def texts(tree: Tree) -> dict[str, str]:
    """The text of every file by its path."""
    files = [p for p in tree.path.rglob("*") if p.is_file() and ".git" not in p.parts]
    return {p.relative_to(tree.path).as_posix(): p.read_text() for p in files}


def conditions(template: Path) -> set[str]:
    """The Go files of the template that hold a condition, tests apart."""
    return {
        path.name
        for path in template.rglob("*.go.jinja")
        if "[%" in path.read_text() and not path.name.endswith("_test.go.jinja")
    }


# -- the code ------------------------------------------------------------------------------


def test_go_is_formatted(tree: Tree) -> None:
    assert unformatted(tree) == ""


def test_go_passes_vet(tree: Tree) -> None:
    go(tree, "vet", "./...")


@pytest.mark.parametrize("name", ["none", "postgres", "redis", "tracing", "everything"])
def test_golangci_lint_finds_nothing(trees: dict[str, Tree], name: str) -> None:
    assert lint_findings(trees[name]) == ""


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_modules_are_tidy(tree: Tree, toolchain: str) -> None:
    assert tidy_diff(tree, toolchain) == ""


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_go_builds_as_in_the_image(tree: Tree, toolchain: str) -> None:
    binary = build(tree, toolchain)
    assert run([binary, "version"], tree.path).stdout.startswith(
        f"{tree.service} v1.2.3 (revision abc, built 2026-11-23, go1."
    )


@pytest.mark.parametrize("name", DISTINCT)
def test_project_passes_its_own_tests(trees: dict[str, Tree], name: str) -> None:
    assert failed_tests(trees[name]) == ""
    assert coverage(trees[name]) >= 85


@pytest.mark.parametrize("name", sorted(set(TREES) - set(DISTINCT)))
def test_project_passes_its_own_tests_with_other_names(trees: dict[str, Tree], name: str) -> None:
    go(trees[name], "test", "-shuffle=on", "./...")


def test_project_passes_its_own_tests_with_the_newest_go(trees: dict[str, Tree]) -> None:
    go(trees["everything"], "test", "./...", toolchain=TOOLCHAINS[-1])


def test_default_render_is_small(trees: dict[str, Tree]) -> None:
    assert oversize(texts(trees["none"])) == []


def test_conditions_stay_out_of_the_packages() -> None:
    assert conditions(ROOT / "template") == {"main.go.jinja"}


def test_packages_do_not_import_each_other(trees: dict[str, Tree]) -> None:
    imports_of = '{{.ImportPath}}: {{join .Imports " "}}'
    listing = go(trees["everything"], "list", "-f", imports_of, "./internal/...")
    assert listing
    for line in listing.splitlines():
        _, _, imports = line.partition(": ")
        assert "/myservice/internal/" not in imports, line


# -- each checker rejects a fault ----------------------------------------------------------


def test_format_check_rejects(mutable: Tree) -> None:
    mutable.main.write_text(mutable.main.read_text().replace("\tversion  = ", "\tversion = "))
    assert unformatted(mutable)


def test_vet_rejects(mutable: Tree) -> None:
    source = mutable.file("internal/api/fault.go")
    source.write_text('package api\n\nimport "fmt"\n\nfunc init() { fmt.Printf("%d", "x") }\n')
    assert go(mutable, "vet", "./internal/api", ok=False) is None


def test_golangci_lint_rejects(mutable: Tree) -> None:
    source = mutable.file("internal/api/fault.go")
    source.write_text(
        'package api\n\nimport "io"\n\nfunc fault(err error) bool {\n\treturn err == io.EOF\n}\n'
    )
    findings = lint_findings(mutable)
    assert "(unused)" in findings
    # What only the project's own configuration enables.
    assert "(errorlint)" in findings


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_tidy_check_rejects(mutable: Tree, toolchain: str) -> None:
    module = mutable.file("go.mod")
    module.write_text(re.sub(r"\n\t\S*valyala/histogram .*", "", module.read_text()))
    assert tidy_diff(mutable, toolchain)


def test_tests_reject_a_fault(mutable: Tree) -> None:
    source = mutable.file("internal/api/api.go")
    source.write_text(source.read_text().replace("Hello, ", "Bye, "))
    assert "TestGreetings" in failed_tests(mutable)


def test_coverage_notices_missing_tests(mutable: Tree) -> None:
    for path in mutable.path.rglob("*_test.go"):
        if path.parent.name != "api":
            path.unlink()
    assert failed_tests(mutable) == ""
    assert coverage(mutable) < 85


def test_size_check_rejects(mutable: Tree) -> None:
    small = texts(mutable)
    code = {path: text for path, text in small.items() if path.endswith(".go")}
    assert oversize(code | {"a.go": "\n // why\n" * 1200, "a_test.go": "// more\n" * 1200}) == []
    assert oversize(code | {"a.go": "var _ = 0\n" * 1200})[0].endswith("lines of Go")
    assert oversize(small | {f"{number}.txt": "" for number in range(45)})[0].endswith("files")


def test_condition_check_rejects(tmp_path: Path) -> None:
    (tmp_path / "api.go.jinja").write_text("[% if postgres %]\n[% endif %]\n")
    assert conditions(tmp_path) == {"api.go.jinja"}


# -- the running service -------------------------------------------------------------------


@pytest.fixture(scope="session")
def binary(trees: dict[str, Tree]) -> Path:
    return build(trees["none"])


@pytest.fixture(scope="session")
def store_binary(trees: dict[str, Tree]) -> Path:
    return build(trees["customised"])


def test_binary_serves_each_endpoint(binary: Path) -> None:
    with running(binary, DATABASE_URL="postgres://u:p@db/app", GIN_MODE="debug") as service:
        service.wait(service.admin_port, "/ready", 200)
        assert service.get(service.http_port, "/v1/greetings/Ada") == (
            200,
            '{"message":"Hello, Ada!"}',
        )
        for path in ["/healthz", "/ready", "/health", "/metrics", "/version"]:
            assert service.get(service.admin_port, path)[0] == 200
            assert service.get(service.http_port, path)[0] == 404
        assert json.loads(service.get(service.admin_port, "/health")[1]) == {
            "status": "UP",
            "details": {},
        }
        assert json.loads(service.get(service.admin_port, "/version")[1])["version"] == "v1.2.3"
        assert service.get(service.http_port, "/v1/greetings/Ada", "DELETE")[0] == 405
        run([binary, "healthcheck"], binary.parent, service.environment)
        _, metrics = service.get(service.admin_port, "/metrics")
    assert metric_findings(metrics) == []
    for name in [
        "http_requests_total{",
        'http_request_duration_seconds_bucket{method="GET",route="/v1/greetings/:name",le="0.005"}',
        "http_requests_in_flight 0",
        'build_info{version="v1.2.3",revision="abc"',
        "process_resident_memory_bytes ",
        "go_memstats_heap_alloc_bytes ",
    ]:
        assert name in metrics
    assert faulty_lines(service.lines) == []
    routes = [json.loads(line).get("route") for line in service.lines]
    assert set(routes) == {None, "/v1/greetings/:name", "unmatched"}
    assert run([binary, "healthcheck"], binary.parent, service.environment, ok=False).returncode


def test_binary_starts_without_its_stores(store_binary: Path, tmp_path: Path) -> None:
    secret = tmp_path / "redis-url"
    secret.write_text("redis://:hunter2@127.0.0.1:1/0\n")
    with running(
        store_binary,
        DATABASE_URL="postgres://user:hunter2@127.0.0.1:1/app",
        REDIS_URL_FILE=str(secret),
    ) as service:
        service.wait(service.admin_port, "/probes/alive", 200)
        assert service.get(service.admin_port, "/probes/takes-requests")[0] == 503
        service.wait(service.http_port, "/v1/greetings/Ada", 200)
        deadline = time.monotonic() + 10
        report: dict[str, Any] = {}
        while len(report.get("details", {})) < 2 and time.monotonic() < deadline:
            report = json.loads(service.wait(service.admin_port, "/health", 503))
        assert report["status"] == "DOWN"
        assert {name: state["status"] for name, state in report["details"].items()} == {
            "postgres": "DOWN",
            "redis": "DOWN",
        }
        _, metrics = service.get(service.admin_port, "/metrics")
        assert 'dependency_up{name="postgres"} 0' in metrics
        assert metric_findings(metrics) == []
        run([store_binary, "healthcheck"], tmp_path, service.environment)
    assert faulty_lines(service.lines) == []
    assert "hunter2" not in "".join(service.lines)


def drained(service: Service) -> str:
    """Why a request in flight did not survive SIGTERM, empty where all went as promised."""
    service.wait(service.admin_port, "/ready", 200)
    with socket.create_connection(("127.0.0.1", service.http_port), timeout=10) as connection:
        connection.sendall(b"GET /v1/greetings/Ada HTTP/1.1\r\nHost: test\r\n")
        service.process.send_signal(signal.SIGTERM)
        try:
            service.wait(service.admin_port, "/ready", 503)
            if service.get(service.http_port, "/v1/greetings/Bob")[0] != 200:
                return "a new request failed in the drain"
            connection.sendall(b"\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
        except (OSError, http.client.HTTPException, pytest.fail.Exception) as error:
            return f"no answer in the drain: {error}"
        if answer.status != 200 or answer.getheader("Connection") != "close":
            return f"answered {answer.status} {answer.getheaders()}"
    code = service.process.wait(timeout=10)
    return f"exit code {code}" if code else ""


def test_sigterm_drains(binary: Path) -> None:
    with running(binary) as service:
        assert drained(service) == ""
    assert faulty_lines(service.lines) == []
    messages = [json.loads(line)["message"] for line in service.lines]
    assert messages[:3] == ["starting", "listening", "draining"]
    assert messages[-1] == "stopped"


def test_second_signal_ends_at_once(binary: Path) -> None:
    with running(binary, DRAIN_DELAY="60s", GRACE_PERIOD="120s") as service:
        service.wait(service.admin_port, "/ready", 200)
        service.process.send_signal(signal.SIGINT)
        service.wait(service.admin_port, "/ready", 503)
        # A signal that follows within microseconds is part of the first.
        deadline = time.monotonic() + 20
        while service.process.poll() is None:
            assert time.monotonic() < deadline, "a second signal does not end it"
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        assert service.process.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"HTTP_ADDR": "8080"}, ["HTTP_ADDR"]),
        ({"LOG_LEVEL": "loud", "FLUSH_TIMEOUT": "0s"}, ["LOG_LEVEL", "FLUSH_TIMEOUT"]),
        ({"GIN_MODE": "fast"}, ["fast"]),
    ],
)
def test_bad_configuration_is_refused(
    binary: Path, variables: dict[str, str], named: list[str]
) -> None:
    done = run([binary], binary.parent, variables, ok=False, timeout=10)
    assert done.returncode
    for name in named:
        assert name in done.stdout


def test_missing_secrets_are_refused(store_binary: Path) -> None:
    done = run([store_binary], store_binary.parent, {"DATABASE_URL": ""}, ok=False, timeout=10)
    assert done.returncode
    assert "DATABASE_URL: required" in done.stdout
    assert "REDIS_URL: required" in done.stdout


# -- each checker of the running service rejects a fault -----------------------------------


def test_drain_check_rejects(mutable: Tree) -> None:
    source = mutable.main.read_text()
    mutable.main.write_text(source.replace("After(cfg.DrainDelay)", "After(0 * cfg.DrainDelay)"))
    with running(build(mutable)) as service:
        assert drained(service) != ""


def test_log_check_rejects() -> None:
    good = {
        "timestamp": "2026-11-23T10:00:00.000Z",
        "level": "INFO",
        "service": "s",
        "version": "v1",
        "traceId": "t",
        "message": "m",
    }
    assert faulty_lines([json.dumps(good)]) == []
    for fault in ["[GIN-debug] text", json.dumps(good | {"traceId": ""}), "[]"]:
        assert faulty_lines([fault]) == [fault]
    assert faulty_lines([json.dumps(good | {"message": "request"})])
    assert faulty_lines([json.dumps(good | {"timestamp": "2026-11-23T10:00:00+01:00"})])


def test_metric_check_rejects() -> None:
    assert metric_findings("# TYPE http_requests counter\nhttp_requests 1\n")
    assert metric_findings("http_requests{ 1\n")
