"""A configuration file as Kubernetes or Compose mounts it, and the service's reloads of it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from helpers.service import (
    Service,
    eventually,
)


class Volume:
    """A ConfigMap's volume, written as the kubelet writes it: a link is swapped, no file is."""

    def __init__(self, folder: Path, name: str = "config.yaml") -> None:
        self.folder, self.name = folder, name
        self.count = 0
        folder.mkdir()

    @property
    def file(self) -> Path:
        return self.folder / self.name

    def write(self, text: str) -> None:
        self.count += 1
        before = self.folder / "..data"
        old = before.readlink() if before.is_symlink() else None
        new = self.folder / f"..2026_11_23_10_00_00.{self.count:09}"
        new.mkdir()
        (new / self.name).write_text(text)
        link = self.folder / "..data_tmp"
        link.symlink_to(new.name)
        link.rename(before)
        if old is None:
            self.file.symlink_to(f"..data/{self.name}")
        else:
            shutil.rmtree(self.folder / old)


class Directory:
    """A plain folder, bind-mounted by Compose say, in which an editor replaces the file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "config.yaml"
        folder.mkdir()

    def write(self, text: str) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.rename(self.file)


def reloads(service: Service, result: str) -> float:
    return service.metric(f'config_reloads_total{{result="{result}"}}')


@contextlib.contextmanager
def reloading(service: Service, result: str = "success") -> Iterator[None]:
    """Wait until what is done within has been reloaded, or refused."""
    before = reloads(service, result)
    yield
    eventually(f"a reload's {result}", lambda: reloads(service, result) > before)
