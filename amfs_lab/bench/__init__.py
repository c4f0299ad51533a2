"""What things cost, as ratios to a floor that is measured in the same rounds."""

from amfs_lab.bench.tables import PARTS, report

__all__ = ["PARTS", "report"]
