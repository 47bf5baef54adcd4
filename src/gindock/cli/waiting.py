"""A spinner, for what takes longer than a moment."""

from __future__ import annotations

import threading

from rich.console import Console
from rich.status import Status

#: Seconds that pass before it is shown: between two questions it would only flicker.
_DELAY = 0.3


class Spinner:
    """A line that says, with a `message`, that gindock is at work; on standard output."""

    def __init__(self, message: str) -> None:
        self._message = message
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._shown: Status | None = None

    def start(self) -> None:
        """Show it soon, unless it is stopped before."""
        self.stop()
        timer = threading.Timer(_DELAY, lambda: self._show(timer))
        timer.daemon = True
        with self._lock:
            self._timer = timer
        timer.start()

    def stop(self) -> None:
        """Remove it; what is printed next begins where it was."""
        with self._lock:
            timer, shown = self._timer, self._shown
            self._timer = self._shown = None
            if timer:
                timer.cancel()
            if shown:
                shown.stop()

    def _show(self, timer: threading.Timer) -> None:
        with self._lock:
            if self._timer is timer:
                self._shown = Console().status(self._message)
                self._shown.start()
