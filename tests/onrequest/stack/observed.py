"""Prometheus of the profile, in a container: what it scrapes, and keeps."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator

import pytest
from helpers.engine.compose import Stack, stack
from helpers.engine.docker import ask, eventually
from helpers.engine.images import ImageBuilds, replace_once
from helpers.rendering import render
from helpers.service import free_port


@pytest.fixture(scope="module")
def its(builds: ImageBuilds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The service, twice, and Prometheus; no other image of the profile can be had."""
    project = tmp_path_factory.mktemp("stack") / "observed"
    answers = {"service_name": "observed", "compose_profiles": ["observability"]}
    render(project, deploy=["compose"], **answers)
    profile = project / "deploy/compose/observability.yaml"
    found = re.search(r"^    image: (prom/prometheus:\S+)$", profile.read_text(), re.MULTILINE)
    assert found
    replace_once(profile, found[1], builds.base(found[1]).image)
    its = stack(builds, project, free_port())
    with (project / ".env").open("a") as settings:
        settings.write("COMPOSE_PROFILES=observability\n")
    try:
        its.up("--scale=app=2", "app", "prometheus")
        yield its
    finally:
        its.down()


def query(its: Stack, expression: str) -> dict[str, float]:
    """What Prometheus answers, by instance."""
    [prometheus] = its.containers("prometheus")
    path = f"/api/v1/query?query={urllib.parse.quote(expression)}"
    answer = json.loads(ask(prometheus.address("backend"), 9090, path).body)
    found = answer["data"]["result"]
    return {each["metric"]["instance"]: float(each["value"][1]) for each in found}


def test_each_replica_is_scraped(its: Stack) -> None:
    addresses = {replica.address("backend") for replica in its.containers("app")}
    assert len(addresses) == 2
    up = 'up{job="observed"} == 1'
    assert eventually(lambda: query(its, up).keys() == addresses, 60), query(its, "up")


def test_what_was_scraped_outlives_the_container(its: Stack) -> None:
    scrapes = 'count_over_time(up{job="observed"}[1h])'
    assert eventually(lambda: bool(query(its, scrapes)), 60)
    before = query(its, scrapes)
    its("rm", "--stop", "--force", "prometheus")
    its.up("--scale=app=2", "app", "prometheus")
    after = query(its, scrapes)
    assert before.keys() <= after.keys()
    assert all(after[instance] >= count for instance, count in before.items())
