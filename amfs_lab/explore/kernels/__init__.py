"""Explorers of RBF kernels."""

from amfs_lab.explore.kernels import characters, questions, rbf

__all__ = ["characters", "questions", "rbf"]
