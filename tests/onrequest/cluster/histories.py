"""What runs, what was applied and what the manifests say agree, whatever was delivered before.

Run by `make test-cluster`, against a real API server.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import releases
from helpers.machine import run
from helpers.service import substitute_once

from onrequest.cluster import BROKEN, Cluster
from onrequest.cluster.delivery import FIRST, SECOND, THIRD, Delivery, delivery

DEPLOYMENT = "base/deployment.yaml"
VARIABLE = "            - name: EXTRA\n              value: before\n"

pytestmark = pytest.mark.usefixtures("answering")


def succeeds(delivery: Delivery, digest: str) -> None:
    done = delivery.deploy(digest)
    assert done.returncode == 0, done.stdout
    assert delivery.digests() == {digest}


def change_port(delivery: Delivery) -> None:
    substitute_once(delivery.file(DEPLOYMENT), "containerPort: 8080", "containerPort: 8081")


def ports(delivery: Delivery) -> list[int]:
    (found,) = {
        tuple(port["containerPort"] for port in container["ports"])
        for container in delivery.containers()
    }
    return list(found)


def test_a_changed_port_arrives_after_a_version_that_failed_with_it(rolling: Delivery) -> None:
    succeeds(rolling, FIRST)
    change_port(rolling)
    assert rolling.deploy(BROKEN).returncode != 0
    assert ports(rolling) == [8080, 9090]
    for digest in (SECOND, THIRD):
        succeeds(rolling, digest)
        assert ports(rolling) == [8081, 9090]


def test_a_variable_goes_after_a_version_that_failed_without_it(rolling: Delivery) -> None:
    manifest = rolling.file(DEPLOYMENT)
    substitute_once(manifest, "^          env:\n", f"          env:\n{VARIABLE}")
    succeeds(rolling, FIRST)
    substitute_once(manifest, VARIABLE, "")
    assert rolling.deploy(BROKEN).returncode != 0
    assert all("EXTRA" in str(container) for container in rolling.containers())
    succeeds(rolling, SECOND)
    assert not any("EXTRA" in str(container) for container in rolling.containers())


def test_a_version_that_failed_leaves_no_object_of_its_own(rolling: Delivery) -> None:
    succeeds(rolling, FIRST)
    before = objects(rolling)
    overlay = rolling.file("overlays/prod")
    (overlay / "more.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more, namespace: myservice}\n---\n"
        "apiVersion: v1\nkind: PersistentVolumeClaim\n"
        "metadata: {name: data, namespace: myservice}\n"
        "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}\n"
    )
    substitute_once(
        overlay / "kustomization.yaml", "^  - ../../base$", "  - ../../base\n  - more.yaml"
    )
    substitute_once(rolling.file("base/kustomization.yaml"), "GRACE_PERIOD=60s", "GRACE_PERIOD=61s")
    assert rolling.deploy(BROKEN).returncode != 0
    # A claim may hold data by now.
    assert objects(rolling) == before | {"persistentvolumeclaim/data"}


def objects(delivery: Delivery) -> set[str]:
    kinds = "configmaps,services,serviceaccounts,networkpolicies,persistentvolumeclaims"
    found = delivery.cluster.kubectl(
        "get", kinds, "--namespace", delivery.name, "--output", "name"
    ).stdout
    return set(found.split())


def test_an_automatic_rollback_knows_that_it_worked_while_a_bad_pod_lingers(
    rolling: Delivery,
) -> None:
    succeeds(rolling, FIRST)
    for attempt in range(1, 5):
        done = rolling.deploy(BROKEN)
        assert done.returncode != 0
        assert f"runs {rolling.image}@{FIRST} again" in done.stdout, done.stdout
        assert len(rolling.recoveries()) == attempt
    succeeds(rolling, SECOND)
    assert rolling.rollback().returncode == 0
    assert rolling.digests() == {FIRST}


def test_the_same_version_is_judged_anew_after_its_deadline(rolling: Delivery) -> None:
    nodes = [node["metadata"]["name"] for node in rolling.cluster.get("nodes")]
    rolling.cluster.kubectl("cordon", *nodes)
    try:
        done = rolling.deploy(FIRST)
        assert done.returncode != 0
        assert "no progress for 15 s: of" in done.stdout
    finally:
        rolling.cluster.kubectl("uncordon", *nodes)
    succeeds(rolling, FIRST)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_rollback_goes_to_the_last_version_that_worked(
    number: signal.Signals, rolling: Delivery
) -> None:
    succeeds(rolling, FIRST)
    said = rolling.interrupt(BROKEN, number)
    if number != signal.SIGKILL:
        assert f"the cluster goes on to {rolling.image}@{BROKEN}" in said
        assert "make rollback ENV=prod" in said
    succeeds(rolling, THIRD)
    done = rolling.rollback()
    assert done.returncode == 0, done.stdout
    assert rolling.digests() == {FIRST}
    assert int(rolling.recoveries()[-1]["seconds"]) < 60


def test_a_rollback_from_a_delivery_that_was_interrupted(rolling: Delivery) -> None:
    succeeds(rolling, FIRST)
    rolling.interrupt(BROKEN, signal.SIGINT)
    done = rolling.rollback()
    assert done.returncode == 0, done.stdout
    assert rolling.digests() == {FIRST}
    done = rolling.rollback()
    assert done.returncode != 0
    assert "no other version is known to have worked" in done.stdout
    assert rolling.digests() == {FIRST}


def test_six_deliveries_leave_five_to_go_back_to(rolling: Delivery) -> None:
    digests = ["sha256:" + digit * 64 for digit in "123456"]
    for digest in digests:
        succeeds(rolling, digest)
    succeeds(rolling, digests[-1])  # Once more: nothing new to go back from.
    for digest in reversed(digests[1:-1]):
        assert rolling.rollback().returncode == 0
        assert rolling.digests() == {digest}
    assert rolling.rollback().returncode != 0


@pytest.fixture
def inherited(cluster: Cluster, tmp_path: Path) -> Iterator[Delivery]:
    """A service whose script is that of v0.6.0, and which was delivered by it."""
    with delivery(cluster, tmp_path / "myservice") as its:
        old = tmp_path / "old" / "myservice"
        registry = ("--registry", "ghcr.io/acme")
        run(
            [releases.installed("0.6.0") / "gindock", "new", old, "--defaults", *registry], tmp_path
        )
        script = its.project / "scripts" / "rollout.sh"
        shutil.copy(script, tmp_path)
        shutil.copy(old / "scripts" / "rollout.sh", script)
        succeeds(its, FIRST)
        yield its


def take_over(delivery: Delivery) -> None:
    """Let the project have the script of today."""
    name = "rollout.sh"
    shutil.copy(delivery.project.parent / name, delivery.project / "scripts" / name)


def test_what_an_older_script_delivered_is_gone_back_to(inherited: Delivery) -> None:
    take_over(inherited)
    change_port(inherited)
    assert inherited.deploy(BROKEN).returncode != 0
    assert inherited.digests() == {FIRST}
    assert ports(inherited) == [8080, 9090]
    succeeds(inherited, SECOND)
    assert inherited.rollback().returncode == 0
    assert inherited.digests() == {FIRST}


def test_what_an_older_script_spoiled_is_mended(inherited: Delivery) -> None:
    change_port(inherited)
    assert inherited.deploy(BROKEN).returncode != 0
    take_over(inherited)
    succeeds(inherited, SECOND)
    assert ports(inherited) == [8081, 9090]
