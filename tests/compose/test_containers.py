"""Promises of the image, kept by a real engine.

Base images are the real ones where a registry answers, else stand-ins (tests/helpers/engine/bases.py);
which of them a run used is printed. Every checker is shown a render that it must refuse.
"""

from __future__ import annotations

import http.client
import re
import secrets
import shutil
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.engine import Container
from helpers.engine.additions import ADDED, GREETS, SECRETS, add_packages, add_secrets
from helpers.engine.compose import Stack, stack
from helpers.engine.compose_checks import (
    PROBLEM,
    SERVICES,
    check_addresses,
    check_hardened,
    check_hidden,
    check_published,
    logged,
)
from helpers.engine.docker import ask, eventually, get
from helpers.engine.image_checks import (
    ADMIN,
    HTTP,
    USER,
    Stores,
    check_api,
    check_configuration,
    check_dependencies,
    check_healthy,
    check_logs,
    check_rebuild,
    check_stop,
    check_user,
    compilation,
)
from helpers.engine.images import ImageBuilds, replace_once, tag
from helpers.machine import unavailable
from helpers.rendering import render
from helpers.service import free_port
from helpers.strict_umask import make_strict, make_up

LOCKED_DOWN = (
    *("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
    *("--memory=64m", "--memory-swap=64m", "--pids-limit=64"),
)
PUBLISHED = (f"--publish=127.0.0.1::{HTTP}", f"--publish=127.0.0.1::{ADMIN}")
# The image asks every 10 s, which is right for a service and slow for a test.
OFTEN = ("--health-interval=1s",)

#: What a render has beside its code.
NO_CODE = ("README.md", "Makefile", "deploy/kubernetes/base/service.yaml", "scripts/tags.sh")

NONE: tuple[str, ...] = ()
BOTH = ("postgres", "redis")
VARIANTS = [(base, stores) for base in ("distroless", "alpine") for stores in (NONE, BOTH)]
STORE_URLS = (
    "--env=DATABASE_URL=postgres://app:not-a-secret@postgres:5432/app?sslmode=disable",
    "--env=REDIS_URL=redis://redis:6379/0",
)


# ---------------------------------------------------------------------------
# The engine, the images, the stores
# ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stores(builds: ImageBuilds) -> Iterator[Stores]:
    """Both stores, running."""
    engine = builds.engine
    with (
        engine.network("gindock-test") as network,
        engine.run(
            builds.base("postgres:18-alpine").image,
            *(f"--network={network}", "--network-alias=postgres"),
            *("--env=POSTGRES_USER=app", "--env=POSTGRES_DB=app"),
            "--env=POSTGRES_PASSWORD=not-a-secret",
        ) as postgres,
        engine.run(
            builds.base("redis:8-alpine").image,
            *(f"--network={network}", "--network-alias=redis"),
        ) as redis,
    ):
        yield Stores(network, postgres, redis)


@contextmanager
def service(
    builds: ImageBuilds, image: str, *args: str, network: str | None = None
) -> Iterator[Container]:
    """The service, locked down, both ports published to this machine."""
    where = (f"--network={network}", *STORE_URLS) if network else ()
    if network:
        builds.engine.docker("run", "--rm", *where, image, "migrate")
    with builds.engine.run(image, *LOCKED_DOWN, *PUBLISHED, *where, *args) as container:
        yield container


# ---------------------------------------------------------------------------
# The promises
# ---------------------------------------------------------------------------

variants = pytest.mark.parametrize(
    ("base_image", "chosen"),
    VARIANTS,
    ids=[f"{base}-{'both' if stores else 'none'}" for base, stores in VARIANTS],
)


def network_of(chosen: tuple[str, ...], request: pytest.FixtureRequest) -> str | None:
    """The stores' network where the variant needs them; they are started by the first to ask."""
    if not chosen:
        return None
    stores: Stores = request.getfixturevalue("stores")
    return stores.network


def test_a_rebuild_uses_the_caches(builds: ImageBuilds) -> None:
    """An edit of one line compiles one package, and downloads nothing."""
    source = builds.source("distroless", NONE, "edited")
    dockerfile = (source / "Dockerfile").read_text()
    builds.build(source)
    replace_once(source / "internal/api/api.go", '"Hello, "', '"Welcome, "')
    second = builds.build(source)

    # The same edit without cache mounts shows what a build from nothing takes.
    uncached = re.sub(r" *--mount=type=cache\S+ \\\n", "", dockerfile)
    cold = builds.build(source, dockerfile=uncached)
    check_rebuild(cold, second)
    with pytest.raises(AssertionError):
        check_rebuild(cold, cold)


def test_modules_without_a_cache_are_noticed(builds: ImageBuilds) -> None:
    """What is not kept is downloaded after every edit."""
    source = builds.source("distroless", NONE, "mutant-modules")
    mount = r" *--mount=type=cache,target=/go/pkg/mod \\\n"
    text, count = re.subn(mount, "", (source / "Dockerfile").read_text())
    assert count == 1
    first = builds.build(source, dockerfile=text)
    replace_once(source / "internal/api/api.go", '"Hello, "', '"Ave, "')
    with pytest.raises(AssertionError, match="downloaded again"):
        check_rebuild(first, builds.build(source, dockerfile=text))


def test_what_a_team_adds_is_built(builds: ImageBuilds) -> None:
    """Packages in folders of their own, and embedded files; what is no code compiles nothing."""
    source = builds.source("distroless", NONE, "added")
    add_packages(source)
    builds.build(source)
    with service(builds, tag(source)) as container:
        assert container.answers(HTTP, "/v1/greetings/Ada"), container.output()
        assert GREETS in container.get(HTTP, "/v1/greetings/Ada").body

    for name in (*NO_CODE, "internal/api/api_test.go"):
        with (source / name).open("a") as file:
            file.write("\n")
    assert compilation(builds.build(source)) == 0
    with (source / "web/pages/index.html").open("a") as page:
        page.write("\n")
    assert compilation(builds.build(source)) > 0


def test_secrets_are_not_sent(builds: ImageBuilds) -> None:
    """Of what is no code, and of hidden files wherever they lie, the builder sees nothing."""
    source = builds.source("distroless", NONE, "secrets")
    add_packages(source)
    add_secrets(source)
    sent = sent_to(builds, source)
    assert {*ADDED, "go.mod", "go.sum", "internal/api/api.go"} <= sent
    assert sent & {*SECRETS, *NO_CODE} == set()
    assert not any("/." in f"/{name}" for name in sent)

    (source / ".dockerignore").write_text("")
    assert {*SECRETS, *NO_CODE} <= sent_to(builds, source)


def sent_to(builds: ImageBuilds, source: Path) -> set[str]:
    """The files of a render that its builder gets."""
    builds.engine.build(source, tag(source), dockerfile='FROM scratch\nCOPY . /sent\nCMD ["none"]')
    target = builds.folder / "sent.tar"
    with builds.engine.run(tag(source)) as container:
        builds.engine.docker("export", f"--output={target}", container.id)
    with tarfile.open(target) as tar:
        names = [member.name for member in tar if member.isfile()]
    return {name.removeprefix("sent/") for name in names if name.startswith("sent/")}


@variants
def test_the_image_is_configured(
    builds: ImageBuilds, base_image: str, chosen: tuple[str, ...]
) -> None:
    """User, signal, entry point, health check, ports and labels are in the image."""
    check_configuration(builds.engine, builds.image(base_image, chosen))


@variants
def test_it_runs_locked_down(
    builds: ImageBuilds,
    request: pytest.FixtureRequest,
    base_image: str,
    chosen: tuple[str, ...],
) -> None:
    """Read-only, without capabilities, as 65532, within 64 MB: it is healthy and serves."""
    image, network = builds.image(base_image, chosen), network_of(chosen, request)
    # One variant waits for the image's own interval.
    often = NONE if (base_image, chosen) == VARIANTS[0] else OFTEN
    with service(builds, image, *often, network=network) as container:
        check_healthy(container)
        check_user(container)
        check_api(container)
        check_logs(container)
        assert container.execute("/app", "healthcheck") == 0
        assert container.execute("/app", "version") == 0
        version = container.get(ADMIN, "/version").json()
        assert (version["version"], version["revision"]) == ("v1.2.3", "0123abc")
        assert container.state["OOMKilled"] is False


@variants
def test_it_drains_and_exits_0(
    builds: ImageBuilds,
    request: pytest.FixtureRequest,
    base_image: str,
    chosen: tuple[str, ...],
) -> None:
    """`docker stop` loses no request; once with the delay that the manifests give."""
    image, network = builds.image(base_image, chosen), network_of(chosen, request)
    delay, within = (10, 60) if (base_image, chosen) == VARIANTS[0] else (3, 30)
    args = (f"--env=DRAIN_DELAY={delay}s", f"--env=GRACE_PERIOD={within}s")
    with service(builds, image, *args, network=network) as container:
        check_stop(container, within=within, drain=delay)
        check_logs(container)


def test_a_request_on_its_way_is_answered(builds: ImageBuilds) -> None:
    """A plain `docker stop` of a plain `docker run` waits for it: no connection is cut."""
    source = builds.source("distroless", NONE, "slow")
    replace_once(
        source / "internal/api/api.go",
        '\tv1.GET("/greetings/:name", getGreeting)\n',
        '\tv1.GET("/greetings/:name", getGreeting)\n'
        '\tv1.GET("/slow", func(c *gin.Context) { time.Sleep(4 * time.Second); c.Status(204) })\n',
    )
    replace_once(source / "internal/api/api.go", '\t"net/http"\n', '\t"net/http"\n\t"time"\n')
    builds.build(source)
    with service(builds, tag(source)) as container:
        assert container.answers(HTTP, "/v1/greetings/Ada"), container.output()
        statuses: list[int] = []
        asking = threading.Thread(
            target=lambda: statuses.append(container.get(HTTP, "/v1/slow").status)
        )
        asking.start()
        time.sleep(1)
        builds.engine.docker("stop", container.id)
        asking.join()
        assert statuses == [204]
        assert container.state["ExitCode"] == 0


@pytest.mark.parametrize("base_image", ["distroless", "alpine"])
def test_only_alpine_has_a_shell(builds: ImageBuilds, base_image: str) -> None:
    """Distroless holds nothing to run but the service."""
    image = builds.image(base_image, NONE)
    with builds.engine.run(image, "--entrypoint=/bin/sh", command=("-c", "exit 0")) as container:
        eventually(lambda: container.state["Status"] != "running", 10)
        assert (container.state["ExitCode"] == 0) is (base_image == "alpine")


def test_distroless_holds_one_program(builds: ImageBuilds) -> None:
    """Of all files in the image, the only program is the service."""
    engine = builds.engine
    with engine.run(builds.image("distroless", NONE)) as container:
        target = builds.folder / "image.tar"
        engine.docker("export", f"--output={target}", container.id)
    with tarfile.open(target) as tar:
        files = [(m.name, tar.extractfile(m)) for m in tar if m.isfile()]
        programs = [name for name, file in files if file and file.read(4) == b"\x7fELF"]
    assert programs == ["app"]


@pytest.mark.parametrize(
    ("chosen", "path", "status"),
    [(NONE, "/v1/greetings/Ada", 200), (("postgres",), "/v1/greetings?limit=0", 400)],
    ids=["none", "postgres"],
)
def test_the_articles_command_works(
    builds: ImageBuilds, chosen: tuple[str, ...], path: str, status: int
) -> None:
    """Without a database behind it, too, the service starts and serves what needs none."""
    image = builds.image("distroless", chosen)
    if port_taken(HTTP):
        unavailable(f"port {HTTP} of this machine is taken")
    url = "postgres://user:pass@prod-db:5432/app"
    with builds.engine.run(
        image, "-e", "GIN_MODE=release", "-e", f"DATABASE_URL={url}", "-p", "8080:8080"
    ) as container:
        answers = eventually(lambda: get(HTTP, path).status == status, 15)
        assert answers, container.output()
        check_logs(container)
        assert "pass@" not in container.output()
        if not chosen:
            check_healthy(container)


def port_taken(port: int) -> bool:
    """Whether something on this machine listens there."""
    try:
        get(port, "/", timeout=2)
    except ConnectionRefusedError:
        return False
    except (OSError, http.client.HTTPException):
        return True
    return True


@pytest.mark.parametrize("base_image", ["distroless", "alpine"])
def test_readiness_follows_the_stores(builds: ImageBuilds, stores: Stores, base_image: str) -> None:
    """PostgreSQL and Redis go and come back; the service says so, and is never restarted."""
    image = builds.image(base_image, BOTH)
    with service(builds, image, network=stores.network) as container:
        check_dependencies(container, stores)


def test_a_missing_url_is_named(builds: ImageBuilds) -> None:
    """A service without its database's URL refuses to start, and says what is missing."""
    with builds.engine.run(builds.image("distroless", BOTH)) as container:
        assert eventually(lambda: container.state["Status"] == "exited", 10)
        assert container.state["ExitCode"] == 1
        assert "DATABASE_URL" in container.output()
        assert "REDIS_URL" in container.output()


# ---------------------------------------------------------------------------
# Compose
# ---------------------------------------------------------------------------


def test_compose_brings_everything_up(builds: ImageBuilds, tmp_path: Path) -> None:
    """From a fresh clone, all is healthy, the API answers, and the service stops in time."""
    if port_taken(HTTP):
        unavailable(f"port {HTTP} of this machine is taken")
    # Of somebody whose umask is 077: the containers' users could not read a file.
    project = make_strict(render(tmp_path / "compose-none", deploy=["compose"]))
    its = stack(builds, project)
    make_up(project)
    try:
        its.up()
        assert its.compose.state(its.project) == {"nginx": "healthy", "app": "healthy"}
        assert its.ask("/v1/greetings/Ada").json() == {"message": "Hello, Ada!"}
        started = time.monotonic()
        its("stop", "app")
        assert time.monotonic() - started < 30
        [app] = its.containers("app")
        assert app.state["ExitCode"] == 0, app.output()
        # Nothing is behind nginx any more: it says so as the service would.
        answer = its.ask("/v1/greetings/Ada")
        assert answer.status in (502, 504)
        assert answer.headers["content-type"] == PROBLEM
        assert answer.json()["status"] == answer.status
    finally:
        its.down()


def test_compose_brings_mysql_up(builds: ImageBuilds, tmp_path: Path) -> None:
    """The database is initialised, migrated and healthy, confined as the others, and keeps its data.

    Without the real image, Debian's MariaDB stands in for MySQL.
    """
    project = render(tmp_path / "compose-mysql", deploy=["compose"], datastores=["mysql"])
    its = stack(builds, project, free_port())
    try:
        its.up()
        assert its.compose.state(its.project)["mysql"] == "healthy"
        assert its.ask("/v1/greetings", "POST", b'{"name":"Ada"}').status == 201
        its("stop", "mysql")
        its("up", "--detach", "--wait")
        assert its.ask("/v1/greetings/Ada").json()["message"] == "Hello, Ada!"
        [mysql] = its.containers("mysql")
        password = (project / ".secrets/mysql_password").read_text()
        assert password not in mysql.output()
    finally:
        its.down()


@pytest.fixture(scope="module")
def whole(builds: ImageBuilds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything that Compose can bring up without a profile."""
    project = tmp_path_factory.mktemp("stack") / "compose-both"
    render(project, deploy=["compose"], datastores=list(BOTH), tracing=True)
    its = stack(builds, project, free_port())
    try:
        its.up()
        assert its.ask("/v1/greetings", "POST", b'{"name":"Ada"}').status == 201
        yield its
    finally:
        its.down()


@pytest.fixture(scope="module")
def neighbour(whole: Stack) -> Iterator[Container]:
    """Somebody whom nginx sees under an address of its own, with curl."""
    [nginx] = whole.containers("nginx")
    network = next(iter(nginx.inspect()["NetworkSettings"]["Networks"]))
    image = nginx.inspect()["Config"]["Image"]
    where = (f"--network={network}", "--entrypoint=sleep")
    with whole.compose.engine.run(image, *where, command=("600",)) as container:
        yield container


def test_the_stores_and_their_schema_come_first(whole: Stack) -> None:
    """The service starts on a database that is migrated, and is ready."""
    state = whole.compose.state(whole.project)
    assert state.pop("migrate") == "exited"
    assert state == dict.fromkeys(set(SERVICES) - {"migrate"}, "healthy")
    assert "00001_greetings.sql" in whole("logs", "migrate")
    [app] = whole.containers("app")
    assert ask(app.address("edge"), ADMIN, "/health").json()["status"] == "UP"
    assert whole.ask("/v1/greetings/Ada").json()["message"] == "Hello, Ada!"


def test_only_nginx_publishes_a_port(whole: Stack, tmp_path: Path) -> None:
    """A service that publishes one would be reached past nginx."""
    check_published(whole)
    old = "    networks:\n      # What others call it"
    new = f"    ports: [127.0.0.1::{HTTP}]\n{old}"
    with created(whole, tmp_path, old, new) as wrong, pytest.raises(AssertionError, match="app"):
        check_published(wrong)


def test_every_container_is_hardened(whole: Stack, tmp_path: Path) -> None:
    """Of each container, the engine says what it may do and take."""
    check_hardened(whole)
    for old, found in (
        ("    memswap_limit: 512m\n", "postgres"),
        ("  read_only: true\n", "nginx"),
        ("  pids_limit: 128\n", "nginx"),
    ):
        with (
            created(whole, tmp_path, old, "") as wrong,
            pytest.raises(AssertionError, match=found),
        ):
            check_hardened(wrong)


@contextmanager
def created(its: Stack, folder: Path, old: str, new: str) -> Iterator[Stack]:
    """The stack with something else in its compose.yaml, its containers made and not started."""
    project = folder / "wrong"
    shutil.copytree(its.project, project)
    replace_once(project / "compose.yaml", old, new)
    with (project / ".env").open("a") as settings:
        settings.write("COMPOSE_PROJECT_NAME=wrong\n")
    wrong = Stack(its.compose, project, its.port)
    try:
        wrong("create", "--no-build")
        yield wrong
    finally:
        wrong.down()
        shutil.rmtree(project)


def test_probes_and_metrics_are_not_reached_from_outside(whole: Stack) -> None:
    """Whatever the path looks like; an nginx that leads to the admin port is noticed."""
    check_hidden(whole)
    with (
        whole.nginx_with("        location ~ ^/(metrics|", "        location ~ ^/(none|"),
        whole.nginx_with(f"server myservice:{HTTP} resolve", f"server myservice:{ADMIN} resolve"),
        pytest.raises(AssertionError, match="/metrics"),
    ):
        check_hidden(whole)


def test_nobody_forges_an_address(whole: Stack, neighbour: Container) -> None:
    """An nginx that appends to what clients claim is noticed."""
    check_addresses(whole, neighbour)
    old, new = "X-Forwarded-For $remote_addr", "X-Forwarded-For $proxy_add_x_forwarded_for"
    with whole.nginx_with(old, new), pytest.raises(AssertionError, match=r"203\.0\.113\.2"):
        check_addresses(whole, neighbour)


def test_a_request_is_found_in_both_logs(whole: Stack) -> None:
    """By its request id and its trace id, in lines of the same fields."""
    trace = secrets.token_hex(16)
    parent = f"00-{trace}-{secrets.token_hex(8)}-01"
    id = f"a.Client-{trace}_1"
    answer = whole.ask("/v1/greetings/Ada?x=1", X_Request_ID=id, traceparent=parent)
    assert answer.headers["x-request-id"] == id
    [outer], [inner] = logged(whole, "nginx", id), logged(whole, "app", id)
    assert outer["traceId"] == inner["traceId"] == trace
    assert outer.keys() == {
        *("timestamp", "level", "service", "traceId", "requestId", "message", "method", "path"),
        *("status", "durationMs", "clientIp", "upstream", "upstreamStatus"),
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", outer["timestamp"])
    for field in ("message", "method", "status", "level"):
        assert outer[field] == inner[field], field
    assert outer["path"] == "/v1/greetings/Ada"
    assert isinstance(outer["durationMs"], int)

    answer = whole.ask("/v1/greetings/Ada", X_Request_ID='no "id"', traceparent="nonsense")
    id = answer.headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", id)
    [outer], [inner] = logged(whole, "nginx", id), logged(whole, "app", id)
    assert outer["traceId"] == ""
    assert inner["traceId"]


def test_a_body_too_large_is_refused_at_the_edge(whole: Stack) -> None:
    """One byte over the limit is a problem of nginx's, the limit itself the service's business."""
    answer = whole.ask("/v1/greetings", "POST", b" " * (2**20 + 1), X_Request_ID="too-large")
    assert (answer.status, answer.headers["content-type"]) == (413, PROBLEM)
    assert answer.json() == {"type": "about:blank", "title": "Content Too Large", "status": 413}
    [line] = logged(whole, "nginx", "too-large")
    assert (line["status"], line["upstream"]) == (413, "")
    name = b'{"name":"Grace"}'
    assert whole.ask("/v1/greetings", "POST", name.rjust(2**20)).status == 201


def test_an_edit_of_the_configuration_reloads_the_service(whole: Stack) -> None:
    """The folder is mounted: what an editor writes is in effect, and nothing was restarted."""
    [app] = whole.containers("app")
    started = app.state["StartedAt"]
    replace_once(whole.project / "config/development.yaml", "log_level: debug", "log_level: info")

    def reloaded() -> bool:
        return any(line["message"] == "configuration reloaded" for line in whole.lines("app"))

    assert eventually(reloaded, 10), app.output()
    assert app.state["StartedAt"] == started


# ---------------------------------------------------------------------------
# What the checkers must refuse
# ---------------------------------------------------------------------------


def test_a_root_user_is_refused(builds: ImageBuilds) -> None:
    """The Dockerfile without its USER."""
    image = builds.mutant("alpine", "root", "Dockerfile", f"USER {USER}\n", "")
    with pytest.raises(AssertionError):
        check_configuration(builds.engine, image)
    with service(builds, image) as container, pytest.raises(AssertionError):
        check_user(container)


def test_a_wrong_port_is_refused(builds: ImageBuilds) -> None:
    """The admin listener on a port that nobody asks."""
    main = "cmd/myservice/main.go"
    old, new = '"tcp", cfg.AdminAddr)', '"tcp", ":9999")'
    image = builds.mutant("distroless", "port", main, old, new)
    patience = ("--health-retries=1", "--health-start-period=1s")
    with service(builds, image, *OFTEN, *patience) as container:
        assert eventually(lambda: container.state["Health"]["Status"] == "unhealthy", 30)
        assert container.execute("/app", "healthcheck") == 1
        with pytest.raises(AssertionError):
            check_api(container)


def test_a_wrong_file_is_refused(builds: ImageBuilds) -> None:
    """What cannot be executed does not start."""
    old, new = (
        "COPY --from=build /app /app",
        "COPY --from=build --chmod=755 /usr/local/go/VERSION /app",
    )
    image = builds.mutant("distroless", "file", "Dockerfile", old, new)
    with service(builds, image) as container, pytest.raises(AssertionError):
        check_user(container)


def test_a_deaf_service_is_refused(builds: ImageBuilds) -> None:
    """A shell as first process keeps SIGTERM to itself."""
    image = builds.mutant(
        "alpine", "shell", "Dockerfile", 'ENTRYPOINT ["/app"]', "ENTRYPOINT /app & wait"
    )
    with service(builds, image) as container, pytest.raises(AssertionError):
        check_stop(container, within=5, drain=2)


def test_a_sudden_stop_is_refused(builds: ImageBuilds) -> None:
    """A service that shuts down without draining turns requests away."""
    main = "cmd/myservice/main.go"
    image = builds.mutant(
        "distroless", "sudden", main, "time.After(cfg.DrainDelay)", "time.After(0)"
    )
    with service(builds, image) as container, pytest.raises(AssertionError):
        check_stop(container, within=15, drain=3)


def test_text_in_the_log_is_refused(builds: ImageBuilds) -> None:
    """One line that is not JSON."""
    main = "cmd/myservice/main.go"
    old = "\thttpserver.SetUpGin(log)\n"
    image = builds.mutant("distroless", "text", main, old, old + '\tfmt.Println("hello")\n')
    with service(builds, image, *OFTEN) as container:
        check_healthy(container)
        with pytest.raises(AssertionError, match="not JSON: hello"):
            check_logs(container)


def test_a_careless_readiness_is_refused(builds: ImageBuilds, stores: Stores) -> None:
    """A service that calls itself ready without its database."""
    source = builds.source("distroless", BOTH, "mutant-careless")
    replace_once(source / "cmd/myservice/main.go", "Critical: true, ", "")
    builds.build(source)
    with (
        service(builds, tag(source), network=stores.network) as container,
        pytest.raises(AssertionError),
    ):
        check_dependencies(container, stores)
