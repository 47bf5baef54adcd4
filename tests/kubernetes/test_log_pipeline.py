"""The log pipeline of Compose: that its parts fit each other, and lose and repeat nothing by design.

Nothing runs here: no package registry has Fluent Bit or Kibana. What ran once is in docs/.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.fluent_bit import paths, undocumented
from helpers.linters import Command, mutate, python_tool, rejects
from helpers.log_lines import REQUEST_LINE
from helpers.machine import run
from helpers.rendering import render

FOLDER = "deploy/compose/logging"
COMPOSE = f"{FOLDER}.yaml"
COLLECTOR, CONSUMER = f"{FOLDER}/collector.yaml", f"{FOLDER}/consumer.yaml"
KAFKA = f"{FOLDER}/kafka/server.properties"
TEMPLATE = f"{FOLDER}/elasticsearch/index-template.json"
SETUP, VIEW = f"{FOLDER}/elasticsearch/setup.sh", f"{FOLDER}/elasticsearch/data-view.sh"
NGINX = "deploy/compose/nginx/nginx.conf"


@dataclass(frozen=True)
class Pipeline:
    """What a render has of it, by path."""

    files: dict[str, str]

    def but(self, path: str, old: str, new: str) -> Pipeline:
        """The same with something else in a file."""
        return replace(self, files={**self.files, path: mutate(self.files[path], old, new)})

    def yaml(self, path: str) -> dict[str, Any]:
        parsed: dict[str, Any] = yaml.safe_load(self.files[path])
        return parsed

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.yaml(COMPOSE)["services"]
        return found

    @property
    def kafka(self) -> dict[str, str]:
        lines = self.files[KAFKA].splitlines()
        return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    def part(self, path: str, kind: str) -> dict[str, Any]:
        """The one input or output of a Fluent Bit."""
        [part] = self.yaml(path)["pipeline"][kind]
        found: dict[str, Any] = part
        return found


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    project = render(
        tmp_path_factory.mktemp("pipeline") / "project",
        deploy=["compose"],
        datastores=["postgres", "redis"],
        compose_profiles=["observability", "logging"],
    )
    folder = project / "deploy/compose"
    found = [project / "compose.yaml", *(p for p in folder.rglob("*") if p.is_file())]
    return Pipeline({str(p.relative_to(project)): p.read_text() for p in found})


@pytest.mark.parametrize("name", ["collector", "consumer", "healthcheck"])
def test_every_key_is_one_that_is_documented(pipeline: Pipeline, name: str) -> None:
    text = pipeline.files[f"{FOLDER}/{name}.yaml"]
    assert undocumented(text) == []
    for key in ("flush:", "outputs:", "match:"):
        assert undocumented(mutate(text, key, f"x{key}")) != []


def joints(its: Pipeline) -> dict[str, tuple[str, str]]:
    """What one part says and what another says, which must be the same."""
    collected, consumed = its.part(COLLECTOR, "outputs"), its.part(CONSUMER, "inputs")
    stored = its.part(CONSUMER, "outputs")
    setup, view = its.files[SETUP], its.files[VIEW]
    template = json.loads(its.files[TEMPLATE])
    [pattern] = template["index_patterns"]
    [role_pattern] = re.findall(r'"names": \["(.*?)"\]', setup)
    [user] = re.findall(r"put _security/user/([^/\s]+) ", setup)
    [role] = re.findall(r"put _security/role/(\S+) ", setup)
    [roles] = re.findall(r'\\"roles\\": \[\\"(.*?)\\"\]', setup)
    [policy] = re.findall(r"put _ilm/policy/(\S+) ", setup)
    [put] = re.findall(r"\$\{BASH_SOURCE%/\*\}/(\S+?)\"", setup)
    [title] = re.findall(r'"title": "(.*?)"', view)
    [time] = re.findall(r'"timeFieldName": "(.*?)"', view)
    [parser] = its.yaml(CONSUMER)["parsers"]
    [listened] = re.findall(r"PLAINTEXT://:(\d+)", its.kafka["listeners"])
    [checked] = re.findall(r"/dev/tcp/127.0.0.1/(\d+)", str(its.services["kafka"]["healthcheck"]))
    broker = its.kafka["advertised.listeners"].removeprefix("PLAINTEXT://")
    [edge] = its.services["kibana"]["networks"]["edge"]["aliases"]
    images = {n: its.services[n]["image"].rpartition(":")[2] for n in ("elasticsearch", "kibana")}
    return {
        "topic": (collected["topics"], consumed["topics"]),
        "broker of the collector": (collected["brokers"], broker),
        "broker of the consumer": (consumed["brokers"], broker),
        "broker's port": (broker, f"kafka:{listened}"),
        "broker's health": (checked, listened),
        "format and time on the way": (collected["timestamp_key"], parser["time_key"]),
        "time of the view": (time, stored.get("time_key", "@timestamp")),
        "Elasticsearch": (f"http://{stored['host']}:{stored['port']}", setup_host(setup)),
        "user": (stored["http_user"], user),
        "role": (role, roles),
        "index": (f"{stored['logstash_prefix']}-*", pattern),
        "what may be written": (role_pattern, pattern),
        "view": (title, pattern),
        "retention": (template["template"]["settings"]["index.lifecycle.name"], policy),
        "template": (f"{FOLDER}/elasticsearch/{put}", TEMPLATE),
        "Kibana behind nginx": (
            f"server {edge}:5601 resolve;",
            next(iter(re.findall(r"server \S*kibana\S* resolve;", its.files[NGINX]))),
        ),
        "releases": (images["elasticsearch"], images["kibana"]),
    }


def setup_host(script: str) -> str:
    [host] = re.findall(r'"(http://\S+?)/\$1"', script)
    assert isinstance(host, str)
    return host


def test_each_part_finds_the_next(pipeline: Pipeline) -> None:
    def apart(its: Pipeline) -> list[str]:
        return [joint for joint, (one, other) in joints(its).items() if one != other]

    assert apart(pipeline) == []
    assert {"kafka", "elasticsearch", "kibana"} <= set(pipeline.services)
    for path, old, new, joint in [
        (COLLECTOR, "topics: logs", "topics: log", "topic"),
        (COLLECTOR, "kafka:9092", "kafka:9093", "broker of the collector"),
        (KAFKA, "PLAINTEXT://:9092", "PLAINTEXT://:9094", "broker's port"),
        (CONSUMER, "host: elasticsearch", "host: elastic", "Elasticsearch"),
        (CONSUMER, "http_user: log-writer", "http_user: writer", "user"),
        (CONSUMER, "prefix: logs-compose", "prefix: logs", "index"),
        (CONSUMER, "time_key: '@timestamp'", "time_key: time", "format and time on the way"),
        (SETUP, '"names": ["logs-compose-*"', '"names": ["logs-*"', "what may be written"),
        (SETUP, "policy/logs-compose", "policy/logs", "retention"),
        (VIEW, '"title": "logs-compose-*"', '"title": "logs"', "view"),
        (NGINX, "myservice-kibana:5601", "kibana:5601", "Kibana behind nginx"),
        (COMPOSE, "kibana/kibana:9", "kibana/kibana:8", "releases"),
    ]:
        assert joint in apart(pipeline.but(path, old, new)), joint


def unmounted(its: Pipeline) -> list[str]:
    """What a container is told to read or write, and does not have."""
    found = []
    for name, path in (("fluent-bit", COLLECTOR), ("log-consumer", CONSUMER)):
        service, config = its.services[name], its.yaml(path)
        mounts = [v.rsplit(":", 2 if v.endswith(":ro") else 1) for v in service["volumes"]]
        read_only = [mount[1] for mount in mounts if len(mount) == 3]
        writable = [mount[1] for mount in mounts if len(mount) == 2]
        secrets = [f"/run/secrets/{secret}" for secret in service.get("secrets", [])]
        buffer = config["service"]["storage.path"]
        for one in paths(config):
            where = writable if one == buffer else [*read_only, *writable, *secrets]
            if not one.startswith(tuple(where)):
                found.append(f"{name}: {one}")
        [argument] = service["command"]
        if argument != f"--config=/etc/fluent-bit/{Path(path).name}":
            found.append(f"{name}: {argument}")
        if f"./{FOLDER}:/etc/fluent-bit:ro" not in service["volumes"]:
            found.append(f"{name}: /etc/fluent-bit")
    return found


def test_every_path_is_mounted(pipeline: Pipeline) -> None:
    assert unmounted(pipeline) == []
    for path, old, new in [
        (COMPOSE, "fluent-bit:/var/lib/fluent-bit", "fluent-bit:/var/lib/fluent-bit:ro"),
        (COMPOSE, "      - /var/lib/docker/containers:/var/lib/docker/containers:ro\n", ""),
        (COMPOSE, "    secrets: [log_writer_password]\n", ""),
        (CONSUMER, "storage.path: /var/lib", "storage.path: /var/log"),
    ]:
        assert unmounted(pipeline.but(path, old, new)) != []


def ephemeral(its: Pipeline) -> set[str]:
    """Which services would lose what they hold when they are made again."""
    held = {
        "fluent-bit": its.yaml(COLLECTOR)["service"]["storage.path"],
        "log-consumer": its.yaml(CONSUMER)["service"]["storage.path"],
        "kafka": its.kafka["log.dirs"],
        "elasticsearch": "/usr/share/elasticsearch/data",
        "kibana": "/usr/share/kibana/data",
    }
    volumes = its.yaml(COMPOSE)["volumes"]
    mounts = {name: [v.split(":") for v in its.services[name]["volumes"]] for name in held}
    return {
        name
        for name, path in held.items()
        if not any(
            source in volumes and path.startswith(target) for source, target, *_ in mounts[name]
        )
    }


def test_a_restart_loses_nothing(pipeline: Pipeline) -> None:
    assert ephemeral(pipeline) == set()
    wrong = pipeline.but(COMPOSE, "- kafka:/var/lib/kafka/data", "- kafka:/var/lib/kafka-data")
    assert ephemeral(wrong) == {"kafka"}
    assert ephemeral(pipeline.but(COMPOSE, "\n  log-consumer: {}", "")) == {"log-consumer"}

    collector, consumer = pipeline.part(COLLECTOR, "outputs"), pipeline.part(CONSUMER, "outputs")
    for path, output in ((COLLECTOR, collector), (CONSUMER, consumer)):
        assert pipeline.part(path, "inputs")["storage.type"] == "filesystem"
        assert output["retry_limit"] == "no_limits", "as long as the next one is away"
        grace = pipeline.yaml(path)["service"]["grace"]
        name = "fluent-bit" if path == COLLECTOR else "log-consumer"
        assert grace < int(pipeline.services[name]["stop_grace_period"].removesuffix("s"))
    assert collector["rdkafka.acks"] == "all"
    assert collector["rdkafka.enable.idempotence"] is True
    # What comes twice overwrites itself; a 409 for a whole chunk would be tried again for ever.
    assert (consumer["generate_id"], consumer["write_operation"]) == (True, "index")
    assert "enable_auto_commit" not in pipeline.part(CONSUMER, "inputs"), "off by default"


def test_rotated_files_are_read_to_their_end(pipeline: Pipeline) -> None:
    tail = pipeline.part(COLLECTOR, "inputs")
    folder = f"/var/lib/docker/containers/{'0' * 64}/{'0' * 64}-json.log"
    for name in ("", ".1", ".2"):
        assert fnmatch(folder + name, tail["path"])
    # A file that is forgotten while it is there is read again from its start.
    assert tail["rotate_wait"] > 30 * 365 * 86400
    # As all are after a restart: librdkafka may have had the last lines in its memory alone.
    assert "db" not in tail
    assert tail["read_from_head"] is True


def loops(its: Pipeline) -> set[str]:
    """Services whose lines go the wrong way: in and should not, or out and should."""
    label = "com.docker.compose.project"
    grep, *_ = its.yaml(COLLECTOR)["pipeline"]["filters"]
    assert grep["regex"] == f"$attrs['{label}'] ^${{PROJECT}}$"
    assert its.services["fluent-bit"]["environment"]["PROJECT"] == "${COMPOSE_PROJECT_NAME}"
    found = set()
    for path in ("compose.yaml", "deploy/compose/observability.yaml", COMPOSE):
        for name, service in its.yaml(path)["services"].items():
            labels = service["logging"]["options"].get("labels", "").split(",")
            wanted = {label, "com.docker.compose.service"} <= set(labels)
            if wanted == (path == COMPOSE):
                found.add(name)
    return found


def test_no_line_about_the_logs_gets_among_them(pipeline: Pipeline) -> None:
    assert loops(pipeline) == set()
    wrong = pipeline.but(
        COMPOSE,
        'max-file: "3"}',
        'max-file: "3", labels: "com.docker.compose.project,com.docker.compose.service"}',
    )
    assert loops(wrong) == set(pipeline.services)
    wrong = pipeline.but("compose.yaml", "com.docker.compose.project,", "")
    assert loops(wrong) >= {"app", "nginx", "postgres", "redis"}
    # Nor what Kibana is asked.
    server = pipeline.files[NGINX].partition("listen 5601;")[2].partition("listen")[0]
    assert "access_log off;" in server


def unmapped(its: Pipeline) -> set[str]:
    """Fields of the lines for which Elasticsearch has no type."""
    [nginx] = re.findall(r"log_format json .*?;\n", its.files[NGINX], re.DOTALL)
    fields = REQUEST_LINE | set(re.findall(r'"(\w+)":', nginx))
    [_, _, _, modify] = its.yaml(COLLECTOR)["pipeline"]["filters"]
    fields |= {rule.split()[1] for rule in [*modify["rename"], modify["copy"]]}
    # Its own become `@timestamp`; the others are Docker's.
    fields = fields - {its.yaml(COLLECTOR)["parsers"][0]["time_key"]} | {"stream", "time"}
    properties = json.loads(its.files[TEMPLATE])["template"]["mappings"]["properties"]
    return {*fields, "@timestamp"} - set(properties)


def test_elasticsearch_knows_every_field_of_a_line(pipeline: Pipeline) -> None:
    assert unmapped(pipeline) == set()
    assert unmapped(pipeline.but(TEMPLATE, '"durationMs"', '"duration"')) == {"durationMs"}
    template = json.loads(pipeline.files[TEMPLATE])["template"]
    types = {name: field["type"] for name, field in template["mappings"]["properties"].items()}
    assert {types[name] for name in ("traceId", "requestId", "service", "level")} == {"keyword"}
    assert (types["durationMs"], types["message"]) == ("double", "text")
    # One odd line is not refused, whatever other fields it has.
    assert template["mappings"]["dynamic"] == "runtime"
    assert template["settings"]["index.mapping.ignore_malformed"] is True
    assert template["settings"]["number_of_replicas"] == 0, "there is one node"


@pytest.mark.parametrize("path", [SETUP, VIEW])
def test_the_scripts_are_sound(pipeline: Pipeline, path: str, tmp_path: Path) -> None:
    command: Command = [python_tool("shellcheck"), "--shell=bash", tmp_path / "script"]
    (tmp_path / "script").write_text(pipeline.files[path])
    run(command, tmp_path)
    (tmp_path / "script").write_text(mutate(pipeline.files[path], "set -euo pipefail", "cd $HOME"))
    rejects(command, "SC2164", tmp_path)
    assert pipeline.files[path].startswith("#!/bin/bash\n")


def missing_secrets(its: Pipeline) -> set[str]:
    """Secrets that a container reads and is not given, or is given and nobody makes."""
    declared = its.yaml(COMPOSE)["secrets"]
    texts = {"log-setup": its.files[SETUP], "log-view": its.files[VIEW]}
    texts["log-consumer"] = its.files[CONSUMER]
    found = set()
    for name, service in its.services.items():
        text = str(service) + texts.get(name, "")
        read = set(re.findall(r"/run/secrets/([a-z_.]+)", text))
        read |= {f"{p}_password" for p in re.findall(r"\$\(password (\w+)\)", text)}
        given = set(service.get("secrets", []))
        found |= {f"{name}: {secret}" for secret in read ^ given}
        found |= {f"{name}: {secret}" for secret in given - set(declared)}
    return found | {s for s, v in declared.items() if v != {"file": f".secrets/{s}"}}


def test_passwords_come_from_secrets(pipeline: Pipeline) -> None:
    assert missing_secrets(pipeline) == set()
    wrong = pipeline.but(COMPOSE, "secrets: [elastic_password, kibana_password, ", "secrets: [")
    assert missing_secrets(wrong) == {"log-setup: elastic_password", "log-setup: kibana_password"}
    for path in (COLLECTOR, CONSUMER):
        output = pipeline.part(path, "outputs")
        assert [v for k, v in output.items() if "passw" in k] in ([], ["${PASSWORD}"])
    assert pipeline.services["elasticsearch"]["environment"]["xpack.security.enabled"] == "true"


def mebibytes(size: str) -> int:
    return int(size.removesuffix("m"))


def cramped(its: Pipeline) -> set[str]:
    """Services whose memory does not hold what they may take of it."""
    found = set()
    for name, service in its.services.items():
        limit = mebibytes(service["mem_limit"])
        settings = str(service.get("environment"))
        heaps = [int(h) for h in re.findall(r"(?:-Xmx|--max-old-space-size=)(\d+)", settings)]
        if "fluent-bit" in service["image"]:
            path = COLLECTOR if name == "fluent-bit" else CONSUMER
            # A chunk has up to 2 MB.
            heaps = [its.yaml(path)["service"]["storage.max_chunks_up"] * 2]
        share = 0.5 if "fluent-bit" in service["image"] else 0.65
        # Bash and curl have no heap to bound.
        small = service["restart"] == "no"
        if not small and (len(heaps) != 1 or heaps[0] > limit * share):
            found.add(name)
    return found


def test_heaps_fit_into_the_memory(pipeline: Pipeline) -> None:
    assert cramped(pipeline) == set()
    for old, new, name in [
        ("-Xms256m -Xmx256m", "-Xms256m", "kafka"),
        ("-Xms512m -Xmx512m", "-Xms512m -Xmx1024m", "elasticsearch"),
        ("--max-old-space-size=768", "--max-old-space-size=1280", "kibana"),
    ]:
        assert cramped(pipeline.but(COMPOSE, old, new)) == {name}
    wrong = pipeline.but(COLLECTOR, "max_chunks_up: 32", "max_chunks_up: 64")
    assert cramped(wrong) == {"fluent-bit"}


def exposed(its: Pipeline) -> set[str]:
    """Services that may do, take or show more than they need."""
    confined = {
        "profiles": ["logging"],
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }
    bounded = {"cpus", "pids_limit", "mem_limit", "healthcheck", "user"}
    return {
        name
        for name, service in its.services.items()
        if {key: service.get(key) for key in confined} != confined
        or not bounded <= set(service)
        or service["mem_limit"] != service["memswap_limit"]
        or "ports" in service
        or (service["networks"] != ["backend"] and name != "kibana")
    }


def test_services_are_confined(pipeline: Pipeline) -> None:
    assert exposed(pipeline) == set()
    assert exposed(pipeline.but(COMPOSE, "  read_only: true\n", "")) == set(pipeline.services)
    wrong = pipeline.but(COMPOSE, "    mem_limit: 640m", "    mem_limit: 512m")
    assert exposed(wrong) == {"kafka"}
    # Root, without any capability, only for the log files and the volumes of an image without users.
    roots = {n for n, s in pipeline.services.items() if s["user"].startswith("0:")}
    assert roots == {"fluent-bit", "log-consumer"}


def dangling(its: Pipeline) -> set[str]:
    """Tasks that end and that nobody waits for: `up --wait` takes their end for a failure."""
    waited = {
        name
        for service in its.services.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    return {name for name, s in its.services.items() if s["restart"] == "no"} ^ waited


def test_up_waits_for_every_task(pipeline: Pipeline) -> None:
    assert dangling(pipeline) == set()
    old = "      log-view:\n        condition: service_completed_successfully\n"
    assert dangling(pipeline.but(COMPOSE, old, "")) == {"log-view"}
