"""One engine for all that needs one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.engine.images import ImageBuilds, opened


@pytest.fixture(scope="session")
def builds(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[ImageBuilds]:
    with opened(tmp_path_factory.mktemp("renders"), pytestconfig) as builds:
        yield builds
