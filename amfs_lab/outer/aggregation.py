"""Aggregators: small immutable rules that weight the tasks' gradients.

The outer step is theta <- theta - meta_lr * sum_j c_j g_j, so a rule is fully described by the t weights c_j.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.arguments import check_gram, check_tensor
from amfs_lab.errors import ConfigError, DataError, NumericalError
from amfs_lab.outer.directions import Directions, cancellation_tolerance

NORMALIZATIONS = ("length", "unit", "agreement", "none")
NEGATIVE = ("keep", "clip")


class Aggregator(ABC):
    """A rule for combining task gradients. Calling it returns `weights(grads) @ grads`, which must be finite.

    Every method raises DataError unless `grads` has one row for each task.
    """

    label: ClassVar[str] = ""  # the rule's name in figures and tables; if empty, they use the name of the class

    @property
    def stateful(self) -> bool:
        """True if a step depends on earlier calls. A run with such a rule cannot be resumed."""
        return False

    @abstractmethod
    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        """The weight c_j of each task's gradient, normalisation included."""

    def combine(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " p"]:
        """sum_j c_j g_j without a check of values: NaN or infinity in `grads` gives NaN or infinity."""
        check_rows(grads)
        return self.weights(grads) @ grads

    def __call__(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " p"]:
        """The result of `combine`.

        Raises NumericalError for an overflow, or for a non-finite gradient. In the second case, the message contains
        the index of the task.
        """
        direction = self.combine(grads)
        if not bool(torch.isfinite(direction.sum())):  # reads one number; the sum of finite entries may overflow
            check_finite(grads, direction)
        return direction


def check_rows(grads: Tensor) -> None:
    """Raises DataError unless `grads` has one row of floating-point numbers for each task, (t p) with t and p >= 1."""
    check_tensor("grads", grads, "t p")
    if grads.ndim != 2 or grads.numel() == 0 or not grads.is_floating_point():
        raise DataError(
            "Gradients must have one row of floating-point numbers for each task, (t, p) with t and p >= 1. "
            f"Got shape {tuple(grads.shape)} in {grads.dtype}. Stack them: torch.stack(list_of_gradients)."
        )


def check_finite(grads: Float[Tensor, "t p"], direction: Float[Tensor, " p"]) -> None:
    """Raises NumericalError unless the direction and all gradients behind it are finite."""
    sound = torch.isfinite(grads).all(1)
    if not bool(sound.all()):
        raise NumericalError(
            f"Gradients must be finite. Got NaN or infinity in the gradient of task {int((~sound).int().argmax())} "
            "(counted from 0). Leave the task out, or look for the cause: a learning rate too high, or a failed solve."
        )
    if not bool(torch.isfinite(direction).all()):
        raise NumericalError(
            f"The weighted sum of the gradients must be finite in {direction.dtype}. Got infinity from gradients up to "
            f"{float(grads.abs().max()):.1e}. Scale the losses down, or convert the gradients to float64."
        )


@dataclass(frozen=True)
class Mean(Aggregator):
    """c_j = 1/t: the outer loop of MAML."""

    label = "mean"

    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        check_rows(grads)
        return grads.new_full((len(grads),), 1 / len(grads))


@dataclass(frozen=True)
class CosineRule(Aggregator):
    """c_j = Z <S, u_j> with u_j = g_j/|g_j| and a reference direction S that the subclass defines.

    Args:
        normalization: Z, one of `NORMALIZATIONS`. Z changes the length of the step, never its direction.
            `"length"` Z = |gbar| / |sum_j c_j g_j| with gbar the mean gradient. The step is as long as the mean
            gradient.
            `"unit"` Z = 1 / sum_j |c_j|. The step may be longer or shorter than the mean gradient. Example: three
            equal gradients against one opposite gradient. If all four have the same length, the step is twice as long
            as the mean gradient. If the opposite gradient is twice as long, the step is five times as long.
            `"agreement"` Z = 1/t^2 for O-AMFS and 1/t for `MeanCosine`. If all gradients are equal, c_j before
            Z is t or 1, and the step is the mean gradient. The step is never longer than the mean of the gradients'
            lengths, but it may be longer than the mean gradient. It is 2.5 times as long in the second example above.
            `"none"` Z = 1, the formula as printed.
            The step of `"length"` and `"unit"` is zero if the weights cancel (`cancellation_tolerance`).
        negative: `"keep"` gives a task that opposes the majority a negative weight, `"clip"` the weight 0.
    """

    normalization: str = "length"
    negative: str = "keep"

    def __post_init__(self) -> None:
        for name, options in (("normalization", NORMALIZATIONS), ("negative", NEGATIVE)):
            if getattr(self, name) not in options:
                raise ConfigError(f"`{name}` must be one of {', '.join(options)}. Got {getattr(self, name)!r}.")

    @abstractmethod
    def reference(self, grads: Float[Tensor, "t p"], units: Directions) -> tuple[Float[Tensor, " p"], int]:
        """The direction S to compare every task with, and c_j before normalisation if all gradients are equal."""

    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        check_rows(grads)
        t, p = grads.shape
        units = Directions.of(grads)
        S, full = self.reference(grads, units)
        c = units.dot(S)
        if self.negative == "clip":
            c = c.clamp(min=0)
        if self.normalization == "none":
            return c
        if self.normalization == "agreement":
            return c / (t * full)
        total = c.abs().sum()
        c = torch.where(total <= full * cancellation_tolerance(p, c.dtype), 0, c / total)  # NaN stays NaN
        return c if self.normalization == "unit" else c * _ratio_of_lengths(Mean().combine(grads), c @ grads)


@dataclass(frozen=True)
class PairwiseCosine(CosineRule):
    """O-AMFS: c_j = Z sum_i w_ij with w_ij = cos(g_i, g_j), so S = sum_i u_i (Park and Kang 2024, outer loop).

    Our interpretation: the sum includes w_jj = 1. Z is a setting, because the paper does not define the step's length.
    """

    label = "O-AMFS"

    def reference(self, grads: Float[Tensor, "t p"], units: Directions) -> tuple[Float[Tensor, " p"], int]:
        return units.sum(), len(grads)


@dataclass(frozen=True)
class MeanCosine(CosineRule):
    """c_j = Z cos(g_j, gbar) with the mean gradient gbar. To first order its step never increases the mean loss."""

    label = "cosine to mean"

    def reference(self, grads: Float[Tensor, "t p"], units: Directions) -> tuple[Float[Tensor, " p"], int]:
        mean = Mean().combine(grads)
        # |gbar|_1 / mean_j |g_j|_1: 1-norms overflow later than 2-norms, and are 0 if the sum cancels in each entry.
        left = mean.abs().sum() / torch.linalg.vector_norm(grads, 1) * len(grads)
        cancels = left <= cancellation_tolerance(len(mean), mean.dtype)
        return torch.where(cancels, 0, Directions.of(mean[None]).sum()), 1


@dataclass(frozen=True)
class Rescaled(Aggregator):
    """The direction of the mean gradient with the length of O-AMFS's step under `normalization="unit"`.

    A comparison with O-AMFS shows the effect of the direction. A comparison with the mean shows the effect of the
    length.
    """

    label = "mean, rescaled"

    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        mean, step = Mean().weights(grads), PairwiseCosine("unit").combine(grads)
        return mean * _ratio_of_lengths(step, mean @ grads)


def _ratio_of_lengths(a: Float[Tensor, " p"], b: Float[Tensor, " p"]) -> Float[Tensor, ""]:
    """|a| / |b|, or 0 if b is zero. Both are first divided by their largest entry, because squares could overflow."""
    unit_a, unit_b = _largest(a), _largest(b)
    length_a, length_b = (
        torch.linalg.vector_norm(x / torch.where(unit > 0, unit, 1)) for x, unit in ((a, unit_a), (b, unit_b))
    )
    return torch.where(unit_b == 0, 0, (unit_a / unit_b) * (length_a / length_b))


def _largest(x: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """The largest absolute value; ten times faster than torch's infinity norm."""
    low, high = torch.aminmax(x)
    return torch.maximum(-low, high)


@dataclass(frozen=True)
class PCGrad(Aggregator):
    """Each gradient loses its component along every gradient that it conflicts with (Yu et al. 2020, Algorithm 1).

    Args:
        seed: seed of the order of the projections. The order is the same at every call, because the tasks of a
            meta-batch are exchangeable.
        reduction: `"mean"` of the projected gradients, or their `"sum"` as published.
    """

    label = "PCGrad"
    seed: int = 0
    # Deviation: the published step is the sum. For three agreeing tasks it is three times the mean's step, which at
    # equal learning rates would be another experiment.
    reduction: str = "mean"

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise ConfigError(f"`reduction` must be one of mean, sum. Got {self.reduction!r}.")

    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        check_rows(grads)
        largest = grads.abs().max()
        scaled = torch.where(largest > 0, grads / largest, grads)
        return self.weights_from_gram(scaled @ scaled.T)

    def weights_from_gram(self, gram: Float[Tensor, "t t"]) -> Float[Tensor, " t"]:
        """The weights from the inner products <g_i, g_j>: the rule needs nothing else of the gradients."""
        check_gram("gram", gram)
        t, products = len(gram), gram.double()
        generator = torch.Generator().manual_seed(self.seed)
        projected = torch.eye(t, dtype=products.dtype, device=gram.device)  # row i: coefficients of task i's gradient
        for i in range(t):
            for j in torch.randperm(t, generator=generator).tolist():
                if j == i:
                    continue
                overlap = projected[i] @ products[:, j]
                conflict = (overlap < 0) & (products[j, j] > 0)
                projected[i, j] -= torch.where(conflict, overlap / products[j, j], 0)
        total = torch.where(torch.isfinite(products).all(), projected.sum(0), torch.nan).to(gram.dtype)
        return total / t if self.reduction == "mean" else total


AGGREGATORS: dict[str, type[Aggregator]] = {  # the keys are the names in configurations and saved runs
    "mean": Mean,
    "pairwise-cosine": PairwiseCosine,
    "mean-cosine": MeanCosine,
    "pcgrad": PCGrad,
    "rescaled": Rescaled,
}
