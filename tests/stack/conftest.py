"""One engine for all that needs one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from engine.workshop import Workshop, opened


@pytest.fixture(scope="session")
def workshop(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Workshop]:
    with opened(tmp_path_factory.mktemp("renders"), pytestconfig) as workshop:
        yield workshop
