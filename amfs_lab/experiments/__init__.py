"""Experiments that measure tables and figures. Each experiment has a module, and each result has a folder."""

from amfs_lab.experiments import ablation, accuracy, conflict, figure2, intervals, precision, table1, table2, table4
from amfs_lab.experiments.experiment import Experiment
from amfs_lab.experiments.result import Result

EXPERIMENTS: dict[str, Experiment] = {
    each.EXPERIMENT.name: each.EXPERIMENT
    for each in (figure2, accuracy, conflict, precision, table1, table2, table4, ablation)
}

__all__ = ["EXPERIMENTS", "Experiment", "Result", "accuracy", "conflict", "figure2", "intervals", "precision"]
