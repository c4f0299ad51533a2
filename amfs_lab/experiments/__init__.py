"""Tables and figures of the paper, measured anew: one module each, and one folder a result."""

from amfs_lab.experiments import accuracy, conflict, figure2, intervals, precision
from amfs_lab.experiments.result import Result

__all__ = ["Result", "accuracy", "conflict", "figure2", "intervals", "precision"]
