"""No service may be called what something else is called that a render has, or presumes."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.combinations import COPIER_YML, jinja
from helpers.commands import gindock
from helpers.taken_names import taken_names

#: All that renders use, or presume to be there, beside the service.
TAKEN = {
    "namespaces": {
        *("argo-rollouts", "elasticsearch", "external-secrets", "gateway", "istio-system"),
        *("kafka", "kube-system", "logging", "monitoring"),
    },
    "objects": {"fluent-bit", "mysql", "postgres", "redis"},
    "Compose services": {
        *("app", "elasticsearch", "fluent-bit", "grafana", "jaeger", "kafka", "kibana"),
        *("log-consumer", "log-setup", "log-view", "migrate", "mysql", "nginx", "postgres"),
        *("prometheus", "redis"),
    },
    "Compose networks": {"backend", "edge", "services"},
    "Compose volumes": {
        *("elasticsearch", "fluent-bit", "grafana", "jaeger", "kafka", "kibana", "log-consumer"),
        *("mysql", "postgres", "prometheus", "redis"),
    },
}


def refused(name: str) -> bool:
    """Whether the question refuses the name for a new service."""
    given = {"service_name": name, "_copier_conf": {"overwrite": False}}
    return bool(jinja().from_string(COPIER_YML["service_name"]["validator"]).render(given).strip())


def test_the_list_is_what_renders_use() -> None:
    assert taken_names() == TAKEN


#: The networks are a project's own, and no name that anything is found by.
REFUSED = set().union(*TAKEN.values()) - TAKEN["Compose networks"]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_taken_name_is_refused(name: str) -> None:
    assert refused(name)


def test_the_command_refuses_a_taken_name_and_leaves_nothing(tmp_path: Path) -> None:
    done = gindock("new", "logging", "--defaults", cwd=tmp_path)
    assert done.code == 2
    assert "--service-name: choose another name" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_other_names_are_free() -> None:
    assert [name for name in ("orders", "logger", "my-gateway", "monitor") if refused(name)] == []
