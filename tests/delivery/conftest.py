"""What the tests of delivery share."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.rendering import render


@pytest.fixture(scope="session")
def registries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Render both pipelines for registries that come with a login, and for one that does not."""
    folder = tmp_path_factory.mktemp("registries")
    hosts = {
        "ghcr": "ghcr.io/acme",
        "gitlab": "registry.gitlab.com/acme/shop",
        "own": "registry.example.com:5000/team",
    }
    return {
        f"{ci}-{name}": render(folder / ci / name, ci=ci, registry=registry)
        for ci in ("github", "gitlab")
        for name, registry in hosts.items()
    }
