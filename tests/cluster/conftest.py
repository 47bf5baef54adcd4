"""One cluster for all that needs one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster import Cluster, start


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with start() as cluster:
        yield cluster
