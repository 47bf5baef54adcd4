"""Images as buildah builds them, which is podman's builder, too: without a daemon."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helpers.engine.bases import CONFIGURATION, stand_in
from helpers.engine.images import tag
from helpers.machine import need, unavailable


@dataclass(frozen=True)
class Buildah:
    """buildah, with a place of its own for images and caches."""

    folder: Path

    def run(
        self, *arguments: str | Path, ok: bool = True, offline: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run the command; where `ok`, a failure shows its output."""
        storage = ("--storage-driver", "overlay", "--root", self.folder / "images")
        apart = ("unshare", "--net") if offline else ()
        done = subprocess.run(
            [*apart, "nice", "buildah", *storage, "--runroot", self.folder / "run", *arguments],
            # Cache mounts lie in the folder for temporary files.
            env={**os.environ, "TMPDIR": str(self.folder / "tmp")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        if ok and done.returncode:
            pytest.fail(f"{done.args} exited {done.returncode}\n{done.stdout}", pytrace=False)
        return done

    def base(self, reference: str) -> str:
        """The stand-in for a base image, made on first use."""
        kind = next(kind for kind in CONFIGURATION if kind in reference.rpartition(":")[0])
        image = f"localhost/stand-in/{kind}"
        if self.run("inspect", "--type=image", image, ok=False).returncode:
            root = stand_in(kind)
            settings = [*CONFIGURATION[kind]]
            if kind == "golang":
                # The machine's own choice of a module proxy, where it made one.
                names = [name for name in ("GOPROXY", "GOSUMDB") if name in os.environ]
                settings += [f"ENV {name}={os.environ[name]}" for name in names]
            recipe = self.folder / "Dockerfile"
            recipe.write_text("\n".join(("FROM scratch", f"ADD {root.name} /", *settings)))
            self.run("bud", "--quiet", "--file", recipe, "--tag", image, root.parent)
        return image

    def build(self, source: Path, *arguments: str, ok: bool = True, offline: bool = False) -> str:
        """Build a render as an image of its folder's name; return what the build printed."""
        text = (source / "Dockerfile").read_text()
        bases = re.findall(r"^ARG (GO_IMAGE|BASE_IMAGE)=(\S+)$", text, re.MULTILINE)
        given = [f"--build-arg={name}={self.base(value)}" for name, value in bases]
        # OCI's format has no health check. With chroot, no runtime is needed.
        options = ("--format=docker", "--isolation=chroot", f"--tag={tag(source)}")
        return self.run("bud", *options, *given, *arguments, source, ok=ok, offline=offline).stdout

    def config(self, source: Path) -> dict[str, Any]:
        """How the image of a render is run."""
        inspected = json.loads(self.run("inspect", "--type=image", tag(source)).stdout)
        config: dict[str, Any] = inspected["Docker"]["config"]
        return config

    def extract(self, source: Path, path: str) -> Path:
        """A copy of a file of the image."""
        container = self.run("from", tag(source)).stdout.split()[-1]
        try:
            root = Path(self.run("mount", container).stdout.strip())
            return Path(shutil.copy(root / path, self.folder / f"{source.name}-{Path(path).name}"))
        finally:
            self.run("rm", container)


@contextmanager
def opened(folder: Path) -> Iterator[Buildah]:
    """A place for images, empty at first and gone at the end."""
    need("buildah")
    if os.geteuid() != 0:
        unavailable("only root can build with buildah here")
    (folder / "tmp").mkdir(parents=True)
    buildah = Buildah(folder)
    try:
        buildah.base("golang:alpine")
        yield buildah
    finally:
        buildah.run("rmi", "--all", "--force", ok=False)
        shutil.rmtree(folder, ignore_errors=True)
