"""Explorers of regularisers and the choice of σ and λ."""

from amfs_lab.explore.regularisers import high_precision, landscape, limits, questions, regularisers, teachers

__all__ = ["high_precision", "landscape", "limits", "questions", "regularisers", "teachers"]
