"""Similarity of features: the RBF kernel and its bandwidth, and the linear and cosine kernels beside it.

A kernel is a module: `kernel(x1, x2)` is the Gram matrix, `kernel.start(features)` a start from the first task's data.
"""

import math
from abc import ABC, abstractmethod
from typing import cast

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn
from torch.nn import functional

from amfs_lab.arguments import check_points, check_positive, in_working_precision, readable
from amfs_lab.errors import ConfigError, DataError

SMALLEST_BANDWIDTH, LARGEST_BANDWIDTH = 1e-3, 1e3  # what a learned bandwidth may reach
SMALL_ARRAY = 2**16  # differences that may be held for the derivatives


def squared_distances(x1: Real[Tensor, "*b n d"], x2: Real[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
    """|a - b|^2 for every row a of `x1` and b of `x2`.

    Direct differences: exact zeros on the diagonal, where |a|^2 + |b|^2 - 2ab leaves rounding dust, and differentiable
    twice, where `torch.cdist` is not. A large array of differences (n m d) is never held. Integers are taken as
    floating point, and 16-bit numbers as float32.

    Raises:
        DataError: no two sets of rows of one length.
    """
    check_points(x1, x2)
    x1, x2 = in_working_precision(x1, x2)
    if x1.shape[:-1].numel() * x2.shape[-2:].numel() <= SMALL_ARRAY:  # faster so
        return (x1[..., :, None, :] - x2[..., None, :, :]).square().sum(-1)
    batch = torch.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    rows = x1.expand(*batch, *x1.shape[-2:]), x2.expand(*batch, *x2.shape[-2:])
    return cast(Tensor, _SquaredDistances.apply(*rows))


class _SquaredDistances(torch.autograd.Function):
    """The same without an array of differences, and with derivatives that are matrix products.

    The gradient by `x1` is 2 sum_j g_ij (a_i - b_j) = 2 (sum_j g_ij) a_i - 2 g b, made of operations that can be
    differentiated again. Both are shifted by the mean of `x2` first, so that what is common does not cancel.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x1: Tensor, x2: Tensor) -> Tensor:
        return torch.cdist(x1, x2, compute_mode="donot_use_mm_for_euclid_dist").square()

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (g,), (x1, x2) = grads, _centred(*ctx.saved_tensors)
        return 2 * (g.sum(-1)[..., None] * x1 - g @ x2), 2 * (g.sum(-2)[..., None] * x2 - g.mT @ x1)

    @staticmethod
    def jvp(ctx, t1: Tensor, t2: Tensor) -> Tensor:
        x1, x2 = _centred(*ctx.saved_tensors)
        own = (t1 * x1).sum(-1)[..., :, None] + (t2 * x2).sum(-1)[..., None, :]
        return 2 * (own - t1 @ x2.mT - x1 @ t2.mT)


def _centred(x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    middle = x2.detach().mean(-2, keepdim=True)
    return x1 - middle, x2 - middle


def rbf_kernel(
    x1: Real[Tensor, "*b n d"],
    x2: Real[Tensor, "*b m d"],
    bandwidth: Float[Tensor, ""] | Float[Tensor, " d"] | float,
) -> Float[Tensor, "*b n m"]:
    """k(a, b) = exp(-|a - b|^2 / (2 bandwidth^2)).

    Args:
        x1, x2: features, any unit; `bandwidth` (sigma) is in the same unit and > 0. One a dimension (d) measures each
            coordinate's difference in its own bandwidth.
    Returns:
        the Gram matrix, entries in [0, 1], ones where a = b. However small or large the bandwidth is, if it is one
        number: towards 0 the identity (for different points), towards infinity ones.
    Raises:
        ConfigError: a bandwidth that is not positive and finite. DataError: no two sets of rows of one length, or a
            bandwidth of another number of dimensions.
    """
    check_bandwidth(bandwidth)
    check_points(x1, x2)
    return _rbf(x1, x2, bandwidth)


def _rbf(x1: Tensor, x2: Tensor, bandwidth: Tensor | float) -> Tensor:
    """`rbf_kernel`, for a bandwidth that is known to be positive."""
    x1, x2 = in_working_precision(x1, x2)
    limits = torch.finfo(x1.dtype)
    if isinstance(bandwidth, Tensor):
        if bandwidth.ndim == 1:
            if bandwidth.shape[0] != x1.shape[-1]:
                raise DataError(
                    f"`bandwidth` must be one number, or one for each of the {x1.shape[-1]} dimensions of the rows. "
                    f"Got {len(bandwidth)}."
                )
            return torch.exp(-squared_distances(x1 / bandwidth, x2 / bandwidth) / 2)
        return torch.exp(-squared_distances(x1, x2) / (2 * bandwidth.to(x1.dtype) ** 2).clamp(limits.tiny, limits.max))
    square = bandwidth * bandwidth
    if limits.tiny / limits.eps < square < limits.max * limits.eps:
        return torch.exp(-squared_distances(x1, x2) / (2 * square))
    # sigma^2 or |a - b|^2 may leave the range of numbers: both are taken in units of the largest coordinate.
    unit = _scale_of(x1, x2).double()
    apart = squared_distances(x1.double() / unit, x2.double() / unit)
    return torch.exp(-torch.where(apart == 0, 0.0, apart * (unit / bandwidth).square()) / 2).to(x1.dtype)


def _scale_of(*tensors: Tensor) -> Tensor:
    """The power of two just below the largest absolute value, by which a division is exact; 1 if all are 0."""
    each = [tensor.detach().abs().amax() for tensor in tensors if tensor.numel()]
    largest = torch.stack(each or [tensors[0].new_zeros(())]).amax()
    power = torch.ldexp(torch.ones_like(largest), torch.frexp(largest).exponent - 1)
    return torch.where((largest > 0) & torch.isfinite(largest), power, 1.0)


def linear_kernel(x1: Real[Tensor, "*b n d"], x2: Real[Tensor, "*b m d"], bias: bool = True) -> Float[Tensor, "*b n m"]:
    """k(a, b) = <a, b>, plus 1 with `bias`: what a column of ones beside the features adds.

    Raises:
        DataError: no two sets of rows of one length.
    """
    check_points(x1, x2)
    x1, x2 = in_working_precision(x1, x2)
    return x1 @ x2.mT + (1 if bias else 0)


def cosine_kernel(x1: Real[Tensor, "*b n d"], x2: Real[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
    """k(a, b) = <a, b> / (|a| |b|), in [-1, 1] up to rounding; 0 for a zero vector, which has no direction.

    Raises:
        DataError: no two sets of rows of one length.
    """
    check_points(x1, x2)
    x1, x2 = in_working_precision(x1, x2)
    return _unit_rows(x1) @ _unit_rows(x2).mT


def _unit_rows(x: Tensor) -> Tensor:
    """Rows of length 1, of any length before: they are scaled first, so that no square over- or underflows."""
    if not x.numel():
        return x
    largest = x.detach().abs().amax(-1, keepdim=True)
    return functional.normalize(x / torch.where(largest > 0, largest, 1.0), dim=-1)


def check_bandwidth(bandwidth: Tensor | float) -> None:
    """Raises ConfigError unless 0 < bandwidth < infinity."""
    check_positive(
        "bandwidth",
        bandwidth,
        "It is the distance at which similarity has fallen to 61 %: start from `median_bandwidth(x)`.",
    )


def check_learned_bandwidth(bandwidth: float) -> None:
    """Raises ConfigError unless the bandwidth lies where a learned one may go, between 1e-3 and 1e3."""
    check_bandwidth(bandwidth)
    if isinstance(bandwidth, torch.Tensor) and bandwidth.numel() != 1:
        raise ConfigError(
            "A learned `bandwidth` starts at one number. Got several: for one a dimension give `dimensions`."
        )
    if not SMALLEST_BANDWIDTH <= bandwidth <= LARGEST_BANDWIDTH:
        raise ConfigError(
            f"A learned `bandwidth` must start between {SMALLEST_BANDWIDTH:g} and {LARGEST_BANDWIDTH:g}. "
            f"Got {bandwidth:g}. Rescale the features, or start from their median distance."
        )


def median_bandwidth(x: Real[Tensor, "n d"]) -> Float[Tensor, ""]:
    """The median distance over the pairs of rows of `x`, the usual start of a bandwidth: there about half of the pairs
    are more than 61 % similar. Of an even number of pairs it is the lower of the middle two.

    Returns:
        a scalar in the unit of `x`, detached.
    Raises:
        DataError: fewer than two rows, a distance that is not finite, or most rows equal (the median is 0).
    """
    check_points(x, x)
    n = len(x)
    if n < 2:
        raise DataError(f"The median distance needs at least 2 rows. Got {n}. Give `bandwidth` a number instead.")
    rows, columns = torch.triu_indices(n, n, offset=1, device=x.device)
    (x,) = in_working_precision(x.detach())
    unit = _scale_of(x)  # in which no square over- or underflows
    median = squared_distances(x / unit, x / unit)[rows, columns].median().sqrt() * unit
    if readable(torch.isfinite(median) & (median > 0)) is False:
        raise DataError(
            f"The median distance must be finite and > 0. Got {float(median)} over {n} rows: "
            "the features hold NaN, or most rows are equal. Look at the features, or give `bandwidth` a number."
        )
    return median


def bounded_exp(log_value: Tensor, low: float, high: float) -> Tensor:
    """exp(log_value), held between `low` and `high`.

    The gradient passes as if there were no bounds: a parameter that was driven out of them can come back.
    """
    held = log_value.clamp(math.log(low), math.log(high)).detach()
    return (held + (log_value - log_value.detach())).exp()  # held + 0: far out, log_value + (held - log_value) rounds


class Kernel(nn.Module, ABC):
    """A similarity of features, positive semi-definite."""

    def start(self, features: Real[Tensor, "n d"]) -> None:
        """Takes a data-dependent start from the features of the first task; nothing by default."""

    @abstractmethod
    def forward(self, x1: Real[Tensor, "*b n d"], x2: Real[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]: ...

    def diagonal(self, x: Real[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
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

    def start(self, features: Real[Tensor, "n d"]) -> None:
        """Puts the bandwidth (of every dimension) at the median distance, unless it was given."""
        if self.starts_at_median:
            with torch.no_grad():
                self.log_bandwidth.fill_(median_bandwidth(features).log())

    def forward(self, x1: Real[Tensor, "*b n d"], x2: Real[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
        return _rbf(x1, x2, self.bandwidth)

    def extra_repr(self) -> str:
        middle = float(self.bandwidth.detach().median())
        return f"bandwidth={middle:.4g}, learn={self.log_bandwidth.requires_grad}"


class Linear(Kernel):
    """`linear_kernel`; with it, `FunctionSpace` is the ridge regression of R2-D2 (Bertinetto et al. 2019)."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.bias = bias

    def forward(self, x1: Real[Tensor, "*b n d"], x2: Real[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
        return linear_kernel(x1, x2, self.bias)

    def extra_repr(self) -> str:
        return f"bias={self.bias}"


class Cosine(Kernel):
    """`cosine_kernel`: similarity of direction, as in matching networks (Vinyals et al. 2016)."""

    def forward(self, x1: Real[Tensor, "*b n d"], x2: Real[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
        return cosine_kernel(x1, x2)
