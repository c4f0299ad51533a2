"""Self-checks on the ridge solve: lessons 02 and 09."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from amfs_lab import ridge
from amfs_lab.checks import diagnose
from amfs_lab.checks.diagnose import exercise, points
from amfs_lab.checks.verdict import Wrong
from amfs_lab.explore.ridge.filter import FilterExplorer
from amfs_lab.explore.ridge.spectra import first, spent
from amfs_lab.kernels import rbf_kernel

FREEDOM = 5  # degrees of freedom that lesson 02 asks for


@exercise
def kept_share(answer: Any) -> str:
    """By hand: the share of an eigen-direction that the ridge filter keeps, for eigenvalue s = 3 and λ = 1."""
    mistakes = [
        (1 / 4, "That is λ / (s + λ), the share that is removed. The share kept is one minus that share."),
        (3.0, "That is s / λ. A share can't be larger than one: divide s by the sum s + λ."),
        (4 / 3, "That is (s + λ) / s: numerator and denominator are swapped."),
        (3 / 7, "You put nλ where the formula has λ. Other texts define λ that way. Here the formula has no n."),
        (12 / 13, "You put λ/n where the formula has λ. The formula has no n."),
        (9 / 10, "You squared s: the filter is s / (s + λ)."),
        (1 / 2, "Half is kept where s equals λ. Here s is three times λ."),
        (1.0, "Everything is kept only at λ = 0."),
    ]
    diagnose.number(answer, 3 / 4, mistakes, tolerance=0.01)
    return "3 / (3 + 1): if the eigenvalue is three times λ, the fit keeps three quarters."


def _ridge_of(added: Callable[[Tensor, float], Tensor]) -> Callable[..., Tensor]:
    """A function that returns (K + added(K, λ))⁻¹ y."""
    return lambda K, y, lam: torch.linalg.solve(K + added(K, lam), y)


def _fit_of(alpha: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function that returns the fitted values K α."""
    return lambda K, y, lam: K @ alpha(K, y, lam)


def _identity(K: Tensor) -> Tensor:
    return torch.eye(len(K), dtype=K.dtype)


def _wrong_ridges(many: str, few: str, minus: str) -> list[tuple[Callable[..., Tensor], str]]:
    """Classic mistakes in the formula for α: pairs of a wrong function and a sentence that explains it.

    Args:
        many: end of the sentence about the mistake nλ. few: end of the sentence about the mistake λ/n.
        minus: end of the sentence about the mistake K − λI.
    """
    return [
        (_ridge_of(lambda K, lam: len(K) * lam * _identity(K)), f"You added nλ where the formula has λ: {many}."),
        (_ridge_of(lambda K, lam: lam / len(K) * _identity(K)), f"You added λ/n where the formula has λ: {few}."),
        (
            _ridge_of(lambda K, lam: lam * torch.ones_like(K)),
            "You added λ to every entry of K. Add λ·I, on the diagonal only: `lam * torch.eye(len(K))`.",
        ),
        (
            _ridge_of(lambda K, lam: _identity(K)),
            "You added I where the formula has λI: multiply the identity by `lam`.",
        ),
        (_ridge_of(lambda K, lam: lam**2 * _identity(K)), "You squared λ: add λ·I."),
        (_ridge_of(lambda K, lam: -lam * _identity(K)), f"You subtracted λI: {minus}."),
        (
            lambda K, y, lam: K @ y + lam * y,
            "You multiplied by K + λI. Apply its inverse instead: `torch.linalg.solve(A, y)`.",
        ),
    ]


@exercise
def fit(mine: Any) -> str:
    """Coding exercise: `my_fit(K, y, lam)`, the fitted values K (K + λI)⁻¹ y by one solve."""
    wrong_ridges = _wrong_ridges(
        many="with more points, your fit becomes stiffer",
        few="with more points, your fit follows the labels more closely",
        minus="the sign before λ must be a plus",
    )
    mistakes = [
        (lambda K, y, lam: ridge.solve(K, y, lam), "That is α. The fitted values are Kα: one more product."),
        (
            lambda K, y, lam: y,
            "Those are the labels themselves. Either λI is missing (K K⁻¹ y is y), or you multiplied α by "
            "K + λI. The fitted values are Kα.",
        ),
        *((_fit_of(alpha), sentence) for alpha, sentence in wrong_ridges),
        (
            lambda K, y, lam: K @ ridge.solve(K, y, lam) / lam,
            "You divided by λ at the end: use λ inside the solve only.",
        ),
        (
            lambda K, y, lam: K @ ridge.solve(K / lam, y, 1.0),
            "You divided K by λ inside the solve, which makes the fit λ times too large.",
        ),
        (
            lambda K, y, lam: y - K @ ridge.solve(K, y, lam),
            "Those are the residuals: labels minus fitted values. Give the fitted values.",
        ),
        (lambda K, y, lam: K @ y, "That is K y, the vote of the examples. The solve is missing."),
        (
            lambda K, y, lam: K @ torch.linalg.solve(K + lam * _identity(K), torch.eye(len(K), dtype=K.dtype)),
            "That is the matrix that turns labels into fitted values. Multiply it by y.",
        ),
    ]
    inverted: list[str] = []
    with inverses(inverted):
        diagnose.function(mine, lambda K, y, lam: K @ ridge.solve(K, y, lam), cases(), mistakes)
    if inverted:
        raise Wrong(
            f"Your values are right, but {inverted[0]} made a whole inverse. `torch.linalg.solve(A, y)` solves for y "
            "alone. This is less work, and the rounding errors are smaller if K is nearly singular."
        )
    return "Your fitted values and the library's fitted values agree on three tasks."


@contextmanager
def inverses(found: list[str]) -> Iterator[None]:
    """A context that records in `found` the name of each called function that inverts a matrix."""
    known = {torch.linalg: ("inv", "pinv"), torch: ("inverse", "pinverse"), Tensor: ("inverse", "pinverse")}

    def noted(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            found.append(f"`{name}`")
            return call(*args, **kwargs)

        return run

    with ExitStack() as patches:
        for place, names in known.items():
            for name in names:
                patches.enter_context(mock.patch.object(place, name, noted(getattr(place, name), name)))
        yield


@exercise
def freedom(answer: Any) -> str:
    """Explore: the λ at which the fit has five degrees of freedom, in the initial state of `FilterExplorer`.

    The tolerance is 0.1 degrees of freedom.
    """
    lam = diagnose.on_slider(answer, FilterExplorer.lam)
    here, eigenvalues = spent(lam), first()[3].eigenvalues
    if abs(here - FREEDOM) <= 0.1:
        return f"At λ = {lam:g} the fit uses {here:.2f} degrees of freedom: the sum of all shares h(s)."
    counted = int((eigenvalues > lam).sum()) == FREEDOM
    way = "too many. Move λ up." if here > FREEDOM else "too few. Move λ down."
    hint = f" There, {FREEDOM} shares are above one half, but the degrees of freedom are the sum of all shares."
    raise Wrong(f"At λ = {lam:g} the fit uses {here:.2f} degrees of freedom.{hint if counted else ''} That is {way}")


@exercise
def solve(mine: Any) -> str:
    """Coding exercise: `my_solve(K, y, lam)`, the closed-form α of I-AMFS at μ = 0."""
    counted = "your λ depends on the number of examples"
    mistakes = [
        (
            _ridge_of(lambda K, lam: 0 * K),
            "λI is missing: that is K⁻¹y. Its fit passes through every label, so it follows the noise.",
        ),
        *_wrong_ridges(many=counted, few=counted, minus="K − λI need not even be invertible"),
        (lambda K, y, lam: K @ ridge.solve(K, y, lam), "Those are the fitted values Kα. The solve returns α itself."),
        (lambda K, y, lam: torch.linalg.inv(K + lam * _identity(K)), "That is the inverse only. Multiply it by y."),
    ]
    diagnose.function(mine, ridge.solve, cases(), mistakes)
    return "α solves (K + λI)α = y, on three tasks."


def cases() -> list[diagnose.Case]:
    """Gram matrices, labels and ridges of three tasks."""
    shapes = [(5, 3, 0.1), (7, 2, 0.7), (4, 4, 2.5)]  # n, classes and λ
    return [(gram(n, seed), points(n, c, seed + 20), lam) for seed, (n, c, lam) in enumerate(shapes)]


def gram(n: int, seed: int) -> Tensor:
    x = points(n, 2, seed)
    return rbf_kernel(x, x, 1.0)
