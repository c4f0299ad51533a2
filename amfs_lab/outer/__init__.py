"""What combines the tasks' gradients into one meta-update."""

from amfs_lab.outer.aggregation import Aggregator, Mean, MeanCosine, PairwiseCosine, PCGrad
from amfs_lab.outer.conflict import Conflict, measure

AGGREGATORS: dict[str, type[Aggregator]] = {
    "mean": Mean,
    "pairwise-cosine": PairwiseCosine,
    "mean-cosine": MeanCosine,
    "pcgrad": PCGrad,
}

__all__ = ["AGGREGATORS", "Aggregator", "Conflict", "Mean", "MeanCosine", "PCGrad", "PairwiseCosine", "measure"]
