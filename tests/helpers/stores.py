"""The data stores that a rendered service needs, as real servers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from helpers import servers
from helpers.machine import run
from helpers.servers import PASSWORD, MariaDB, Postgres, Redis, Server

#: The servers by the answers that ask for them.
KINDS: dict[str, type[Server]] = {"postgres": Postgres, "mysql": MariaDB, "redis": Redis}


class Stores:
    """Servers that are started when a service first needs them, and what it is told of them."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.stack = stack
        self.started: dict[str, Any] = {}

    def server(self, name: str) -> Any:
        """The server of that kind."""
        if name not in self.started:
            self.started[name] = self.stack.enter_context(servers.at_hand(KINDS[name]))
        self.started[name].start()
        return self.started[name]

    def urls(self, answers: Mapping[str, Any]) -> dict[str, str]:
        """The addresses for a service with these answers; what is there is new and empty."""
        urls = {}
        for name in answers.get("datastores", []):
            server = self.server(name)
            if name == "redis":
                login = {"REDISCLI_AUTH": PASSWORD}
                flushed = run(
                    ["redis-cli", "-p", str(server.port), "FLUSHALL"], server.folder, login
                )
                assert flushed.stdout == "OK\n"
                urls["REDIS_URL"] = server.url
            else:
                urls["DATABASE_URL"] = server.create().url
        return urls

    def ready(self, answers: Mapping[str, Any], binary: Path) -> dict[str, str]:
        """The same, with the schema of the service."""
        urls = self.urls(answers)
        if "DATABASE_URL" in urls:
            run([binary, "migrate"], binary.parent, urls)
        return urls

    def for_tests(self, answers: Mapping[str, Any]) -> dict[str, str]:
        """The addresses for the own tests of such a service, which make databases there."""
        return {f"TEST_{name}": url for name, url in self.urls(answers).items()}


@contextlib.contextmanager
def at_hand() -> Iterator[Stores]:
    """Servers that end with the block."""
    with contextlib.ExitStack() as stack:
        yield Stores(stack)
