"""The engine that this room builds and runs containers with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.engine.images import ImageBuilds, opened


@pytest.fixture(scope="module")
def builds(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[ImageBuilds]:
    """The engine, for a file, and a place for renders."""
    with opened(tmp_path_factory.mktemp("renders"), pytestconfig) as builds:
        yield builds
