"""Measurement of time and memory, as ratios to a baseline that is measured in the same rounds."""

from amfs_lab.bench.tables import PARTS, report

__all__ = ["PARTS", "report"]
