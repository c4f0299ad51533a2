"""An accuracy is a value with an interval, and two methods are compared on the same episodes."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.special import stdtrit
from torch import Tensor

from amfs_lab.arguments import check_tensor
from amfs_lab.errors import DataError


@dataclass(frozen=True)
class Interval:
    """mean ± half_width, which covers the true mean with probability `level` (Student's t over n values)."""

    mean: float
    half_width: float
    n: int
    level: float = 0.95

    @property
    def low(self) -> float:
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        return self.mean + self.half_width

    def percent(self, of: str = "episodes") -> str:
        """`98.71 ± 0.22 % (95 %, 600 episodes)`, for shares in [0, 1]."""
        return f"{self.mean:.2%} ± {self.half_width:.2%} ({self.level:.0%}, {self.n} {of})".replace("%", " %").replace(
            " % ±", " ±"
        )

    def points(self, of: str = "episodes") -> str:
        """`+0.69 ± 0.40 points (95 %, 200 episodes)`, for the difference of two shares in [0, 1]."""
        return f"{100 * self.mean:+.2f} ± {100 * self.half_width:.2f} points ({self.level:.0%}, {self.n} {of})".replace(
            "%", " %"
        )

    def __str__(self) -> str:
        return f"{self.mean:.4g} ± {self.half_width:.2g} ({self.level:.0%}, n = {self.n})".replace("%", " %")


def mean_interval(values: Float[Tensor, " n"], level: float = 0.95) -> Interval:
    """mean ± t * s / sqrt(n), with Student's t for n - 1 degrees of freedom and s the sample's standard deviation.

    Raises:
        DataError: fewer than two values, or a value that is not finite.
    """
    check_values(values)
    if len(values) < 2 or not bool(torch.isfinite(values).all()):
        raise DataError(f"An interval needs at least 2 finite values. Got {values.tolist()[:5]} (n = {len(values)}).")
    exact = values.double()
    t = float(stdtrit(len(values) - 1, 0.5 + level / 2))
    return Interval(float(exact.mean()), t * float(exact.std()) / len(values) ** 0.5, len(values), level)


def paired_difference(a: Float[Tensor, " n"], b: Float[Tensor, " m"], level: float = 0.95) -> Interval:
    """The mean of a_i - b_i with its interval: a and b are measured on the same n episodes, whose luck cancels."""
    check_values(a)
    check_values(b)
    if len(a) != len(b):
        raise DataError(f"Paired values must come from the same episodes. Got {len(a)} and {len(b)} of them.")
    return mean_interval(a.double() - b.double(), level)


def check_values(values: object) -> None:
    """Raises DataError unless these are one number an episode, (n)."""
    check_tensor("values", values, "n")
    assert isinstance(values, Tensor)
    if values.ndim != 1:
        raise DataError(f"`values` must be one number an episode, (n). Got shape {tuple(values.shape)}.")
