"""Base images: the real ones where a registry answers, else stand-ins made from packages.

A stand-in has the files and the configuration that a Dockerfile can tell apart: Debian's own
packages for distroless, a BusyBox for alpine, a Go of the same version on top of that for
golang, and Debian's own servers. It is made once, kept under the cache folder, and named as a stand-in wherever it is used.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from helpers.engine.docker import Engine
from helpers.machine import CACHE, unavailable
from helpers.rendering import version

RECIPES = Path(__file__).parent / "standins"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: What configures a stand-in as the image it stands for is.
CONFIGURATION: dict[str, tuple[str, ...]] = {
    "distroless": (
        "USER 65532",
        "WORKDIR /home/nonroot",
        f"ENV PATH={SYSTEM_PATH}",
        "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
    ),
    "alpine": ('CMD ["/bin/sh"]', f"ENV PATH={SYSTEM_PATH}"),
    "golang": (
        f"ENV PATH=/go/bin:/usr/local/go/bin:{SYSTEM_PATH}",
        "ENV GOTOOLCHAIN=local",
        "ENV GOPATH=/go",
        "WORKDIR /go",
    ),
    "postgres": ('ENTRYPOINT ["/usr/local/bin/postgres-entrypoint"]', "EXPOSE 5432"),
    "mysql": (
        'ENTRYPOINT ["/usr/local/bin/mysql-entrypoint"]',
        'CMD ["mariadbd"]',
        "EXPOSE 3306",
    ),
    "redis": ('CMD ["redis-server", "--protected-mode", "no"]', "WORKDIR /data", "EXPOSE 6379"),
    "nginx": (
        'ENTRYPOINT ["/docker-entrypoint.sh"]',
        'CMD ["nginx", "-g", "daemon off;"]',
        f"ENV PATH={SYSTEM_PATH}",
        "STOPSIGNAL SIGQUIT",
        "EXPOSE 80",
    ),
    "prometheus": (
        'ENTRYPOINT ["/bin/prometheus"]',
        'CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]',
        "USER 65534",
        "WORKDIR /prometheus",
        "EXPOSE 9090",
    ),
}

TOOLS = {
    "distroless": ("mmdebstrap", "apt-get"),
    "alpine": ("apt-get", "dpkg-source", "gcc", "make"),
    "golang": ("go",),
    "stores": ("mmdebstrap",),
    "nginx": ("mmdebstrap",),
    "prometheus": ("mmdebstrap",),
}


class Base(NamedTuple):
    """An image to build on, or to run beside."""

    image: str
    real: bool

    def __str__(self) -> str:
        """Name it, and say whether it is real."""
        return f"{self.image} ({'real' if self.real else 'stand-in'})"


@functools.cache
def base(engine: Engine, reference: str) -> Base:
    """The image that `reference` names, or a stand-in for it."""
    if engine.docker("image", "inspect", reference, ok=False).returncode == 0:
        return Base(reference, real=True)
    if engine.docker("pull", "--quiet", reference, ok=False).returncode == 0:
        return Base(reference, real=True)
    name = reference.rpartition(":")[0]
    kind = next((kind for kind in CONFIGURATION if kind in name), None)
    if kind is None:
        unavailable(f"no registry has {reference}, and there is no recipe to stand in for it")
        raise AssertionError
    root = stand_in(kind)
    image = f"stand-in/{root.stem.replace('stores', kind)}"
    if engine.docker("image", "inspect", image, ok=False).returncode != 0:
        settings = [*CONFIGURATION[kind]]
        if kind == "golang":
            # The machine's own choice of a module proxy, where it made one.
            settings += [
                f"ENV {v}={os.environ[v]}" for v in ("GOPROXY", "GOSUMDB") if v in os.environ
            ]
        # `docker import --change` knows no STOPSIGNAL.
        engine.docker("import", str(root), f"{image}:root")
        dockerfile = "\n".join((f"FROM {image}:root", *settings))
        engine.docker("build", "--quiet", f"--tag={image}", "-", stdin=dockerfile.encode())
    return Base(image, real=False)


def stand_in(kind: str) -> Path:
    """The root of a stand-in, as a tar file that is made on first use."""
    recipe = RECIPES / f"{'stores' if kind in ('mysql', 'postgres', 'redis') else kind}.sh"
    inputs: list[str | Path] = []
    if kind == "golang":
        inputs = [stand_in("alpine"), version("go_version")]
    known = [recipe.read_bytes(), platform.machine().encode(), *(str(i).encode() for i in inputs)]
    if kind in ("alpine", "golang") and CERTIFICATES.exists():
        known.append(CERTIFICATES.read_bytes())
    key = hashlib.sha256(b"\0".join(known)).hexdigest()[:12]
    root = CACHE / "standins" / f"{recipe.stem}-{key}.tar"
    root.parent.mkdir(parents=True, exist_ok=True)
    with (root.parent / f"{recipe.stem}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            make(recipe, root, inputs)
    return root


def make(recipe: Path, root: Path, inputs: Sequence[str | Path]) -> None:
    """Follow a recipe; an unfinished root is never taken for a finished one."""
    if os.geteuid() != 0:
        unavailable(f"no registry answers, and only root can make the {recipe.stem} stand-in")
    for tool in TOOLS[recipe.stem]:
        if shutil.which(tool) is None:
            unavailable(f"no registry answers, and {tool} is not installed to make a stand-in")
    part = root.with_suffix(".part")
    done = subprocess.run(
        [str(recipe), str(part), *(str(i) for i in inputs)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
        check=False,
    )
    if done.returncode:
        part.unlink(missing_ok=True)
        pytest.fail(f"{recipe.name} exited {done.returncode}\n{done.stdout}", pytrace=False)
    for old in root.parent.glob(f"{recipe.stem}-*.tar"):
        old.unlink()  # of an earlier recipe, or an earlier Go
    part.rename(root)
