"""Locks on folders, which keep two runs apart."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from gindock.guard import lock_folder


def failing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the file system refuse every lock by the error `number`."""

    def flock(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


def test_a_folder_has_one_lock_at_a_time(tmp_path: Path) -> None:
    lock = lock_folder(tmp_path)
    assert lock is not None
    with pytest.raises(BlockingIOError):
        lock_folder(tmp_path)
    os.close(lock)
    again = lock_folder(tmp_path)
    assert again is not None
    os.close(again)


@pytest.mark.parametrize("name", ["ENOLCK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"])
def test_a_file_system_without_locks_is_none(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, getattr(errno, name))
    assert lock_folder(tmp_path) is None


def test_another_failure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        lock_folder(tmp_path)
