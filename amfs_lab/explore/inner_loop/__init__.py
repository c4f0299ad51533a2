"""Explorers that compare one solve with many gradient steps."""

from amfs_lab.explore.inner_loop import adaptation, figure2, questions, sinusoid_net, steps

__all__ = ["adaptation", "figure2", "questions", "sinusoid_net", "steps"]
