"""Render a template folder; what the maintainers' tools share."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import copier
import plumbum

#: The checkout that the tools work on.
ROOT = Path(__file__).resolve().parents[2]

NAME = "myservice"


def copy_template(folder: Path) -> Path:
    """Copy the template of the working tree into `folder`, which is new, and return it.

    Copier commits a changed working tree into a clone on every render. A plain folder needs none.
    """
    folder.mkdir()
    shutil.copy(ROOT / "copier.yml", folder)
    shutil.copytree(ROOT / "template", folder / "template", symlinks=True)
    return folder


def render(source: Path, destination: Path, **answers: Any) -> None:
    """Render the template in `source` with `answers`, and the defaults of what they leave open.

    Neither folder lies in a git repository.
    """
    # Copier asks git about each file that it writes. That takes a third of the time, and a folder
    # outside of git needs no answer.
    with plumbum.local.env(PATH=""):
        copier.run_copy(
            str(source),
            destination,
            data={"service_name": NAME, **answers},
            defaults=True,
            quiet=True,
            settings=copier.Settings(),
        )
