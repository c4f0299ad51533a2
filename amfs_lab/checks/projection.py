"""Self-checks of lesson 03: the projection of a function onto the span of the support points, and the rest."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from amfs_lab import ridge
from amfs_lab.checks import diagnose
from amfs_lab.checks.diagnose import exercise, points
from amfs_lab.checks.verdict import Wrong
from amfs_lab.explore.representer.perpendicular import PerpendicularExplorer, unseen_share
from amfs_lab.kernels import rbf_kernel
from amfs_lab.widgets.text import percent

LEFT = 0.05  # the share of the squared norm that may be perpendicular to the span
LAMBDAS = (1e-4, 1e-3, 1e-2, 0.05, 0.1, 0.5, 1.0)  # ridges that a student may have left in the solve


@exercise
def two_bumps(answer: Any) -> str:
    """By hand: |f|^2 of f = 2 k(a, .) - k(b, .) where k(a, b) = 1/2. The answer is 3."""
    mistakes = [
        (5.0, "You forgot the cross term: the two bumps are not perpendicular, k(a, b) = ½."),
        (4.0, "The cross term comes twice, once as ⟨a, b⟩ and once as ⟨b, a⟩: K has two entries off its diagonal."),
        (7.0, "The sign of the cross term is wrong: the coefficients are 2 and −1, so their product is negative."),
        (6.0, "The cross term has the wrong sign, and it comes twice: 2 · 2 · (−1) · k(a, b)."),
        (math.sqrt(3.0), "That is the norm. Give its square."),
        (1.0, "That is the result if the two bumps were one, k(a, b) = 1. Here k(a, b) = ½."),
        (9.0, "You added the absolute values of the coefficients and squared. But one is −1, and k(a, b) is ½."),
        (1.5, "That is f(a), the inner product with one bump. The inner product with f is 2 · f(a) − f(b)."),
        (0.0, "That is f(b), the inner product with one bump. The inner product with f is 2 · f(a) − f(b)."),
    ]
    diagnose.number(answer, 3.0, mistakes, tolerance=0.0)
    return "‖f‖² = 2² + (−1)² + 2 · 2 · (−1) · ½ = 4 + 1 − 2 = 3. The bumps overlap, so the cross term is not zero."


def _rest(inverted: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A function that returns f(x) - K_qs c, with coefficients c = inverted(K_ss, values).

    Here `values` are the values of f at the support points. The function `inverted` solves for c, or makes a mistake.
    """
    return lambda new, K_qs, K_ss, values: new - K_qs @ inverted(K_ss, values)


def perpendicular_values(values_new: Tensor, K_qs: Tensor, K_ss: Tensor, values: Tensor) -> Tensor:
    """f_perpendicular(x) = f(x) - k_x^T K_ss^-1 f(x_S) at q new points (q c).

    Args:
        values_new: values of f at the new points. values: values of f at the support points x_S.
    """
    return _rest(lambda K, v: ridge.solve(K, v, lam=0.0))(values_new, K_qs, K_ss, values)


@exercise
def perpendicular(mine: Any) -> str:
    """Coding exercise: `my_perpendicular(values_new, K_qs, K_ss, values)`, the rest at the new points.

    The rest is f minus its projection onto the span of the support points.
    """
    truth = perpendicular_values
    mistakes = [
        (
            lambda new, K_qs, K_ss, values: 2 * new - truth(new, K_qs, K_ss, values),
            "You added the projection. f⊥ is f minus f∥.",
        ),
        (
            lambda new, K_qs, K_ss, values: new - truth(new, K_qs, K_ss, values),
            "That is f∥, the projection itself. Subtract it from `values_new`.",
        ),
        (
            lambda new, K_qs, K_ss, values: -truth(new, K_qs, K_ss, values),
            "The sign is wrong: that is f∥ − f. Return f⊥ = f − f∥.",
        ),
        (
            _rest(lambda K, v: K @ v),
            "You multiplied by K_ss. α is K_ss⁻¹ times the values: `torch.linalg.solve(K_ss, values)`.",
        ),
        (
            _rest(lambda K, v: v),
            "You used the values as coefficients. The bumps overlap, so first solve K_ss α = values.",
        ),
        (
            lambda new, K_qs, K_ss, values: torch.linalg.solve(K_ss, values),
            "Those are the coefficients α of f∥. Compute f∥ from them and subtract it from `values_new`.",
        ),
        *(
            (
                _rest(lambda K, v, lam=lam: ridge.solve(K, v, lam)),
                f"There is a λ in your solve (λ = {lam:g}). A projection has none: with λ > 0 the rest is not zero "
                "at the points.",
            )
            for lam in LAMBDAS
        ),
    ]
    cases = [_case(n, q, seed) for seed, (n, q) in enumerate([(4, 6), (3, 5), (5, 3)])]
    diagnose.function(mine, truth, cases, mistakes)
    return "Your values agree with f − f∥ on three functions, and at the support points they would be zero."


def _case(n: int, q: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Arguments of the exercise for q new points and n support points.

    The function f is a random sum of four kernel functions.
    """
    support, new, centres = points(n, 2, seed), points(q, 2, seed + 10), points(4, 2, seed + 20)
    weights = points(4, 1, 7)
    values_new, values = (rbf_kernel(x, centres, 1.0) @ weights for x in (new, support))
    return values_new, rbf_kernel(new, support, 1.0), rbf_kernel(support, support, 1.0), values


@exercise
def almost_all_seen(answer: Any, function: str = "hill and dip", points: int = 4) -> str:
    """Explore: the smallest σ at which the perpendicular part has less than 5 % of the squared norm.

    The answer may be up to 10 % too large.
    """
    found = diagnose.on_slider(answer, PerpendicularExplorer.bandwidth)
    here, below = (unseen_share(function, "apart", points, sigma) for sigma in (found, 0.9 * found))
    if here >= LEFT:
        raise Wrong(
            f"At σ = {found:g} f⊥ still has {percent(here)} of the squared norm. Wider bumps reach further. Move σ up."
        )
    if below < LEFT:
        raise Wrong(
            f"At σ = {found:g} f⊥ has only {percent(here)} of the squared norm, and at {0.9 * found:.4g} only "
            f"{percent(below)}. So a smaller σ is enough: move σ down."
        )
    return f"At σ = {found:g} f⊥ has only {percent(here)} of the squared norm, and a σ 10 % smaller is not enough."
