"""Explorers of meta-training."""

from amfs_lab.explore.training import compare, curves, meta_training, trajectory

__all__ = ["compare", "curves", "meta_training", "trajectory"]
