"""Explorers of one solve and its filter."""

from amfs_lab.explore.ridge import filter, points, questions, ridge, spectra, vote

__all__ = ["filter", "points", "questions", "ridge", "spectra", "vote"]
