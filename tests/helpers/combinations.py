"""The answers that decide what is rendered, and the combinations of them that are tested."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import covertable
import jinja2
import jinja2.meta
import jinja2.sandbox
import yaml

from helpers.machine import CACHE, ROOT


def subsets(*values: str, least: int = 0) -> list[list[str]]:
    """Every subset of `values` with at least `least` members, in the order given."""
    sizes = range(least, len(values) + 1)
    return [list(c) for size in sizes for c in itertools.combinations(values, size)]


Row = Mapping[str, Any]

COPIER_YML: dict[str, Any] = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))

#: Free texts of which it matters whether they are empty, each with a text of its own.
TEXTS = {
    "host_name": "shop.example.com",
    "image_pull_secret": "registry-login",
    "goproxy": "https://goproxy.example.com,direct",
    "goprivate": "github.com/acme/*",
}


def jinja() -> jinja2.Environment:
    """Return Jinja with the delimiters and the filters that copier.yml is written for."""
    options = COPIER_YML["_envops"] | {"undefined": jinja2.StrictUndefined}
    filters = "jinja2_ansible_filters.AnsibleCoreFiltersExtension"
    return jinja2.sandbox.SandboxedEnvironment(extensions=[filters], **options)


def asked(copier_yml: Row = COPIER_YML) -> dict[str, Any]:
    """Return the questions that have an answer, in order; "Customise further?" shapes nothing."""
    return {
        name: question
        for name, question in copier_yml.items()
        if name[0] != "_" and name != "customise" and question.get("when") is not False
    }


def factors(copier_yml: Row = COPIER_YML) -> dict[str, list[Any]]:
    """Return the answers that decide which files and lines are rendered, each with its values.

    They are the choices, what is yes or no, and `TEXTS`. A value is None where the question is not
    asked.
    """
    found = {}
    for name, question in asked(copier_yml).items():
        values = _values(name, question)
        accepts = _rule(name, "validator", question.get("validator", ""))
        if accepts[0] == [name]:
            values = [value for value in values if accepts[1]({name: value})]
        if values:
            found[name] = [*values, None] if "when" in question else values
    return found


def _values(name: str, question: Row) -> list[Any]:
    if choices := question.get("choices"):
        offered = list(choices.values() if isinstance(choices, dict) else choices)
        return subsets(*offered) if question.get("multiselect") else offered
    if question["type"] == "bool":
        return [False, True]
    return ["", TEXTS[name]] if name in TEXTS else []


Rule = tuple[list[str], Callable[[Row], bool]]


def rules(copier_yml: Row = COPIER_YML) -> list[Rule]:
    """Return which values of `factors` can meet: the factors, and a condition that they fulfil.

    A question's `when` says whether it has an answer; its validator says what is refused.
    """
    known = factors(copier_yml)
    texts = [(name, kind, copier_yml[name].get(kind)) for name in known for kind in RULING]
    found = [_rule(name, kind, text) for name, kind, text in texts if text]
    return [(names, rule) for names, rule in found if len(names) > 1 and {*names} <= known.keys()]


#: What of a question binds its answer to others.
RULING = ("when", "validator")


def _rule(name: str, kind: str, text: str) -> Rule:
    names = sorted({name, *jinja2.meta.find_undeclared_variables(jinja().parse(text))})
    template = jinja().from_string(text)
    known: dict[str, bool] = {}

    def rule(row: Row) -> bool:
        values = {each: row[each] for each in names}
        if (key := repr(values)) not in known:
            said, is_asked = template.render(values).strip(), row[name] is not None
            known[key] = (said == "True") == is_asked if kind == "when" else not (said and is_asked)
        return known[key]

    return names, rule


FACTORS = factors()
RULES = rules()


def on_kubernetes(row: Row) -> bool:
    """Whether these answers render manifests."""
    return "kubernetes" in row["deploy"]


def on_compose(row: Row) -> bool:
    """Whether these answers render a Compose file."""
    return "compose" in row["deploy"]


def possible(row: Row) -> bool:
    """Whether these values of `FACTORS` can meet."""
    return all(rule(row) for _, rule in RULES)


DESCRIPTION = """Sells "books" & 'magazines' for $5, at C:/new, ünïcode 本"""

#: Answers that no combination varies, because they change values and not lines.
CUSTOM: dict[str, Any] = {
    # YAML would read the bare word as a boolean.
    "service_name": "on",
    "description": DESCRIPTION,
    "module_path": "git.example.com/team/on",
    "registry": "localhost:5000/team",
    "base_image": "alpine",
    "deploy": ["kubernetes", "compose"],
    "host_name": "a.b-c.example.org",
    "rollout": "canary",
    "datastores": ["postgres", "redis"],
    "secrets": "vault",
    "secret_store": "https://vault.example.org:8200/kv/team/shop",
    "monitoring": True,
    "log_collection": "kafka",
    "compose_profiles": ["observability", "logging"],
    "http_port": 8081,
    "admin_port": 9091,
    "liveness_path": "/live",
    "readiness_path": "/probes/ready",
    "startup_seconds": 301,
    "liveness_period_seconds": 7,
    "readiness_period_seconds": 3,
    "probe_timeout_seconds": 4,
    "cpu": "2",
    "memory": "1Gi",
    "gateway": "ingress/public.v1",
    "image_pull_secret": "registry-login",
    "goproxy": "off",
    "goprivate": "*.corp.example.com,github.com/acme/*",
}


@functools.cache
def combinations() -> list[dict[str, Any]]:
    """Answers in which any three values that can meet do meet, and the default and the fullest.

    A file whose text depends on at most three of `FACTORS` is so rendered in each of its
    variants; `test_combinations.py` proves the coverage, and names the files with more.
    """
    # To find them takes half a minute, so one process does.
    depends_on = Path(__file__).read_bytes() + json.dumps(FACTORS).encode()
    digest = hashlib.sha256(depends_on).hexdigest()[:12]
    kept = CACHE / f"combinations-{digest}.json"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "combinations.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            unfinished = kept.with_suffix(".part")
            unfinished.write_text(json.dumps(_combinations()))
            unfinished.replace(kept)
    rows: list[dict[str, Any]] = json.loads(kept.read_text())
    return rows


def _combinations() -> list[dict[str, Any]]:
    chosen = {name: [v for v in values if v is not None] for name, values in FACTORS.items()}
    default = {name: values[0] for name, values in chosen.items()}
    fullest = {name: values[-1] for name, values in chosen.items()}
    constraints = [{"operator": "fn", "requires": names, "evaluate": rule} for names, rule in RULES]
    rows = [
        default
        | {"deploy": ["kubernetes"], "probes": fullest["probes"]}
        | {"secrets": None, "compose_profiles": None},
        fullest | {"rollout": "canary", "ci": "github"},
        # A tolerance takes a few more rows, and a third of the time.
        *covertable.make(FACTORS, strength=3, constraints=constraints, tolerance=10),
    ]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]
