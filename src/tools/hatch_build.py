"""Hatchling's build hook: puts the template and its history into the sdist and the wheel."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gindock.upstream import history

_PACKAGED = "src/gindock/_template/history.bundle"


class TemplateHook(BuildHookInterface):  # type: ignore[misc]
    """Carries the releases into what is built; an install in place reads its checkout instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the history to an sdist; to a wheel also the newest release's files, and news."""
        if version == "editable":
            return
        self.folder = Path(tempfile.mkdtemp(prefix="gindock-build-"))
        bundle = self._bundle()
        if self.target_name == "sdist":
            build_data["force_include"][str(bundle)] = _PACKAGED
            return
        history.unpack_bundle(bundle, self.folder / "history.git")
        history.export(self.folder / "history.git", self.folder / "files")
        build_data["force_include"][str(bundle)] = "gindock/_template/history.bundle"
        build_data["force_include"][str(self.folder / "files")] = "gindock/_template"
        changelog = str(Path(self.root, "CHANGELOG.md"))
        build_data["force_include"][changelog] = "gindock/_template/CHANGELOG.md"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was only needed for the build."""
        if version != "editable":
            shutil.rmtree(self.folder, ignore_errors=True)

    def _bundle(self) -> Path:
        root = Path(self.root)
        if not (root / ".git").exists() and (root / _PACKAGED).is_file():
            return root / _PACKAGED  # An unpacked sdist.
        bundle = self.folder / "history.bundle"
        history.write_bundle(root, bundle)
        return bundle
