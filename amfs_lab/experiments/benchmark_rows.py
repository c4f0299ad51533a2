"""The rows of a benchmark's result: their names, what was equal between the trainings, and comparisons of rows."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jaxtyping import Float64
from torch import Tensor

from amfs_lab.backbones import BATCH_NORMS
from amfs_lab.experiments.experiment import Rows, accuracies
from amfs_lab.inner.function_space import EVIDENCE
from amfs_lab.stats import Interval, accuracy_interval, crossed_interval
from amfs_lab.tasks import EpisodeConfig

TRANSDUCTIVE, SUPPORT = BATCH_NORMS
TIME, STEPS = "time", "steps"  # what the trainings have in common: equal time, or equal numbers of meta-steps
# What is measured: (norm, what is equal). With the support set's statistics only at equal time.
KINDS = ((TRANSDUCTIVE, TIME), (SUPPORT, TIME), (TRANSDUCTIVE, STEPS))


def key(variant: str, column: str, norm: str, equal: str) -> str:
    """The name of a row: `"maml 5w1s transductive time"`."""
    return f"{variant} {column} {norm} {equal}"


def shapes(config: Mapping[str, Any]) -> dict[str, EpisodeConfig]:
    """The shape of the episodes of each column, from the configuration of a result."""
    return {name: EpisodeConfig(**each["shape"]) for name, each in config["columns"].items()}


def shares(rows: Rows, config: Mapping[str, Any], name: str) -> Float64[Tensor, "seeds episodes"]:
    """The accuracies of a row."""
    return accuracies(rows[name], shapes(config)[name.split()[1]])


def has_probabilities(training: Mapping[str, Any]) -> bool:
    """True if the softmax of the scores is a prediction of probabilities. The evidence trains scores near +1 and -1."""
    return training["inner"].get("objective") != EVIDENCE


def over_all(values: Float64[Tensor, "seeds episodes"], level: float = 0.95) -> Interval:
    """An interval over trainings and episodes; without half width for one training, which says nothing of a method."""
    if len(values) > 1:
        return crossed_interval(values, level)
    return replace(accuracy_interval(values[0], level), half_width=None, n=1, of="trainings")


def verdict(gap: Interval, above: str = "better", below: str = "worse") -> str:
    """The word for a difference whose interval is above zero, or below zero; else "unclear"."""
    return above if gap.low > 0 else below if gap.high < 0 else "unclear"
