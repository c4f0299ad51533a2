"""Explorers of regularisers and of the choice of σ and λ."""

from amfs_lab.explore.regularisers import high_precision, landscape, limits, questions, regularisers, teachers
from amfs_lab.moved import moved

__all__ = ["high_precision", "landscape", "limits", "questions", "regularisers", "teachers"]

__getattr__ = moved(__name__)
