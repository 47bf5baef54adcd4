"""Everything in a rendered repository that is not Go passes its linters, in every variant.

Each linter must also reject a mutated render: a linter that finds nothing may not be looking.
"""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from helpers.all_renders import all_renders, variants
from helpers.combinations import DESCRIPTION
from helpers.linters import (
    PINS,
    YAMLLINT,
    Command,
    checkov,
    python_tool,
    rejects,
    shellcheck,
    write,
)
from helpers.machine import make, run

OVERLAYS = "deploy/kubernetes/overlays"


# --- Dockerfile


def test_dockerfiles(tmp_path: Path, custom: dict[str, Path]) -> None:
    texts = variants("Dockerfile") | {"custom": (custom["github"] / "Dockerfile").read_text()}
    dockerfiles = write(tmp_path, texts, "Dockerfile")

    run([python_tool("hadolint"), "--failure-threshold", "style", *dockerfiles], tmp_path)
    passed, failed = checkov(tmp_path, "dockerfile")
    assert failed == {}
    assert passed >= 10 * len(dockerfiles)


def test_dockerfile_linters_reject(tmp_path: Path) -> None:
    text = next(iter(variants("Dockerfile").values()))
    root = re.sub(r"^USER .*\n", "", text, flags=re.MULTILINE)
    latest = re.sub(r"^FROM \S+ AS runtime", "FROM alpine:latest AS runtime", text, flags=re.M)
    write(tmp_path, {"root": root, "latest": latest}, "Dockerfile")

    _, failed = checkov(tmp_path, "dockerfile")
    assert any(f.startswith("CKV_DOCKER_3 ") for f in failed["root/Dockerfile"])
    rejects([python_tool("hadolint"), "latest/Dockerfile"], "DL3007", tmp_path)


def test_the_dockerfiles_of_the_article_are_refused() -> None:
    folder = PINS / "article"
    _, failed = checkov(folder, "dockerfile")
    for name, rule, ids in [
        ("alpine", "DL3007", {"CKV_DOCKER_2", "CKV_DOCKER_3", "CKV_DOCKER_7"}),
        ("multi-stage", "DL3007", {"CKV_DOCKER_2", "CKV_DOCKER_3", "CKV_DOCKER_7"}),
        ("distroless", "DL3006", {"CKV_DOCKER_2", "CKV_DOCKER_3", "CKV_DOCKER_7"}),
        ("user", "DL3066", {"CKV_DOCKER_2"}),
    ]:
        assert {said.split()[0] for said in failed[f"{name}/Dockerfile"]} == ids
        command: Command = [python_tool("hadolint"), "--failure-threshold", "style"]
        rejects([*command, f"{name}/Dockerfile"], rule, folder)


def test_the_description_reaches_the_label_as_it_is(custom: dict[str, Path]) -> None:
    text = (custom["github"] / "Dockerfile").read_text()
    match = re.search(r'image\.description="((?:[^"\\]|\\.)*)" \\\n', text)
    assert match
    # Within double quotes, Docker takes these two literally behind a backslash.
    assert not re.search(r"(?<!\\)(\\\\)*\$", match[1])
    assert re.sub(r'\\(["$])', r"\1", match[1]) == DESCRIPTION


# --- YAML


def test_yaml_style(tmp_path: Path, custom: dict[str, Path]) -> None:
    names = {path for r in all_renders() for path in r.files if path.endswith((".yaml", ".yml"))}
    for name in sorted(names):
        write(tmp_path / name.replace("/", "_"), variants(name), Path(name).name)
    yamllint: Command = [python_tool("yamllint"), "--strict", "--config-file", YAMLLINT]
    run([*yamllint, tmp_path, *custom.values()], tmp_path)

    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("key:  value\n")
    rejects([*yamllint, wrong], "colons", tmp_path)


# --- Makefile


def targets(answers: Mapping[str, Any]) -> set[str]:
    """Return the targets that a Makefile must offer."""
    compose = {"up", "down"} if "compose" in answers["deploy"] else set()
    stores = {"db"} if answers["datastores"] else set()
    secrets = {"secrets"} if answers["datastores"] or answers.get("compose_profiles") else set()
    deploy = {"manifests", "deploy", "rollback"} if "kubernetes" in answers["deploy"] else set()
    promote = {"promote"} if answers.get("rollout", "rolling") != "rolling" else set()
    always = {"help", "run", "dev", "test", "lint", "vuln", "image", "push"}
    return {*always, *stores, *compose, *secrets, *deploy, *promote}


def test_makefiles(tmp_path: Path) -> None:
    seen = set()
    for rendered in all_renders():
        if rendered.files["Makefile"] in seen:
            continue
        seen.add(rendered.files["Makefile"])
        project = rendered.write(tmp_path / str(len(seen)))
        listed = {line.split()[0] for line in make(project).splitlines()}
        assert listed == targets(rendered.answers)
        shellcheck(make(project, "--silent", "--dry-run", *sorted(listed)), project)
        assert rendered.read("Makefile").count("\n") < 140
    # Kubernetes, Compose or both; which data stores; private modules or not; and, in most of
    # those with Kubernetes, a promotion or none.
    assert len(seen) > 3 * 4 * 2


def test_secrets_are_made_once(tmp_path: Path, full: Path) -> None:
    for name in ("Makefile", "Dockerfile"):
        shutil.copy(full / name, tmp_path)
    dev = tmp_path / OVERLAYS / "dev" / ".secrets"
    dev.parent.mkdir(parents=True)
    folders = [tmp_path / ".secrets", dev]

    def made() -> list[dict[str, str]]:
        make(tmp_path, "secrets")
        return [{path.name: path.read_text() for path in folder.iterdir()} for folder in folders]

    first = made()
    for folder, texts in zip(folders, first, strict=True):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o644}
        database, cache = texts["postgres_password"], texts["redis_password"]
        assert re.fullmatch(r"[0-9a-f]{48}", database)
        assert re.fullmatch(r"[0-9a-f]{48}", cache)
        url = f"postgres://app:{database}@postgres:5432/app?sslmode=disable"
        assert texts["database_url"] == url
        assert texts["redis_url"] == f"redis://:{cache}@redis:6379/0"
        assert f"requirepass {cache}\n" in texts["redis.conf"]
    assert len({text for texts in first for name, text in texts.items() if "pass" in name}) == 4
    compose = yaml.safe_load((full / "compose.yaml").read_text())
    assert {Path(s["file"]).name for s in compose["secrets"].values()} <= set(first[0])
    assert ".secrets/" in (full / ".gitignore").read_text().splitlines()

    assert made() == first
