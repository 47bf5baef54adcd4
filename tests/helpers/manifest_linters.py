"""What each linter finds in what Kustomize builds, and the rules that objects waive."""

from __future__ import annotations

import concurrent.futures
import functools
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from helpers.crds import crd_files
from helpers.linters import PINS, checkov, go_tool, python_tool
from helpers.manifests import VERSIONS, Build, Object, title


class Finding(NamedTuple):
    """What a linter says against an object of a build."""

    build: Build
    object: str
    said: str


def documents(built: Iterable[Build]) -> dict[str, list[Build]]:
    """Return every object that is different, as JSON, with the builds that it is in."""
    found: dict[str, list[Build]] = {}
    for build in built:
        for document in build.objects:
            found.setdefault(json.dumps(document, sort_keys=True), []).append(build)
    return found


@contextmanager
def written(texts: Iterable[str], name: str) -> Iterator[Path]:
    """Write texts to files of a folder, each called `name` with its number."""
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(texts):
            path = Path(folder) / name.format(number)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        yield Path(folder)


def output(*command: str | Path, cwd: Path) -> str:
    """Return what a linter prints, whatever it finds."""
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, text=True, capture_output=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout, done.stderr
    return done.stdout


def by_document(
    built: Iterable[Build], lint: Callable[[Path, list[Object]], Iterable[tuple[int, str]]]
) -> list[Finding]:
    """Lint every document once: `lint` returns what it says by its number among N.json."""
    found = documents(built)
    objects: list[Object] = [json.loads(text) for text in found]
    holders = list(found.values())
    with written(found, "{}.json") as folder:
        return [
            Finding(build, title(objects[number]), said)
            for number, said in lint(folder, objects)
            for build in holders[number]
        ]


@functools.cache
def crd_schemas() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the schemas of the custom resources by apiVersion and kind."""
    found = {}
    for path in crd_files():
        spec = yaml.load(path.read_text(), yaml.CSafeLoader)["spec"]
        for version in spec["versions"]:
            if version["served"]:
                key = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
                found[key] = strict(version["schema"]["openAPIV3Schema"])
    return found


def strict(schema: dict[str, Any], root: bool = True) -> dict[str, Any]:
    """Return a structural schema that refuses what the API server would drop in silence."""
    found = dict(schema)
    if root:
        found["properties"] = {k: v for k, v in schema["properties"].items() if k != "metadata"}
    properties = {k: strict(v, root=False) for k, v in found.get("properties", {}).items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found[key] = strict(schema[key], root=False)
    if schema.get("type") == "object":
        if schema.get("x-kubernetes-embedded-resource"):
            properties |= {"apiVersion": {}, "kind": {}, "metadata": {}}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            found.setdefault("additionalProperties", False)
        found["properties"] = properties | ({"metadata": {}} if root else {})
    if "pattern" in schema:
        # Go's syntax, where a flag may stand anywhere.
        found["pattern"] = re.sub(r"^\^(\(\?i\))", r"\1^", schema["pattern"])
    if schema.get("nullable"):
        found["type"] = [schema["type"], "null"]
    return found


def kubernetes_validate(built: Sequence[Build]) -> list[Finding]:
    """Validate what Kubernetes itself defines."""

    def lint(folder: Path, objects: list[Object]) -> Iterator[tuple[int, str]]:
        own = [
            n for n, o in enumerate(objects) if (o["apiVersion"], o["kind"]) not in crd_schemas()
        ]
        tool = python_tool("kubernetes-validate")
        for version in VERSIONS if own else ():
            files = [f"{number}.json" for number in own]
            said = output(tool, "--strict", "-k", version, *files, cwd=folder).splitlines()
            # A kind that it does not know is a warning to it.
            for line in (line for line in said if not line.startswith("INFO ")):
                _, file, text = line.split(" ", 2)
                yield int(file.removesuffix(".json")), text
            assert sum(line.startswith("INFO ") for line in said) + len(
                {line.split()[1] for line in said if not line.startswith("INFO ")}
            ) == len(own)

    return by_document(built, lint)


def custom_resources(built: Sequence[Build]) -> list[Finding]:
    """Validate what is defined by others, against their own definitions."""

    def lint(folder: Path, objects: list[Object]) -> Iterator[tuple[int, str]]:
        keys = [(document["apiVersion"], document["kind"]) for document in objects]
        files = [f"{number}.json" for number, key in enumerate(keys) if key in crd_schemas()]
        if not files:
            return
        cases = [
            {
                "if": {"properties": {"apiVersion": {"const": key[0]}, "kind": {"const": key[1]}}},
                "then": crd_schemas()[key],
            }
            for key in sorted(set(keys) & set(crd_schemas()))
        ]
        (folder / "schema").write_text(json.dumps({"allOf": cases}))
        tool = python_tool("check-jsonschema")
        options = ("--disable-formats", "*", "--regex-variant", "python", "--output-format", "json")
        said = json.loads(output(tool, "--schemafile", "schema", *options, *files, cwd=folder))
        assert not said.get("parse_errors")
        for error in said["errors"]:
            number = int(error["filename"].removesuffix(".json"))
            yield number, f"{error['path']}: {error['message']}"

    return by_document(built, lint)


def checkov_kubernetes(built: Sequence[Build]) -> list[Finding]:
    """Ask checkov."""

    def lint(folder: Path, _objects: list[Object]) -> Iterator[tuple[int, str]]:
        _, failed = checkov(folder, "kubernetes")
        for file, said in failed.items():
            yield from ((int(file.removesuffix(".json")), text) for text in sorted(said))

    return by_document(built, lint)


def kube_score(built: Sequence[Build]) -> list[Finding]:
    """Ask kube-score, of each build by itself: it looks at how its objects belong together."""

    def score(build: Build) -> list[Finding]:
        with written([build.text], "{}.yaml") as folder:
            tool = go_tool("kube-score")
            options = ("--kubernetes-version", f"v{VERSIONS[0].removesuffix('.0')}", "-o", "json")
            report = json.loads(output(tool, "score", *options, "0.yaml", cwd=folder))
        # 5 is a warning, 1 is critical; 7 is a remark that is "almost OK".
        return [
            Finding(build, scored["object_name"], f"{check['check']['id']} {check['comments']}")
            for scored in report
            for check in scored["checks"]
            if not check["skipped"] and check["grade"] <= 5
        ]

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [finding for findings in pool.map(score, built) for finding in findings]


def kube_linter(built: Sequence[Build]) -> list[Finding]:
    """Ask kube-linter, to which each folder is one build."""
    with written([build.text for build in built], "{}/manifests.yaml") as folder:
        options = ("--config", PINS / "kube-linter" / "config.yaml", "--format", "json")
        fail = "--fail-if-no-objects-found"
        report = json.loads(output(go_tool("kube-linter"), "lint", *options, fail, ".", cwd=folder))
    return [
        Finding(
            built[int(Path(said["Object"]["Metadata"]["FilePath"]).parts[-2])],
            "{} {}".format(
                said["Object"]["K8sObject"]["GroupVersionKind"]["Kind"],
                said["Object"]["K8sObject"].get("Name"),
            ),
            f"{said['Check']} {said['Diagnostic']['Message']}",
        )
        for said in report["Reports"] or []
    ]


LINTERS: dict[str, Callable[[Sequence[Build]], list[Finding]]] = {
    "kubernetes-validate": kubernetes_validate,
    "custom resources": custom_resources,
    "checkov": checkov_kubernetes,
    "kube-score": kube_score,
    "kube-linter": kube_linter,
}


class Waiver(NamedTuple):
    """A rule that is not to count for an object."""

    linter: str
    rule: str
    reason: str


def waivers(document: Object) -> list[Waiver]:
    """Return the rules that an object's annotations waive."""
    found = []
    for key, value in document["metadata"].get("annotations", {}).items():
        if key.startswith("checkov.io/skip"):
            rule, _, reason = value.partition("=")
            found.append(Waiver("checkov", rule, reason))
        elif key.startswith("ignore-check.kube-linter.io/"):
            found.append(Waiver("kube-linter", key.partition("/")[2], value))
        elif key == "kube-score/ignore":
            # It has no place for a reason: that is a comment in the manifest.
            found += [Waiver("kube-score", rule, "") for rule in value.split(",")]
        else:
            assert "kube-score" not in key
            assert "kube-linter" not in key
    return found
