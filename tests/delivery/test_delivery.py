"""What pipelines run beside linters and tests, and what Renovate raises."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from helpers.all_renders import variants
from helpers.crds import crd_files
from helpers.linters import (
    Command,
    mutate,
    python_tool,
    rejects,
    schema,
    write,
)
from helpers.machine import make, need, run
from helpers.pipelines import (
    GITLAB,
    jobs_of,
    rendered,
)


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return where kubeconform finds schemas, which it would else fetch from GitHub."""
    folder = tmp_path_factory.mktemp("schemas")
    python = python_tool("python")
    place = "import kubernetes_validate as k, pathlib; print(pathlib.Path(k.__file__).parent)"
    carried = Path(run([python, "-c", place], folder).stdout.strip())
    source = carried / "kubernetes-json-schema" / "v1.36.0-local-strict"
    definitions = json.loads((source / "_definitions.json").read_text())["$defs"]
    for path in source.glob("*-v[0-9].json"):
        text = path.read_text()
        if '"kind"' in text:
            whole = json.loads(text.replace("/api/_definitions.json#", "#"))
            (folder / path.name).write_text(json.dumps(whole | {"$defs": definitions}))
    for path in crd_files():
        crd = yaml.safe_load(path.read_text())["spec"]
        for version in crd["versions"]:
            name = f"{crd['names']['kind'].lower()}-{crd['group'].split('.')[0]}-{version['name']}"
            (folder / f"{name}.json").write_text(json.dumps(version["schema"]["openAPIV3Schema"]))
    return f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"


def test_make_manifests(tmp_path: Path, full: Path, custom: dict[str, Path], schemas: str) -> None:
    check: Command = ["make", "manifests", f"SCHEMAS={schemas}"]
    for source in (custom["github"], full):
        project = shutil.copytree(source, tmp_path / source.name)
        done = run(check, project).stdout
        checked = re.findall(r"^deploy/kubernetes/(\S+)$", done, re.MULTILINE)
        folders = {p.parent for p in project.glob("deploy/kubernetes/*/**/kustomization.yaml")}
        built = {p.relative_to(project / "deploy/kubernetes").as_posix() for p in folders}
        assert sorted(checked) == sorted(
            f for f in built if not f.startswith(("base", "components/"))
        )
        assert done.count("Invalid: 0, Errors: 0, Skipped: 0") == len(checked) >= 3

    deployment = project / "deploy/kubernetes/base/deployment.yaml"
    text = deployment.read_text()
    deployment.write_text(mutate(text, "readOnlyRootFilesystem", "readOnlyRoot"))
    rejects(check, "readOnlyRoot", project)
    deployment.write_text(mutate(text, "imagePullPolicy: Always", ""))
    rejects(check, "ImagePullPolicy", project)


def test_make_vuln(tmp_path: Path) -> None:
    project = rendered("github")
    [line] = make(project, "--silent", "--dry-run", "vuln").splitlines()

    def look_up(*symbols: str) -> Command:
        """Ask a database of one vulnerability, where there are symbols, instead of the public one."""
        folder = tmp_path / f"database{len(symbols)}"
        for name in ("index", "ID"):
            (folder / name).mkdir(parents=True)
        module, when = "github.com/gin-gonic/gin", "2026-01-01T00:00:00Z"
        entry = {
            "schema_version": "1.3.1",
            "id": "GO-2026-0001",
            "modified": when,
            "summary": "Gin answers",
            "database_specific": {"url": "https://example.com/GO-2026-0001"},
            "affected": [
                {
                    "package": {"name": module, "ecosystem": "Go"},
                    "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
                    "ecosystem_specific": {"imports": [{"path": module, "symbols": [*symbols]}]},
                }
            ],
        }
        vulns = [{"id": entry["id"], "modified": when}] if symbols else []
        index = {
            "db": {"modified": when},
            "modules": [{"path": module, "vulns": vulns}] if symbols else [],
            "vulns": vulns,
        }
        for name, content in index.items():
            (folder / "index" / f"{name}.json").write_text(json.dumps(content))
        if symbols:
            (folder / "ID" / "GO-2026-0001.json").write_text(json.dumps(entry))
        return ["sh", "-c", mutate(line, "./...", f"-db=file://{folder} ./...")]

    need("go")
    assert "No vulnerabilities found." in run(look_up(), project).stdout
    rejects(look_up("New"), "Your code is affected by 1 vulnerability", project)


def test_coverage_is_measured_where_it_is_asked_for() -> None:
    project = rendered("github")
    assert make(project, "--silent", "--dry-run", "test") == "go test -race -shuffle=on  ./...\n"
    total = "total:\t\t\t\t(statements)\t\t87.5%\n"
    pattern = jobs_of(rendered("gitlab") / GITLAB)["test"]["coverage"]
    assert re.findall(pattern.strip("/"), total, re.MULTILINE) == ["87.5"]
    ignored = (project / ".gitignore").read_text().splitlines()
    assert "*.out" in ignored


# --- Renovate


def test_renovate(tmp_path: Path) -> None:
    paths = write(tmp_path, variants("renovate.json"), "renovate.json")
    run(schema("renovate", paths), tmp_path)

    wrong = tmp_path / "wrong.json"
    wrong.write_text(mutate(paths[0].read_text(), '["gomodTidy"]', '"gomodTidy"'))
    rejects(schema("renovate", [wrong]), "gomodTidy", tmp_path)


def test_renovate_finds_the_versions_that_no_manager_of_its_own_does(full: Path) -> None:
    config = json.loads((full / "renovate.json").read_text())
    found = set()
    for manager in config["customManagers"]:
        for pattern in manager["managerFilePatterns"]:
            path = full / pattern.strip("/^$").replace("\\.", ".")
            for expression in manager["matchStrings"]:
                for match in re.finditer(expression.replace("(?<", "(?P<"), path.read_text()):
                    groups = match.groupdict()
                    name = groups.get("depName") or manager["depNameTemplate"]
                    found.add((path.name, name, groups["currentValue"]))
    makefile, readme = (full / "Makefile").read_text(), (full / "README.md").read_text()
    modules = {
        ("Makefile", re.sub(r"/cmd/.*", "", module), version)
        for module, version in re.findall(r" (\S+)@(v\d\S*)", makefile)
    }
    assert {name for _, name, _ in modules} >= {"golang.org/x/vuln", "github.com/zegl/kube-score"}
    [golangci] = {*re.findall(r"golangci-lint (\d\S+\d)", makefile + readme)}
    told = {(path, "golangci/golangci-lint", golangci) for path in ("Makefile", "README.md")}
    assert found == modules | told
    [pattern] = config["kubernetes"]["managerFilePatterns"]
    expression = re.compile(pattern.strip("/"))
    assert expression.search("deploy/kubernetes/overlays/dev/postgres.yaml")
    assert not expression.search("compose.yaml")
    # The image of the repository is no dependency of it.
    assert {"matchPackageNames": ["ghcr.io/acme/myservice"], "enabled": False}.items() <= (
        config["packageRules"][1].items()
    )


def test_renovate_raises_a_template_of_an_address_of_its_own(full: Path) -> None:
    config = json.loads((full / "renovate.json").read_text())
    # Its manager of Copier is on unless it is turned off, and reads .copier-answers.yml.
    assert "enabledManagers" not in config
    assert "copier" not in config
    [rule] = [rule for rule in config["packageRules"] if rule.get("matchManagers") == ["copier"]]
    [pattern] = rule["matchPackageNames"]
    # Renovate leaves `git+` out.
    assert re.search(pattern.strip("/"), "gindock::template")
    assert not re.search(pattern.strip("/"), "https://git.example.com/team/template")
