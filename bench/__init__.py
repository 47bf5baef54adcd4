"""Measurements, as ratios within one run; each writes its own table into docs/measured/performance.md."""

import sys
from pathlib import Path

# What the tests share makes projects and runs services here, too.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
