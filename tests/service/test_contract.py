"""The contract of a service is served, is what the service does, and is held by its own tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.linters import Command, npm_tool, python_tool, rejects
from helpers.machine import make, run
from helpers.rendering import build_flags, render
from helpers.service import Answer, RenderedTree, Service, build, rendered_tree, running

CONTRACT, API = "api/openapi.yaml", "internal/api/api.go"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> RenderedTree:
    return rendered_tree(tmp_path_factory.mktemp("contract"), openapi=True)


@pytest.fixture
def mutable(tree: RenderedTree, tmp_path: Path) -> RenderedTree:
    """A copy for a test to spoil."""
    return RenderedTree(Path(shutil.copytree(tree.path, tmp_path / "project")), tree.answers)


# -- the running service -------------------------------------------------------------------


@pytest.fixture(scope="module")
def service(tree: RenderedTree) -> Iterator[Service]:
    with running(build(tree), DRAIN_DELAY="0s") as started:
        started.wait(started.admin_port, "/ready", 200)
        yield started


def test_the_contract_is_served(tree: RenderedTree, service: Service) -> None:
    answer = service.ask("/openapi.yaml")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/yaml")
    assert answer.body == tree.file(CONTRACT).read_text()


def validation(contract: dict[str, Any], operation: str, answer: Answer, folder: Path) -> Command:
    """Return a command that validates an answer, by another validator than that of the service."""
    method, path = operation.split()
    response = contract["paths"][path][method.lower()]["responses"][str(answer.status)]
    if "$ref" in response:
        response = contract["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema = response["content"][answer.headers["Content-Type"].partition(";")[0]]["schema"]
    (folder / "schema.json").write_text(json.dumps(contract | {"allOf": [schema]}))
    (folder / "answer.json").write_text(answer.body)
    return [
        python_tool("check-jsonschema"), "--schemafile", folder / "schema.json", folder / "answer.json",
    ]  # fmt: skip


def test_what_the_service_answers_is_what_the_served_contract_says(
    service: Service, tmp_path: Path
) -> None:
    contract = yaml.safe_load(service.ask("/openapi.yaml").body)
    exchanges = [
        ("GET /v1/greetings/{name}", service.greet(), 200),
        ("GET /v1/greetings/{name}", service.ask(f"/v1/greetings/{'a' * 65}"), 400),
        ("POST /v1/greetings", service.post('{"name":"Ada"}'), 201),
        ("POST /v1/greetings", service.post("{}"), 400),
        ("POST /v1/greetings", service.post(f'{{"name":"{"a" * 2**20}"}}'), 413),
    ]
    for operation, answer, status in exchanges:
        assert answer.status == status
        run(validation(contract, operation, answer, tmp_path), tmp_path)

    message = contract["components"]["schemas"]["Greeting"]["properties"]["message"]
    message["type"] = "integer"
    rejects(validation(contract, *exchanges[0][:2], tmp_path), "not of type", tmp_path)


# -- the tests of the service ----------------------------------------------------------------


def handler_tests(tree: RenderedTree) -> str:
    """What the tests of the handlers say, empty where they pass.

    With the flags of the image, so that all trees share what is compiled.
    """
    command = ["nice", "go", "test", *build_flags(tree.path), "./internal/api"]
    done = run(command, tree.path, {"CGO_ENABLED": "0"}, ok=False)
    return done.stdout if done.returncode else ""


def replace(tree: RenderedTree, name: str, old: str, new: str) -> None:
    text = tree.file(name).read_text()
    assert old in text
    tree.file(name).write_text(text.replace(old, new, 1))


def test_the_handlers_are_as_the_contract_says(tree: RenderedTree) -> None:
    assert handler_tests(tree) == ""


GET, POST = 'v1.GET("/greetings/:name", getGreeting)', 'v1.POST("/greetings", postGreeting)'
MESSAGE = '\tMessage string `json:"message"`'

#: By what a developer did: the file, the text before and after, and what the tests say to it.
MUTANTS = {
    "a route too many": (
        API, GET, f'{GET}\n\tv1.PUT("/greetings/:name", getGreeting)',
        "the contract lacks PUT /v1/greetings/{name}",
    ),
    "a route too few": (API, POST, "_ = postGreeting", "POST /v1/greetings of the contract is no"),
    "a parameter renamed": (
        CONTRACT, "/v1/greetings/{name}:", "/v1/greetings/{who}:", "name",
    ),
    "a field renamed": (API, MESSAGE, MESSAGE.replace('"message"', '"text"'), "missing property"),
    "a field too many": (API, MESSAGE, f'{MESSAGE}\n\tExtra int `json:"extra"`', "/extra"),
    "another type": (CONTRACT, "status:\n          type: integer", "status:\n          type: string", "/status"),
    "another status": (API, "StatusCreated", "StatusAccepted", "status is not supported"),
    "a body that is not said": (
        CONTRACT,
        ("description: The greeting.\n          content:\n            application/json:\n"
        '              schema:\n                $ref: "#/components/schemas/Greeting"\n'),
        "description: The greeting.\n",
        "it has no body",
    ),
    "an invalid contract": (CONTRACT, "title: myservice", "titel: myservice", "value of title must be"),
}  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_handlers_are_not_as_the_contract_says(mutable: RenderedTree, mutant: str) -> None:
    name, old, new, said = MUTANTS[mutant]
    replace(mutable, name, old, new)
    assert said in handler_tests(mutable)


def test_a_new_test_of_a_handler_is_checked(mutable: RenderedTree) -> None:
    """Nothing in it asks for that."""
    mutable.file("internal/api/owner_test.go").write_text(
        "package api\n\n"
        'import "testing"\n\n'
        "func TestOwner(t *testing.T) {\n"
        "\trouter := newRouter(t, Deps{})\n"
        '\task(t, router, "GET", "/v1/greetings/Ada?lang=de", "")\n'
        '\task(t, router, "POST", "/v1/greetings", `{"name":"Ada","lang":"de"}`)\n'
        "}\n"
    )
    said = handler_tests(mutable)
    assert "GET /v1/greetings/Ada?lang=de: 200 is not as the contract says: it has no query" in said
    assert "POST /v1/greetings: 201 is not as the contract says: request body" in said
    assert "TestOwner" in said


# -- linters ---------------------------------------------------------------------------------


def test_make_lint_checks_the_contract(mutable: RenderedTree) -> None:
    [line] = [
        line
        for line in make(mutable.path, "--dry-run", "lint").splitlines()
        if line.endswith(CONTRACT)
    ]
    run(["sh", "-c", line], mutable.path)
    replace(mutable, CONTRACT, "schemas/Problem", "schemas/Problems")
    rejects(["sh", "-c", f"{line} 2>&1"], "Problems", mutable.path)


def test_redocly_finds_nothing(tree: RenderedTree, tmp_path: Path) -> None:
    redocly = [*npm_tool("redocly"), "lint", "--extends=recommended-strict"]
    # Whose licence the API has, its owner knows. What serves the contract refuses nobody.
    redocly += ["--skip-rule=info-license", "--skip-rule=operation-4xx-response"]
    stored = render(tmp_path / "stored", openapi=True, datastores=["redis"])
    run([*redocly, tree.file(CONTRACT), stored / CONTRACT], tmp_path)

    wrong = tmp_path / "wrong.yaml"
    text = tree.file(CONTRACT).read_text()
    wrong.write_text(text.replace("operationId: createGreeting", "operationId: getGreeting"))
    rejects([*redocly, wrong], "operation-operationId-unique", tmp_path)
