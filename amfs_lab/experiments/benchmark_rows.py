"""Functions on the rows of a benchmark's result: names, shapes of episodes, accuracies, intervals, verdicts."""

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
# The measured pairs (norm, what is equal). The norm of the support set is measured only at equal time.
AT_EQUAL_TIME = ((TRANSDUCTIVE, TIME), (SUPPORT, TIME))
KINDS = (*AT_EQUAL_TIME, (TRANSDUCTIVE, STEPS))


def key(variant: str, column: str, norm: str, equal: str) -> str:
    """The name of a row of the result: `"maml 5w1s transductive time"`."""
    return f"{variant} {column} {norm} {equal}"


def shapes(config: Mapping[str, Any]) -> dict[str, EpisodeConfig]:
    """The shape of the episodes of each column, from the configuration of a result."""
    return {name: EpisodeConfig(**each["shape"]) for name, each in config["columns"].items()}


def shares(rows: Rows, config: Mapping[str, Any], name: str) -> Float64[Tensor, "seeds episodes"]:
    """The accuracies of a row of the result."""
    return accuracies(rows[name], shapes(config)[name.split()[1]])


def has_probabilities(training: Mapping[str, Any]) -> bool:
    """True if the softmax of the scores predicts probabilities. The objective "evidence" fits scores to +1 and -1."""
    return training["inner"].get("objective") != EVIDENCE


def over_all(values: Float64[Tensor, "seeds episodes"], level: float = 0.95) -> Interval:
    """The mean with an interval over trainings and episodes.

    For one training, the interval has no half width, because the variation between trainings is unknown.
    """
    if len(values) > 1:
        return crossed_interval(values, level)
    return replace(accuracy_interval(values[0], level), half_width=None, n=1, of="trainings")


def verdict(gap: Interval, above: str = "better", below: str = "worse") -> str:
    """`above` if the interval of a difference is above zero, `below` if it is below zero, and otherwise "unclear"."""
    return above if gap.low > 0 else below if gap.high < 0 else "unclear"
