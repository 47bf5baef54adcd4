"""The service behind a real PgBouncer of Debian's that pools by transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers import servers
from helpers.log_lines import faulty_lines
from helpers.machine import need, run
from helpers.servers import PASSWORD, Database, Postgres, Server, folder_of, give
from helpers.service import build, rendered_tree, running

#: What the README says to add to the URL.
EXEC = "&default_query_exec_mode=exec"

CONFIG = """\
[databases]
* = host=127.0.0.1 port={postgres}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = scram-sha-256
auth_file = users
pool_mode = transaction
default_pool_size = 3
unix_socket_dir =
"""


class PgBouncer(Server):
    """PgBouncer before a PostgreSQL."""

    def __init__(self, folder: Path, postgres: Postgres) -> None:
        need("pgbouncer")
        super().__init__(folder)
        (folder / "pgbouncer.ini").write_text(CONFIG.format(port=self.port, postgres=postgres.port))
        (folder / "users").write_text(f'"app" "{PASSWORD}"\n')
        give(folder)

    @property
    def command(self) -> Sequence[str | Path]:
        return ["pgbouncer", "pgbouncer.ini"]

    def url(self, database: Database) -> str:
        """The address of a database of the PostgreSQL behind it."""
        return f"postgres://app:{PASSWORD}@127.0.0.1:{self.port}/{database.name}?sslmode=disable"


@contextlib.contextmanager
def bouncing() -> Iterator[tuple[Postgres, PgBouncer]]:
    with servers.at_hand(Postgres) as postgres, folder_of("pgbouncer") as folder:
        postgres.start()
        pgbouncer = PgBouncer(folder, postgres)
        try:
            pgbouncer.start()
            yield postgres, pgbouncer
        finally:
            pgbouncer.kill()


@pytest.fixture(scope="module")
def pooled() -> Iterator[tuple[Postgres, PgBouncer]]:
    with bouncing() as both:
        yield both


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(rendered_tree(tmp_path_factory.mktemp("pooled"), datastores=["postgres"]))


def failed(binary: Path, url: str) -> list[int]:
    """The answers that are no 200, of 200 requests by 8 clients."""
    with running(binary, DATABASE_URL=url) as service:
        service.wait(service.admin_port, "/healthz", 200)
        service.post('{"name":"Ada"}')
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(lambda _: service.greet().status, range(200)))
        assert service.stop(30) == 0
    assert faulty_lines(service.lines) == []
    return [status for status in answers if status != 200]


def test_it_serves_behind_a_pool_of_transactions(
    binary: Path, pooled: tuple[Postgres, PgBouncer]
) -> None:
    postgres, pgbouncer = pooled
    url = pgbouncer.url(postgres.create()) + EXEC
    with ThreadPoolExecutor(3) as pool:
        migrate: list[str | Path] = [binary, "migrate"]
        list(pool.map(lambda _: run(migrate, binary.parent, {"DATABASE_URL": url}), range(3)))
    assert failed(binary, url) == []


def test_prepared_statements_would_fail_there(
    binary: Path, pooled: tuple[Postgres, PgBouncer]
) -> None:
    """The check above sees what the URL without the parameter does."""
    postgres, pgbouncer = pooled
    database = postgres.create()
    run([binary, "migrate"], binary.parent, {"DATABASE_URL": database.url})
    assert len(failed(binary, pgbouncer.url(database))) > 20


def test_the_readme_names_the_parameter(tmp_path: Path) -> None:
    tree = rendered_tree(tmp_path, datastores=["postgres"])
    assert f"`{EXEC[1:]}`" in tree.file("README.md").read_text()
