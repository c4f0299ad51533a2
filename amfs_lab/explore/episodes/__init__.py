"""Explorers of few-shot episodes."""

from amfs_lab.explore.episodes import blocks, clouds, draw_your_own, episodes, questions, sheets

__all__ = ["blocks", "clouds", "draw_your_own", "episodes", "questions", "sheets"]
