"""Explorers of the outer loop on quadratic tasks in the plane."""

from amfs_lab.explore.outer_loop import outer_loop, plane, pull, questions
from amfs_lab.moved import moved

__all__ = ["outer_loop", "plane", "pull", "questions"]

__getattr__ = moved(__name__)
