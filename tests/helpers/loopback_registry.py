"""A registry on loopback: go-containerregistry's, with images that are put into it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.linters import locked
from helpers.machine import CACHE, need, run

SOURCE = Path(__file__).parent / "registry"
OCI = "application/vnd.oci.image"


@dataclass(frozen=True)
class Registry:
    """The address that lets anybody in, and the one that wants a token first."""

    open: str
    guarded: str

    def put(self, name: str, tag: str, *platforms: str, index: bool = True) -> None:
        """Put in an image for some platforms; for one only, it may be without an index."""
        entries = []
        for platform in platforms:
            os, _, architecture = platform.partition("/")
            config = self.blob(name, {"os": os, "architecture": architecture})
            manifest = {
                "schemaVersion": 2,
                "mediaType": f"{OCI}.manifest.v1+json",
                "config": {"mediaType": f"{OCI}.config.v1+json", **config},
                "layers": [],
            }
            entry = self.manifest(name, f"{tag}-{architecture}" if index else tag, manifest)
            entries.append({**entry, "platform": {"os": os, "architecture": architecture}})
        if index:
            media = f"{OCI}.index.v1+json"
            self.manifest(name, tag, {"schemaVersion": 2, "mediaType": media, "manifests": entries})

    def blob(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        """Put in a blob; return what a manifest says of it."""
        data, described = encoded(content)
        self.send("POST", f"/v2/{name}/blobs/uploads/?digest={described['digest']}", data)
        return described

    def manifest(self, name: str, tag: str, content: dict[str, Any]) -> dict[str, Any]:
        """Put in a manifest; return what an index says of it."""
        data, described = encoded(content)
        self.send("PUT", f"/v2/{name}/manifests/{tag}", data, content["mediaType"])
        return {"mediaType": content["mediaType"], **described}

    def send(self, method: str, path: str, data: bytes, type_: str = "") -> None:
        """Send a request that must succeed."""
        url = f"http://{self.open}{path}"
        headers = {"Content-Type": type_ or "application/octet-stream"}
        with urllib.request.urlopen(
            urllib.request.Request(url, data, headers, method=method), timeout=10
        ) as answer:
            assert answer.status == 201


def encoded(content: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Return a content as it is stored, and its digest and size."""
    data = json.dumps(content).encode()
    return data, {"digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}


@contextmanager
def registry() -> Iterator[Registry]:
    """Run a registry, empty at first."""
    with subprocess.Popen([built()], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield Registry(*process.stdout.readline().split())
        finally:
            process.kill()


def built() -> Path:
    """Build the registry, once for each state of its source."""
    need("go")
    sources: Sequence[Path] = sorted(SOURCE.iterdir())
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    binary = CACHE / "tools" / f"registry-{digest}"
    with locked("registry"):
        if not binary.exists():
            binary.parent.mkdir(parents=True, exist_ok=True)
            run(["go", "build", "-o", binary.with_suffix(".part"), "."], SOURCE)
            binary.with_suffix(".part").rename(binary)
    return binary
