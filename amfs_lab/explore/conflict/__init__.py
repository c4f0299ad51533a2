"""Explorers of task conflict."""

from amfs_lab.explore.conflict import conflict, endpoints, questions, trajectories

__all__ = ["conflict", "endpoints", "questions", "trajectories"]
