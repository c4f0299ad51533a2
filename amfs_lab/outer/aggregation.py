"""Aggregators: small immutable rules that turn the tasks' gradients into weights, and the weights into a direction.

An aggregator is weights on gradients, theta <- theta - meta_lr * sum_j c_j g_j, so its whole opinion fits in t numbers.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.arguments import check_tensor
from amfs_lab.errors import ConfigError, DataError, NumericalError
from amfs_lab.outer.directions import Directions

NORMALIZATIONS = ("length", "unit", "agreement", "none")
NEGATIVE = ("keep", "clip")


class Aggregator(ABC):
    """A rule for combining task gradients. Calling it gives `weights(grads) @ grads`, which must be finite."""

    @property
    def stateful(self) -> bool:
        """Whether an answer depends on earlier ones: a run with such a rule cannot go on from a saved state."""
        return False

    @abstractmethod
    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        """The weight c_j that each task's gradient ends up with, normalisation included."""

    def combine(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " p"]:
        """sum_j c_j g_j, values unchecked: NaN or infinity in `grads` comes out as NaN or infinity.

        Raises:
            DataError: gradients that are not one row a task.
        """
        check_rows(grads)
        return self.weights(grads) @ grads

    def __call__(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " p"]:
        """`combine`.

        Raises:
            DataError: gradients that are not one row a task. NumericalError: a gradient that is not finite, with the
                task it is of, or a sum that overflows.
        """
        direction = self.combine(grads)
        if not bool(torch.isfinite(direction.sum())):  # one number to ask about; finite entries may overflow it too
            check_finite(grads, direction)
        return direction


def check_rows(grads: Tensor) -> None:
    """Raises DataError unless `grads` is one row of floating-point numbers a task, (t p) with t and p >= 1."""
    check_tensor("grads", grads, "t p")
    if grads.ndim != 2 or grads.numel() == 0 or not grads.is_floating_point():
        raise DataError(
            "Gradients must be one row of floating-point numbers a task, (t, p) with t and p >= 1. "
            f"Got shape {tuple(grads.shape)} in {grads.dtype}. Stack them: torch.stack(list_of_gradients)."
        )


def check_finite(grads: Float[Tensor, "t p"], direction: Float[Tensor, " p"]) -> None:
    """Raises NumericalError unless the direction and all gradients that it was made of are finite."""
    sound = torch.isfinite(grads).all(1)
    if not bool(sound.all()):
        raise NumericalError(
            f"Gradients must be finite. Got NaN or infinity in that of task {int((~sound).int().argmax())} "
            "(counted from 0). Leave the task out, or look for the step that broke it: a rate too high, a failed solve."
        )
    if not bool(torch.isfinite(direction).all()):
        raise NumericalError(
            f"The weighted sum of the gradients must be finite in {direction.dtype}. Got infinity from gradients up to "
            f"{float(grads.abs().max()):.1e}. Scale the losses down, or combine in float64."
        )


@dataclass(frozen=True)
class Mean(Aggregator):
    """c_j = 1/t: the outer loop of MAML."""

    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        check_rows(grads)
        return grads.new_full((len(grads),), 1 / len(grads))


@dataclass(frozen=True)
class CosineRule(Aggregator):
    """c_j = Z <S, u_j> with u_j = g_j/|g_j| and a reference direction S that the subclass names.

    Args:
        normalization: Z, one of `NORMALIZATIONS`. No Z turns the step; each makes another length of it.
            `"length"` Z = |gbar| / |sum_j c_j g_j| with gbar the mean gradient: the step is as long as the mean's, so
            that the two differ in direction alone.
            `"unit"` Z = 1 / sum_j |c_j|: the weights' absolute values sum to 1. The step may be longer or shorter than
            the mean's: twice as long for three equal tasks against one, five times where that one is twice as long.
            `"agreement"` Z = 1/t^2 for O-AMFS, whose c_j is t when all tasks agree, and 1/t for `MeanCosine`, whose c_j
            is 1 then: the mean's step when all agree, and never longer than the mean of the gradients' lengths. It
            may be longer than the mean's step: 2.5 times for three equal tasks against one twice as long.
            `"none"` Z = 1, the formula as printed.
            For `"length"` and `"unit"` 0/0, and what differs from it by rounding alone, is a zero step: another
            processor rounds elsewhere.
        negative: `"keep"` lets a task that opposes the majority be pushed up; `"clip"` gives it weight 0.
    """

    normalization: str = "length"
    negative: str = "keep"

    def __post_init__(self) -> None:
        for name, options in (("normalization", NORMALIZATIONS), ("negative", NEGATIVE)):
            if getattr(self, name) not in options:
                raise ConfigError(f"`{name}` must be one of {', '.join(options)}. Got {getattr(self, name)!r}.")

    @abstractmethod
    def reference(self, grads: Float[Tensor, "t p"], units: Directions) -> Float[Tensor, " p"]:
        """The direction S that every task is compared with."""

    @abstractmethod
    def full_agreement(self, t: int) -> int:
        """The c_j that each of t equal gradients gets before normalisation."""

    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        check_rows(grads)
        units = Directions.of(grads)
        c = units.dot(self.reference(grads, units))
        if self.negative == "clip":
            c = c.clamp(min=0)
        t, p = grads.shape
        full = self.full_agreement(t)
        if self.normalization == "none":
            return c
        if self.normalization == "agreement":
            return c / (t * full)
        total = c.abs().sum()
        left = (8 + p**0.5 / 8) * torch.finfo(total.dtype).eps  # of a cosine of p numbers, where it should be 0
        c = torch.where(total <= full * left, 0, c / total)  # so that NaN stays NaN
        return c if self.normalization == "unit" else c * _ratio_of_lengths(Mean().combine(grads), c @ grads)


@dataclass(frozen=True)
class PairwiseCosine(CosineRule):
    """O-AMFS: c_j = Z sum_i w_ij with w_ij = cos(g_i, g_j), that is S = sum_i u_i (Park and Kang 2024, outer loop).

    Our reading: w_jj = 1 counts, and Z is named because the source leaves the step's length open.
    """

    def reference(self, grads: Float[Tensor, "t p"], units: Directions) -> Float[Tensor, " p"]:
        return units.sum()

    def full_agreement(self, t: int) -> int:
        return t


@dataclass(frozen=True)
class MeanCosine(CosineRule):
    """c_j = Z cos(g_j, gbar) with gbar the mean gradient: to first order its step never raises the mean loss."""

    def reference(self, grads: Float[Tensor, "t p"], units: Directions) -> Float[Tensor, " p"]:
        mean = Mean().combine(grads)
        nothing = _largest(mean) <= torch.finfo(mean.dtype).eps * _largest(grads)  # what entries that cancel may leave
        return torch.where(nothing, 0, Directions.of(mean[None]).sum())

    def full_agreement(self, t: int) -> int:
        return 1


def _ratio_of_lengths(a: Float[Tensor, " p"], b: Float[Tensor, " p"]) -> Float[Tensor, ""]:
    """|a| / |b|, and 0 where b is zero; both are brought to a largest entry of 1 first, or squares would overflow."""
    sizes = [_largest(x) for x in (a, b)]
    lengths = [
        torch.linalg.vector_norm(x / torch.where(size > 0, size, 1)) for x, size in zip((a, b), sizes, strict=True)
    ]
    return torch.where(sizes[1] == 0, 0, (sizes[0] / sizes[1]) * (lengths[0] / lengths[1]))


def _largest(x: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """The largest absolute value, ten times as fast as the norm of that name."""
    low, high = torch.aminmax(x)
    return torch.maximum(-low, high)


@dataclass(frozen=True)
class PCGrad(Aggregator):
    """Each gradient loses its component against every other that it conflicts with (Yu et al. 2020, Algorithm 1).

    Args:
        seed: draws the order of the projections, the same at every call: the tasks of a meta-batch are exchangeable.
        reduction: `"mean"` of the projected gradients, or their `"sum"` as published.
    """

    seed: int = 0
    # Deviation: the published step is the sum, on three agreeing tasks three times the mean's; at equal learning rates
    # that would be another experiment.
    reduction: str = "mean"

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise ConfigError(f"`reduction` must be one of mean, sum. Got {self.reduction!r}.")

    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        check_rows(grads)
        t = len(grads)
        largest = grads.abs().max()
        scaled = torch.where(largest > 0, grads / largest, grads)
        gram = (scaled @ scaled.T).double()
        generator = torch.Generator().manual_seed(self.seed)
        projected = torch.eye(t, dtype=gram.dtype, device=gram.device)  # row i: coefficients of task i's gradient
        for i in range(t):
            for j in torch.randperm(t, generator=generator).tolist():
                if j == i:
                    continue
                overlap = projected[i] @ gram[:, j]
                conflict = (overlap < 0) & (gram[j, j] > 0)
                projected[i, j] -= torch.where(conflict, overlap / gram[j, j], overlap.new_zeros(()))
        total = projected.sum(0).to(grads.dtype)
        return total / t if self.reduction == "mean" else total
