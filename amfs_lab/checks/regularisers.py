"""Self-checks on regularisers and on choosing σ: lesson 04."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from amfs_lab import ridge
from amfs_lab.checks import diagnose
from amfs_lab.checks.diagnose import exercise, points
from amfs_lab.checks.verdict import Wrong
from amfs_lab.explore.regularisers.landscape import pulls, task
from amfs_lab.explore.regularisers.teachers import TeacherExplorer
from amfs_lab.kernels import rbf_kernel

LAM, MU, STRENGTH = 0.7, 2.0, 3.0  # of the exercise by hand


@exercise
def effective_ridge(answer: Any) -> str:
    """By hand: the effective ridge λ/(1 + μs) of a direction with eigenvalue s = 3, at λ = 0.7 and μ = 2."""
    right = LAM / (1 + MU * STRENGTH)
    mistakes = [
        (
            LAM * (1 + MU * STRENGTH),
            "You multiplied by 1 + μs. μ makes the effective ridge smaller than λ: divide λ by 1 + μs.",
        ),
        (LAM + MU * STRENGTH, "You added μs to λ. μ makes the effective ridge smaller than λ: divide λ by 1 + μs."),
        (
            LAM / (MU * STRENGTH),
            "The 1 is missing. At μ = 0 your result would be infinite, but it must be λ: divide λ by 1 + μs.",
        ),
        (
            LAM / (1 + MU),
            "You left out s. Each eigen-direction has its own effective ridge, and here s = 3: divide λ by 1 + μs.",
        ),
        (LAM / (1 + STRENGTH), "You left out μ: divide λ by 1 + μs."),
        (LAM / ((1 + MU) * STRENGTH), "The brackets are wrong: you divided by (1 + μ)s. Divide λ by 1 + μs."),
        (LAM / (1 + MU * STRENGTH**2), "You squared s: divide λ by 1 + μs."),
        (LAM, "That is λ itself, the effective ridge at μ = 0 or at s = 0. Divide λ by 1 + μs."),
        (1 + MU * STRENGTH, "That is 1 + μs. Divide λ by it."),
        (1 / right, "Your fraction is upside down, (1 + μs)/λ. Divide λ by 1 + μs."),
        (
            STRENGTH / (STRENGTH + right),
            "That is the filter h(s), the share that is kept. Give the effective ridge: divide λ by 1 + μs.",
        ),
    ]
    diagnose.number(answer, right, mistakes, tolerance=0.02)
    return f"λ/(1 + μs) = {LAM:g}/{1 + MU * STRENGTH:g} = {right:.2g}: the effective ridge here is a seventh of λ."


def right_centred_fit(K: Tensor, K_q: Tensor, y: Tensor, lam: float) -> Tensor:
    mean = y.mean(0)
    return K_q @ ridge.solve(K, y - mean, lam) + mean


def _with(solved: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[..., Tensor]:
    """A version of the centred fit that uses the function `solved` instead of the correct solve."""
    return lambda K, K_q, y, lam: K_q @ solved(K, y - y.mean(0), lam) + y.mean(0)


def _ridge(strength: Callable[[Tensor, float], float]) -> Callable[[Tensor, Tensor, float], Tensor]:
    return lambda K, y, lam: torch.linalg.solve(K + strength(K, lam) * torch.eye(len(K), dtype=K.dtype), y)


@exercise
def centred_fit(mine: Any) -> str:
    """Coding exercise: `my_centred_fit(K, K_q, y, lam)`, a fit that tends to the mean label far from all examples."""
    mistakes = [
        (
            lambda K, K_q, y, lam: K_q @ ridge.solve(K, y, lam),
            "You forgot to centre: far from every example your fit tends to zero, not to the mean label.",
        ),
        (
            lambda K, K_q, y, lam: K_q @ ridge.solve(K, y - y.mean(0), lam),
            "You never add the mean back: your values are differences from the mean label.",
        ),
        (
            lambda K, K_q, y, lam: K_q @ ridge.solve(K, y - y.mean(0), lam) + 2 * y.mean(0),
            "You added the mean back twice. Add it once, after the solve.",
        ),
        (
            lambda K, K_q, y, lam: K_q @ ridge.solve(K, y, lam) + y.mean(0),
            "You added the mean without subtracting it first: near the examples it is counted twice.",
        ),
        (
            lambda K, K_q, y, lam: K_q @ ridge.solve(K, y.mean(0) - y, lam) + y.mean(0),
            "The sign is wrong: solve for `y - mean`, not for `mean - y`.",
        ),
        (_with(_ridge(lambda K, lam: 0.0)), "λ is missing, so the fit follows the noise. Solve with `lam`."),
        (
            _with(_ridge(lambda K, lam: len(K) * lam)),
            "You took nλ where the solve has λ: the result depends on the number of examples. Use `lam` alone.",
        ),
        (_with(_ridge(lambda K, lam: lam / len(K))), "You took λ/n where the solve has λ. Use `lam` alone."),
        (
            lambda K, K_q, y, lam: K_q @ ridge.solve(K, y - y.mean(), lam) + y.mean(),
            "You took one mean of all labels. Each column of y has its own mean: `y.mean(0)`.",
        ),
        (
            lambda K, K_q, y, lam: K_q @ (ridge.solve(K, y - y.mean(0), lam) + y.mean(0)),
            "You added the mean to α. Add it to the fit: outside the brackets, after `K_q @ alpha`.",
        ),
        (
            lambda K, K_q, y, lam: K @ ridge.solve(K, y - y.mean(0), lam) + y.mean(0),
            "Those are the fitted values at the examples. `K_q @ alpha` is the fit at the new points.",
        ),
        (
            lambda K, K_q, y, lam: ridge.solve(K, y - y.mean(0), lam),
            "Those are the coefficients α of the centred fit. Multiply them by `K_q` and add the mean.",
        ),
        (
            lambda K, K_q, y, lam: K_q @ (y - y.mean(0)) + y.mean(0),
            "Nothing was solved: the coefficients are α = (K + λI)⁻¹ of the centred labels.",
        ),
    ]
    shapes = [(5, 3, 2, 0.1), (7, 4, 3, 0.7), (4, 6, 2, 2.5)]  # n, q, columns of y, and λ
    cases = []
    for seed, (n, q, c, lam) in enumerate(shapes):
        x, new = points(n, 2, seed), points(q, 2, seed + 10)
        cases.append((rbf_kernel(x, x, 1.0), rbf_kernel(new, x, 1.0), points(n, c, seed + 20) + 1.0, lam))
    diagnose.function(mine, right_centred_fit, cases, mistakes)
    return "On three tasks, your fit is right: far from the examples it tends to the mean label."


@exercise
def opposed_teachers(answer: Any) -> str:
    """Explore: a σ at which the leave-one-out error and the evidence disagree, for ten points.

    One of the two criteria improves with a larger σ. The other criterion improves with a smaller σ.
    """
    sigma = diagnose.on_slider(answer, TeacherExplorer.bandwidth)
    asked = pulls(task("sine", points=10, noise=0.3, sample=3), sigma, lam=0.1)
    loo, evidence, query = (asked[name][0] for name in ("leave-one-out", "evidence", "query loss"))
    if loo * evidence > 0:
        way, move = ("wider", "up") if loo > 0 else ("narrower", "down")
        raise Wrong(
            f"At σ = {sigma:g} leave-one-out and the evidence both improve with a {way} σ. Move σ {move}, until only "
            "one of them does."
        )
    if loo * evidence == 0:
        raise Wrong(f"σ = {sigma:g} is at the minimum of one of them. Choose a σ between the two minima.")
    sides = "leave-one-out" if loo * query > 0 else "the evidence"
    return (
        f"At σ = {sigma:g} they disagree: one improves with a wider σ, the other with a narrower σ. The query loss "
        f"agrees with {sides}. In another sample this may differ."
    )
