"""The rendered settings of Kafka, on a real broker; run by `make test-stack`.

Broker and `KafkaDockerWrapper`, by which the image makes its settings, come from Maven Central.
The image's shell scripts, user and folders are not there.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from helpers.linters import locked
from helpers.machine import CACHE, need, run, unavailable
from helpers.rendering import render
from helpers.service import eventually, free_port

PINS = Path(__file__).parent / "kafka" / "pom.xml"


@pytest.fixture(scope="module")
def jars() -> str:
    """The class path of Kafka."""
    need("java", "mvn")
    [release] = re.findall(r"kafka_2.13</artifactId>\s*<version>(.*?)<", PINS.read_text())
    folder = CACHE / f"kafka-{release}"
    with locked("kafka"):
        if not (folder / ".complete").exists():
            command: list[str | Path] = ["mvn", "--quiet", "--batch-mode", "--file", PINS]
            done = run(
                [*command, "dependency:copy-dependencies", f"-DoutputDirectory={folder}"],
                PINS.parent,
                ok=False,
            )
            if done.returncode:
                unavailable(f"Maven could not fetch Kafka: {done.stdout[-500:]}")
            (folder / ".complete").touch()
    return f"{folder}/*"


class Broker:
    """Kafka with the settings of a render, but for addresses and the folder of its data."""

    def __init__(self, project: Path, folder: Path, jars: str) -> None:
        self.jars, self.folder, self.port = jars, folder, free_port()
        source = project / "deploy/compose/logging/kafka"
        self.mounted = folder / "mounted"
        shutil.copytree(source, self.mounted)
        settings = self.mounted / "server.properties"
        text = settings.read_text()
        for old, new in [
            ("PLAINTEXT://:9092", f"PLAINTEXT://127.0.0.1:{self.port}"),
            ("PLAINTEXT://kafka:9092", f"PLAINTEXT://127.0.0.1:{self.port}"),
            ("localhost:9093", f"localhost:{free_port()}"),
            ("/var/lib/kafka/data", str(folder / "data")),
        ]:
            assert old in text
            text = text.replace(old, new)
        settings.write_text(text)
        # In place of the image's own, which name more.
        for name in ("defaults", "final"):
            (folder / name).mkdir()
        for name in ("log4j2.yaml", "tools-log4j2.yaml"):
            shutil.copy(self.mounted / "log4j2.yaml", folder / "defaults" / name)

    def set_up(self) -> str:
        """What the image does at every start."""
        command = ["java", "-cp", self.jars, "kafka.docker.KafkaDockerWrapper", "setup"]
        options = {"default": "defaults", "mounted": "mounted", "final": "final"}
        where = [a for k, v in options.items() for a in (f"--{k}-configs-dir", self.folder / v)]
        cluster = {"CLUSTER_ID": "5L6g3nShT-eMCtK--X86sw"}
        return run([*command, *where], self.folder, cluster, ok=False).stdout

    @contextmanager
    def running(self, heap: str) -> Iterator[Path]:
        """Start it, and stop it as Compose does; yields what it prints."""
        log = self.folder / "log"
        final = self.folder / "final"
        command = ["java", *heap.split(), f"-Dlog4j2.configurationFile={final / 'log4j2.yaml'}"]
        command += ["-cp", self.jars, "kafka.Kafka", str(final / "server.properties")]
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
            try:
                eventually("the broker listens", self.listens, seconds=60)
                yield log
            finally:
                process.terminate()
                process.wait(60)

    def listens(self) -> bool:
        """As its health check asks."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def test_the_rendered_settings_start_a_broker_again_and_again(jars: str, tmp_path: Path) -> None:
    project = render(tmp_path / "project", deploy=["compose"], compose_profiles=["logging"])
    services = yaml.safe_load((project / "deploy/compose/logging.yaml").read_text())["services"]
    assert services["kafka"]["image"].rpartition(":")[2] in PINS.read_text()
    heap = services["kafka"]["environment"]["KAFKA_HEAP_OPTS"]
    (tmp_path / "broker").mkdir()
    broker = Broker(project, tmp_path / "broker", jars)
    assert "Formatting" in broker.set_up()
    with broker.running(heap) as log:
        eventually("it says so", lambda: "Kafka Server started" in log.read_text())
    identity = (broker.folder / "data/meta.properties").read_text()
    # The image takes this for a success, and nothing else.
    assert "already formatted" in broker.set_up()
    with broker.running(heap) as log:
        eventually("it says so", lambda: "Kafka Server started" in log.read_text())
    assert (broker.folder / "data/meta.properties").read_text() == identity
    # What it writes goes to standard output alone.
    assert not list(broker.folder.rglob("*.log.*"))
    assert not list((broker.folder).glob("logs"))
