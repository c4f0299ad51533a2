"""Aggregators: small immutable rules that weight the tasks' gradients.

The outer step is theta <- theta - meta_lr * sum_j c_j g_j, so the t weights c_j describe a rule completely.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
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
    """A rule that combines task gradients. A call returns `weights(grads) @ grads`, which must be finite.

    Every method raises DataError unless `grads` has one row per task.
    """

    label: ClassVar[str] = ""  # the rule's name in figures and tables; if empty, they use the name of the class

    @property
    def stateful(self) -> bool:
        """True if a step depends on earlier calls. A run with such a rule cannot be resumed."""
        return False

    @abstractmethod
    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        """The weight c_j of each task's gradient, after normalisation."""

    def combine(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " p"]:
        """sum_j c_j g_j. The values are not checked: NaN or infinity in `grads` gives NaN or infinity."""
        check_rows(grads)
        return self.weights(grads) @ grads

    def __call__(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " p"]:
        """The result of `combine`, which must be finite.

        Raises NumericalError for an overflow, or for a gradient that is not finite. For such a gradient, the message
        contains the index of the task.
        """
        direction = self.combine(grads)
        if not bool(torch.isfinite(direction.sum())):  # reads one number; the sum of finite entries may overflow
            check_finite(grads, direction)
        return direction


def check_rows(grads: Tensor) -> None:
    """Raises DataError unless `grads` has one row of floating-point numbers per task, (t p) with t and p >= 1."""
    check_tensor("grads", grads, "t p")
    if grads.ndim != 2 or grads.numel() == 0 or not grads.is_floating_point():
        raise DataError(
            "Gradients must have one row of floating-point numbers for each task, (t, p) with t and p >= 1. "
            f"Got shape {tuple(grads.shape)} in {grads.dtype}. Stack them: torch.stack(list_of_gradients)."
        )


def check_finite(grads: Float[Tensor, "t p"], direction: Float[Tensor, " p"]) -> None:
    """Raises NumericalError unless all gradients and their weighted sum `direction` are finite."""
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
class Gradients:
    """The gradients of some tasks, with one row per task."""

    rows: Float[Tensor, "t p"]

    @cached_property
    def units(self) -> Directions:
        """The unit vectors u_j = g_j / |g_j|."""
        return Directions.of(self.rows)

    def mean(self, tasks: int) -> Float[Tensor, " p"]:
        """The sum of these gradients, divided by the number `tasks` of all tasks."""
        return self.rows.new_full((len(self.rows),), 1 / tasks) @ self.rows


class SummedRule(Aggregator):
    """A rule that needs only sums over the tasks, so several processes can share the tasks (see `distributed`).

    The step is computed in two passes over the gradients: `first`, then `second`. Both results are sums over tasks. So
    each process computes the results for its own tasks, and the processes add their results. `tasks` is always the
    number of all tasks.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "weights" in vars(cls) and not vars(cls).keys() & {"first", "second", "step"}:
            raise ConfigError(
                "A rule with `weights` of its own must be a subclass of Aggregator, or also define `first` and `step`. "
                f"Got {cls.__name__}."
            )

    @abstractmethod
    def first(self, own: Gradients, tasks: int) -> Float[Tensor, " m"]:
        """The sums of the first pass over the gradients of this process, `own`. The weights depend on these sums."""

    def second(self, own: Gradients, first: Float[Tensor, " m"], tasks: int) -> Float[Tensor, " n"]:
        """The weighted sums of the second pass over the gradients of this process, `own`.

        By default there are no weighted sums.
        """
        return own.rows.new_empty(0)

    @property
    def needs_second(self) -> bool:
        """True if the rule has weighted sums. Such a rule needs a second pass over the gradients."""
        return type(self).second is not SummedRule.second

    @abstractmethod
    def step(self, first: Float[Tensor, " m"], second: Float[Tensor, " n"], tasks: int) -> Float[Tensor, " p"]:
        """The step sum_j c_j g_j, computed from the results of `first` and `second` for all tasks."""

    def combine(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " p"]:
        return self.combine_shared(grads, len(grads), lambda part: part)

    def combine_shared(
        self, grads: Float[Tensor, "t p"], tasks: int, total: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, " p"]:
        """The result of `combine` for all tasks, if each process has the gradients of only some tasks.

        Args:
            grads: the gradients of this process. tasks: number of all tasks. total: function that returns the sum of a
                tensor over all processes.
        """
        check_rows(grads)
        own = Gradients(grads)
        first = total(self.first(own, tasks))
        return self.step(first, total(self.second(own, first, tasks)), tasks)


@dataclass(frozen=True)
class Mean(SummedRule):
    """c_j = 1/t: the outer loop of MAML."""

    label = "mean"

    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        check_rows(grads)
        return grads.new_full((len(grads),), 1 / len(grads))

    def first(self, own: Gradients, tasks: int) -> Float[Tensor, " p"]:
        return own.mean(tasks)

    def step(self, first: Float[Tensor, " p"], second: Float[Tensor, " 0"], tasks: int) -> Float[Tensor, " p"]:
        return first


@dataclass(frozen=True)
class CosineRule(SummedRule):
    """c_j = Z <S, u_j> with u_j = g_j/|g_j| and a reference direction S that the subclass defines.

    Args:
        normalization: Z, one of `NORMALIZATIONS`. Z changes the length of the step, never its direction. In the
            formulas, a_j = <S, u_j>, or 0 for a clipped task.
            `"length"` Z = |gbar| / |sum_j a_j g_j| with gbar the mean gradient. The step is as long as the mean
            gradient.
            `"unit"` Z = 1 / sum_j |a_j|. The step may be longer or shorter than the mean gradient. Example 1: three
            equal gradients and one opposite gradient, all of the same length. The step is twice as long as the mean
            gradient. Example 2: the opposite gradient is twice as long as each of the others. The step is five times as
            long as the mean gradient.
            `"agreement"` Z = 1/t^2 for O-AMFS and 1/t for `MeanCosine`. If all gradients are equal, a_j is t for O-AMFS
            and 1 for `MeanCosine`, and the step is the mean gradient. The step is never longer than the mean of the
            gradients' lengths, but it may be longer than the mean gradient. In example 2 it is 2.5 times as long.
            `"none"` Z = 1, the formula as printed in the paper.
            With `"length"` and `"unit"`, the step is zero if the weights cancel (`cancellation_tolerance`).
        negative: a task that opposes the majority has <S, u_j> < 0. `"keep"` keeps its negative weight, `"clip"` sets
            its weight to 0.
    """

    normalization: str = "length"
    negative: str = "keep"

    def __post_init__(self) -> None:
        for name, options in (("normalization", NORMALIZATIONS), ("negative", NEGATIVE)):
            if getattr(self, name) not in options:
                raise ConfigError(f"`{name}` must be one of {', '.join(options)}. Got {getattr(self, name)!r}.")

    @abstractmethod
    def reference(self, first: Float[Tensor, " m"], p: int, tasks: int) -> Float[Tensor, " p"]:
        """The direction S. The weight of task j depends on <S, u_j>."""

    @abstractmethod
    def largest(self, tasks: int) -> int:
        """The value of <S, u_j> if all gradients are equal: the largest possible value."""

    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        check_rows(grads)
        own, t = Gradients(grads), len(grads)
        first = self.first(own, t)
        c = self._agreements(own, first, t)
        return c * self._factor(first, _weighted(c, grads), t)

    def second(self, own: Gradients, first: Float[Tensor, " m"], tasks: int) -> Float[Tensor, " n"]:
        return _weighted(self._agreements(own, first, tasks), own.rows)

    def step(self, first: Float[Tensor, " m"], second: Float[Tensor, " n"], tasks: int) -> Float[Tensor, " p"]:
        return second[:-1] * self._factor(first, second, tasks)

    def _agreements(self, own: Gradients, first: Float[Tensor, " m"], tasks: int) -> Float[Tensor, " t"]:
        """The weights under the normalization `"agreement"`.

        The sum of their absolute values is at most 1, so no weighted sum overflows.
        """
        c = own.units.dot(self.reference(first, own.rows.shape[1], tasks)) / (tasks * self.largest(tasks))
        return c.clamp(min=0) if self.negative == "clip" else c

    def _factor(self, first: Float[Tensor, " m"], second: Float[Tensor, " n"], tasks: int) -> Float[Tensor, ""]:
        """The ratio of the weights of this rule to the weights with the normalization `"agreement"`."""
        weighted, total = second[:-1], second[-1]
        if self.normalization == "agreement":
            return total.new_ones(())
        if self.normalization == "none":
            return total.new_full((), tasks * self.largest(tasks))
        cancels = total <= cancellation_tolerance(len(weighted), total.dtype) / tasks  # NaN stays NaN
        if self.normalization == "unit":
            return torch.where(cancels, 0, 1 / total)
        return torch.where(cancels, 0, _ratio_of_lengths(self.mean_of(first, len(weighted)), weighted))

    @abstractmethod
    def mean_of(self, first: Float[Tensor, " m"], p: int) -> Float[Tensor, " p"]:
        """The mean gradient, read from `first`. With the normalization `"length"`, `first` must contain it."""


def _weighted(c: Float[Tensor, " t"], grads: Float[Tensor, "t p"]) -> Float[Tensor, " n"]:
    """The vector sum_j c_j g_j, followed by the number sum_j |c_j|."""
    return torch.cat([c @ grads, c.abs().sum()[None]])


@dataclass(frozen=True)
class PairwiseCosine(CosineRule):
    """O-AMFS: c_j = Z sum_i w_ij with w_ij = cos(g_i, g_j), so S = sum_i u_i (Park and Kang 2024, outer loop).

    Our interpretation: the sum includes w_jj = 1. Z is a setting, because the paper does not define the step's length.
    """

    label = "O-AMFS"

    def first(self, own: Gradients, tasks: int) -> Float[Tensor, " m"]:
        S = own.units.sum()
        return torch.cat([S, own.mean(tasks)]) if self.normalization == "length" else S

    def reference(self, first: Float[Tensor, " m"], p: int, tasks: int) -> Float[Tensor, " p"]:
        return first[:p]

    def largest(self, tasks: int) -> int:
        return tasks

    def mean_of(self, first: Float[Tensor, " m"], p: int) -> Float[Tensor, " p"]:
        return first[p:]


@dataclass(frozen=True)
class MeanCosine(CosineRule):
    """c_j = Z cos(g_j, gbar) with the mean gradient gbar. To first order, the step never increases the mean loss."""

    label = "cosine to mean"

    def first(self, own: Gradients, tasks: int) -> Float[Tensor, " m"]:
        return torch.cat([own.mean(tasks), torch.linalg.vector_norm(own.rows, 1)[None]])

    def reference(self, first: Float[Tensor, " m"], p: int, tasks: int) -> Float[Tensor, " p"]:
        mean, lengths = first[:-1], first[-1]
        # |gbar|_1 / mean_j |g_j|_1: 1-norms overflow later than 2-norms, and are 0 if the sum cancels in each entry.
        cancels = mean.abs().sum() / lengths * tasks <= cancellation_tolerance(p, mean.dtype)
        return torch.where(cancels, 0, Directions.of(mean[None]).sum())

    def largest(self, tasks: int) -> int:
        return 1

    def mean_of(self, first: Float[Tensor, " m"], p: int) -> Float[Tensor, " p"]:
        return first[:-1]


@dataclass(frozen=True)
class Rescaled(SummedRule):
    """The direction of the mean gradient with the length of O-AMFS's step under `normalization="unit"`.

    A comparison of this rule with O-AMFS shows the effect of the direction. A comparison with `Mean` shows the effect
    of the length.
    """

    label = "mean, rescaled"

    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        mean, step = Mean().weights(grads), PairwiseCosine("unit").combine(grads)
        return mean * _ratio_of_lengths(step, mean @ grads)

    def first(self, own: Gradients, tasks: int) -> Float[Tensor, " m"]:
        return PairwiseCosine("length").first(own, tasks)

    def second(self, own: Gradients, first: Float[Tensor, " m"], tasks: int) -> Float[Tensor, " n"]:
        return PairwiseCosine("length").second(own, first, tasks)

    def step(self, first: Float[Tensor, " m"], second: Float[Tensor, " n"], tasks: int) -> Float[Tensor, " p"]:
        unit, mean = PairwiseCosine("unit").step(first, second, tasks), first[len(first) // 2 :]
        return mean * _ratio_of_lengths(unit, mean)


def _ratio_of_lengths(a: Float[Tensor, " p"], b: Float[Tensor, " p"]) -> Float[Tensor, ""]:
    """|a| / |b|, or 0 if b is zero.

    Both vectors are first divided by their largest absolute entry, because squares could overflow.
    """
    unit_a, unit_b = _largest(a), _largest(b)
    length_a, length_b = (
        torch.linalg.vector_norm(x / torch.where(unit > 0, unit, 1)) for x, unit in ((a, unit_a), (b, unit_b))
    )
    return torch.where(unit_b == 0, 0, (unit_a / unit_b) * (length_a / length_b))


def _largest(x: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """The largest absolute value in x. The computation is ten times faster than torch's infinity norm."""
    low, high = torch.aminmax(x)
    return torch.maximum(-low, high)


@dataclass(frozen=True)
class PCGrad(Aggregator):
    """PCGrad removes from each gradient its component along every conflicting gradient (Yu et al. 2020, Algorithm 1).

    Args:
        seed: seed of the order of the projections. The order is the same at every call, because the tasks of a
            meta-batch are exchangeable.
        reduction: `"mean"` or `"sum"` of the projected gradients. The published method uses the sum.
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
        """The weights, computed only from the inner products <g_i, g_j> of the gradients."""
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
