"""The installed command, run as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pyte

#: Where this environment's commands lie, whether or not it is activated.
SCRIPTS = Path(sys.executable).parent

WIDTH, HEIGHT = 120, 60


@dataclass(frozen=True)
class Outcome:
    """What a command left on the terminal."""

    code: int
    stdout: str
    stderr: str


def gindock(
    *arguments: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    scripts: Path = SCRIPTS,
    timeout: float = 120,
) -> Outcome:
    """Run `gindock` without a terminal in `cwd`; `timeout` is in seconds."""
    done = subprocess.run(
        [str(scripts / "gindock"), *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Outcome(done.returncode, done.stdout, done.stderr)


class Terminal:
    """`gindock` on a pseudo-terminal, with the screen that its user sees."""

    def __init__(
        self,
        *arguments: str,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        size: tuple[int, int] = (HEIGHT, WIDTH),
        scripts: Path = SCRIPTS,
    ) -> None:
        height, self._width = size
        self._screen = pyte.HistoryScreen(self._width, height, history=10_000)
        #: Everything that was printed, also what is on the screen no more.
        self.printed = ""
        self._stream = pyte.ByteStream(self._screen)
        self._child = pexpect.spawn(
            str(scripts / "gindock"),
            list(arguments),
            cwd=str(cwd),
            env={**os.environ, "TERM": "xterm-256color", **(env or {})},
            dimensions=size,
            timeout=60,
        )

    def __enter__(self) -> Terminal:
        """Start."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the command, whatever it is doing."""
        self._child.close(force=True)

    @property
    def screen(self) -> str:
        """What is to be seen, scrolled-off lines included."""
        above = [
            "".join(line[x].data for x in range(self._width)) for line in self._screen.history.top
        ]
        return "\n".join(row.rstrip() for row in [*above, *self._screen.display])

    def colours_of(self, text: str) -> set[str]:
        """In which colours `text` is to be seen."""
        rows = [
            *self._screen.history.top,
            *(self._screen.buffer[y] for y in range(self._screen.lines)),
        ]
        return {
            row[x].fg
            for row in rows
            if (at := "".join(row[x].data for x in range(self._width)).find(text)) >= 0
            for x in range(at, at + len(text))
        }

    def wait_for(self, text: str, *, times: int = 1) -> None:
        """Read until `text` is on the screen `times` times."""
        while self.screen.count(text) < times:
            try:
                self._read()
            except (pexpect.EOF, pexpect.TIMEOUT):
                break
        assert self.screen.count(text) >= times, f"{text!r} never came:\n{self.screen}"

    def answer(self, question: str, keys: str = "\r", *, times: int = 1) -> None:
        """Wait for `question` and type `keys`."""
        self.wait_for(question, times=times)
        # A prompt that is drawn listens; a screen at rest is drawn.
        self._settle()
        self._child.send(keys)

    def drawn(self) -> None:
        """Wait until a prompt is drawn: it asks where the cursor is."""
        asked = self.printed.count("\x1b[6n")
        while self.printed.count("\x1b[6n") == asked:
            self._read()

    def press(self, keys: str) -> None:
        """Type `keys`."""
        self._child.send(keys)

    def signal(self, number: int) -> None:
        """Send the command a signal."""
        self._child.kill(number)

    def give_way(self, niceness: int = 10) -> None:
        """Let the command wait for its test where the machine is busy."""
        os.setpriority(os.PRIO_PROCESS, int(self._child.pid or 0), niceness)

    def type_ahead(self, keys: str) -> None:
        """Type `keys` at this very moment, whatever the command is doing."""
        # Stopped meanwhile, so that it cannot have come to a question when they arrive.
        pid = int(self._child.pid or 0)
        os.kill(pid, signal.SIGSTOP)
        self._child.send(keys)
        os.kill(pid, signal.SIGCONT)
        with suppress(PermissionError):  # It need not wait any more; root may say so.
            self.give_way(0)

    def at_rest(self) -> str:
        """What is to be seen when nothing is printed any more."""
        self._settle()
        return self.screen

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._settle()
        self._child.sendintr()

    def exit_code(self) -> int:
        """Read on to the end, and return the exit code."""
        while True:
            try:
                self._read()
            except pexpect.EOF:
                break
        self._child.wait()
        if self._child.exitstatus is None:
            return -int(self._child.signalstatus or 0)
        return int(self._child.exitstatus)

    def _read(self, timeout: float = 30) -> None:
        data: Any = self._child.read_nonblocking(65536, timeout=timeout)
        self._stream.feed(data)
        self.printed += data.decode(errors="replace")
        # prompt_toolkit asks where the cursor is, and waits for the terminal's answer.
        if b"\x1b[6n" in data:
            self._child.send(f"\x1b[{self._screen.cursor.y + 1};{self._screen.cursor.x + 1}R")

    def _settle(self) -> None:
        while True:
            try:
                self._read(timeout=0.3)
            except pexpect.TIMEOUT:
                return
