"""The rendered service against real stores: down, killed, back, migrated.

They are PostgreSQL, MariaDB in place of MySQL, which Debian does not have, and Redis.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from helpers import servers
from helpers.log_lines import faulty_lines
from helpers.servers import PASSWORD, SQL, Database, MariaDB, Postgres, Redis
from helpers.service import (
    RenderedTree,
    Service,
    build,
    eventually,
    go_as_in_the_image,
    rendered_tree,
    running,
    substitute_once,
)

KINDS: dict[str, type[SQL]] = {"postgres": Postgres, "mysql": MariaDB}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The database of the service."""
    return str(request.param)


@pytest.fixture(scope="module")
def tree(kind: str, tmp_path_factory: pytest.TempPathFactory) -> RenderedTree:
    return rendered_tree(tmp_path_factory.mktemp("stores"), datastores=[kind, "redis"])


@pytest.fixture(scope="module")
def binary(tree: RenderedTree) -> Path:
    return build(tree)


@pytest.fixture(scope="module")
def _server(kind: str) -> Iterator[SQL]:
    with servers.at_hand(KINDS[kind]) as server:
        yield server


@pytest.fixture
def server(_server: SQL) -> SQL:
    """The database's server, running whatever the test before did to it."""
    _server.start()
    return _server


@pytest.fixture(scope="module")
def _redis() -> Iterator[Redis]:
    with servers.at_hand(Redis) as server:
        yield server


@pytest.fixture
def redis(_redis: Redis) -> Redis:
    """Redis, running whatever the test before did to it."""
    _redis.start()
    return _redis


@pytest.fixture
def database(server: SQL) -> Database:
    return server.create()


# -- migrations ----------------------------------------------------------------------------

FIRST = "00001_greetings.sql"
SECOND = "00002_second.sql"

#: How long it takes, and whether it fails in the end, is up to each database.
STATEMENTS = {
    "postgres": """\
-- +goose Up
CREATE TABLE second (id int);
SELECT pg_sleep(current_setting('test.seconds')::float);
SELECT 1 / current_setting('test.divisor')::int;
""",
    # What a migration has done stays when it fails, so that the next attempt meets it.
    "mysql": """\
-- +goose Up
CREATE TABLE IF NOT EXISTS second (id int);
SELECT sleep((SELECT value FROM settings WHERE name = 'seconds'));
INSERT INTO second SELECT 1 / value FROM settings WHERE name = 'divisor';
""",
}


def with_second(folder: Path, kind: str) -> RenderedTree:
    """A render with one more migration."""
    tree = rendered_tree(folder, datastores=[kind, "redis"])
    tree.file(f"internal/{kind}/migrations/{SECOND}").write_text(STATEMENTS[kind])
    return tree


@pytest.fixture(scope="module")
def newer(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A binary with a second migration."""
    return build(with_second(tmp_path_factory.mktemp("newer"), kind))


@dataclass(frozen=True)
class Migration:
    """A run of `migrate` that has ended."""

    code: int
    log: list[dict[str, Any]]

    @property
    def applied(self) -> list[str]:
        return [line["migration"] for line in self.log if line["message"] == "migrated"]

    @property
    def error(self) -> str:
        assert self.code == 1, self.log
        assert self.log[-1]["message"] == "failed"
        return str(self.log[-1]["error"])


def started(binary: Path, url: str) -> subprocess.Popen[str]:
    """Run `migrate` as an init container does: with the database's address and no more."""
    return subprocess.Popen(
        [binary, "migrate"],
        env={"DATABASE_URL": url},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def ended(process: subprocess.Popen[str]) -> Migration:
    """Wait for its end; what it printed must be sound."""
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    lines = output.splitlines()
    assert faulty_lines(lines) == []
    assert PASSWORD not in output
    return Migration(process.returncode, [json.loads(line) for line in lines])


def migrate(binary: Path, url: str, at_once: int = 1) -> list[Migration]:
    """So many runs of `migrate` at once."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(ended, [started(binary, url) for _ in range(at_once)]))


def schema(database: Database) -> list[str]:
    """Every column of every table, and every version applied."""
    return database.ask(database.server.columns) + database.ask(database.server.versions)


def test_its_own_tests_pass_with_real_servers(
    tree: RenderedTree, server: SQL, redis: Redis
) -> None:
    urls = {"TEST_DATABASE_URL": server.url(server.admin), "TEST_REDIS_URL": redis.url}
    packages = [f"./internal/{server.kind}", "./internal/redis"]
    output = go_as_in_the_image(tree, "test", "-v", "-count=1", *packages, **urls)
    assert output.count("--- PASS") > 8
    assert "--- SKIP" not in output


def test_three_migrate_while_the_server_starts(
    binary: Path, server: SQL, database: Database
) -> None:
    server.kill()
    three = [started(binary, database.url) for _ in range(3)]
    time.sleep(1)
    assert [process.poll() for process in three] == [None, None, None]
    server.start()
    done = [ended(process) for process in three]
    assert [migration.code for migration in done] == [0, 0, 0]
    assert [name for migration in done for name in migration.applied] == [FIRST]
    for migration in done:
        assert migration.log[0]["message"] == "database cannot be reached"
        assert migration.log[-1]["message"] == "schema is up to date"

    before = schema(database)
    assert before[-2:] == ["0|t", "1|t"]
    [again] = migrate(binary, database.url)
    assert (again.code, again.applied) == (0, [])
    assert schema(database) == before


def test_one_migrates_while_the_others_wait(newer: Path, server: SQL) -> None:
    database = server.create(seconds=2, divisor=1)
    done = migrate(newer, database.url, at_once=3)
    assert [migration.code for migration in done] == [0, 0, 0]
    assert sorted(migration.applied for migration in done) == [[], [], [FIRST, SECOND]]


def test_without_the_lock_they_would_collide(tmp_path: Path, server: SQL) -> None:
    """The test above sees what three do that know nothing of each other."""
    tree = with_second(tmp_path, server.kind)
    source = tree.file(f"internal/{server.kind}/migrate.go")
    substitute_once(source, r", goose\.WithLocker\(locker\)", "")
    substitute_once(source, r"^\tlocker, err := ", "\t_, err = ")
    database = server.create(seconds=2, divisor=1)
    assert any(migration.code for migration in migrate(build(tree), database.url, at_once=3))


def test_a_failed_migration_is_done_again(binary: Path, newer: Path, server: SQL) -> None:
    database = server.create(seconds=0, divisor=0)
    [before] = migrate(binary, database.url)
    assert before.applied == [FIRST]
    first = schema(database)
    [failed] = migrate(newer, database.url)
    assert failed.applied == []
    assert "version:2" in failed.error
    assert re.search("[Dd]ivision by (zero|0)", failed.error)
    left = [line for line in schema(database) if line not in first]
    # MySQL has committed what changed the schema; neither counts the migration as applied.
    assert left == {"postgres": [], "mysql": ["second|id|int(11)"]}[server.kind]

    server.set(database.name, "divisor", 1)
    [mended] = migrate(newer, database.url)
    assert (mended.code, mended.applied) == (0, [SECOND])


def test_an_older_version_goes_on_with_a_newer_schema(
    binary: Path, newer: Path, server: SQL, redis: Redis
) -> None:
    database = server.create(seconds=0, divisor=1)
    migrate(newer, database.url)
    new = schema(database)
    assert new[-1] == "2|t"
    [back] = migrate(binary, database.url)
    assert (back.code, back.applied) == (0, [])
    assert schema(database) == new
    with running(binary, DATABASE_URL=database.url, REDIS_URL=redis.url) as service:
        service.wait(service.admin_port, "/ready", 200)


def test_a_killed_migration_is_done_by_the_next(newer: Path, server: SQL) -> None:
    database = server.create(seconds=2, divisor=1)
    first = started(newer, database.url)
    eventually("it migrates", database.sleepers)
    second = started(newer, database.url)
    first.kill()
    ended(first)
    assert ended(second).applied == [SECOND]
    assert schema(database)[-3:] == ["0|t", "1|t", "2|t"]


def test_a_migration_survives_its_server(newer: Path, server: SQL) -> None:
    database = server.create(seconds=2, divisor=1)
    process = started(newer, database.url)
    eventually("it migrates", database.sleepers)
    server.kill()
    assert "version:2" in ended(process).error
    server.start()
    assert database.has("second") == (server.kind == "mysql")
    [again] = migrate(newer, database.url)
    assert again.applied == [SECOND]


def test_sigterm_ends_a_migration(newer: Path, server: SQL) -> None:
    database = server.create(seconds=20, divisor=1)
    process = started(newer, database.url)
    eventually("it migrates", database.sleepers)
    process.terminate()
    assert "version:2" in ended(process).error
    if server.kind == "postgres":
        eventually("nothing sleeps", lambda: database.sleepers() == 0, 10)
        assert not database.has("second")
    else:
        # As the README says: it goes on at the server, which keeps what was done.
        assert database.sleepers() == 1
        assert database.has("second")


def test_a_wrong_password_is_told_at_once(binary: Path, database: Database) -> None:
    start = time.monotonic()
    [done] = migrate(binary, database.url.replace(PASSWORD, "wrong-password"))
    assert re.search("password authentication failed|Access denied", done.error)
    assert time.monotonic() - start < 5
    assert "wrong-password" not in json.dumps(done.log)


# -- the service ---------------------------------------------------------------------------


def health(service: Service) -> tuple[int, str, dict[str, str]]:
    """The health report: its code, its verdict, and the verdict on each store."""
    code, body = service.get(service.admin_port, "/health")
    leaks = ["127.0.0.1", "refused", "dial", "connect", "app", PASSWORD, "error", "timeout"]
    assert [word for word in leaks if word in body.lower()] == []
    report = json.loads(body)
    return code, report["status"], {n: d["status"] for n, d in report["details"].items()}


def becomes(
    kind: str, service: Service, ready: int, code: int, verdict: str, database: str, redis: str
) -> float:
    """Wait until probes and metrics tell this; return how long it took."""
    start = time.monotonic()
    told = (code, verdict, {kind: database, "redis": redis})

    def tells() -> bool:
        metrics = service.metrics()
        return (
            service.get(service.admin_port, "/ready")[0] == ready
            and health(service) == told
            and metrics.get(f'dependency_up{{name="{kind}"}}') == (database == "UP")
            and metrics.get('dependency_up{name="redis"}') == (redis == "UP")
        )

    eventually(f"{ready} {told}, last {health(service)}", tells, 45)
    # The process itself is well throughout, and so is what needs no store.
    assert service.get(service.admin_port, "/healthz")[0] == 200
    assert service.ask("/v1/greetings?limit=0").status == 400
    return time.monotonic() - start


ALL_UP = (200, 200, "UP", "UP", "UP")
ALL_DOWN = (503, 503, "DOWN", "DOWN", "DOWN")
NO_CACHE = (200, 200, "DEGRADED", "UP", "DOWN")
NO_DATABASE = (503, 503, "DOWN", "DOWN", "UP")


def test_stores_come_and_go(
    binary: Path,
    server: SQL,
    redis: Redis,
    database: Database,
    record_property: Callable[[str, object], None],
) -> None:
    urls = {"DATABASE_URL": database.url, "REDIS_URL": redis.url}
    redis.kill()
    server.kill()
    with running(binary, **urls, DRAIN_DELAY="100ms") as service:
        service.wait(service.admin_port, "/healthz", 200)
        becomes(server.kind, service, *ALL_DOWN)
        server.start()
        redis.start()
        took = {"up after a start without": becomes(server.kind, service, *ALL_UP)}

        redis.kill()
        took["cache killed"] = becomes(server.kind, service, *NO_CACHE)
        redis.start()
        took["cache back"] = becomes(server.kind, service, *ALL_UP)

        server.kill()
        took["database killed"] = becomes(server.kind, service, *NO_DATABASE)
        time.sleep(3)  # the wait between attempts grows
        server.start()
        took["database back"] = becomes(server.kind, service, *ALL_UP)

        redis.kill()
        server.kill()
        becomes(server.kind, service, *ALL_DOWN)
        # Its stores may be away when the service has to end.
        assert service.stop(15) == 0
    record_property("seconds", {what: round(seconds, 1) for what, seconds in took.items()})
    assert faulty_lines(service.lines) == []
    text = "".join(service.lines)
    assert PASSWORD not in text
    told = [line for line in service.log if "dependency" in line["message"]]
    assert {line["level"] for line in told} >= {"WARN", "INFO"}
    # A change is a line; a state that lasts is not one at each check.
    assert len(told) < 40


#: Asks the database all the time, from many goroutines: what no route of the example does.
HAMMER = """\\1
	for range 100 {
		go func() {
			for background.Err() == nil {
				_, _ = db.{}(background, "SELECT {}(0.05)")
			}
		}()
	}
"""


def connections(binary: Path, database: Database, redis: Redis, options: str = "") -> int:
    """The most connections that the service held in three seconds."""
    with running(binary, DATABASE_URL=database.url + options, REDIS_URL=redis.url) as service:
        service.wait(service.admin_port, "/ready", 200)
        deadline, most = time.monotonic() + 3, 0
        while time.monotonic() < deadline:
            most = max(most, database.connections())
        if database.server.kind == "mysql":
            # What database/sql knows of a pool that is too small: 90 wait all the time.
            assert service.metric('db_client_connections_wait_seconds_total{pool="mysql"}') > 10
    assert faulty_lines(service.lines) == []
    return most


def test_the_pool_keeps_its_limit(
    tmp_path: Path, server: SQL, redis: Redis, database: Database
) -> None:
    tree = rendered_tree(tmp_path, datastores=[server.kind, "redis"])
    asks = {"postgres": ("Exec", "pg_sleep"), "mysql": ("ExecContext", "sleep")}[server.kind]
    hammer = HAMMER.replace("{}", asks[0], 1).replace("{}", asks[1], 1)
    opened = rf"^(\tdb, err := {server.kind}\.Open\(.*\n.*\n.*\n\t\}}\n)"
    substitute_once(tree.main, opened, hammer)
    binary = build(tree)
    assert connections(binary, database, redis) == 10
    # What the URL says counts; and the check above would see a pool without a limit.
    assert connections(binary, server.create(), redis, "&pool_max_conns=30") == 30
