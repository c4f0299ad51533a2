"""Experiments that measure tables and figures: one module for each, and one folder for each result."""

from amfs_lab.experiments import accuracy, conflict, figure2, intervals, precision
from amfs_lab.experiments.experiment import Experiment
from amfs_lab.experiments.result import Result

EXPERIMENTS: dict[str, Experiment] = {
    each.name: each for each in (figure2.EXPERIMENT, accuracy.EXPERIMENT, conflict.EXPERIMENT, precision.EXPERIMENT)
}

__all__ = ["EXPERIMENTS", "Experiment", "Result", "accuracy", "conflict", "figure2", "intervals", "precision"]
