"""Explorers of the outer loop in the plane."""

from amfs_lab.explore.outer_loop import outer_loop, plane, pull, questions

__all__ = ["outer_loop", "plane", "pull", "questions"]
