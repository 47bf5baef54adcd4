"""One cluster, and one service behind its pods, for all that need them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import service
from helpers.rendering import render
from helpers.service import RenderedTree, Service

from onrequest.cluster import Cluster, start
from onrequest.cluster.delivery import Delivery, delivery


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with start() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service of a default render."""
    return service.build(RenderedTree(render(tmp_path_factory.mktemp("service") / "project"), {}))


@pytest.fixture
def answering(cluster: Cluster, binary: Path) -> Iterator[Service]:
    """The service, at work behind every pod's port."""
    with service.running(binary, HTTP_ADDR=f"127.0.0.1:{cluster.pod}") as running:
        running.wait(cluster.pod, "/v1/greetings/smoke", 200)
        yield running


@pytest.fixture
def rolling(cluster: Cluster, tmp_path: Path) -> Iterator[Delivery]:
    with delivery(cluster, tmp_path / "myservice") as its:
        yield its
