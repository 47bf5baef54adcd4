"""What fails in the stack, and what its clients lose by it; each row of the table is a promise."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import service
from helpers.engine import Container
from helpers.engine.compose import Stack, stack
from helpers.engine.docker import ask
from helpers.engine.images import ImageBuilds, replace_once
from helpers.rendering import render
from helpers.service import RenderedTree, free_port

from onrequest.stack import Load, Table, admin, load, metric, seconds_until, served, wrk

STORES = {"datastores": ["postgres", "redis"]}


@pytest.fixture(scope="module")
def table(builds: ImageBuilds, request: pytest.FixtureRequest) -> Iterator[Table]:
    """The table, written once every test has added its rows."""
    table = Table()
    yield table
    if not request.session.testsfailed and len(table.rows) >= ROWS:
        table.write(builds, {"nginx", "postgres", "redis"})


#: How many rows make the table whole.
ROWS = 19


def replicas(builds: ImageBuilds, project: Path, **answers: object) -> Iterator[Stack]:
    """A render with stores and two replicas, as it is brought up, and gone at the end."""
    render(project, deploy=["compose"], tracing=True, **STORES, **answers)
    yield from brought_up(builds, project)


def brought_up(builds: ImageBuilds, project: Path) -> Iterator[Stack]:
    """Two replicas of a render, gone at the end."""
    its = stack(builds, project, free_port())
    try:
        its.up("--scale=app=2")
        yield its
    finally:
        its.down()


@pytest.fixture(scope="module")
def its(builds: ImageBuilds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    yield from replicas(builds, tmp_path_factory.mktemp("stack") / "failures")


@pytest.fixture(autouse=True)
def _whole(request: pytest.FixtureRequest) -> None:
    """Each test begins with two replicas that are ready and are asked."""
    if "its" in request.fixturenames:
        its: Stack = request.getfixturevalue("its")
        its.up("--scale=app=2", "--no-recreate")
        both = its.containers("app")
        assert len(both) == 2
        for replica in both:
            seconds_until("a replica is ready", lambda r=replica: admin(r, "/ready")[0] == 200)
        time.sleep(1.5)  # what nginx asks Docker is valid for a second


def none_lost(made: Load) -> None:
    assert made.lost == {}, "\n".join(made.errors)


def only_posts(made: Load) -> None:
    """What was under way and must not be done twice; the rest the other replica has answered."""
    assert not [kind for kind in made.lost if not kind.startswith("POST 50")], made.lost
    assert sum(made.lost.values()) <= 16, made.lost


def crash(container: Container) -> None:
    """End its process as the kernel would: `docker kill` would count as wanted."""
    os.kill(container.state["Pid"], signal.SIGKILL)


def health(replicas: list[Container], status: str) -> bool:
    """Whether all replicas report that health."""
    return all(f'"status":"{status}",' in admin(replica, "/health")[1] for replica in replicas)


def grows(replica: Container) -> bool:
    """Whether requests reach it at present."""
    before = served(replica)
    time.sleep(0.2)
    return served(replica) > before


def test_both_replicas_are_asked(its: Stack, table: Table) -> None:
    rate = wrk(its)
    before = [served(replica) for replica in its.containers("app")]
    with load(its) as made:
        time.sleep(10)
    shares = [served(r) - b for r, b in zip(its.containers("app"), before, strict=True)]
    none_lost(made)
    assert sum(shares) == made.requests
    assert min(shares) > 0.4 * made.requests
    each = " and ".join(f"{share:.0f}" for share in shares)
    table.add("nothing", made, None, f"{each} to each replica; wrk, unhindered: {rate}/s")


def test_a_third_replica_is_found(its: Stack, table: Table) -> None:
    [nginx] = its.containers("nginx")
    started = nginx.state["StartedAt"]
    with load(its) as made:
        its("up", "--detach", "--no-build", "--no-recreate", "--scale=app=3", "app")
        third = its.containers("app")[-1]
        took = seconds_until("it is asked", lambda: grows(third))
    none_lost(made)
    assert nginx.state["StartedAt"] == started
    table.add(
        "a third replica is started", made, None, f"asked {took:.1f} s later; nginx untouched"
    )
    with load(its) as made:
        its("up", "--detach", "--no-build", "--no-recreate", "--scale=app=2", "app")
    none_lost(made)
    assert len(its.containers("app")) == 2
    table.add("and taken away", made, None, "it drains for 10 s, as in every stop")


def test_a_stop_loses_nothing(its: Stack, table: Table) -> None:
    first, second = its.containers("app")
    with load(its) as made:
        its.compose.engine.docker("stop", first.id)
        assert first.state["ExitCode"] == 0
        time.sleep(3)
        assert grows(second)
        its.compose.engine.docker("start", first.id)
        took = seconds_until("it is asked again", lambda: grows(first))
    none_lost(made)
    table.add("`docker stop` of a replica, and start", made, took, "exit code 0; asked again")


def test_a_crash_loses_only_what_was_under_way(its: Stack, table: Table) -> None:
    first, _ = its.containers("app")
    with load(its) as made:
        crash(first)
        took = seconds_until("it is asked again", lambda: grows(first))
    only_posts(made)
    assert first.inspect()["RestartCount"] > 0
    table.add("SIGKILL to a replica", made, took, "restarted by Docker; no GET is lost")


def test_replicas_are_replaced_one_by_one(its: Stack, table: Table) -> None:
    former = {replica.id for replica in its.containers("app")}
    with load(its) as made:
        began = time.monotonic()
        its("run", "--rm", "migrate")
        for replica in its.containers("app"):
            its(
                *("up", "--detach", "--no-deps", "--no-build", "--no-recreate"),
                *("--scale=app=3", "--wait", "app"),
            )
            its.compose.engine.docker("stop", replica.id)
            its.compose.engine.docker("rm", replica.id)
        took = time.monotonic() - began
    none_lost(made)
    assert not former & {replica.id for replica in its.containers("app")}
    table.add("both replicas replaced, a new one first", made, None, f"took {took:.0f} s")


def test_replicas_are_restarted_one_by_one(its: Stack, table: Table) -> None:
    with load(its) as made:
        for replica in its.containers("app"):
            its.compose.engine.docker("restart", replica.id)
            seconds_until("it is asked again", lambda r=replica: grows(r))
    none_lost(made)
    table.add("`docker restart` of one after the other", made, None, "each asked before the next")


def test_compose_replaces_all_replicas_at_once(its: Stack, table: Table) -> None:
    with load(its) as made:
        began = time.monotonic()
        its.up("--scale=app=2", "--force-recreate", "--no-deps", "app")
        took = time.monotonic() - began
    assert made.lost
    assert made.outage < 15
    seen = f"took {took:.0f} s: Compose stops all before it starts any"
    table.add("`docker compose up` with something new", made, made.outage, seen)


def test_a_reload_of_nginx_loses_nothing(its: Stack, table: Table) -> None:
    with load(its) as made:
        for _ in range(5):
            its.reload()
            time.sleep(1)
    none_lost(made)
    table.add("nginx is reloaded five times", made, None, "idle connections are kept for 5 s")


def test_the_service_waits_for_its_database(its: Stack, table: Table) -> None:
    [postgres] = its.containers("postgres")
    both = its.containers("app")
    with load(its) as made:
        its.compose.engine.docker("kill", postgres.id)
        gone = seconds_until("not ready", lambda: all(admin(r, "/ready")[0] == 503 for r in both))
        status, text = admin(both[0], "/health")
        assert status == 503
        assert '"DOWN"' in text
        assert admin(both[0], "/healthz")[0] == 200
        its.compose.engine.docker("start", postgres.id)
        took = seconds_until("ready", lambda: all(admin(r, "/ready")[0] == 200 for r in both))
    none_lost(made)
    assert all(replica.inspect()["RestartCount"] == 0 for replica in both)
    seen = f"not ready after {gone:.1f} s, health DOWN, alive; no restart"
    table.add("Postgres is killed, and started", made, took, seen)


def test_the_service_does_without_its_cache(its: Stack, table: Table) -> None:
    [redis] = its.containers("redis")
    both = its.containers("app")

    with load(its) as made:
        its.compose.engine.docker("kill", redis.id)
        gone = seconds_until("degraded", lambda: health(both, "DEGRADED"))
        assert {admin(replica, "/ready")[0] for replica in both} == {200}
        its.compose.engine.docker("start", redis.id)
        took = seconds_until("up", lambda: health(both, "UP"))
    none_lost(made)
    seen = f"health DEGRADED after {gone:.1f} s, ready all the while"
    table.add("Redis is killed, and started", made, took, seen)


def test_crashed_stores_come_back_by_themselves(its: Stack, table: Table) -> None:
    stores = [*its.containers("postgres"), *its.containers("redis")]
    both = its.containers("app")
    with load(its) as made:
        before = [store.inspect()["RestartCount"] for store in stores]
        for store in stores:
            crash(store)
        began = time.monotonic()
        for store, count in zip(stores, before, strict=True):
            seconds_until("restarted", lambda s=store, c=count: s.inspect()["RestartCount"] > c)
        for store in stores:
            assert store.healthy(60)
        took = time.monotonic() - began
        seconds_until("the service uses them", lambda: health(both, "UP"))
    none_lost(made)
    table.add("SIGKILL to Postgres and Redis", made, took, "restarted by Docker")


def test_an_edit_of_the_configuration_is_followed(its: Stack, table: Table) -> None:
    path = its.project / "config" / "development.yaml"
    both = its.containers("app")

    def reloads(result: str) -> list[float]:
        return [metric(replica, f'config_reloads_total{{result="{result}"}}') for replica in both]

    before = reloads("success")
    with load(its) as made:
        replace_once(path, "log_level: debug", "log_level: info")
        took = seconds_until(
            "reloaded", lambda: all(a > b for a, b in zip(reloads("success"), before, strict=True))
        )
    none_lost(made)
    table.add("the configuration is edited", made, took, "both replicas reload it")

    before, good = reloads("failure"), path.read_text()
    with load(its) as made:
        path.write_text("log_level: loud\n")
        took = seconds_until(
            "refused", lambda: all(a > b for a, b in zip(reloads("failure"), before, strict=True))
        )
        path.write_text(good)
    none_lost(made)
    said = "configuration refused, the old one stays"
    assert sum(line["message"] == said for line in its.lines("app")) >= 2
    seen = f"refused after {took:.1f} s, logged and counted; the old one stays"
    table.add("a mistake is written into it", made, None, seen)


@pytest.fixture(scope="module")
def extra_routes(builds: ImageBuilds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose service has routes that use memory."""
    project = tmp_path_factory.mktemp("stack") / "extra"
    answers = {"deploy": ["compose"], "service_name": "extra"}
    service.add_extra_routes(RenderedTree(render(project, **answers), answers))
    yield from brought_up(builds, project)


def test_garbage_does_not_exhaust_the_memory(extra_routes: Stack, table: Table) -> None:
    both = extra_routes.containers("app")
    with (
        load(extra_routes) as made,
        load(extra_routes, "-get=/extra/garbage/4096", "-rate=200", "-answer=4194304") as other,
    ):
        time.sleep(10)
    none_lost(made)
    none_lost(other)
    peak = max(memory_peak(replica) for replica in both)
    assert peak <= 128
    assert not any(replica.inspect()["RestartCount"] for replica in both)
    garbage = other.requests * 0.75 * 4 / 1024
    seen = f"{garbage:.1f} GiB of garbage beside it; at most {peak:.0f} of 128 MiB used"
    table.add("garbage fills the memory", made, None, seen)


def memory_peak(container: Container) -> float:
    """The most memory that its process had, in MiB."""
    status = Path(f"/proc/{container.state['Pid']}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def test_a_replica_that_takes_too_much_is_ended_and_restarted(
    extra_routes: Stack, table: Table
) -> None:
    first, _ = extra_routes.containers("app")
    with load(extra_routes) as made:
        with pytest.raises(OSError):
            ask(first.address("edge"), 8080, "/extra/hold/256")
        took = seconds_until("it is asked again", lambda: grows(first))
    only_posts(made)
    assert first.inspect()["RestartCount"] == 1
    seen = "OOM-killed and restarted by Docker; no GET is lost"
    table.add("a replica exceeds its memory", made, took, seen)


def test_a_request_that_kills_is_tried_twice(extra_routes: Stack, table: Table) -> None:
    both = extra_routes.containers("app")
    counts = [replica.inspect()["RestartCount"] for replica in both]
    with load(extra_routes) as made:
        answer = extra_routes.ask("/extra/hold/256")
        for replica in both:
            seconds_until("it is asked again", lambda r=replica: grows(r))
    assert answer.status == 502
    more = [replica.inspect()["RestartCount"] - c for replica, c in zip(both, counts, strict=True)]
    assert more == [1, 1]
    assert made.outage < 30
    seen = "nginx hands it to the second replica, which it ends as well"
    table.add("a GET that ends whoever answers it", made, made.outage, seen)


def test_data_outlive_the_containers(its: Stack, table: Table) -> None:
    def psql(statement: str) -> str:
        psql = "PGPASSWORD=$(cat /run/secrets/postgres_password) psql -h 127.0.0.1 -U app -Atc"
        return its("exec", "--no-TTY", "postgres", "sh", "-c", f'{psql} "{statement}" app').strip()

    def redis(command: str) -> str:
        auth = "REDISCLI_AUTH=$(sed -n 's/^requirepass //p' /run/secrets/redis.conf)"
        return its("exec", "--no-TTY", "redis", "sh", "-c", f"{auth} redis-cli {command}").strip()

    psql("CREATE TABLE kept (word text)")
    psql("INSERT INTO kept VALUES ('here')")
    redis("set kept here")
    with load(its) as made:
        its("restart")
        seconds_until("it answers", lambda: its.ask("/v1/greetings/Ada").status == 200)
    assert (psql("SELECT word FROM kept"), redis("get kept")) == ("here", "here")
    table.add("`docker compose restart`", made, made.outage, "the data are there")
    with load(its) as made:
        its("down")
        its.up("--scale=app=2")
    assert (psql("SELECT word FROM kept"), redis("get kept")) == ("here", "here")
    table.add("`docker compose down`, and up", made, made.outage, "the data are there")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("proxy_next_upstream error timeout;", "proxy_next_upstream off;"),
    ],
    ids=["no next upstream"],
)
def test_a_worse_nginx_loses_requests(its: Stack, old: str, new: str) -> None:
    """The count can fail."""
    first, _ = its.containers("app")
    with its.nginx_with(old, new), load(its) as made:
        its.compose.engine.docker("stop", first.id)
    with pytest.raises(AssertionError):
        none_lost(made)
