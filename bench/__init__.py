"""Measurements, as ratios within one run; each writes its own table into docs/performance.md."""
