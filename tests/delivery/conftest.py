"""What the tests of delivery share."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.rendering import render


@pytest.fixture(scope="session")
def registries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Render both pipelines for registries with and without a login, and for an example."""
    folder = tmp_path_factory.mktemp("registries")
    hosts = {
        "ghcr": "ghcr.io/acme",
        "gitlab": "registry.gitlab.com/acme/shop",
        "own": "registry.acme.dev:5000/team",
        "example": "registry.example.com:5000/team",
    }
    return {
        f"{ci}-{name}": render(folder / ci / name, ci=ci, registry=registry)
        for ci in ("github", "gitlab")
        for name, registry in hosts.items()
    }
