"""Measurements of time and memory. Times are compared with a baseline that is timed in the same rounds."""

from amfs_lab.bench.tables import PARTS, report

__all__ = ["PARTS", "report"]
