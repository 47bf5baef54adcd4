"""Every combination in `combinations()`, rendered once for all tests that look at all.

These are not all that a user may choose: any three answers meet in one of them. What `variants`
and `with_folder` return is therefore all that the template can yield where a text, or a folder,
depends on at most three answers; `test_combinations.py` names those that depend on more.
"""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.combinations import combinations
from helpers.linters import locked
from helpers.machine import CACHE, ROOT
from helpers.rendering import render

FOLDER = CACHE / "renders"


@dataclass(frozen=True)
class Render:
    """The answers, and the digest of each file by its path."""

    answers: dict[str, Any]
    files: dict[str, str]

    def read(self, path: str) -> str:
        """Return the text of a rendered file."""
        return read(self.files[path])

    def write(self, folder: Path, under: str = "") -> Path:
        """Write the rendered files into `folder`, or those whose path begins with `under`."""
        for path in (path for path in self.files if path.startswith(under)):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(self.read(path), encoding="utf-8")
        return folder


@functools.cache
def read(digest: str) -> str:
    """Return the text of a file by its digest."""
    # Not `read_text`, which would turn CRLF into LF.
    return (FOLDER / "files" / digest).read_bytes().decode()


@functools.cache
def all_renders() -> list[Render]:
    """Return all combinations, rendered anew only when the template has changed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    index = FOLDER / f"{_template_digest()}.json"
    with locked("renders"):
        if not index.exists():
            _render_all(index)
    return [Render(**entry) for entry in json.loads(index.read_text())]


def variants(path: str) -> dict[str, str]:
    """Return every distinct text of the file `path` that is rendered, each by a name of its own."""
    digests = {r.files[path] for r in all_renders() if path in r.files}
    return {digest[:12]: read(digest) for digest in sorted(digests)}


def with_folder(folder: str) -> Iterator[Render]:
    """Yield one render for every distinct content of `folder` that is rendered."""
    seen = set()
    for rendered in all_renders():
        content = frozenset((p, d) for p, d in rendered.files.items() if p.startswith(folder + "/"))
        if content and content not in seen:
            seen.add(content)
            yield rendered


def _template_digest() -> str:
    """Digest what the renders depend on: the template, the questions and the combinations."""
    digest = hashlib.sha256()
    sources = [p for p in (ROOT / "template").rglob("*") if p.is_file()]
    for path in [
        *sorted(sources),
        ROOT / "copier.yml",
        ROOT / "tests" / "helpers" / "combinations.py",
    ]:
        digest.update(f"{path.relative_to(ROOT)}\0{path.stat().st_mode:o}\0".encode())
        digest.update(path.read_bytes() + b"\0")
    digest.update(json.dumps(combinations()).encode())
    return digest.hexdigest()[:16]


def _render_all(index: Path) -> None:
    shutil.rmtree(FOLDER)
    (FOLDER / "files").mkdir(parents=True)
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), spawn) as pool:
        one = functools.partial(_render_one, FOLDER / "files")
        renders = list(pool.map(one, combinations(), chunksize=4))
    unfinished = index.with_suffix(".tmp")
    unfinished.write_text(json.dumps(renders))
    unfinished.replace(index)


def _render_one(files_folder: Path, answers: dict[str, Any]) -> dict[str, Any]:
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        project = render(Path(folder) / "project", **answers)
        for path in sorted(p for p in project.rglob("*") if p.is_file()):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            files[path.relative_to(project).as_posix()] = digest
            target = files_folder / digest
            if not target.exists():
                # Two processes may write the same file, with the same content.
                target.write_bytes(content)
    return {"answers": answers, "files": files}
