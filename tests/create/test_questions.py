"""Questions: each is written once, and is an option with its help, choices and validation."""

from __future__ import annotations

import functools
import itertools
import re
from pathlib import Path
from typing import Any

import copier
import jinja2
import jinja2.nodes
import pytest
import yaml
from helpers import exclusions
from helpers.combinations import TEXTS, subsets
from helpers.exclusions import path_of, questions_of
from helpers.machine import ROOT, git
from helpers.rendering import render, template
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gindock.cli import spelling
from gindock.errors import BadInputError
from gindock.upstream import history, rendering
from gindock.upstream.questions import NOTHING, Question, Questions

COPIER_YML = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
QUESTIONS = Questions.read(ROOT / "copier.yml")
ASKED = {
    key: details
    for key, details in COPIER_YML.items()
    if not key.startswith("_") and details.get("when") is not False
}


BASIS = {"service_name": "myservice", "module_path": "github.com/acme/myservice"}


#: Answers with which every question is asked.
ALL_ASKED: dict[str, Any] = {
    "deploy": ["kubernetes", "compose"],
    "host_name": "shop.example.com",
    "datastores": ["redis"],
    "secrets": "vault",
}


def answers_of(**data: Any) -> dict[str, Any]:
    """The answers that Copier records for `data`."""
    return rendering.default_answers({**BASIS, **data}, own=False)


def refusal(**data: Any) -> str | None:
    """What is said against `data`, or None where it is accepted."""
    try:
        answers_of(**data)
    except BadInputError as error:
        return spelling.error_of_new(error)
    return None


#: What is said where a step of the guide was left out.
STEP = "see step {} of 'Add an option' in CONTRIBUTING.md"


# A test of one question has its key in its name, so that `-k KEY` runs all that concern it.
@pytest.mark.parametrize("key", ASKED)
def test_a_question_is_complete(key: str) -> None:
    assert incomplete(ASKED[key]) == set(), f"{key}: {STEP.format(2)}"


def incomplete(question: dict[str, Any]) -> set[str]:
    """What `question`, as copier.yml has it, lacks."""
    free_text = question["type"] in ("str", "int") and not question.get("choices")
    needed = {"type", "qmark", "help", *(["validator"] if free_text else [])}
    return {name for name in needed if not question.get(name)} | ({"default"} - set(question))


def test_the_check_of_a_question_rejects() -> None:
    good = {"type": "int", "qmark": "q", "help": "h", "default": "", "validator": "v"}
    assert incomplete(good) == set()
    for name in set(good) - {"type"}:
        assert incomplete({k: v for k, v in good.items() if k != name}) == {name}
    assert incomplete(good | {"help": ""}) == {"help"}


@pytest.mark.parametrize("key", [k for k, q in ASKED.items() if q.get("validator")])
def test_a_validator_is_tried(key: str) -> None:
    assert REFUSED.get(key), f"{key}: add to REFUSED what it refuses: {STEP.format(4)}"


@pytest.mark.parametrize("key", [k for k, q in ASKED.items() if q["default"] == ""])
def test_a_text_that_may_be_empty_has_an_example(key: str) -> None:
    """With that, the combinations of answers have it, and `make diff` shows it."""
    assert key in TEXTS, f"{key}: add to TEXTS what it may be: {STEP.format(4)}"


def unguarded(line: str, known: set[str]) -> set[str]:
    """What a line of `_exclude` asks for that is not `known`, and has no default."""
    delimiters = {k: v for k, v in COPIER_YML["_envops"].items() if k.endswith("_string")}
    tree = jinja2.Environment(**delimiters).parse(line)
    filters = [each for each in tree.find_all(jinja2.nodes.Filter) if each.name == "default"]
    guarded = {id(each.node) for each in filters}
    names = [name for name in tree.find_all(jinja2.nodes.Name) if id(name) not in guarded]
    return {name.name for name in names} - known


@pytest.mark.parametrize(
    "line", exclusions.LINES, ids=lambda line: " ".join([path_of(line), *questions_of(line)])
)
def test_old_services_know_what_leaves_out(line: str) -> None:
    """An update reads `_exclude` with the answers of a release that lacks later questions."""
    first = history.releases(ROOT)[0].commit
    known = set(yaml.safe_load(git(ROOT, "show", f"{first}:copier.yml")))
    assert not unguarded(line, known), f"{line}: add `| default(…)`: {STEP.format(3)}"


def test_the_check_of_what_leaves_out_rejects() -> None:
    line = "[% if not new | default(false) and not old %]/x[% endif %]"
    assert unguarded(line, {"old"}) == set()
    assert unguarded(line, set()) == {"old"}
    assert unguarded("[% if not (new or old | default(true)) %]/x[% endif %]", {"old"}) == {"new"}


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "service_name": ({"service_name": "orders"}, "orders"),
    "description": ({"description": "Keeps the orders"}, "Keeps the orders"),
    "module_path": ({"module_path": "git.acme.io/shop"}, "git.acme.io/shop"),
    "base_image": ({"base_image": "alpine"}, "alpine:"),
    "registry": ({"registry": "quay.io/acme"}, "quay.io/acme"),
    "deploy": ({"deploy": ["compose"]}, "stop_grace_period"),
    "probes": ({"probes": ["startup"]}, "startupProbe"),
    "datastores": ({"datastores": ["postgres"]}, "DATABASE_URL"),
    "host_name": ({"host_name": "shop.example.com"}, "shop.example.com"),
    "rollout": ({"rollout": "blue-green"}, "autoPromotionEnabled: false"),
    "secrets": ({"datastores": ["redis"], "secrets": "vault"}, "kind: ExternalSecret"),
    "secret_store": (
        {"datastores": ["redis"], "secrets": "vault", "secret_store": "https://v.io/kv/x"},
        "path: kv",
    ),
    "monitoring": ({"monitoring": True}, "kind: PrometheusRule"),
    "log_collection": ({"log_collection": "kafka"}, "kind: DaemonSet"),
    "tracing": ({"tracing": True}, "go.opentelemetry.io"),
    "compose_profiles": (
        {"deploy": ["compose"], "compose_profiles": ["observability"]},
        "deploy/compose/observability.yaml",
    ),
    "monorepo": ({"monorepo": True}, "part of a monorepo"),
    "ci": ({"ci": "gitlab"}, "CI_PIPELINE_SOURCE"),
    "http_port": ({"http_port": 18080}, "18080"),
    "admin_port": ({"admin_port": 19090}, "19090"),
    "openapi": ({"openapi": True}, "openapi: 3.1.0"),
    "liveness_path": ({"liveness_path": "/alive"}, "/alive"),
    "readiness_path": ({"readiness_path": "/go"}, "/go"),
    "startup_seconds": ({"startup_seconds": 84}, "failureThreshold: 42"),
    "liveness_period_seconds": ({"liveness_period_seconds": 77}, "periodSeconds: 77"),
    "readiness_period_seconds": ({"readiness_period_seconds": 78}, "periodSeconds: 78"),
    "probe_timeout_seconds": ({"probe_timeout_seconds": 19}, "timeoutSeconds: 19"),
    "cpu": ({"cpu": "333m"}, "cpu: 333m"),
    "memory": ({"memory": "1Gi"}, "memory: 1Gi"),
    "gateway": ({"host_name": "shop.example.com", "gateway": "edge/public"}, "namespace: edge"),
    "image_pull_secret": ({"image_pull_secret": "pull"}, "imagePullSecrets:\n  - name: pull"),
    "auth": ({"auth": True}, "keyfunc"),
    "goproxy": ({"goproxy": "https://goproxy.acme.io,direct"}, "https://goproxy.acme.io,direct"),
    "goprivate": ({"goprivate": "git.acme.io/*"}, "git.acme.io/*"),
}


@pytest.mark.parametrize("key", [key for key in ASKED if key != "customise"])
def test_an_answer_changes_what_is_rendered(key: str, tmp_path: Path) -> None:
    assert key in CHANGES, f"{key}: add to CHANGES what it changes: {STEP.format(4)}"
    data, expected = CHANGES[key]
    files = [f for f in render(tmp_path / "out", **data).rglob("*") if f.is_file()]
    found = [f for f in files if f.name != ".copier-answers.yml" and expected in f.read_text()]
    assert found, f"no file holds {expected!r}"
    default = (
        render(tmp_path / "default", probes=[]) if key == "probes" else render(tmp_path / "default")
    )
    same = [
        f
        for f in found
        if (d := default / f.relative_to(tmp_path / "out")).exists()
        and d.read_text() == f.read_text()
    ]
    assert found != same


def test_options_are_the_questions(capsys: pytest.CaptureFixture[str]) -> None:
    from gindock.cli import app

    with pytest.raises(SystemExit) as left:
        app(["new", "--help"], standalone_mode=True)
    assert left.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for key, details in ASKED.items():
        option = "--" + key.replace("_", "-")
        assert option in shown
        assert details["help"] in shown
        choices = list((details.get("choices") or {}).values())
        if details.get("multiselect"):
            choices.append(NOTHING)
        if choices:
            assert f"<{'|'.join(choices)}>" in shown.replace(" ", "")
        if details["type"] == "bool":
            assert f"{option} / --no-{key.replace('_', '-')}" in shown


SECTIONS = ["service", "image", "deployment", "dependencies", "observability", "delivery"]


def test_one_section_at_a_time() -> None:
    """First what everyone is asked, then what is behind each section that may be customised."""
    runs = [section for section, _ in itertools.groupby(QUESTIONS.all, lambda q: q.section)]
    everyone = runs[: runs.index("customise")]
    assert everyone == SECTIONS[:4]
    assert runs[runs.index("customise") + 1 :] == SECTIONS
    assert list(QUESTIONS.by_key["customise"].choices.values()) == SECTIONS


def test_at_most_seven_questions_are_asked_of_everyone() -> None:
    everyone = [q.key for q in QUESTIONS.all if not q.behind and q.key != "service_name"]
    assert len(everyone) <= 7
    for question in QUESTIONS.all:
        if question.behind:
            assert question.ask == f"[[ '{question.section}' in customise ]]", question.key


@pytest.mark.parametrize("question", QUESTIONS.all, ids=lambda q: q.key)
def test_a_question_fits_a_narrow_terminal(question: Question) -> None:
    """At 60 columns: its section in 13, a space, and a hint such as (Y/n)."""
    assert len(question.help) + 13 + 1 + len(" (Y/n)") <= 60
    # What the field of a choice has around it.
    assert all(len(label) + len(" » ● ") < 60 for label in question.choices)


def test_the_help_has_the_defaults_by_section(capsys: pytest.CaptureFixture[str]) -> None:
    from gindock.cli import app

    with pytest.raises(SystemExit):
        app(["new", "--help"], standalone_mode=True)
    shown = capsys.readouterr().out
    titles = [line.rstrip(":") for line in shown.splitlines() if re.match(r"[A-Z]\w+:", line)]
    assert [t for t in titles if t.lower() in SECTIONS] == [s.capitalize() for s in SECTIONS]
    told = " ".join(shown.split())
    for default in ("example.com/NAME", "distroless", "8080", "startup,liveness,readiness", "no"):
        assert f"[default: {default}]" in told
    answered = rendering.default_answers({"service_name": "name"}, own=False).items()
    recorded = {key: value for key, value in answered if not key.startswith("_")}
    derived = QUESTIONS.defaults({"service_name": "name"})
    assert {key: str(derived[key]) for key in recorded} == {k: str(v) for k, v in recorded.items()}


@pytest.mark.parametrize("question", QUESTIONS.all, ids=lambda q: q.key)
def test_what_is_spelled_is_parsed_again(question: Question) -> None:
    value = answers_of(**ALL_ASKED)[question.key]
    spelled = spelling.options(question, value)
    assert spelled[0].lstrip("-").removeprefix("no-").replace("-", "_") == question.key
    if question.type != "bool":
        assert question.parse(",".join(spelled[1::2])) == value


#: What a question needs to be asked, or its answer to be wrong.
WITH: dict[str, dict[str, Any]] = {
    "rollout": {"host_name": ""},
    "secret_store": {"datastores": ["redis"], "secrets": "vault"},
    "monitoring": {"host_name": "shop.example.com", "rollout": "canary"},
    "gateway": {"host_name": "shop.example.com"},
}

REFUSED: dict[str, list[Any]] = {
    "service_name": ["", "-a", "a-", "A", "a_b", "a b", "a" * 53, "abc\n", "../x", "a/b", ".", "a\\b", "vendor", "internal", "testdata", "default", "kube-system", "postgres", "mysql", "nginx", "ünï", "9lives", ".git/hooks"],
    "description": ["", " ", "two\nlines", "tab\there", "x" * 201, "bell\x07", "back\\slash"],
    "module_path": ["", "myservice", "Github.com/acme/x", "github.com/acme/", "github.com//x", "github.com/../x", "github.com/acme/x y", "github.com/acme/x;", "https://github.com/acme/x", "github.com/acme/x\n", "a.b/v1", "a.b/x/v0", "a.b/x/v01", "a.b/con", "a.b/x.", "a.b/vendor/x", "gopkg.in/x.v1", "/a.b/x", "a.b/-x/[[ y ]]"],
    "registry": ["", "acme", "ghcr.io", "https://ghcr.io/acme", "ghcr.io/Acme", "ghcr.io/", "ghcr.io//x", "ghcr.io/acme:tag", "host:0/x", "host:70000/x", "ghcr.io/a b", "ghcr.io/acme\n", "-h.io/x"],
    "http_port": [0, 80, 1023, 65536, -1],
    "admin_port": [0, 8080, 70000],
    "liveness_path": ["", "healthz", "/", "/a b", "/A", "/metrics", "/health", "/version", "/x?y", "/:id", "/a/", "//a"],
    "readiness_path": ["", "ready", "/metrics", "/healthz", "/*x"],
    "startup_seconds": [0, 9, 3601],
    "liveness_period_seconds": [0, 301],
    "readiness_period_seconds": [0, 301],
    "probe_timeout_seconds": [0, 61],
    "deploy": [[]],
    "datastores": [["postgres", "mysql"], ["postgres", "mysql", "redis"]],
    "host_name": ["localhost", "Shop.example.com", "shop.example.com.", "-a.example.com", "a..b", "10.0.0.1", "https://a.io", "a.io:80", "a.io/x", "*.a.io", "a_b.io", "a" * 64 + ".io", "a.io\n", "a." * 122 + "io"],
    "rollout": ["canary"],
    "secret_store": ["", "vault", "https://vault.example.com", "https://vault.example.com/", "https://vault.example.com/kv", "https://vault.example.com/kv/", "vault.example.com/kv/x", "https://v.io/kv/a b", "https://v.io/kv/../x", "https://v.io/kv/x\n"],
    "monitoring": [False],
    "gateway": ["", "public", "a/b/c", "/public", "edge/", "Edge/public", "edge/public\n"],
    "image_pull_secret": ["-a", "a b", "A", "a\n"],
    "cpu": ["", "0", "0m", "1000", "100mm", "100Mi", "1.5", "-1", "1 m", "1m\n", "half"],
    "memory": ["", "128", "128M", "128mb", "128MB", "0Mi", "16Mi", "1.5Gi", "1Ti", "128Mi\n", "-1Gi"],
    "goproxy": ["x", "direct,", "https://a.b c", "https://a.b\n", "file:///x", "'"],
    "goprivate": ["a b", ",", "a,", "$(id)", "a\n", "'"],
}  # fmt: skip


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, vs in REFUSED.items() for v in vs])
def test_a_bad_answer_is_refused_by_name(key: str, value: Any) -> None:
    said = refusal(**WITH.get(key, {}), **{key: value})
    assert said is not None
    assert said.startswith("--" + key.replace("_", "-") + ": ")


ACCEPTED: dict[str, list[Any]] = {
    "service_name": ["a", "a-b", "a1", "a" * 52, "main", "cmd"],
    "description": ["x", 'He said "hi" for $5 `x`', "größer 服务", "a: b # c", "'", "{{ x }}", "[[ x ]]", "%", "-", "x" * 200],
    "module_path": ["github.com/acme/x", "example.com/x", "a.b", "github.com/Acme/X_y", "a.b/x/v2", "gitlab.com/a/b/c/d", "dev.azure.com/a/b.git", "a.b/~x", "k8s.io/internal/x"],
    "registry": ["ghcr.io/acme", "localhost/x", "localhost:5000", "registry.acme.io:5000/a/b__c/d-e.f", "docker.io/acme", "123456789012.dkr.ecr.eu-west-1.amazonaws.com"],
    "host_name": ["", "a.io", "shop.example.com", "xn--bcher-kva.example", "a-b.c-d.io", "1.a.io"],
    "rollout": ["rolling", "blue-green"],
    "secret_store": ["https://v.io/kv/x", "http://vault:8200/kv/team/shop", "https://v.io:8200/secret/a.b_c-d"],
    "gateway": ["edge/public", "gateway-system/a.b"],
    "image_pull_secret": ["", "pull", "ghcr.io"],
    "cpu": ["1m", "250m", "1", "64"],
    "memory": ["32Mi", "128Mi", "1Gi"],
    "goproxy": ["", "direct", "off", "https://a.b/c,direct", "https://a.b|https://c.d,off"],
    "goprivate": ["", "github.com/acme", "*.acme.io,github.com/acme/*"],
}  # fmt: skip


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, vs in ACCEPTED.items() for v in vs])
def test_a_good_answer_is_taken(key: str, value: Any) -> None:
    assert refusal(**WITH.get(key, {}), **{key: value}) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "shop",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:",
        "arn:aws:s3:::shop",
        "arn:aws:secretsmanager::123456789012:secret:shop",
        "https://v.io/kv/x",
    ],
)
def test_a_bad_address_in_aws_is_refused(address: str) -> None:
    said = refusal(datastores=["redis"], secrets="aws", secret_store=address)
    assert said is not None
    assert said.startswith("--secret-store: ")


def test_a_canary_has_what_it_needs() -> None:
    answers = answers_of(rollout="canary", host_name="shop.example.com")
    assert answers["monitoring"] is True


@pytest.mark.parametrize(
    ("module_path", "registry", "ci"),
    [
        ("github.com/Acme/shop", "ghcr.io/acme", "github"),
        ("gitlab.com/acme/team/shop", "registry.gitlab.com/acme/team/shop", "gitlab"),
        ("gitlab.acme.io/shop", "registry.example.com", "gitlab"),
        ("git.acme.io/shop", "registry.example.com", "github"),
    ],
)
def test_registry_and_ci_follow_the_module_path(module_path: str, registry: str, ci: str) -> None:
    answers = answers_of(module_path=module_path)
    assert (answers["registry"], answers["ci"]) == (registry, ci)


@pytest.mark.parametrize("key", ASKED)
def test_an_answer_is_recorded(key: str) -> None:
    """Also one behind 'customise': a later release must render the same value."""
    assert key in everything_asked(), (
        f"{key}: `ask:` is for what is behind 'customise', and `when:` is not: {STEP.format(2)}; "
        "where another answer decides whether it is asked, add that to ALL_ASKED"
    )


@functools.cache
def everything_asked() -> dict[str, Any]:
    """The answers that are recorded where every question is asked."""
    return answers_of(**ALL_ASKED)


def test_only_answers_are_recorded() -> None:
    assert {k for k in everything_asked() if not k.startswith("_")} <= set(ASKED)


@pytest.mark.parametrize(
    "folder", ["My Service", "9lives", "---", "服务", "a" * 80, "vendor2", "x."]
)
def test_the_folder_suggests_a_valid_name(folder: str, tmp_path: Path) -> None:
    copier.run_copy(
        str(template()), tmp_path / folder, defaults=True, quiet=True, settings=copier.Settings()
    )
    name = yaml.safe_load((tmp_path / folder / ".copier-answers.yml").read_text())["service_name"]
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?", name)


FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
NAME = re.compile(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?")
RESERVED = {"vendor", "internal", "testdata", "default", "app", "kafka", "nginx", "redis", "mysql"}


@FUZZ
@given(st.one_of(st.text(max_size=60), st.from_regex(NAME, fullmatch=True), st.from_regex(NAME)))
@example("abc\n")
def test_fuzzed_names_are_taken_exactly_when_they_match(name: str) -> None:
    reserved = name in RESERVED or name.startswith("kube-")
    assert (refusal(service_name=name) is None) == (bool(NAME.fullmatch(name)) and not reserved)


@FUZZ
@given(st.from_regex(r"[a-z0-9-]{1,12}\.[a-z]{2,3}(/[A-Za-z0-9._~-]{1,12}){0,4}", fullmatch=True))
@example("github.com/~")
@example("github.com/acme-/x")
@example("gitlab.com/_._/x")
def test_any_module_path_that_is_taken_leads_to_a_valid_registry(module_path: str) -> None:
    said = refusal(module_path=module_path)
    assert said is None or said.startswith("--module-path: ")


@FUZZ
@given(
    st.dictionaries(
        st.sampled_from(sorted(ASKED)),
        st.one_of(
            st.text(max_size=20),
            st.integers(),
            st.booleans(),
            st.none(),
            st.lists(st.text(max_size=5), max_size=2),
        ),
        max_size=3,
    )
)
def test_any_answers_are_taken_or_refused_in_one_line(data: dict[str, Any]) -> None:
    try:
        rendering.default_answers({"service_name": "x", **data}, own=False)
    except BadInputError as error:
        assert len(str(error)) < 500
        assert "Traceback" not in str(error)


def test_asked_matches_what_copier_records() -> None:
    for deploy, probes in itertools.product(
        subsets("kubernetes", "compose", least=1), subsets("startup", "liveness", "readiness")
    ):
        answers = rendering.default_answers(
            {"service_name": "x", "deploy": deploy, "probes": probes, "customise": []}, own=False
        )
        everything = {**answers, "customise": SECTIONS}
        assert QUESTIONS.asked(everything) == [q.key for q in QUESTIONS.all if q.key in answers]
