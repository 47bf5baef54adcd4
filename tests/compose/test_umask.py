"""Containers can read what they mount, also where the repository was cloned under `umask 077`."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
import yaml
from helpers.all_renders import Render, all_renders, read
from helpers.linters import mutate
from helpers.strict_umask import closed, make_strict, make_up


@functools.cache
def mounted(digest: str) -> frozenset[str]:
    """Return what a Compose file mounts of the repository, secrets left out."""
    services = yaml.load(read(digest), yaml.CSafeLoader)["services"]
    sources = {v.split(":")[0] for s in services.values() for v in s.get("volumes", [])}
    return frozenset(s.removeprefix("./") for s in sources if s.startswith("./"))


def mounts(rendered: Render) -> set[str]:
    """Return what the stack of a render mounts of the repository."""
    files = [
        digest
        for path, digest in rendered.files.items()
        if path == "compose.yaml" or re.fullmatch(r"deploy/compose/[^/]+\.yaml", path)
    ]
    return {source for digest in files for source in mounted(digest)}


@functools.cache
def stacks() -> dict[tuple[str, ...], Render]:
    """Return a render for each set of mounts, and for each line by which `make up` opens them."""
    found: dict[tuple[str, ...], Render] = {}
    for rendered in all_renders():
        if "compose.yaml" in rendered.files:
            [line] = re.findall(r"^MOUNTED := .*$", rendered.read("Makefile"), re.MULTILINE)
            found.setdefault((line, *sorted(mounts(rendered))), rendered)
    return found


def test_make_up_opens_what_containers_mount_and_nothing_else(tmp_path: Path) -> None:
    found = stacks()
    # With and without each profile, and with the dashboard of Kubernetes.
    assert len(found) == 6
    for number, rendered in enumerate(found.values()):
        project = make_strict(rendered.write(tmp_path / str(number)))
        assert [p for name in mounts(rendered) for p in closed(project / name)] != []
        make_up(project)
        assert [p for name in mounts(rendered) for p in closed(project / name)] == []
        folders = tuple(f"{name}/" for name in mounts(rendered))
        others = {
            name
            for path in project.rglob("*")
            if path.is_file() and ".secrets" not in path.parts
            if not f"{(name := path.relative_to(project).as_posix())}/".startswith(folders)
        }
        assert [name for name in others if (project / name).stat().st_mode & 0o077] == []


@pytest.mark.parametrize(
    ("old", "new"), [("\tchmod -R go+rX $(MOUNTED)\n", ""), (" deploy/compose/nginx", "")]
)
def test_what_stays_closed_is_found(old: str, new: str, tmp_path: Path) -> None:
    rendered = next(iter(stacks().values()))
    project = make_strict(rendered.write(tmp_path / "project"))
    (project / "Makefile").write_text(mutate((project / "Makefile").read_text(), old, new))
    make_up(project)
    assert [*closed(project / "deploy/compose/nginx")] != []
