"""`make deploy` and `make rollback` of a render, against a real API server; run by `make test-cluster`."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest
from helpers.service import Service, eventually, substitute_once

from onrequest.cluster import BROKEN, Cluster
from onrequest.cluster.delivery import FIRST, SECOND, THIRD, Delivery, delivery

IMAGE = "ghcr.io/acme/myservice"


class Recorder:
    """What a function answers while something else happens, without repetitions."""

    def __init__(self, look: Callable[[], list[int]]) -> None:
        self._look, self._end, self.seen = look, threading.Event(), [look()]
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._end.wait(0.3):
            found = self._look()
            if found != self.seen[-1]:
                self.seen.append(found)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


@pytest.fixture
def blue_green(cluster: Cluster, tmp_path: Path) -> Iterator[Delivery]:
    with delivery(cluster, tmp_path / "myservice", rollout="blue-green") as its:
        yield its


class Prometheus(ThreadingHTTPServer):
    """Answers every query with one number."""

    number = 0.001


class Query(BaseHTTPRequestHandler):
    server: Prometheus

    def do_POST(self) -> None:
        result = [{"metric": {}, "value": [time.time(), str(self.server.number)]}]
        answer = {"status": "success", "data": {"resultType": "vector", "result": result}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    with Prometheus(("127.0.0.1", 0), Query) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


@pytest.fixture
def canary(cluster: Cluster, tmp_path: Path, prometheus: Prometheus) -> Iterator[Delivery]:
    answers = {"rollout": "canary", "host_name": "myservice.example.com"}
    with delivery(cluster, tmp_path / "myservice", **answers) as its:
        folder = its.project / "deploy" / "kubernetes" / "components" / "canary"
        rollout, analysis = folder / "rollout.yaml", folder / "analysis.yaml"
        rollout.write_text(rollout.read_text().replace("duration: 5m", "duration: 6s"))
        text = analysis.read_text().replace("initialDelay: 2m", "initialDelay: 1s")
        analysis.write_text(text.replace("interval: 1m", "interval: 1s"))
        substitute_once(
            analysis, "value: http://.*", f"value: http://127.0.0.1:{prometheus.server_port}"
        )
        yield its


@pytest.mark.usefixtures("answering")
def test_a_rollback_brings_the_version_before_and_notes_how_long_it_took(rolling: Delivery) -> None:
    for digest in (FIRST, SECOND, THIRD):
        done = rolling.deploy(digest)
        assert done.returncode == 0, done.stdout
        assert rolling.digests() == {digest}
    assert rolling.recoveries() == []
    for digest, before in ((THIRD, SECOND), (SECOND, FIRST)):
        done = rolling.rollback()
        assert done.returncode == 0, done.stdout
        assert rolling.digests() == {before}
        recovery = rolling.recoveries()[-1]
        assert recovery["environment"] == "prod"
        assert (recovery["from"], recovery["to"]) == (f"{IMAGE}@{digest}", f"{IMAGE}@{before}")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", recovery["time"])
        assert 0 < int(recovery["seconds"]) < 60
    assert len(rolling.recoveries()) == 2


@pytest.mark.usefixtures("answering")
def test_a_version_whose_pods_never_get_ready_is_taken_back(rolling: Delivery) -> None:
    assert rolling.deploy(FIRST).returncode == 0
    done = rolling.deploy(BROKEN)
    assert done.returncode != 0
    assert f"does not run {IMAGE}@{BROKEN}" in done.stdout
    assert rolling.digests() == {FIRST}
    (recovery,) = rolling.recoveries()
    assert (recovery["from"], recovery["to"]) == (f"{IMAGE}@{BROKEN}", f"{IMAGE}@{FIRST}")


@pytest.mark.usefixtures("answering")
def test_a_first_version_that_never_gets_ready_has_nothing_to_go_back_to(rolling: Delivery) -> None:
    done = rolling.deploy(BROKEN)
    assert done.returncode != 0
    assert rolling.recoveries() == []


def test_a_version_that_answers_no_request_is_taken_back(
    rolling: Delivery, answering: Service
) -> None:
    assert rolling.deploy(FIRST).returncode == 0
    answering.stop(60)
    assert rolling.deploy(SECOND).returncode != 0
    assert rolling.digests() == {FIRST}
    # The one before does not answer either: nothing has recovered.
    assert rolling.recoveries() == []


@pytest.mark.usefixtures("answering")
def test_a_canary_gets_5_percent_and_more_and_then_everything(canary: Delivery) -> None:
    assert canary.deploy(FIRST).returncode == 0
    eventually("the autoscaler's minimum", lambda: len(canary.endpoints()) == 3, 60)
    with Recorder(canary.weights) as weights:
        done = canary.deploy(SECOND)
        assert done.returncode == 0, done.stdout
    # [0, 100] lasts until the canary is called the stable one: less than a look takes.
    steps = [each for each in weights.seen if each != [0, 100]]
    assert steps == [[100, 0], [95, 5], [75, 25], [50, 50], [100, 0]]
    assert canary.digests() == {SECOND}
    done = canary.rollback()
    assert done.returncode == 0, done.stdout
    assert canary.digests() == {FIRST}
    assert canary.weights() == [100, 0]
    (recovery,) = canary.recoveries()
    assert (recovery["from"], recovery["to"]) == (f"{IMAGE}@{SECOND}", f"{IMAGE}@{FIRST}")


@pytest.mark.usefixtures("answering")
def test_a_canary_that_fails_its_analysis_is_taken_back(
    canary: Delivery, prometheus: Prometheus
) -> None:
    assert canary.deploy(FIRST).returncode == 0
    prometheus.number = 0.9
    with Recorder(canary.weights) as weights:
        done = canary.deploy(SECOND)
    assert done.returncode != 0
    assert max(canary for _, canary in weights.seen) == 5
    assert canary.digests() == {FIRST}
    assert canary.weights() == [100, 0]
    assert len(canary.recoveries()) == 1


@pytest.mark.usefixtures("answering")
def test_a_preview_takes_over_when_somebody_promotes_it_and_goes_back_at_once(
    blue_green: Delivery,
) -> None:
    assert blue_green.deploy(FIRST).returncode == 0
    done = blue_green.deploy(SECOND)
    assert done.returncode == 0, done.stdout
    assert "make promote ENV=prod" in done.stdout
    assert blue_green.digests() == {FIRST}
    assert blue_green.digests("myservice-preview") == {SECOND}
    done = blue_green.promote()
    assert done.returncode == 0, done.stdout
    assert blue_green.digests() == {SECOND}
    done = blue_green.rollback()
    assert done.returncode == 0, done.stdout
    assert blue_green.digests() == {FIRST}
    (recovery,) = blue_green.recoveries()
    assert (recovery["from"], recovery["to"]) == (f"{IMAGE}@{SECOND}", f"{IMAGE}@{FIRST}")


@pytest.mark.usefixtures("answering")
def test_a_preview_that_never_gets_ready_is_taken_back(blue_green: Delivery) -> None:
    assert blue_green.deploy(FIRST).returncode == 0
    assert blue_green.deploy(BROKEN).returncode != 0
    assert blue_green.digests() == {FIRST}
    assert len(blue_green.recoveries()) == 1
