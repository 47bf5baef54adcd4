"""Compose, as far as it can be checked without an engine: what its own reader makes of the files.

What is asserted of a stack holds for every set of Compose files that is rendered, with all
profiles, as a real Compose v2 resolves it. Each check must also refuse a mutated render.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.all_renders import Render, all_renders, variants
from helpers.engine.compose import built
from helpers.linters import (
    PINS,
    Command,
    mutate,
    nginx,
    npm_tool,
    python_tool,
    rejects,
    schema,
    write,
)
from helpers.machine import make, run
from helpers.rendering import render, version

NGINX = "deploy/compose/nginx/nginx.conf"
SHARED = "deploy/compose/shared.yaml"
PORT = "${LISTEN:-127.0.0.1:8080}:8080"
EVERYTHING = {
    "deploy": ["compose"],
    "datastores": ["postgres", "redis"],
    "tracing": True,
    "compose_profiles": ["observability", "logging"],
}


def is_compose_file(path: str) -> bool:
    """Whether Compose reads this file of a render."""
    return re.fullmatch(r"compose\.yaml|deploy/compose/[^/]+\.yaml", path) is not None


def compose_files() -> dict[str, dict[str, str]]:
    """Return every distinct text of every Compose file, by its path."""
    paths = {path for r in all_renders() for path in r.files if is_compose_file(path)}
    return {path: variants(path) for path in sorted(paths)}


def rendered_stacks() -> Iterator[Render]:
    """Yield one render for every distinct content of the Compose files and what they mount."""
    seen = set()
    for rendered in all_renders():
        content = frozenset(
            item
            for item in rendered.files.items()
            if is_compose_file(item[0]) or item[0].startswith(("config/", "deploy/compose/"))
        )
        if "compose.yaml" in rendered.files and content not in seen:
            seen.add(content)
            yield rendered


def config(folder: Path, *arguments: str) -> Command:
    """Return the command that resolves a stack, whatever this machine has set."""
    unset = [
        f"--unset={name}" for name in ("COMPOSE_FILE", "COMPOSE_PROFILES", "LISTEN", "VERSION")
    ]
    return ["env", *unset, built(), "--project-directory", folder, *arguments, "config"]


def resolve(folder: Path, *arguments: str) -> dict[str, Any]:
    """Return what Compose resolves a stack to."""
    # What it warns of goes elsewhere.
    output = folder / ".resolved.json"
    run([*config(folder, *arguments), "--format=json", "--output", output], folder)
    resolved: dict[str, Any] = json.loads(output.read_text())
    return resolved


def seconds(duration: str) -> int:
    """Return a duration as Compose spells it, 1m0s."""
    found = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration)
    assert found, duration
    return 60 * int(found[1] or 0) + int(found[2] or 0)


@dataclass(frozen=True)
class Stack:
    """A rendered stack."""

    folder: Path

    @cached_property
    def files(self) -> dict[str, dict[str, Any]]:
        """The Compose files as they are written, by their path; not what overrides them."""
        paths = [self.folder / "compose.yaml", *self.folder.glob("deploy/compose/*.yaml")]
        return {
            name: yaml.safe_load(path.read_text())
            for path in paths
            if (name := path.relative_to(self.folder).as_posix()) != SHARED
        }

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """What Compose resolves them to, with all profiles."""
        return resolve(self.folder, "--profile", "*")

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        """Every service of every profile."""
        services: dict[str, dict[str, Any]] = self.resolved["services"]
        return services

    @cached_property
    def behind_nginx(self) -> set[str]:
        """The names that nginx asks."""
        text = (self.folder / NGINX).read_text()
        return set(re.findall(r"\b(?:server |proxy_pass https?://)([a-z][a-z0-9-]*)[:;]", text))

    def profile_of(self, service: str) -> list[str]:
        """Return the profiles that a service must have: that of the file that it is written in."""
        (file,) = [file for file, content in self.files.items() if service in content["services"]]
        return [] if file == "compose.yaml" else [Path(file).stem]

    def faults(self) -> set[str]:
        """Return what is wrong with any service, or with what the services share."""
        found = set(self.of_the_app() | self.unused())
        for name, service in self.services.items():
            for check in (unconfined, unlimited, unwatched, unpinned):
                found |= {f"{name}: {fault}" for fault in check(service)}
            found |= {f"{name}: {fault}" for fault in self.misplaced(name, service)}
            found |= {f"{name}: {fault}" for fault in self.badly_mounted(name, service)}
            found |= {f"{name}: {fault}" for fault in self.badly_started(service)}
        return found

    def of_the_app(self) -> set[str]:
        """Check that what the service takes to stop fits into what it is given."""
        app = self.services["app"]
        of = {key: seconds(text) for key, text in app["environment"].items() if key in DRAIN}
        enough = seconds(app["stop_grace_period"])
        takes = of["DRAIN_DELAY"] + of["SHUTDOWN_TIMEOUT"] + of["FLUSH_TIMEOUT"]
        return set() if takes < enough == of["GRACE_PERIOD"] else {f"app: {takes} s in {enough} s"}

    def misplaced(self, name: str, service: Mapping[str, Any]) -> set[str]:
        """Check who reaches a service: the world nginx alone, and nginx what it asks."""
        backend = {"backend"} & set(self.resolved["networks"])
        expected = {"nginx": {"edge"}, "app": {"edge"} | backend}.get(name, {"backend"})
        called = {name, *((service["networks"].get("edge") or {}).get("aliases", []))}
        if called & self.behind_nginx:
            expected = expected | {"edge"}
        ports = service.get("ports", [])
        return {
            *(["networks"] if set(service["networks"]) != expected else []),
            *(["ports"] if bool(ports) != (name == "nginx") else []),
            *(["interface"] if any(p.get("host_ip") != "127.0.0.1" for p in ports) else []),
            *(["profile"] if service.get("profiles", []) != self.profile_of(name) else []),
        }

    def badly_mounted(self, name: str, service: Mapping[str, Any]) -> Iterator[str]:
        """Check that what is mounted is there."""
        for mount in service.get("volumes", []):
            if mount["type"] != "bind":
                continue
            source = Path(mount["source"])
            if not mount.get("read_only"):
                yield f"{source.name} is writable"
            if str(source) in OF_THE_HOST.get(name, set()):
                continue
            if not source.is_relative_to(self.folder) or not source.exists():
                yield f"{source.name} is missing"
            elif not source.is_dir() and name not in SINGLE_FILES:
                yield f"{source.name} is no folder"

    def badly_started(self, service: Mapping[str, Any]) -> Iterator[str]:
        """Check that what a service waits for comes, in every profile."""
        own = set(service.get("profiles", []))
        for name, awaited in service.get("depends_on", {}).items():
            other = self.services[name]
            ends = "completed_successfully" if other["restart"] == "no" else "healthy"
            if awaited["condition"] != f"service_{ends}":
                yield f"waits for {name} otherwise than until it is {ends}"
            profiles = set(other.get("profiles", []))
            if profiles and not (own and own <= profiles):
                yield f"waits for {name} of another profile"

    def unused(self) -> set[str]:
        """Check that what is declared is used, and the inner network has no way out."""
        found = set()
        if not self.resolved["networks"].get("backend", {"internal": True}).get("internal"):
            found.add("backend is not internal")
        for kind in ("volumes", "secrets", "networks"):
            declared = {name for content in self.files.values() for name in content.get(kind, {})}
            used = {
                name if isinstance(name, str) else name.get("source")
                for service in self.services.values()
                for name in service.get(kind, [])
            }
            found |= {f"{name} of {kind} is unused" for name in declared - used}
        return found


#: Images that publish a tag for each series, and keep it current.
SERIES = {"postgres", "mysql", "nginx", "fluent-bit"}

DRAIN = {"DRAIN_DELAY", "SHUTDOWN_TIMEOUT", "FLUSH_TIMEOUT", "GRACE_PERIOD"}

#: What a service reads of the machine that it runs on.
OF_THE_HOST = {"fluent-bit": {"/var/lib/docker/containers"}}

#: Those that read their configuration at their start only, from several folders.
SINGLE_FILES = {"grafana"}


def unconfined(service: Mapping[str, Any]) -> Iterator[str]:
    """Check what a service may do."""
    if service.get("read_only") is not True:
        yield "read_only"
    if service.get("cap_drop") != ["ALL"]:
        yield "cap_drop"
    if service.get("security_opt") != ["no-new-privileges:true"]:
        yield "security_opt"
    yield from {"privileged", "cap_add", "pid", "ipc", "network_mode"} & set(service)


def unlimited(service: Mapping[str, Any]) -> Iterator[str]:
    """Check what a service may take."""
    if not service.get("mem_limit"):
        yield "mem_limit"
    if service.get("memswap_limit") != service.get("mem_limit"):
        yield "memswap_limit"
    yield from {"cpus", "pids_limit"} - {key for key, value in service.items() if value}
    log = service.get("logging", {})
    if log.get("driver") != "json-file" or not {"max-size", "max-file"} <= set(log["options"]):
        yield "logging"


def unwatched(service: Mapping[str, Any]) -> Iterator[str]:
    """Check that a service is started again, and asked how it is, unless it is to end."""
    if service.get("restart") not in ("no", "unless-stopped"):
        yield "restart"
    health = {key for key, value in service.get("healthcheck", {}).items() if value}
    expected = {"disable"} if service.get("restart") == "no" else {"test", "interval", "timeout"}
    if not expected <= health:
        yield "healthcheck"


def unpinned(service: Mapping[str, Any]) -> Iterator[str]:
    """Check that an image has a tag to the release; what is built here is called dev."""
    name, _, tag = service.get("image", "").rpartition(":")
    # PostgreSQL has no third part; the others keep the tag of a series current.
    parts = r"\d+\.\d+" if name.rpartition("/")[2] in SERIES else r"v?\d+\.\d+\.\d+"
    if not re.match(rf"{parts}(-|\Z)", tag) and not name.startswith("ghcr.io/acme/"):
        yield "image"


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render all that Compose can start."""
    return render(tmp_path_factory.mktemp("complete") / "myservice", **EVERYTHING)


# --- the files


def test_compose_files_follow_the_specification(tmp_path: Path, custom: dict[str, Path]) -> None:
    files = compose_files()
    assert files.keys() >= {"compose.yaml", SHARED}
    paths = [
        path
        for name, texts in files.items()
        for path in write(tmp_path / name.replace("/", "_"), texts, Path(name).name)
    ]
    mine = [custom["gitlab"] / "compose.yaml", *custom["gitlab"].glob("deploy/compose/*.yaml")]
    run(schema("compose-spec", [*paths, *mine]), tmp_path)

    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(mutate(next(iter(files["compose.yaml"].values())), "read_only:", "readonly:"))
    rejects(schema("compose-spec", [wrong]), "readonly", tmp_path)


def test_dclint_finds_nothing(tmp_path: Path, custom: dict[str, Path]) -> None:
    dclint = [*npm_tool("dclint"), "--config", PINS / "dclint" / "config.yaml"]
    # The project has its name from compose.yaml.
    parts = [*dclint, "--disable-rule", "require-project-name-field", "--max-warnings=0"]
    dclint += ["--max-warnings=0"]
    files = compose_files()
    run([*dclint, *write(tmp_path / "main", files.pop("compose.yaml"), "compose.yaml")], tmp_path)
    run([*dclint, custom["gitlab"] / "compose.yaml"], tmp_path)
    for name, texts in files.items():
        run([*parts, *write(tmp_path / Path(name).stem, texts, Path(name).name)], tmp_path)
    run([*parts, *custom["gitlab"].glob("deploy/compose/*.yaml")], tmp_path)

    text = next(iter(variants("compose.yaml").values()))
    wrong = tmp_path / "wrong.yaml"
    for old, new, rule in [
        ("services:\n", 'version: "3.8"\nservices:\n', "no-version-field"),
        (f'"{PORT}"', PORT, "require-quotes-in-ports"),
    ]:
        wrong.write_text(mutate(text, old, new))
        rejects([*dclint, wrong], rule, tmp_path)
    article = PINS / "article" / "compose.yaml"
    for rule in ("no-version-field", "no-unbound-port-interfaces", "require-project-name-field"):
        rejects([*npm_tool("dclint"), article], rule, tmp_path)


# --- the stack


def test_compose_resolves_every_stack(tmp_path: Path) -> None:
    for number, rendered in enumerate(rendered_stacks()):
        folder = rendered.write(tmp_path / str(number))
        chosen = rendered.answers["compose_profiles"]
        files = ["--file", "compose.yaml", "--file", SHARED]
        for profiles in {(), *((profile,) for profile in chosen), tuple(chosen)}:
            options = [f"--profile={profile}" for profile in profiles]
            run([*config(folder, *options), "--quiet"], folder)
            run([*config(folder, *files, *options, "--profile=gateway"), "--quiet"], folder)

    # A profile that is not started is not waited for.
    folder = tmp_path / "0"
    compose = folder / "compose.yaml"
    compose.write_text(mutate(compose.read_text(), "\n  app:\n", "\n  app:\n    profiles: [x]\n"))
    rejects([*config(folder), "--quiet"], 'depends on undefined service "app"', folder)


def test_every_stack_is_confined_limited_and_watched(tmp_path: Path) -> None:
    profiles = set()
    for number, rendered in enumerate(rendered_stacks()):
        stack = Stack(rendered.write(tmp_path / str(number)))
        assert stack.faults() == set(), rendered.answers
        expected = {"nginx", "app", *rendered.answers["datastores"]}
        expected |= {"migrate"} if {"postgres", "mysql"} & expected else set()
        core = {name for name, service in stack.services.items() if "profiles" not in service}
        assert core == expected
        of_profiles = {p for s in stack.services.values() for p in s.get("profiles", [])}
        assert of_profiles == set(rendered.answers["compose_profiles"])
        profiles |= of_profiles
    assert profiles == {"observability", "logging"}


def test_beside_others_a_stack_has_no_nginx_and_their_network(complete: Path) -> None:
    files = ("--file", "compose.yaml", "--file", SHARED)
    alone = resolve(complete, *files)
    assert "nginx" not in alone["services"]
    assert not [name for name, service in alone["services"].items() if service.get("ports")]
    gateway = resolve(complete, *files, "--profile=gateway")
    assert gateway["networks"]["edge"] == {"name": "services", "ipam": {}, "external": True}
    assert gateway["services"]["app"]["networks"]["edge"] == {"aliases": ["myservice"]}
    inner = {name: gateway["services"][name]["networks"] for name in ("postgres", "redis")}
    assert inner == {name: {"backend": None} for name in inner}


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("  read_only: true", "  read_only: false", "nginx: read_only"),
        ("cap_drop: [ALL]", "cap_drop: [NET_RAW]", "nginx: cap_drop"),
        ("no-new-privileges:true", "no-new-privileges:false", "nginx: security_opt"),
        ("  cpus: 1\n", "", "nginx: cpus"),
        ("  pids_limit: 128\n", "", "nginx: pids_limit"),
        ("memswap_limit: 128m", "memswap_limit: 256m", "nginx: memswap_limit"),
        ("    mem_limit: 512m\n", "", "postgres: mem_limit"),
        ("max-size: 10m, ", "", "nginx: logging"),
        ("restart: unless-stopped", "restart: always", "nginx: restart"),
        ('restart: "no"', "restart: unless-stopped", "migrate: healthcheck"),
        ("      disable: true", "      retries: 1", "migrate: healthcheck"),
        ("    networks: [edge]\n", "    networks: [edge, backend]\n", "nginx: networks"),
        ("    networks: [backend]\n", "    networks: [edge]\n", "migrate: networks"),
        ("    internal: true", "    internal: false", "backend is not internal"),
        ("    image: postgres:", '    ports: ["5432"]\n    image: postgres:', "postgres: ports"),
        ("LISTEN:-127.0.0.1:", "LISTEN:-", "nginx: interface"),
        ("    image: redis:", "    profiles: [x]\n    image: redis:", "redis: profile"),
        (
            "    image: redis:",
            "    profiles: [x]\n    image: redis:",
            "app: waits for redis of another profile",
        ),
        (
            "condition: service_completed_successfully",
            "condition: service_started",
            "app: waits for migrate otherwise than until it is completed_successfully",
        ),
        (
            "condition: service_healthy",
            "condition: service_started",
            "nginx: waits for app otherwise than until it is healthy",
        ),
        ("./config:/etc/app:ro", "./conf:/etc/app:ro", "app: conf is missing"),
        ("./config:/etc/app:ro", "./config:/etc/app", "app: config is writable"),
        ("./config:/etc/app:ro", "./Makefile:/etc/app/a:ro", "app: Makefile is no folder"),
        ("image: nginx:", "image: nginx:latest # ", "nginx: image"),
        ("image: nginx:1.30", "image: nginx:1 # ", "nginx: image"),
        ("image: redis:8.10.", "image: redis:8.10 # ", "redis: image"),
        ("GRACE_PERIOD: 60s", "GRACE_PERIOD: 61s", "app: 45 s in 60 s"),
        ("SHUTDOWN_TIMEOUT: 30s", "SHUTDOWN_TIMEOUT: 45s", "app: 60 s in 60 s"),
        ("  redis: {}\n", "  redis: {}\n  spare: {}\n", "spare of volumes is unused"),
        ("  redis_url:\n    file", "  spare:\n    file: x\n  redis_url:\n    file", "spare of secrets is unused"),
    ],
)  # fmt: skip
def test_a_fault_is_found(old: str, new: str, fault: str, complete: Path, tmp_path: Path) -> None:
    folder = tmp_path / "myservice"
    shutil.copytree(complete, folder)
    compose = folder / "compose.yaml"
    compose.write_text(mutate(compose.read_text(), old, new))
    assert fault in Stack(folder).faults()


def test_the_stack_of_the_article_is_refused(tmp_path: Path) -> None:
    shutil.copy(PINS / "article" / "compose.yaml", tmp_path)
    for name, service in Stack(tmp_path).services.items():
        found = {
            fault
            for check in (unconfined, unlimited, unwatched, unpinned)
            for fault in check(service)
        }
        assert found == {
            *("read_only", "cap_drop", "security_opt", "mem_limit", "cpus", "pids_limit"),
            *("logging", "restart", "healthcheck", "image"),
        }, name


def secret_files(rendered: Render) -> set[str]:
    """Return the files that the Compose files of a render read secrets from."""
    contents = [
        yaml.safe_load(rendered.read(path)) for path in rendered.files if is_compose_file(path)
    ]
    return {
        secret["file"] for content in contents for secret in content.get("secrets", {}).values()
    }


def test_make_makes_every_secret(tmp_path: Path) -> None:
    seen = set()
    for rendered in all_renders():
        files = secret_files(rendered)
        if not files or (rendered.files["Makefile"], *sorted(files)) in seen:
            continue
        seen.add((rendered.files["Makefile"], *sorted(files)))
        folder = rendered.write(tmp_path / str(len(seen)))
        make(folder, "secrets")
        made = {f".secrets/{path.name}" for path in (folder / ".secrets").iterdir()}
        assert files - made == set()
        assert all((folder / file).read_text().strip() for file in made)
        # All that is made for Compose is for one of its containers, or what such a file is made of.
        assert made - files <= {".secrets/redis_password", ".secrets/kibana_key_password"}
    # For each choice of data stores and profiles that has any.
    assert len(seen) > 4 * 4 - 2


# --- nginx


def test_nginx_takes_its_configuration(tmp_path: Path, custom: dict[str, Path]) -> None:
    texts = variants(NGINX) | {"custom": (custom["gitlab"] / NGINX).read_text()}

    def command(text: str) -> Command:
        # Its temporary files belong to this test.
        path = tmp_path / "nginx.conf"
        path.write_text(text.replace("/tmp/", f"{tmp_path}/"))
        return [*nginx(), "-t", "-p", tmp_path, "-c", path]

    for text in texts.values():
        assert "test is successful" in run(command(text), tmp_path).stdout
        rejects(command(mutate(text, "keepalive 32;", "keepalive;")), "keepalive", tmp_path)
        # Only a name that is asked for again and again needs a zone.
        rejects(command(re.sub(r" zone .*;", "", text)), "shared memory", tmp_path)


def test_gixy_finds_nothing(tmp_path: Path, custom: dict[str, Path]) -> None:
    gixy: Command = [
        python_tool("gixy"),
        f"--nginx-version={version('nginx_version').split('-')[0]}",
    ]
    texts = variants(NGINX) | {"custom": (custom["gitlab"] / NGINX).read_text()}
    paths = write(tmp_path, texts, "nginx.conf")
    for path in paths:
        run([*gixy, path], tmp_path)

    wrong = tmp_path / "wrong.conf"
    for old, new, rule in [
        ("proxy_set_header Host $host;", "proxy_set_header Host $http_host;", "host_spoofing"),
        ("server_tokens off;", "server_tokens on;", "version_disclosure"),
    ]:
        wrong.write_text(mutate(paths[0].read_text(), old, new))
        rejects([*gixy, wrong], rule, tmp_path)
