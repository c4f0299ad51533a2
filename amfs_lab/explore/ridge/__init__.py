"""Explorers of one solve and its filter."""

from amfs_lab.explore.ridge import filter, points, questions, ridge, spectra, vote
from amfs_lab.moved import moved

__all__ = ["filter", "points", "questions", "ridge", "spectra", "vote"]

__getattr__ = moved(__name__)
