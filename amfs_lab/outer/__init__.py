"""What combines the tasks' gradients into one meta-update."""

from amfs_lab.outer.aggregation import AGGREGATORS, Aggregator, Mean, MeanCosine, PairwiseCosine, PCGrad

__all__ = ["AGGREGATORS", "Aggregator", "Mean", "MeanCosine", "PCGrad", "PairwiseCosine"]
