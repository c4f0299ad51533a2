"""Similarity from distance: the RBF kernel, its bandwidth, and the kernel as a module that learns it."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from amfs_lab.errors import ConfigError, DataError

SMALLEST_BANDWIDTH, LARGEST_BANDWIDTH = 1e-3, 1e3  # what a learned bandwidth may reach


def squared_distances(x1: Float[Tensor, "*b n d"], x2: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
    """|a - b|^2 for every row a of `x1` and b of `x2`.

    Direct differences: exact zeros on the diagonal and differentiable twice, where `torch.cdist` is not and
    |a|^2 + |b|^2 - 2ab leaves rounding dust. At few-shot sizes the (n m d) intermediate is small.
    """
    return (x1[..., :, None, :] - x2[..., None, :, :]).square().sum(-1)


def rbf_kernel(
    x1: Float[Tensor, "*b n d"], x2: Float[Tensor, "*b m d"], bandwidth: Float[Tensor, ""] | float
) -> Float[Tensor, "*b n m"]:
    """k(a, b) = exp(-|a - b|^2 / (2 bandwidth^2)).

    Args:
        x1, x2: features, any unit; `bandwidth` (sigma) is in the same unit and > 0.
    Returns:
        the Gram matrix, entries in (0, 1], ones where a = b.
    Raises:
        ConfigError: a bandwidth (given as a number) that is not positive and finite.
    """
    if not isinstance(bandwidth, Tensor):
        check_bandwidth(bandwidth)
    return torch.exp(-squared_distances(x1, x2) / (2 * bandwidth**2))


def check_bandwidth(bandwidth: float) -> None:
    """Raises ConfigError unless 0 < bandwidth < infinity."""
    if not 0 < bandwidth < math.inf:
        raise ConfigError(
            f"`bandwidth` must be a finite number > 0. Got {bandwidth}. It is the distance at which similarity has "
            "fallen to 61 %: start from `median_bandwidth(x)`."
        )


def check_learned_bandwidth(bandwidth: float) -> None:
    """Raises ConfigError unless the bandwidth lies where a learned one may go, between 1e-3 and 1e3."""
    check_bandwidth(bandwidth)
    if not SMALLEST_BANDWIDTH <= bandwidth <= LARGEST_BANDWIDTH:
        raise ConfigError(
            f"A learned `bandwidth` must start between {SMALLEST_BANDWIDTH:g} and {LARGEST_BANDWIDTH:g}. "
            f"Got {bandwidth:g}. Rescale the features, or start from their median distance."
        )


def median_bandwidth(x: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """The median distance between two different rows of `x`: a bandwidth that neither isolates nor merges them.

    Returns:
        a scalar in the unit of `x`, detached.
    Raises:
        DataError: fewer than two rows, a distance that is not finite, or most rows equal (the median is 0).
    """
    n = len(x)
    if n < 2:
        raise DataError(f"The median distance needs at least 2 rows. Got {n}. Give `bandwidth` a number instead.")
    rows, columns = torch.triu_indices(n, n, offset=1, device=x.device)
    median = squared_distances(x.detach(), x.detach())[rows, columns].median().sqrt()
    if not torch.isfinite(median) or median <= 0:
        raise DataError(
            f"The median distance must be finite and > 0. Got {float(median)} over {n} rows: "
            "the features hold NaN, or most rows are equal. Look at the features, or give `bandwidth` a number."
        )
    return median


class RBF(nn.Module):
    """`rbf_kernel` with a bandwidth of its own, learned as its logarithm and held between 1e-3 and 1e3.

    Args:
        bandwidth: where it starts, > 0, in units of the feature distance.
        learn: whether meta-training may move it.
    """

    def __init__(self, bandwidth: float = 1.0, learn: bool = True) -> None:
        super().__init__()
        check_learned_bandwidth(bandwidth)
        self.log_bandwidth = nn.Parameter(torch.tensor(math.log(bandwidth)), requires_grad=learn)

    @property
    def bandwidth(self) -> Float[Tensor, ""]:
        return self.log_bandwidth.clamp(math.log(SMALLEST_BANDWIDTH), math.log(LARGEST_BANDWIDTH)).exp()

    def start_at(self, bandwidth: Float[Tensor, ""]) -> None:
        """Sets the bandwidth in place, as a trainer does with the median distance of its first task."""
        with torch.no_grad():
            self.log_bandwidth.copy_(bandwidth.log())

    def forward(self, x1: Float[Tensor, "*b n d"], x2: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
        return rbf_kernel(x1, x2, self.bandwidth)

    def extra_repr(self) -> str:
        return f"bandwidth={float(self.bandwidth.detach()):.4g}, learn={self.log_bandwidth.requires_grad}"
