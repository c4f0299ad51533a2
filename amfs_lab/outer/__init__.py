"""What combines the tasks' gradients into one meta-update."""

from amfs_lab.outer.aggregation import Aggregator, Mean, MeanCosine, PairwiseCosine, PCGrad

AGGREGATORS: dict[str, type[Aggregator]] = {
    "mean": Mean,
    "pairwise-cosine": PairwiseCosine,
    "mean-cosine": MeanCosine,
    "pcgrad": PCGrad,
}

__all__ = ["AGGREGATORS", "Aggregator", "Mean", "MeanCosine", "PCGrad", "PairwiseCosine"]
