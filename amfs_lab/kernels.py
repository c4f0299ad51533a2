"""Similarity of features: the RBF kernel and its bandwidth, and the linear and cosine kernels beside it.

A kernel is a module: `kernel(x1, x2)` is the Gram matrix, `kernel.start(features)` a start from the first task's data.
"""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from amfs_lab.errors import ConfigError, DataError

SMALLEST_BANDWIDTH, LARGEST_BANDWIDTH = 1e-3, 1e3  # what a learned bandwidth may reach


def squared_distances(x1: Float[Tensor, "*b n d"], x2: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
    """|a - b|^2 for every row a of `x1` and b of `x2`.

    Direct differences: exact zeros on the diagonal and differentiable twice, where `torch.cdist` is not and
    |a|^2 + |b|^2 - 2ab leaves rounding dust. At few-shot sizes the (n m d) intermediate is small.
    """
    return (x1[..., :, None, :] - x2[..., None, :, :]).square().sum(-1)


def rbf_kernel(
    x1: Float[Tensor, "*b n d"],
    x2: Float[Tensor, "*b m d"],
    bandwidth: Float[Tensor, ""] | Float[Tensor, " d"] | float,
) -> Float[Tensor, "*b n m"]:
    """k(a, b) = exp(-|a - b|^2 / (2 bandwidth^2)).

    Args:
        x1, x2: features, any unit; `bandwidth` (sigma) is in the same unit and > 0. One a dimension (d) measures each
            coordinate's difference in its own bandwidth.
    Returns:
        the Gram matrix, entries in (0, 1], ones where a = b.
    Raises:
        ConfigError: a bandwidth (given as a number) that is not positive and finite.
    """
    if not isinstance(bandwidth, Tensor):
        check_bandwidth(bandwidth)
    elif bandwidth.ndim == 1:
        return torch.exp(-squared_distances(x1 / bandwidth, x2 / bandwidth) / 2)
    return torch.exp(-squared_distances(x1, x2) / (2 * bandwidth**2))


def linear_kernel(
    x1: Float[Tensor, "*b n d"], x2: Float[Tensor, "*b m d"], bias: bool = True
) -> Float[Tensor, "*b n m"]:
    """k(a, b) = <a, b>, plus 1 with `bias`: what a column of ones beside the features adds."""
    return x1 @ x2.mT + (1 if bias else 0)


def cosine_kernel(x1: Float[Tensor, "*b n d"], x2: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
    """k(a, b) = <a, b> / (|a| |b|), in [-1, 1]; 0 for a zero vector, which has no direction."""
    return functional.normalize(x1, dim=-1) @ functional.normalize(x2, dim=-1).mT


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


def bounded_exp(log_value: Tensor, low: float, high: float) -> Tensor:
    """exp(log_value), held between `low` and `high`.

    The gradient passes as if there were no bounds: a parameter that was driven out of them can come back.
    """
    return (log_value + (log_value.clamp(math.log(low), math.log(high)) - log_value).detach()).exp()


class Kernel(nn.Module, ABC):
    """A similarity of features, positive semi-definite."""

    def start(self, features: Float[Tensor, "n d"]) -> None:
        """Takes a data-dependent start from the features of the first task; nothing by default."""

    @abstractmethod
    def forward(self, x1: Float[Tensor, "*b n d"], x2: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]: ...

    def diagonal(self, x: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        """k(x_i, x_i), without the rest of the Gram matrix."""
        one = x[..., None, :]
        return self(one, one)[..., 0, 0]


class RBF(Kernel):
    """`rbf_kernel` with a bandwidth of its own, learned as its logarithm and held between 1e-3 and 1e3.

    Args:
        bandwidth: where it starts, > 0, in units of the feature distance; None starts at the median feature distance
            of the first task (and at 1 until then). Far from it a network may begin with K = I and K_QS = 0.
        learn: whether meta-training may move it.
        dimensions: the number of features, for a bandwidth of each one; None for one bandwidth of all.
    """

    def __init__(self, bandwidth: float | None = None, learn: bool = True, dimensions: int | None = None) -> None:
        super().__init__()
        self.starts_at_median = bandwidth is None
        first = 1.0 if bandwidth is None else bandwidth
        check_learned_bandwidth(first)
        shape = () if dimensions is None else (dimensions,)
        self.log_bandwidth = nn.Parameter(torch.full(shape, math.log(first)), requires_grad=learn)

    @property
    def bandwidth(self) -> Float[Tensor, ""] | Float[Tensor, " d"]:
        return bounded_exp(self.log_bandwidth, SMALLEST_BANDWIDTH, LARGEST_BANDWIDTH)

    def start(self, features: Float[Tensor, "n d"]) -> None:
        """Puts the bandwidth (of every dimension) at the median distance, unless it was given."""
        if self.starts_at_median:
            with torch.no_grad():
                self.log_bandwidth.fill_(median_bandwidth(features).log())

    def forward(self, x1: Float[Tensor, "*b n d"], x2: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
        return rbf_kernel(x1, x2, self.bandwidth)

    def extra_repr(self) -> str:
        middle = float(self.bandwidth.detach().median())
        return f"bandwidth={middle:.4g}, learn={self.log_bandwidth.requires_grad}"


class Linear(Kernel):
    """`linear_kernel`; with it, `FunctionSpace` is the ridge regression of R2-D2 (Bertinetto et al. 2019)."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.bias = bias

    def forward(self, x1: Float[Tensor, "*b n d"], x2: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
        return linear_kernel(x1, x2, self.bias)

    def extra_repr(self) -> str:
        return f"bias={self.bias}"


class Cosine(Kernel):
    """`cosine_kernel`: similarity of direction, as in matching networks (Vinyals et al. 2016)."""

    def forward(self, x1: Float[Tensor, "*b n d"], x2: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
        return cosine_kernel(x1, x2)
