"""Kernels, the similarities of features: RBF with its bandwidth, linear, and cosine.

A kernel is a module. `kernel(x1, x2)` is the Gram matrix. `kernel.start(features)` initialises the learnable numbers
from the first task.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn
from torch.nn import functional

from amfs_lab.arguments import check_positive, checked_points, readable
from amfs_lab.errors import ConfigError, DataError

SMALL_ARRAY = 2**16  # largest number of differences that is kept for the backward pass


def squared_distances(x1: Real[Tensor, "*b n d"], x2: Real[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
    """|a - b|^2 for every row a of `x1` and every row b of `x2`.

    The distances are computed from the differences a - b, so equal points have the exact distance 0. The formula
    |a|^2 + |b|^2 - 2ab would leave rounding errors. The result can be differentiated twice, but `torch.cdist` cannot. A
    large array of differences (n m d) is never kept. Integers become floating point, and 16-bit numbers become float32.
    Raises DataError unless all rows have the same length.
    """
    return _squared_distances(*checked_points(x1, x2))


def _squared_distances(x1: Tensor, x2: Tensor) -> Tensor:
    if x1.shape[:-1].numel() * x2.shape[-2:].numel() <= SMALL_ARRAY:  # faster for small arrays
        return (x1[..., :, None, :] - x2[..., None, :, :]).square().sum(-1)
    batch = torch.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    rows = x1.expand(*batch, *x1.shape[-2:]), x2.expand(*batch, *x2.shape[-2:])
    return cast(Tensor, _SquaredDistances.apply(*rows))


class _SquaredDistances(torch.autograd.Function):
    """Squared distances that keep no array of differences for the backward pass. Their derivatives are matrix products.

    The gradient with respect to `x1` is 2 sum_j g_ij (a_i - b_j) = 2 (sum_j g_ij) a_i - 2 g b, which can be
    differentiated again. For the derivatives, the mean of `x2` is first subtracted from both inputs, because a large
    common offset would cause rounding errors.
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
        x1, x2: features, any unit. bandwidth: sigma > 0 in the same unit as the features, or one number for each of the
            d coordinates.
    Returns:
        the Gram matrix, with entries in [0, 1] and ones where a = b. A bandwidth may be any positive float. A very
        small bandwidth gives the identity (for different points), and a very large bandwidth gives a matrix of ones.
    Raises:
        ConfigError: a bandwidth that is not finite and > 0. DataError: rows of different lengths, or a number of
            bandwidths that is not 1 or d.
    """
    check_positive("bandwidth", bandwidth, BANDWIDTH.advice)
    return _rbf(*checked_points(x1, x2), bandwidth)


def _rbf(x1: Tensor, x2: Tensor, bandwidth: Tensor | float) -> Tensor:
    """`rbf_kernel` without checks. The points must be in working precision, and the bandwidth must be positive."""
    limits = torch.finfo(x1.dtype)
    if isinstance(bandwidth, Tensor) and bandwidth.ndim == 1:
        if len(bandwidth) != (d := x1.shape[-1]):
            raise DataError(
                f"`bandwidth` must be one number, or one for each of the {d} dimensions of the rows. "
                f"Got {len(bandwidth)}."
            )
        # Quotients are limited to the root of the largest number, because infinity minus infinity would be NaN.
        narrowest = (_largest_of(x1, x2) / limits.max**0.5).clamp(min=limits.tiny)
        widths = torch.maximum(bandwidth.to(x1.dtype), narrowest)
        return torch.exp(-_squared_distances(x1 / widths, x2 / widths) / 2)
    if isinstance(bandwidth, Tensor):
        return torch.exp(-_squared_distances(x1, x2) / (2 * bandwidth.to(x1.dtype) ** 2).clamp(limits.tiny, limits.max))
    square = bandwidth * bandwidth
    if limits.tiny / limits.eps < square < limits.max * limits.eps:
        return torch.exp(-_squared_distances(x1, x2) / (2 * square))
    # sigma^2 or |a - b|^2 may overflow or underflow, so both are measured in units of the largest coordinate.
    unit = _scale_of(x1, x2).double()
    squares = _squared_distances(x1.double() / unit, x2.double() / unit)
    return torch.exp(-torch.where(squares == 0, 0.0, squares * (unit / bandwidth).square()) / 2).to(x1.dtype)


def _largest_of(*tensors: Tensor) -> Tensor:
    """The largest absolute value in the tensors; 0 if all tensors are empty."""
    each = [tensor.detach().abs().amax() for tensor in tensors if tensor.numel()]
    return torch.stack(each or [tensors[0].new_zeros(())]).amax()


def _scale_of(*tensors: Tensor) -> Tensor:
    """The largest power of two that is not above the largest absolute value in the tensors.

    A division by a power of two is exact. The result is 1 if the largest absolute value is 0 or not finite.
    """
    largest = _largest_of(*tensors)
    power = torch.ldexp(torch.ones_like(largest), torch.frexp(largest).exponent - 1)
    return torch.where((largest > 0) & torch.isfinite(largest), power, 1.0)


def linear_kernel(x1: Real[Tensor, "*b n d"], x2: Real[Tensor, "*b m d"], bias: bool = True) -> Float[Tensor, "*b n m"]:
    """k(a, b) = <a, b>, plus 1 with `bias`. The 1 has the effect of a column of ones in the features.

    Raises DataError for rows of different lengths.
    """
    x1, x2 = checked_points(x1, x2)
    return x1 @ x2.mT + int(bias)


def cosine_kernel(x1: Real[Tensor, "*b n d"], x2: Real[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
    """k(a, b) = <a, b> / (|a| |b|), in [-1, 1] up to rounding; 0 if a or b is a zero vector.

    Raises DataError for rows of different lengths.
    """
    x1, x2 = checked_points(x1, x2)
    return _unit_rows(x1) @ _unit_rows(x2).mT


def _unit_rows(x: Tensor) -> Tensor:
    """The rows of `x`, each divided by its length; a zero row stays zero.

    Each row is first divided by its largest entry, so that no square overflows or underflows.
    """
    if not x.numel():
        return x
    largest = x.detach().abs().amax(-1, keepdim=True)
    return functional.normalize(x / torch.where(largest > 0, largest, 1.0), dim=-1)


def median_bandwidth(x: Real[Tensor, "n d"]) -> Float[Tensor, ""]:
    """The median distance over the pairs of rows of `x`, the usual start of a bandwidth.

    With this bandwidth about half of the pairs have a similarity above 61 %. For an even number of pairs, the median is
    the smaller of the middle two distances. The result is detached. Raises DataError for fewer than two rows, or for a
    median that is 0 (most rows equal) or not finite.
    """
    x, _ = checked_points(x.detach() if isinstance(x, Tensor) else x, x)
    n = len(x)
    if n < 2:
        raise DataError(f"The median distance needs at least 2 rows. Got {n}. Give `bandwidth` a number instead.")
    rows, columns = torch.triu_indices(n, n, offset=1, device=x.device)
    unit = _scale_of(x)  # in this unit no square overflows or underflows
    median = _squared_distances(x / unit, x / unit)[rows, columns].median().sqrt() * unit
    if readable(torch.isfinite(median) & (median > 0)) is False:
        raise DataError(
            f"The median distance must be finite and > 0. Got {float(median)} over {n} rows: "
            "the features hold NaN, or most rows are equal. Look at the features, or give `bandwidth` a number."
        )
    return median


@dataclass(frozen=True)
class Learned:
    """A positive parameter that is learned as its logarithm and bounded: low <= exp(log_value) <= high."""

    name: str
    low: float
    high: float
    advice: str

    def check(self, start: Tensor | float) -> None:
        """Raises ConfigError unless `start` is one number between `low` and `high`."""
        check_positive(self.name, start, self.advice)
        must = f"A learned `{self.name}` must start"
        if isinstance(start, Tensor) and start.numel() != 1:
            raise ConfigError(f"{must} at one number. Got a tensor of shape {tuple(start.shape)}.")
        if not self.low <= start <= self.high:
            raise ConfigError(f"{must} between {self.low:g} and {self.high:g}. Got {start:g}. {self.advice}")

    def log(self, start: Tensor | float, shape: tuple[int, ...] = (), learn: bool = True) -> nn.Parameter:
        """A parameter of this shape, with log(start) in every entry."""
        self.check(start)
        return nn.Parameter(torch.full(shape, math.log(start)), requires_grad=learn)

    def exp(self, log_value: Float[Tensor, "*d"]) -> Float[Tensor, "*d"]:
        """exp(log_value), limited to the bounds.

        The gradient ignores the bounds, so that training can move a value from outside the bounds back inside.
        """
        held = log_value.clamp(math.log(self.low), math.log(self.high)).detach()
        # held + 0: log_value + (held - log_value) would be rounded if log_value is far outside the bounds.
        return (held + (log_value - log_value.detach())).exp()


ADVICE = (
    "The bandwidth is the distance at which similarity has fallen to 61 %. A common start is `median_bandwidth(x)`."
)
BANDWIDTH = Learned("bandwidth", 1e-3, 1e3, ADVICE)
check_learned_bandwidth = BANDWIDTH.check


class Kernel(nn.Module, ABC):
    """A positive semi-definite similarity of features."""

    needs_features = False  # True until `for_features` is called, if the kernel needs the number of features

    def for_features(self, features: int) -> None:
        """Makes learnable numbers whose shape depends on the number of features. By default the method does nothing."""

    def start(self, features: Real[Tensor, "n d"]) -> None:
        """Initialises learnable numbers from the features of the first task. By default the method does nothing."""

    @abstractmethod
    def forward(self, x1: Real[Tensor, "*b n d"], x2: Real[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]: ...

    def diagonal(self, x: Real[Tensor, "*b n d"]) -> Float[Tensor, "*b n"]:
        """The values k(x_i, x_i), computed without the rest of the Gram matrix."""
        one = x[..., None, :]
        return self(one, one)[..., 0, 0]


class RBF(Kernel):
    """`rbf_kernel` with a bandwidth between 1e-3 and 1e3. The logarithm of the bandwidth is the learned parameter.

    Args:
        bandwidth: start value > 0, in units of the feature distance. None means the median feature distance of the
            first task. Until the first task, the bandwidth is then 1. If the start is far below the feature distances,
            a network may begin with K = I and K_QS = 0.
        learn: True if meta-training may change the bandwidth.
        dimensions: None means one bandwidth for all features. A number d > 0 means one bandwidth for each of d
            features. 0 means one bandwidth for each feature of the network of a `MetaLearner`, which calls
            `for_features`.
    """

    def __init__(self, bandwidth: float | None = None, learn: bool = True, dimensions: int | None = None) -> None:
        super().__init__()
        self.starts_at_median, self.needs_features = bandwidth is None, dimensions == 0
        shape = (dimensions,) if dimensions else ()
        self.log_bandwidth = BANDWIDTH.log(1.0 if bandwidth is None else bandwidth, shape, learn)

    @property
    def bandwidth(self) -> Float[Tensor, ""] | Float[Tensor, " d"]:
        return BANDWIDTH.exp(self.log_bandwidth)

    def for_features(self, features: int) -> None:
        if self.needs_features:
            same = self.log_bandwidth.detach().expand(features).clone()
            self.log_bandwidth = nn.Parameter(same, requires_grad=self.log_bandwidth.requires_grad)
            self.needs_features = False

    def start(self, features: Real[Tensor, "n d"]) -> None:
        """Sets every bandwidth to the median distance, unless the constructor was given a start value."""
        if self.starts_at_median:
            with torch.no_grad():
                self.log_bandwidth.fill_(median_bandwidth(features).log())

    def forward(self, x1: Real[Tensor, "*b n d"], x2: Real[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
        return _rbf(*checked_points(x1, x2), self.bandwidth)

    def extra_repr(self) -> str:
        middle = float(self.bandwidth.detach().median())
        return f"bandwidth={middle:.4g}, learn={self.log_bandwidth.requires_grad}"


class Linear(Kernel):
    """`linear_kernel`. With this kernel, `FunctionSpace` is the ridge regression of R2-D2 (Bertinetto et al. 2019)."""

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
