"""Self-checks on one solve compared with many gradient steps: lesson 06."""

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
    """By hand: the share that two steps of rate a = 1/2 learn of a channel (eigenvector) with s = 1.

    The answer is 3/4.
    """
    mistakes = [
        (1 / 4, "That is what is left to learn, (1 − a s)². The share learned is one minus that."),
        (1 / 2, "That is one step. The second step learns half of the rest."),
        (1.0, "You added the steps, a s k. Each step learns its share of what is *left*, not of the whole."),
        (2 / 3, "That is s / (s + λ) at λ = ½, the share of one solve. Give the share of two steps."),
        (5 / 4, "The sign in the brackets is a minus: each step leaves 1 − a s of the residual."),
        (0.632, "That is 1 − e⁻¹, the limit of ever shorter steps with the same a k. Here there are two steps."),
        (15 / 16, "You took four steps. The power of (1 − a s) is k = 2."),
    ]
    diagnose.number(answer, 3 / 4, mistakes, tolerance=0.01)
    return "1 − (1 − ½)² = ¾: the second step learns half of what the first step left."


@exercise
def descend(mine: Any) -> str:
    """Coding exercise: `my_descent(K, y, rate, steps)`, α after gradient descent in function space from zero."""

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
        (wrong(lambda K, y, a: K @ a - y), "You go uphill: the step goes *along* the residual, y − Kα."),
        (
            wrong(lambda K, y, a: K @ (y - K @ a)),
            "You moved α by K(y − Kα), the gradient with respect to α. In function space the gradient is "
            "Σ rᵢ k(xᵢ, ·). Its coefficients are the residuals r themselves, without the K in front.",
        ),
        (wrong(lambda K, y, a: y - a), "Your residual is y − α. The function's values at the points are Kα."),
        (wrong(lambda K, y, a: (y - K @ a) / len(y)), "You divided by n: here the loss is a sum, not a mean."),
        (wrong(lambda K, y, a: 2 * (y - K @ a)), "A factor 2 is too much: the loss is *half* the sum of squares."),
        (
            lambda K, y, rate, steps: descent(K, y, rate, max(steps - 1, 0)),
            "One step too few: `range(steps)` takes all steps.",
        ),
        (lambda K, y, rate, steps: descent(K, y, rate, steps + 1), "One step too many: begin at α = 0."),
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
            "That is the one solve with λ = 1/(a k), which is only close. Compute the steps themselves.",
        ),
    ]
    diagnose.function(mine, descent, cases(), mistakes)
    return "Your steps end where the filter 1 − (1 − a s)^k ends, on three tasks."


def cases() -> list[diagnose.Case]:
    """Gram matrices, labels, rates below 2/s_max, and numbers of steps of three tasks."""
    shapes = [(5, 2, 0.3, 3), (7, 1, 0.2, 8), (4, 3, 0.5, 5)]  # n, columns, rate and steps
    return [(gram(n, seed), points(n, c, seed + 40), rate, k) for seed, (n, c, rate, k) in enumerate(shapes)]


@exercise
def mimicking_lam(answer: Any) -> str:
    """Explore: the λ whose filter is closest to the filter of ten steps of rate a = 1 / s_max.

    The gap is the largest difference of the two filters. An accepted gap exceeds the smallest one by at most 0.005.
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
            f"λ = {BEST_FLOW}/t belongs to the flow limit, to ever shorter steps. Ten steps are few and long: the gap "
            f"is {here:.3f} there, and {best:.3f} is possible. Move λ further, and watch the circle at the lower right."
        )
    if diagnose.near(lam, float(TEN), 0.02):
        raise Wrong(f"λ = {lam:g} is t itself. More steps fit more, but a larger λ fits less. Try λ close to 1/t.")
    way, side = ("down", "less") if lam > best_lam else ("up", "more")
    raise Wrong(
        f"At λ = {lam:g} the filters differ by {here:.3f}; {best:.3f} is possible. Move λ {way}: where the two differ "
        f"most, the solve learns {side} than the steps."
    )
