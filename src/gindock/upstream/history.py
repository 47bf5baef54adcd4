"""The history of the template: one commit and one tag for each release of gindock.

A release is a first-parent commit whose `version` in pyproject.toml differs from its parent's;
0.0.0 is none. The history is rebuilt from those commits alone, with fixed names and dates, so
that every checkout, with or without tags, and every build yields the same commit ids.
Only the standard library and git are used: the build backend imports this module.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gindock.errors import UserError
from gindock.gitio.command import own_git
from gindock.gitio.formats import parsed_objects, quoted

_PATHS = ("copier.yml", "template")
_NO_RELEASE = "0.0.0"


@dataclass(frozen=True)
class Release:
    """A released version, the commit that made it, and when (seconds since the epoch)."""

    version: str
    commit: str
    time: int

    @property
    def tag(self) -> str:
        """The tag of this release in the template's history."""
        return f"v{self.version}"


@dataclass(frozen=True)
class _File:
    path: bytes
    mode: bytes
    content: bytes


def releases(checkout: Path) -> list[Release]:
    """The releases that led to the checkout's HEAD, oldest first.

    Raises:
        UserError: the checkout is shallow, or names a version twice.

    """
    if _git(checkout, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise UserError(
            f"{checkout} is a shallow clone, in which releases are missing; "
            "run `git fetch --unshallow` first"
        )
    log = _git(
        checkout,
        "log",
        "--first-parent",
        "--reverse",
        "--format=%H %at",
        "HEAD",
        "--",
        "pyproject.toml",
    )
    found: list[Release] = []
    previous = _NO_RELEASE
    for entry in log.decode().splitlines():
        commit, time = entry.split()
        version = _version(_git(checkout, "show", f"{commit}:pyproject.toml").decode())
        if version not in (previous, _NO_RELEASE):
            if any(version == release.version for release in found):
                raise UserError(f"{version} is released twice, the second time in {commit}")
            found.append(Release(version, commit, int(time)))
        previous = version
    return found


def work_tree_key(checkout: Path) -> str:
    """What the work tree's template and the releases below it hash to."""
    digest = hashlib.sha256(_git(checkout, "rev-parse", "HEAD"))
    for file in _work_tree_files(checkout):
        for part in (file.path, file.mode, file.content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:12]


def development_tag(checkout: Path) -> str:
    """The tag of the work tree's own commit: a pre-release of what may follow the last release."""
    found = releases(checkout)
    major, minor, patch = (found[-1].version if found else _NO_RELEASE).split(".")[:3]
    return f"v{major}.{minor}.{int(patch) + 1}.dev0+g{work_tree_key(checkout)}"


def write_repository(checkout: Path, repository: Path, *, work_tree: bool = False) -> None:
    """Write the template's history into a new bare `repository`.

    With `work_tree`, the work tree's template follows the last release as a development commit.

    Raises:
        UserError: there is no release to write, or see `releases`.

    """
    snapshots = [(r.tag, r.time, list(_released_files(checkout, r))) for r in releases(checkout)]
    if work_tree:
        time = snapshots[-1][1] + 1 if snapshots else 0
        snapshots.append((development_tag(checkout), time, list(_work_tree_files(checkout))))
    if not snapshots:
        raise UserError(f"{checkout} holds no release yet: every commit has version {_NO_RELEASE}")
    repository.mkdir(parents=True)
    # Whatever GIT_DEFAULT_HASH says: the commit ids are to be the same everywhere.
    own_git(
        "init", "--quiet", "--bare", "--template=", "--object-format=sha1", ".", folder=repository
    )
    bare(repository, "symbolic-ref", "HEAD", "refs/heads/main")
    stream = b"".join(_fast_import(snapshots))
    bare(repository, "fast-import", "--quiet", "--date-format=raw", stdin=stream)
    # A blobless clone, as Copier may make one, needs the server's leave.
    bare(repository, "config", "uploadpack.allowFilter", "true")


def write_bundle(checkout: Path, bundle: Path) -> None:
    """Write the template's history into the git bundle file `bundle`; raises as above."""
    bundle.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder, "history.git")
        write_repository(checkout, repository)
        bare(
            repository,
            "bundle",
            "create",
            "--quiet",
            str(bundle.absolute()),
            "HEAD",
            "main",
            "--tags",
        )


def unpack_bundle(bundle: Path, repository: Path) -> None:
    """Make the bare `repository` that `bundle` was written from."""
    own_git("clone", "--quiet", "--mirror", "--template=", bundle, repository, folder=bundle.parent)
    bare(repository, "config", "uploadpack.allowFilter", "true")


def bundle_head(bundle: Path) -> tuple[str, str]:
    """The commit id and the tag of the newest release in `bundle`, read from its header."""
    refs: dict[str, str] = {}
    with bundle.open("rb") as file:
        file.readline()  # The signature.
        while (entry := file.readline().strip()) != b"":
            commit, ref = entry.decode().split(" ", 1)
            refs[ref] = commit
    head = refs["HEAD"]
    tag = next(r for r, commit in refs.items() if commit == head and r.startswith("refs/tags/"))
    return head, tag.removeprefix("refs/tags/")


def export(repository: Path, folder: Path) -> None:
    """Write the files of the newest release in `repository` into `folder`."""
    folder.mkdir(parents=True)
    own_git(
        f"--git-dir={repository.resolve()}",
        f"--work-tree={folder.resolve()}",
        "checkout",
        "--force",
        "HEAD",
        "--",
        ".",
        folder=folder,
    )
    shutil.rmtree(folder / ".git", ignore_errors=True)


def bare(repository: Path, *arguments: str, stdin: bytes | None = None) -> bytes:
    """Run git on a bare repository; named, because of `safe.bareRepository=explicit`."""
    return own_git(f"--git-dir={repository.absolute()}", *arguments, folder=repository, stdin=stdin)


def _git(checkout: Path, *arguments: str, stdin: bytes | None = None) -> bytes:
    # A build may run as another user than the one who owns the checkout.
    return own_git(
        "-c",
        f"safe.directory={checkout.resolve()}",
        "--no-replace-objects",
        *arguments,
        folder=checkout,
        stdin=stdin,
    )


def _version(pyproject: str) -> str:
    return str(tomllib.loads(pyproject)["project"]["version"])


def _released_files(checkout: Path, release: Release) -> Iterator[_File]:
    listing = _git(checkout, "ls-tree", "-r", "-z", release.commit, "--", *_PATHS)
    entries = [entry.split(b"\t", 1) for entry in listing.split(b"\0") if entry]
    ids = [meta.split()[2] for meta, _ in entries]
    blobs = _git(checkout, "cat-file", "--batch", stdin=b"\n".join(ids) + b"\n")
    for (about, path), content in zip(entries, parsed_objects(blobs), strict=True):
        yield _File(path, about.split()[0], content)


def _work_tree_files(checkout: Path) -> Iterator[_File]:
    listing = _git(
        checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_PATHS
    )
    for path in sorted(set(listing.split(b"\0")) - {b""}):
        file = checkout / os.fsdecode(path)
        if file.is_symlink():
            yield _File(path, b"120000", os.fsencode(file.readlink()))
        elif file.is_file():
            mode = b"100755" if os.access(file, os.X_OK) else b"100644"
            yield _File(path, mode, file.read_bytes())


def _fast_import(snapshots: list[tuple[str, int, list[_File]]]) -> Iterator[bytes]:
    """The stream of `git fast-import` that makes one commit and one tag of each snapshot."""
    for number, (tag, time, files) in enumerate(snapshots, start=1):
        message = f"gindock {tag}\n".encode()
        yield b"commit refs/heads/main\n"
        yield b"mark :%d\n" % number
        yield b"committer gindock <gindock@localhost> %d +0000\n" % time
        yield b"data %d\n%s\n" % (len(message), message)
        if number > 1:
            yield b"from :%d\n" % (number - 1)
        yield b"deleteall\n"
        for file in sorted(files, key=lambda file: file.path):
            yield b"M %s inline %s\n" % (file.mode, quoted(os.fsdecode(file.path)))
            yield b"data %d\n%s\n" % (len(file.content), file.content)
        yield b"reset refs/tags/%s\nfrom :%d\n\n" % (tag.encode(), number)
