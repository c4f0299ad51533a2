"""Explorers of the representer theorem."""

from amfs_lab.explore.representer import perpendicular, projection, projection_3d, questions

__all__ = ["perpendicular", "projection", "projection_3d", "questions"]
