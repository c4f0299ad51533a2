"""What combines the tasks' gradients into one meta-update."""

from amfs_lab.outer.aggregation import Aggregator, Mean, MeanCosine, PairwiseCosine, PCGrad
from amfs_lab.outer.conflict import Conflict, measure
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
    "measure",
]
