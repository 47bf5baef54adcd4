"""What the tests of manifests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.rendering import render


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render both stores, with everything beside them, once."""
    return render(
        tmp_path_factory.mktemp("whole") / "myservice",
        deploy=["kubernetes", "compose"],
        datastores=["postgres", "redis"],
        host_name="shop.example.com",
        rollout="canary",
        secrets="vault",
        monitoring=True,
        log_collection="elasticsearch",
        auth=True,
    )
