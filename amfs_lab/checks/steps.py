"""Self-checks of lesson 06: one solve compared with many gradient steps."""

from typing import Any

import torch
from torch import Tensor

from amfs_lab.checks import diagnose
from amfs_lab.checks.diagnose import exercise, points
from amfs_lab.checks.ridge import gram
from amfs_lab.checks.verdict import Wrong
from amfs_lab.explore.inner_loop.steps import BEST_FLOW, StepsExplorer, gap, mimic
from amfs_lab.inner.linearised import descent

TEN = 10  # number of steps in the exercise "explore", which asks for a λ


@exercise
def learned_share(answer: Any) -> str:
    """By hand: the share of an eigen-direction that gradient descent learns in two steps.

    The step size is a = 1/2, and the eigenvalue is s = 1. The answer is 3/4.
    """
    mistakes = [
        (1 / 4, "That is the share that is left to learn, (1 − a s)². Give 1 − (1 − a s)²."),
        (1 / 2, "That is the share after one step. The second step learns half of the rest: add it."),
        (
            1.0,
            "You added the steps, a s k. Each step learns a share of the rest, not of the whole: use 1 − (1 − a s)^k.",
        ),
        (2 / 3, "That is s / (s + λ) at λ = ½, the share of one solve. Give the share of two steps."),
        (5 / 4, "The sign in the brackets is a minus: each step leaves 1 − a s of the residual."),
        (0.632, "That is 1 − e⁻¹, the flow limit with the same a k. Here there are two steps: use 1 − (1 − a s)²."),
        (15 / 16, "You took four steps. The power of (1 − a s) is k = 2."),
    ]
    diagnose.number(answer, 3 / 4, mistakes, tolerance=0.01)
    return "1 − (1 − ½)² = ¾: the second step learns half of what the first step left."


@exercise
def descend(mine: Any) -> str:
    """Coding exercise: `my_descent(K, y, rate, steps)`, α after gradient descent in function space from α = 0."""

    def loop(K: Tensor, y: Tensor, steps: int, move: Any) -> Tensor:
        alpha = torch.zeros_like(y)
        for _ in range(steps):
            alpha = alpha + move(K, y, alpha)
        return alpha

    def wrong(move: Any) -> Any:
        return lambda K, y, rate, steps: loop(K, y, steps, lambda K, y, alpha: rate * move(K, y, alpha))

    mistakes = [
        (
            lambda K, y, rate, steps: K @ descent(K, y, rate, steps),
            "Those are the fitted values Kα. Return α itself: it gives the function at all x, not only at the points.",
        ),
        (wrong(lambda K, y, a: K @ a - y), "Your steps go uphill: add rate times y − Kα to α."),
        (
            wrong(lambda K, y, a: K @ (y - K @ a)),
            "You moved α by K(y − Kα), the gradient with respect to α. In function space the gradient is "
            "Σ rᵢ k(xᵢ, ·). Its coefficients are the residuals r themselves, without the K in front.",
        ),
        (
            wrong(lambda K, y, a: y - a),
            "Your residual is y − α. The values of the function at the points are Kα: use y − Kα.",
        ),
        (
            wrong(lambda K, y, a: (y - K @ a) / len(y)),
            "You divided by n. Here the loss is a sum, not a mean: do not divide.",
        ),
        (
            wrong(lambda K, y, a: 2 * (y - K @ a)),
            "A factor 2 is too much. The loss is *half* the sum of squares: remove the 2.",
        ),
        (
            lambda K, y, rate, steps: descent(K, y, rate, max(steps - 1, 0)),
            "One step too few: `range(steps)` takes all steps.",
        ),
        (
            lambda K, y, rate, steps: descent(K, y, rate, steps + 1),
            "One step too many: start at α = 0 and take `steps` steps.",
        ),
        (
            lambda K, y, rate, steps: descent(K, y, rate, 1),
            "That is one step for any `steps`. Compute the residual again in each round of the loop.",
        ),
        (
            lambda K, y, rate, steps: steps * descent(K, y, rate, 1),
            "All your steps repeat the first step. Compute the residual again in each step, from the present α.",
        ),
        (
            lambda K, y, rate, steps: torch.linalg.solve(K + torch.eye(len(K), dtype=K.dtype) / (rate * steps), y),
            "That is one solve with λ = 1/(a k), which is only similar. Compute the steps themselves.",
        ),
    ]
    diagnose.function(mine, descent, cases(), mistakes)
    return "On three tasks, your steps agree with the filter 1 − (1 − a s)^k."


def cases() -> list[diagnose.Case]:
    """Test cases: a Gram matrix, labels, a rate below 2/s_max, and a number of steps, for three tasks."""
    shapes = [(5, 2, 0.3, 3), (7, 1, 0.2, 8), (4, 3, 0.5, 5)]  # n, columns, rate and steps
    return [(gram(n, seed), points(n, c, seed + 40), rate, k) for seed, (n, c, rate, k) in enumerate(shapes)]


@exercise
def mimicking_lam(answer: Any) -> str:
    """Explore: the λ whose ridge filter is closest to the filter of ten gradient steps of rate a = 1 / s_max.

    The gap of a λ is the largest difference between both filters. A λ is accepted if its gap exceeds the smallest gap
    by at most 0.005.
    """
    lam = diagnose.on_slider(answer, StepsExplorer.lam)
    best_lam, best = mimic(1.0, TEN)
    here = float(gap(lam, 1.0, TEN))
    if here <= best + 0.005:
        return f"At λ = {lam:g} = {lam * TEN:.2g}/t the two filters differ by at most {here:.3f}: no λ is much better."
    if diagnose.near(lam, 1 / TEN, 0.02):
        raise Wrong(
            f"λ = 1/t is the right order of magnitude, but the solve learns less than the steps: the gap is "
            f"{here:.3f}. Move λ further, and watch the circle in the lower right panel."
        )
    if diagnose.near(lam, BEST_FLOW / TEN, 0.02):
        raise Wrong(
            f"λ = {BEST_FLOW}/t is the best λ in the flow limit, but ten steps are few and long. Here the gap "
            f"is {here:.3f}, and {best:.3f} is possible. Move λ further, and watch the circle in the lower right panel."
        )
    if diagnose.near(lam, float(TEN), 0.02):
        raise Wrong(
            f"λ = {lam:g} is t itself. A larger t brings the fit closer to the labels, a larger λ does not. Try 1/t."
        )
    way, side = ("down", "less") if lam > best_lam else ("up", "more")
    raise Wrong(
        f"At λ = {lam:g} the filters differ by {here:.3f}; {best:.3f} is possible. Move λ {way}: where the two differ "
        f"most, the solve learns {side} than the steps."
    )
