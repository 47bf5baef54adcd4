"""Real servers of Debian's packages, run as an unprivileged user on free ports of 127.0.0.1.

Debian has no MySQL: its MariaDB, which speaks the same protocol, stands in for it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from helpers.machine import need, run, unavailable
from helpers.service import eventually, free_port

S = TypeVar("S", bound="Server")

PASSWORD = "hunter2"  # noqa: S105


def postgres_programs() -> Path:
    """Return the folder of the newest PostgreSQL's programs; Debian keeps them off PATH."""
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    found = sorted(folders, key=lambda folder: int(folder.parent.name))
    if not found:
        unavailable("postgresql is not installed")
    return found[-1]


class Server:
    """A server that can be killed, and started again on the same port with its data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def start(self) -> None:
        """Start, unless it runs, and wait until connections are taken."""

        def up() -> bool:
            if self.process is None or self.process.poll() is not None:
                with (self.folder / "log").open("ab") as log:
                    # Its children of a former life may still hold the data for a moment.
                    self.process = subprocess.Popen(
                        self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                        cwd=self.folder, user=user(), group=user_group(), extra_groups=[],
                        start_new_session=True,
                    )  # fmt: skip
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self.process.poll() is None
            return False

        try:
            eventually(f"{self.command[0]} is up", up)
        except pytest.fail.Exception:
            log = (self.folder / "log").read_text()[-2000:]
            pytest.fail(f"{self.command[0]} does not start:\n{log}", pytrace=False)

    def kill(self) -> None:
        """End the server, and its children, as the kernel would."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
            time.sleep(0.1)


class SQL(Server):
    """A server with a user `app` and its databases."""

    #: The answer to `datastores`, which is also the package and the scheme of its URL.
    kind: str
    #: The database that is always there.
    admin: str
    #: What counts the statements that sleep, and the connections, of the database `{}`.
    asleep: str
    connected: str
    #: What lists the columns of a database, and the migrations.
    columns: str
    versions: str

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.count = 0

    def url(self, database: str) -> str:
        raise NotImplementedError

    def create(self, **settings: float) -> Database:
        """Create an empty database. Migrations of tests can ask for `settings`."""
        raise NotImplementedError

    def set(self, database: str, name: str, value: float) -> None:
        """Change a setting."""
        raise NotImplementedError

    def ask(self, database: str, query: str) -> list[str]:
        """The rows of an answer, a line each."""
        done = self._client(database, query)
        assert done.returncode == 0, done.stdout
        return done.stdout.replace("\t", "|").split("\n")[:-1]

    def start(self) -> None:
        super().start()
        eventually(
            f"{self.kind} answers", lambda: self._client(self.admin, "SELECT 1").returncode == 0
        )

    def _client(self, database: str, query: str) -> subprocess.CompletedProcess[str]:
        raise NotImplementedError


class Postgres(SQL):
    """PostgreSQL. Settings are asked for as test.<name>."""

    kind = admin = "postgres"
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event = 'PgSleep'"
    connected = "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'"
    columns = (
        "SELECT table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'public' ORDER BY 1, 2"
    )
    versions = "SELECT version_id, is_applied FROM goose_db_version ORDER BY id"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.programs = postgres_programs()
        (folder / "password").write_text(PASSWORD)
        give(folder)
        initialise(
            folder,
            *(self.programs / "initdb", "--pgdata", folder / "data", "--username=app"),
            *("--pwfile", folder / "password", "--auth=scram-sha-256", "--no-sync"),
            *("--encoding=UTF8", "--locale=C"),
        )

    @property
    def command(self) -> Sequence[str | Path]:
        return [
            *(self.programs / "postgres", "-D", self.folder / "data", "-p", str(self.port)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
            *("-c", "fsync=off", "-c", "max_connections=60"),
        ]

    def url(self, database: str) -> str:
        return f"postgres://app:{PASSWORD}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def create(self, **settings: float) -> Database:
        self.count += 1
        database = Database(self, f"app{self.count}")
        self.ask("postgres", f"CREATE DATABASE {database.name}")
        for name, value in settings.items():
            self.set(database.name, name, value)
        return database

    def set(self, database: str, name: str, value: float) -> None:
        self.ask("postgres", f"ALTER DATABASE {database} SET test.{name} = {value}")

    def _client(self, database: str, query: str) -> subprocess.CompletedProcess[str]:
        psql = (self.programs / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", query)
        return run([*psql, self.url(database)], self.folder, ok=False, timeout=30)


class MariaDB(SQL):
    """MariaDB, in place of MySQL. Settings are rows of the table `settings`."""

    kind = admin = "mysql"
    asleep = (
        "SELECT count(*) FROM information_schema.processlist "
        "WHERE db = '{}' AND state = 'User sleep'"
    )
    connected = "SELECT count(*) FROM information_schema.processlist WHERE db = '{}'"
    columns = (
        "SELECT table_name, column_name, column_type FROM information_schema.columns "
        "WHERE table_schema = database() AND table_name <> 'settings' ORDER BY 1, 2"
    )
    versions = "SELECT version_id, if(is_applied, 't', 'f') FROM goose_db_version ORDER BY id"

    def __init__(self, folder: Path) -> None:
        for program in ("mariadbd", "mariadb-install-db", "mariadb"):
            need(program)
        super().__init__(folder)
        give(folder)
        initialise(
            folder,
            *("mariadb-install-db", "--no-defaults", f"--datadir={folder / 'data'}"),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        )
        # A statement a line. Without names of hosts, the anonymous user of localhost is out.
        (folder / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS app@'%' IDENTIFIED BY '{PASSWORD}';\n"
            "GRANT ALL ON *.* TO app@'%';\n"
        )

    @property
    def command(self) -> Sequence[str | Path]:
        return [
            *("mariadbd", "--no-defaults", f"--datadir={self.folder / 'data'}"),
            *(f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve"),
            *(f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}"),
            *(f"--init-file={self.folder / 'init.sql'}", "--innodb-flush-log-at-trx-commit=0"),
            *("--innodb-buffer-pool-size=32M", "--max-connections=60"),
        ]

    def url(self, database: str) -> str:
        return f"mysql://app:{PASSWORD}@127.0.0.1:{self.port}/{database}?tls=false"

    def create(self, **settings: float) -> Database:
        self.count += 1
        database = Database(self, f"app{self.count}")
        self.ask(self.admin, f"CREATE DATABASE {database.name}")
        if settings:
            database.ask("CREATE TABLE settings (name varchar(20) PRIMARY KEY, value double)")
        for name, value in settings.items():
            self.set(database.name, name, value)
        return database

    def set(self, database: str, name: str, value: float) -> None:
        self.ask(database, f"REPLACE INTO settings VALUES ('{name}', {value})")

    def _client(self, database: str, query: str) -> subprocess.CompletedProcess[str]:
        client = ("mariadb", "--no-defaults", "--batch", "--skip-column-names", "--user=app")
        where = (f"--password={PASSWORD}", "--host=127.0.0.1", f"--port={self.port}", database)
        return run([*client, "-e", query, *where], self.folder, ok=False, timeout=30)


@dataclass(frozen=True)
class Database:
    """A database of a server."""

    server: SQL
    name: str

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def ask(self, query: str) -> list[str]:
        """The rows of an answer, a line each."""
        return self.server.ask(self.name, query)

    def has(self, table: str) -> bool:
        return any(line.startswith(f"{table}|") for line in self.ask(self.server.columns))

    def sleepers(self) -> int:
        """How many statements sleep."""
        [count] = self.server.ask(self.server.admin, self.server.asleep.format(self.name))
        return int(count)

    def connections(self) -> int:
        """How many connections there are to it."""
        [count] = self.server.ask(self.server.admin, self.server.connected.format(self.name))
        return int(count)


class Redis(Server):
    """Redis with a password."""

    def __init__(self, folder: Path) -> None:
        need("redis-server")
        super().__init__(folder)
        give(folder)

    @property
    def command(self) -> Sequence[str | Path]:
        return [
            *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--requirepass", PASSWORD, "--save", "", "--appendonly", "no"),
        ]

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"


def user() -> str | None:
    """Whom servers run as: PostgreSQL refuses root."""
    return "nobody" if os.geteuid() == 0 else None


def user_group() -> int | None:
    name = user()
    return pwd.getpwnam(name).pw_gid if name else None


def initialise(folder: Path, *command: str | Path) -> None:
    """Run the command that makes the data of a server in a folder, as the servers' user."""
    done = subprocess.run(
        command, cwd=folder, user=user(), group=user_group(), extra_groups=[],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.fail(f"{command[0]}: {done.stdout}{done.stderr}", pytrace=False)


def give(folder: Path) -> None:
    """Let the servers' user have a folder."""
    if name := user():
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, name)


@contextlib.contextmanager
def folder_of(name: str) -> Iterator[Path]:
    """A folder that the servers' user can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix=f"gindock-{name}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def at_hand(kind: type[S]) -> Iterator[S]:
    """A server of that kind, not started yet, and killed in the end."""
    with folder_of(kind.__name__.lower()) as folder:
        server = kind(folder)
        try:
            yield server
        finally:
            server.kill()
