"""What is around the destination of a new project: a repository, and what its remote tells."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gindock.creating.places import nearest_folder
from gindock.errors import UnreadableRepositoryError
from gindock.gitio.command import GitError, line
from gindock.gitio.repository import Repository

_MODULE_PATH = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")


def repository_around(destination: Path, *, needed: bool = True) -> Repository | None:
    """The repository that `destination` is to lie in; None where it is to lie in none.

    Raises:
        UnreadableRepositoryError: git cannot read it, and it is `needed`.

    """
    try:
        return Repository.find(nearest_folder(destination))
    except GitError as error:
        if not needed:
            return None
        inside = os.path.lexists(destination / ".git")
        raise UnreadableRepositoryError(str(error), not inside) from error


def known(destination: Path, around: Repository | None) -> dict[str, Any]:
    """What the repository `around` tells that the template can use.

    Raises:
        GitError: git cannot read it.

    """
    if around is None:
        return {}
    below = destination.relative_to(around.project)
    inside = {"below_root": True} if around.prefix or below.parts else {}
    # Without such a remote, git exits with 2.
    remote = line("remote", "get-url", "origin", folder=around.project, accept=(0, 2))
    if not remote or not (module := module_path_of(remote)):
        return inside
    module = "/".join([module, *Path(around.prefix).parts, *below.parts])
    return {**inside, "remote_module_path": module} if _MODULE_PATH.fullmatch(module) else inside


def workspace_without(project: Path) -> str | None:
    """What to do where a Go workspace is around `project` that does not use it; else None.

    Go takes the nearest go.work above, and then builds nothing that this does not name.
    """
    named = os.environ.get("GOWORK", "")
    if named == "off":
        return None
    above = [Path(named)] if named else [folder / "go.work" for folder in project.parents]
    workspace = next((file for file in above if file.is_file()), None)
    if workspace is None or project.resolve() in _used(workspace):
        return None
    return (
        f"{workspace} is a Go workspace that does not use the service, so that Go refuses to "
        f"build it; run `go -C {shlex.quote(str(project))} work use .`"
    )


def _used(workspace: Path) -> set[Path]:
    """The folders that the Go workspace of the file `workspace` uses."""
    text = re.sub(r"//.*", "", workspace.read_text(encoding="utf-8", errors="replace"))
    uses = re.findall(r"(?m)^\s*use\s*(\([^)]*\)|\S+)", text)
    folders = [folder.strip('"`') for use in uses for folder in use.strip("()").split()]
    return {(workspace.parent / folder).resolve() for folder in folders}


def module_path_of(remote: str) -> str | None:
    """The Go module path of the repository at the git address `remote`, if it is hosted.

    For example, github.com/acme/shop for git@github.com:acme/shop.git.
    """
    if scp_like := re.fullmatch(r"(?:[^@/:]+@)?([^@/:]+):(?!/)(.+)", remote):
        host, path = scp_like.groups()
    else:
        try:
            url = urlsplit(remote)
        except ValueError:
            return None
        host, path = url.hostname or "", url.path
    module = f"{host.lower()}/{path.strip('/').removesuffix('.git')}"
    return module if _MODULE_PATH.fullmatch(module) else None
