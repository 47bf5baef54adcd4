"""The service that most tests of this folder ask: the default, with routes of the tests' own.

What no route of the example can provoke, a panic say, is provoked by helpers/extra_routes, built
into a copy of the render; nothing else of the copy differs.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.service import RenderedTree, add_extra_routes, build, rendered_tree


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> RenderedTree:
    """The default render with the extra routes."""
    return add_extra_routes(rendered_tree(tmp_path_factory.mktemp("extended")))


@pytest.fixture(scope="session")
def binary(tree: RenderedTree) -> Path:
    """That service, built once."""
    return build(tree)


@pytest.fixture
def mutable(tree: RenderedTree, tmp_path: Path) -> RenderedTree:
    """A copy for a test to spoil: a check is shown a service that breaks its promise."""
    return RenderedTree(Path(shutil.copytree(tree.path, tmp_path / "project")), tree.answers)
