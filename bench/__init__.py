"""Ratios, measured side by side in one run; each bench writes its table into the docs."""

import sys
from pathlib import Path

# What the tests share makes projects and runs services here, too.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
