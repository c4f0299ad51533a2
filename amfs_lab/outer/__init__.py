"""The outer loop: rules that combine the tasks' gradients into one meta-update.

A rule has one class, one key in `AGGREGATORS` (for configurations) and one `label` (for figures and tables).
"""

from amfs_lab.outer.aggregation import Aggregator, Mean, MeanCosine, PairwiseCosine, PCGrad
from amfs_lab.outer.conflict import Conflict, measure
from amfs_lab.outer.directions import cancellation_tolerance
from amfs_lab.outer.from_torchjd import TorchJD

AGGREGATORS: dict[str, type[Aggregator]] = {
    "mean": Mean,
    "pairwise-cosine": PairwiseCosine,
    "mean-cosine": MeanCosine,
    "pcgrad": PCGrad,
    "torchjd": TorchJD,
}

__all__ = [
    "AGGREGATORS",
    "Aggregator",
    "Conflict",
    "Mean",
    "MeanCosine",
    "PCGrad",
    "PairwiseCosine",
    "TorchJD",
    "cancellation_tolerance",
    "measure",
]
