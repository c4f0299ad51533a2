"""Self-checks of lesson 09 on the outer loop: the weights of the tasks' gradients."""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from amfs_lab.checks import diagnose
from amfs_lab.checks.diagnose import exercise, points
from amfs_lab.checks.verdict import Wrong
from amfs_lab.explore.conflict.conflict import gradients
from amfs_lab.outer import MeanCosine, PairwiseCosine


@exercise
def lone_opponent(answer: Any) -> str:
    """By hand: the O-AMFS weight of a task whose gradient is opposite to two equal gradients.

    The weight is not normalised. The answer is -1.
    """
    mistakes = [
        (-2.0, "You left out w₃₃: the cosine of a task with itself is one, and it is part of the sum."),
        (1.0, "That is the weight of each of the two. The cosines of the third task with them are −1."),
        (-1 / 3, "That is the weight after normalisation. Here Z = 1: add up w₁₃, w₂₃ and w₃₃."),
        (3.0, "You added the absolute values |w|: gradients in opposite directions have the cosine −1."),
        (0.0, "You stopped at one of the two tasks: w₁₃ and w₂₃ are both −1."),
    ]
    diagnose.number(answer, -1.0, mistakes, tolerance=0.0)
    return "c₃ = −1 − 1 + 1 = −1. A negative weight reverses the gradient of task 3, so a small step raises its loss."


@exercise
def turning_angle(answer: Any) -> str:
    """Explore: the angle to two equal gradients above which a third gradient gets a negative weight.

    The answer is 120 degrees.
    """
    angle = diagnose.positive(answer, "the angle")
    if angle > 180:
        raise Wrong(f"An angle between two directions is at most 180 degrees. Got {angle:g}.")
    if abs(angle - math.radians(120)) < 0.02:
        raise Wrong(f"{angle:g} is in radians. Give the angle in degrees: {math.degrees(angle):.0f}.")
    weight = third_weight(angle)
    if abs(angle - 90) < 1:
        raise Wrong("At 90° the third task's cosines with the others are zero, but w₃₃ = 1 keeps its weight positive.")
    if weight > 0 and third_weight(angle + 2) > 0:
        raise Wrong(f"At {angle:g}° the third task's weight is still {weight:+.2f}. Use a larger angle.")
    if weight < 0 and third_weight(angle - 2) < 0:
        raise Wrong(
            f"At {angle:g}° the third task's weight is {weight:+.2f}, but a smaller angle is enough. Lower the angle."
        )
    return "At 120°, two cosines of −½ cancel w₃₃ = 1: c₃ = 1 + 2 cos(angle), for gradients of any length."


def third_weight(degrees: float) -> float:
    """The O-AMFS weight of a third gradient, at this angle to two equal gradients."""
    return float(PairwiseCosine().weights(gradients(3, degrees, spread=0.0, ratio=1.0))[2])


def _similarity(grads: Tensor) -> Tensor:
    units = grads / grads.norm(dim=1, keepdim=True)
    return units @ units.T


def _shares(c: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda grads: c(grads) / c(grads).abs().sum()


@exercise
def weights(mine: Any) -> str:
    """Coding exercise: `my_weights(grads)`, the weights of O-AMFS with the normalisation Z = 1/Σ|c|."""
    mistakes = [
        (
            lambda g: _similarity(g).sum(0),
            "Z is missing: divide by the sum of |c|. Otherwise the step grows with the number of tasks.",
        ),
        (
            lambda g: _similarity(g).sum(0) / len(g) ** 2,
            "That is Z = 1/T², the normalisation called agreement. Here Z is one over the sum of |c|.",
        ),
        (
            lambda g: _similarity(g).sum(0) / _similarity(g).sum(),
            "You divided by Σc. A weight can be negative, so divide by Σ|c|.",
        ),
        (
            _shares(lambda g: (g @ g.T).sum(0)),
            "You used the inner products ⟨g_i, g_j⟩. For cosines, divide each gradient by its norm first.",
        ),
        (
            _shares(lambda g: _similarity(g).sum(0) - 1),
            "You left out w_jj = 1, the cosine of each task with itself. Add it.",
        ),
        (_similarity, "That is w_ij, all pairs. Add up each column: one number for each task."),
        (
            _shares(lambda g: _similarity(g).abs().sum(0)),
            "You took |w|. Keep the sign: a task that opposes the others must get less weight.",
        ),
        (
            MeanCosine("unit").weights,
            "Those are the cosines with the mean gradient (`MeanCosine`). Use the cosines of all pairs of tasks.",
        ),
        (PairwiseCosine("unit"), "That is the combined gradient. Return the weights."),
        (
            _shares(lambda g: ((g / g.norm(dim=0)) @ (g / g.norm(dim=0)).T).sum(0)),
            "You normalised columns: a gradient is a row of `grads`, so take its norm over dim 1.",
        ),
    ]
    cases = [(conflicting(t, p, seed),) for seed, (t, p) in enumerate([(3, 4), (4, 6), (5, 3)])]
    diagnose.function(mine, PairwiseCosine("unit").weights, cases, mistakes)
    return "Your weights equal those of PairwiseCosine on three sets of task gradients."


def conflicting(t: int, p: int, seed: int) -> Tensor:
    """Task gradients (t p) of different lengths. The last gradient opposes the others, so its weight is negative."""
    grads = points(t, p, seed + 30)
    grads[-1] = -2 * grads[:-1].sum(0) + 0.1 * grads[-1]
    return grads
