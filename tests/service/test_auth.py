"""A service with authentication, and a certified OpenID Connect provider: two real processes."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import subprocess
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.linters import npm_modules
from helpers.log_lines import faulty_lines
from helpers.machine import ROOT, run
from helpers.service import (
    Answer,
    RenderedTree,
    Service,
    build,
    eventually,
    free_port,
    rendered_tree,
    running,
    substitute_once,
)

PROVIDER = ROOT / "tests" / "helpers" / "oidc"

INVALID = 'Bearer error="invalid_token"'
INSUFFICIENT = 'Bearer error="insufficient_scope", scope="greetings:write"'


@dataclass
class Provider:
    """The provider of helpers/oidc. A new one on the same port has another key."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """What a service is told that accepts its tokens."""
        return {
            "AUTH_ISSUER": self.url,
            "AUTH_AUDIENCE": "greetings",
            "AUTH_JWKS_URL": f"{self.url}/jwks",
        }

    def ask(self, path: str, form: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        login = base64.b64encode(b"ada:hunter2").decode()
        headers = {
            "Authorization": f"Basic {login}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        with contextlib.closing(connection):
            body = urllib.parse.urlencode(form) if form else None
            connection.request("POST" if form else "GET", path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())

    def token(self, resource: str = "greetings", scope: str = "greetings:write") -> str:
        """An access token, by client credentials."""
        form = {"grant_type": "client_credentials", "resource": f"urn:{resource}", "scope": scope}
        answer = self.ask("/token", form)
        assert answer.status == 200, answer
        return str(json.loads(answer.body)["access_token"])

    def up(self) -> bool:
        with contextlib.suppress(OSError):
            return self.ask("/.well-known/openid-configuration").status == 200
        return False

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        node, modules = npm_modules(PROVIDER)
        module = modules / "oidc-provider" / "lib" / "index.js"
        process = subprocess.Popen(
            [node, PROVIDER / "provider.mjs", module, str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            eventually("the provider is up", lambda: self.up() or process.poll() is not None)
            assert process.poll() is None, "the provider has ended at its start"
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # `node` may be a script that runs another
            process.wait()
            eventually("the provider is gone", lambda: not self.up())


def write(service: Service, token: str | None) -> Answer:
    """Ask for what needs the scope greetings:write."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return service.post('{"name":"Ada"}', **headers)


def findings(binary: Path) -> list[str]:
    """What is wrong with whom the service lets in."""
    wrong: list[str] = []

    def expect(what: str, answer: Answer, status: int, challenge: str | None = None) -> None:
        got = answer.headers["WWW-Authenticate"]
        if (answer.status, got) != (status, challenge):
            wrong.append(f"{what}: {answer.status}, {got}: {answer.body}")

    provider = Provider(free_port())
    with provider.running():
        old = provider.token()
    with running(binary, DRAIN_DELAY="0s", **provider.settings) as service:
        service.wait(service.admin_port, "/ready", 200)
        expect("a read", service.greet(), 200)
        expect("no token", write(service, None), 401, "Bearer")
        expect("no keys yet", write(service, old), 503)
        with provider.running():
            token = provider.token()

            def let_in() -> bool:
                return write(service, token).status != 503

            eventually("the keys are fetched once the provider is up", let_in, 30)
            expect("a token", write(service, token), 201)
            both = provider.token(scope="greetings:read greetings:write")
            expect("two scopes", write(service, both), 201)
            late, orders = provider.token("expired"), provider.token("orders")
            reader = provider.token(scope="greetings:read")
            expect("an expired token", write(service, late), 401, INVALID)
            expect("another audience", write(service, orders), 401, INVALID)
            expect("a missing scope", write(service, reader), 403, INSUFFICIENT)
            expect("half a token", write(service, token[:-40]), 401, INVALID)
            expect("a key that is gone", write(service, old), 401, INVALID)
        with provider.running():
            new = provider.token()

            def followed() -> bool:
                return write(service, new).status == 201

            eventually("a new key is found", followed, 30)
            expect("the key before", write(service, token), 401, INVALID)
        assert service.stop(20) == 0
        log = "".join(service.lines)
    wrong += faulty_lines(service.lines)
    if not any(
        line["message"] == "request" and line.get("subject") == "ada" for line in service.log
    ):
        wrong.append("the subject stands in no line of a request")
    wrong += [f"the log holds {text}" for text in (old, token, late) if text in log]
    if "keys of the issuer not fetched" not in log:
        wrong.append("the log does not say that the provider was down")
    return wrong


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> RenderedTree:
    """A service with authentication."""
    folder = tmp_path_factory.mktemp("guarded")
    return rendered_tree(folder, auth=True, deploy=["kubernetes", "compose"])


@pytest.fixture(scope="module")
def binary(guarded: RenderedTree) -> Path:
    return build(guarded)


def test_a_service_accepts_the_tokens_of_its_provider(binary: Path) -> None:
    assert findings(binary) == []


def test_a_service_that_lets_everyone_in_is_noticed(guarded: RenderedTree, tmp_path: Path) -> None:
    mutant = rendered_tree(tmp_path, **guarded.answers)
    signature = r"(func \(v \*Verifier\) Require\(scopes \.\.\.string\) gin\.HandlerFunc \{)"
    open_door = r"\1\n\treturn func(*gin.Context) {}"
    substitute_once(mutant.file("internal/auth/auth.go"), signature, open_door)
    found = findings(build(mutant))
    for refused in ("no token", "no keys yet", "expired", "audience", "scope", "half", "before"):
        assert any(refused in finding for finding in found), (refused, found)


@pytest.mark.parametrize(
    "file",
    [
        *(f"config/{name}.yaml" for name in ("development", "staging", "production")),
        *(f"deploy/kubernetes/overlays/{name}/config.yaml" for name in ("dev", "staging", "prod")),
    ],
)
def test_a_service_starts_with_the_settings_of_each_environment(
    file: str, guarded: RenderedTree, binary: Path, tmp_path: Path
) -> None:
    with running(binary, CONFIG_FILE=str(guarded.file(file))) as service:
        service.wait(service.admin_port, "/ready", 200)
    # Without one of them it does not.
    lacking = tmp_path / "config.yaml"
    lacking.write_text(guarded.file(file).read_text())
    substitute_once(lacking, r"^auth_audience: .*$", "")
    done = run([binary], tmp_path, {"CONFIG_FILE": str(lacking)}, ok=False, timeout=10)
    assert done.returncode == 1
    assert "AUTH_AUDIENCE: required" in done.stdout
