"""The outer loop: rules that combine the tasks' gradients into one meta-update.

A rule has one class, one key in `AGGREGATORS` (for configurations) and one `label` (for figures and tables).
"""

from amfs_lab.outer.aggregation import (
    AGGREGATORS,
    Aggregator,
    Mean,
    MeanCosine,
    PairwiseCosine,
    PCGrad,
    Rescaled,
    SummedRule,
)
from amfs_lab.outer.conflict import Conflict, measure
from amfs_lab.outer.directions import cancellation_tolerance
from amfs_lab.outer.from_torchjd import TorchJD

__all__ = [
    "AGGREGATORS",
    "Aggregator",
    "Conflict",
    "Mean",
    "MeanCosine",
    "PCGrad",
    "PairwiseCosine",
    "Rescaled",
    "SummedRule",
    "TorchJD",
    "cancellation_tolerance",
    "measure",
]
