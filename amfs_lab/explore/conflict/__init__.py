"""Explorers of task conflict."""

from amfs_lab.explore.conflict import conflict, endpoints, questions, trajectories
from amfs_lab.moved import moved

__all__ = ["conflict", "endpoints", "questions", "trajectories"]

__getattr__ = moved(__name__)
