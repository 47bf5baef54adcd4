"""`make dev`: what is edited runs, what does not compile is said, and Ctrl-C ends it all."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pexpect
import pytest
from helpers.engine.docker import eventually, get
from helpers.machine import need, run
from helpers.rendering import build_flags
from helpers.service import RenderedTree, free_port, rendered_tree, substitute_once

API, CONFIG = "internal/api/api.go", "deploy/kubernetes/overlays/dev/config.yaml"


class Dev:
    """`make dev` at a terminal."""

    def __init__(self, tree: RenderedTree) -> None:
        self.tree = tree
        self.port, admin = free_port(), free_port()
        self.terminal = pexpect.spawn(
            "make",
            ["dev"],
            cwd=str(tree.path),
            env={
                **os.environ,
                "HTTP_ADDR": f"127.0.0.1:{self.port}",
                "ADMIN_ADDR": f"127.0.0.1:{admin}",
                "DRAIN_DELAY": "0s",
            },
            encoding="utf-8",
            timeout=30,
        )
        self.said = ""

    def read(self) -> str:
        """All that it has said so far."""
        with suppress(pexpect.TIMEOUT):
            while True:
                self.said += self.terminal.read_nonblocking(65536, timeout=0.1)
        return self.said

    def answers(self, text: str, seconds: float = 60) -> bool:
        """Whether the route comes to answer so."""

        def asked() -> bool:
            self.read()
            return text in get(self.port, "/v1/greetings/Ada").body

        return eventually(asked, seconds)

    def says(self, pattern: str, seconds: float = 60) -> bool:
        """Whether it comes to say so."""
        return eventually(lambda: bool(re.search(pattern, self.read())), seconds)

    def edit(self, old: str, new: str) -> None:
        """Change the handler."""
        self.said = ""
        substitute_once(self.tree.file(API), re.escape(old), new)

    def processes(self) -> list[str]:
        """What runs in the folder of the render."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if self.tree.path == (process / "cwd").readlink():
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found


@contextmanager
def started(tree: RenderedTree) -> Iterator[Dev]:
    """It runs, and serves; what a test has left is killed."""
    dev = Dev(tree)
    try:
        # The first time on a machine, air itself is compiled.
        assert dev.answers("Hello, Ada!", 300), dev.read()
        yield dev
    finally:
        dev.terminal.close(force=True)


@pytest.fixture
def tree(tmp_path: Path) -> RenderedTree:
    need("go", "make")
    return rendered_tree(tmp_path)


def test_what_is_edited_runs(tree: RenderedTree) -> None:
    with started(tree) as dev:
        # Built as the image is.
        tags = build_flags(tree.path)[1]
        assert f"-tags={tags}" in run(["go", "version", "-m", ".air/app"], tree.path).stdout

        dev.edit('"Hello, "', '"Welcome, "')
        assert dev.answers("Welcome, Ada!"), dev.read()

        dev.edit('"Welcome, "', '"Ahoy, " + nothing')
        assert dev.says("undefined: nothing"), dev.read()
        with pytest.raises(ConnectionRefusedError):
            get(dev.port, "/v1/greetings/Ada")
        dev.edit('"Ahoy, " + nothing', '"Ahoy, "')
        assert dev.answers("Ahoy, Ada!"), dev.read()

        # What is read at the start takes effect, too.
        dev.said = ""
        with tree.file(CONFIG).open("a") as settings:
            settings.write("shutdown_timeout: 6s\n")
        assert dev.says("SHUTDOWN_TIMEOUT.{1,5}6s"), dev.read()
        assert dev.answers("Ahoy, Ada!"), dev.read()


def test_what_is_no_part_of_it_starts_nothing(tree: RenderedTree) -> None:
    with started(tree) as dev:
        dev.said = ""
        for name in (
            "README.md",
            "internal/api/api_test.go",
            "deploy/kubernetes/base/service.yaml",
        ):
            with tree.file(name).open("a") as file:
                file.write("\n")
        time.sleep(3)  # It waits one second, for other edits.
        assert "building" not in dev.read()


def test_ctrl_c_ends_it_all(tree: RenderedTree) -> None:
    with started(tree) as dev:
        assert any(".air/app" in command for command in dev.processes())
        dev.terminal.sendintr()
        dev.terminal.expect(pexpect.EOF)
        assert eventually(lambda: dev.processes() == [], 5), dev.processes()
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", dev.port))
    assert not tree.file(".air").exists()
    assert "/.air/" in tree.file(".gitignore").read_text().splitlines()
