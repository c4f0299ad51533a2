"""Explorers of few-shot episodes."""

from amfs_lab.explore.episodes import blocks, clouds, draw_your_own, episodes, questions, sheets
from amfs_lab.moved import moved

__all__ = ["blocks", "clouds", "draw_your_own", "episodes", "questions", "sheets"]

__getattr__ = moved(__name__)
