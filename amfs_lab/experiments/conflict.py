"""End points of O-AMFS and of other rules when tasks in the plane disagree.

A setting is a distribution of tasks, and a draw is one random sample of its tasks. All rules make the same number of
steps. Step number k has the same length for all rules, and later steps are shorter. So the rules differ only in
direction.

A second table compares the direction of O-AMFS with the mean gradient. One column is the share of positions at which a
step of O-AMFS raises the mean loss (to first order). Another column is the share of positions at which O-AMFS has the
direction of the mean gradient.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.arguments import check_count
from amfs_lab.errors import ConfigError
from amfs_lab.experiments.conflict_draws import GRADIENTS, SETTINGS, SampledTasks
from amfs_lab.experiments.conflict_verdicts import AIMS, NEGATIVE, RULES, key, summary
from amfs_lab.experiments.conflict_verdicts import table as table
from amfs_lab.experiments.experiment import Experiment, Measured, Report, Rows
from amfs_lab.experiments.result import Result
from amfs_lab.experiments.trainings import Trainings
from amfs_lab.methods import CLIPPED
from amfs_lab.outer import PairwiseCosine
from amfs_lab.planes import Walk, geometric_median
from amfs_lab.stats import Interval

if TYPE_CHECKING:
    from amfs_lab.plots import SavableFigure


@dataclass(frozen=True)
class ConflictConfig:
    """Settings of the comparison in the plane.

    Args:
        draws: number of random draws of each setting.
        steps: number of steps of each trajectory.
        rate: length of the first step.
        shrink: length of the last step divided by the length of the first step.
        seed: seed of the draws.
    """

    draws: int = 500
    steps: int = 400
    rate: float = 0.25
    shrink: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("ConflictConfig.draws", self.draws, 2, 10**6)
        check_count("ConflictConfig.steps", self.steps, 2, 10**6)
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**63:
            raise ConfigError(f"ConflictConfig.seed must be an integer from 0 to 2^63 - 1. Got {self.seed!r}.")
        if not (0 < self.rate < float("inf") and 0 < self.shrink <= 1):
            raise ConfigError(
                f"A ConflictConfig needs a finite rate > 0 and 0 < shrink <= 1. Got {self.rate} and {self.shrink}."
            )

    @property
    def fine(self) -> float:
        """Largest distance at which two end points count as equal: four times the length of the last step.

        The reason is that rules oscillate around their end points.
        """
        return 4 * self.rate * self.shrink

    def walk(self, setting: str) -> Walk:
        """The settings of the trajectories. O-AMFS keeps its negative weights."""
        decay = self.shrink ** (1 / (self.steps - 1))
        return Walk(self.rate, self.steps, decay, equal_steps=True, noise=SETTINGS[setting].noise, seed=self.seed)


def sample(config: ConflictConfig, setting: str) -> SampledTasks:
    """The sampled tasks of a setting. Raises ConfigError for an unknown setting."""
    if setting not in SETTINGS:
        raise ConfigError(f"The setting must be one of {', '.join(SETTINGS)}. Got {setting!r}.")
    return SETTINGS[setting].draw(config.draws, config.seed)


def paths(config: ConflictConfig, setting: str) -> dict[str, Float[Tensor, "k n 2"]]:
    """The trajectory of each of `RULES` in each of n draws: k = steps + 1 positions, with the start first."""
    draws, walk = sample(config, setting), config.walk(setting)
    found = walk.along(draws.tasks, draws.start)
    found[CLIPPED] = replace(walk, negative="clip").along(draws.tasks, draws.start)["O-AMFS"]
    return {rule: found[rule] for rule in RULES}


def measure(config: ConflictConfig, setting: str) -> dict[str, np.ndarray]:
    """Measurements of each draw of a setting.

    Returns:
        arrays of shape (draws rules), computed at the end point of each rule:
            `"to theta*"`: distance to the minimiser of the mean loss.
            `"to median"`: distance to the geometric median of all optima.
            `"to wanted"`: distance to the best point without the outliers; only for a setting with outliers.
            `"excess"`: mean loss minus the smallest possible mean loss.
            `"worst"`: largest loss of a task.
        arrays of shape (draws positions 2), only for a setting without noise. The positions are `PLACES`. The last axis
        has two entries (`NEGATIVE`): with negative weights, and with negative weights set to 0.
            `"cosine"`: cosine between the direction of O-AMFS and the mean gradient.
            `"length"`: length of the step of O-AMFS divided by the length of the mean gradient, without rescaling
            (`normalization="agreement"`).
    """
    draws = sample(config, setting)
    tasks, best = draws.tasks, draws.tasks.best()
    ends = [path[-1] for path in paths(config, setting).values()]
    losses = torch.stack([tasks.losses(end) for end in ends], 1)
    aims = {"to theta*": best, "to median": geometric_median(tasks.optima), "to wanted": draws.wanted}
    found = {
        name: torch.stack([torch.linalg.vector_norm(end - aim, dim=1) for end in ends], 1)
        for name, aim in aims.items()
        if name != "to wanted" or SETTINGS[setting].outliers
    }
    found["excess"] = losses.mean(-1) - tasks.losses(best).mean(-1)[:, None]
    found["worst"] = losses.amax(-1)
    if not SETTINGS[setting].noise:
        around = [against_mean(tasks.gradients(place)) for place in (draws.start, draws.about)]
        found["cosine"], found["length"] = (torch.stack(each, 1) for each in zip(*around, strict=True))
    return {name: _short(values) for name, values in found.items()}


def against_mean(grads: Float[Tensor, "n t p"]) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2"]]:
    """Cosine between O-AMFS's direction d and the mean gradient g, and |d| / |g|, with `normalization="agreement"`.

    Both results have one column for each entry of `NEGATIVE`. If the cosine is below 0, the step raises the mean loss
    to first order.
    """
    mean = grads.mean(1)
    along = torch.linalg.vector_norm(mean, dim=1)
    cosines, lengths = [], []
    for negative in NEGATIVE:
        rule = PairwiseCosine("agreement", negative)
        d = torch.stack([rule(each) for each in grads])
        own = torch.linalg.vector_norm(d, dim=1)
        cosines.append((d * mean).sum(1) / (own * along))
        lengths.append(own / along)
    return torch.stack(cosines, 1), torch.stack(lengths, 1)


def _short(values: Tensor) -> np.ndarray:
    """Values with three decimals, which is the precision of the end points. More decimals would only be noise."""
    return values.double().numpy().round(3).astype(np.float32) + np.float32(0)  # no -0.0


class Conflict(Experiment[ConflictConfig]):
    name = "conflict"
    help = "end points of O-AMFS when tasks in the plane disagree"
    config = ConflictConfig
    hidden = ("shrink",)

    def title(self, config: ConflictConfig) -> str:
        return f"Conflict in the plane, {config.draws} draws of each setting"

    def folder(self, config: ConflictConfig) -> str:
        return "conflict-planes"

    def measure(self, config: ConflictConfig, trainings: Trainings, report: Report) -> Measured:
        rows: dict[str, np.ndarray] = {}
        for setting in SETTINGS:
            rows |= {key(setting, what): values for what, values in measure(config, setting).items()}
            report(f"{setting}: {config.draws} draws")
        for name, gradients in GRADIENTS.items():
            pair = against_mean(gradients.draw(config.draws, config.seed))
            rows |= {key(name, what): _short(x) for what, x in zip(("cosine", "length"), pair, strict=True)}
        return Measured(rows, [config.seed])

    def summary(self, rows: Rows, config: Mapping[str, Any]) -> dict[str, Any]:
        return summary(rows, ConflictConfig(**config).fine)

    def check(self, result: Result) -> None:
        try:
            config = ConflictConfig(**result.config)
        except ConfigError as error:
            raise ValueError(error) from error
        for name, values in result.rows.items():
            if len(values) != config.draws:
                raise ValueError(f"`{name}` must have {config.draws} draws. Got {len(values)}")

    def table(self, result: Result) -> str:
        return table(result)

    def figure(self, result: Result) -> "SavableFigure":
        from amfs_lab.experiments import figures

        panels = {
            f"to {aim.replace('theta', 'θ')}": {
                setting: Interval(**result.summary[setting][what]["O-AMFS"]["minus mean"])
                for setting in SETTINGS
                if what in result.summary[setting]
            }
            for what, aim in AIMS.items()
        }
        return figures.intervals(panels, "distance, O-AMFS minus mean", reference=0.0)


EXPERIMENT = Conflict()
run, load = EXPERIMENT.run, EXPERIMENT.load
