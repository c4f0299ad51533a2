"""Self-checks on similarity: lessons 00 and 01."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from amfs_lab.checks import diagnose
from amfs_lab.checks.diagnose import exercise, points
from amfs_lab.checks.verdict import Wrong
from amfs_lab.explore.kernels.rbf import ALIVE, RbfExplorer, alive
from amfs_lab.kernels import rbf_kernel, squared_distances
from amfs_lab.widgets.text import percent


@exercise
def six_alike(answer: Any) -> str:
    """By hand: the trace of the RBF Gram matrix of six points."""
    mistakes = [
        (1.0, "That is one entry of the diagonal. Add up all six."),
        (36.0, "That is the sum of the whole table for σ → ∞. The diagonal has six entries."),
        (0.0, "The diagonal compares each point with itself, so each entry is one, not zero."),
    ]
    diagnose.number(answer, 6.0, mistakes, tolerance=0.0)
    return "Six times one: each point has similarity one to itself. The sum of the diagonal is called the trace."


@exercise
def two_away(answer: Any) -> str:
    """By hand: the RBF similarity of two points at distance 2σ. The answer is exp(-2)."""
    mistakes = [
        (math.exp(-4), "You divided by σ² where the exponent has 2σ². It is −(2σ)² / (2σ²)."),
        (math.exp(-1), "You did not square the distance: (2σ)² is 4σ², so the exponent is −4σ² / (2σ²)."),
        (math.exp(2), "The minus sign is missing: a similarity can't be larger than one."),
        (-2.0, "That is the exponent. The similarity is e to that power."),
        (math.exp(-0.5), "That is the similarity at a distance of σ, not of 2σ."),
    ]
    diagnose.number(answer, math.exp(-2), mistakes)
    return f"Two σ apart means {100 * math.exp(-2):.1f} % similar: the exponent is −4σ² / (2σ²) = −2, whatever σ is."


def _shaped(f: Callable[[Tensor, float], Tensor]) -> Callable[..., Tensor]:
    """A kernel function whose value is `f` of the squared distance and σ."""
    return lambda a, b, s: f(squared_distances(a, b), s)


def _summed(f: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A kernel exp(-f / (2σ²)), where `f` is a function of the differences of the coordinates."""
    return lambda a, b, s: torch.exp(-f(a[:, None] - b[None]) / (2 * s**2))


@exercise
def rbf(mine: Any) -> str:
    """Coding exercise: `my_rbf(x1, x2, bandwidth)`, the matrix of an RBF kernel."""
    mistakes = [
        (
            _shaped(lambda d2, s: torch.exp(-d2 / s**2)),
            "You divided by σ² where the exponent has 2σ²: your kernel is narrower than you think.",
        ),
        (
            _shaped(lambda d2, s: torch.exp(-d2 / (2 * s))),
            "σ is not squared: the exponent has 2σ², and without the square σ is no longer a distance.",
        ),
        (
            _shaped(lambda d2, s: torch.exp(-d2.sqrt() / (2 * s**2))),
            "The distance is not squared: the exponent has ‖x − x′‖², but you used ‖x − x′‖.",
        ),
        (
            _shaped(lambda d2, s: torch.exp(-d2 / 2 * s**2)),
            "Check the brackets: Python reads `a / 2 * s**2` as `(a / 2) * s**2`. Write `a / (2 * s**2)`.",
        ),
        (
            _shaped(lambda d2, s: torch.exp(-d2 * s**2)),
            "You multiplied by σ² where you should divide by 2σ²: a larger σ must make points more alike.",
        ),
        (
            _shaped(lambda d2, s: torch.exp(-d2 / (2 * s) ** 2)),
            "You squared the 2 as well: (2σ)² is 4σ², but the exponent has 2σ².",
        ),
        (
            _shaped(lambda d2, s: torch.exp(-d2 * s)),
            "You treated σ as scikit-learn's gamma, a factor of the squared distance. Here it is a distance.",
        ),
        (
            _shaped(lambda d2, s: torch.exp(d2 / (2 * s**2))),
            "The minus sign is missing: your similarity grows with the distance.",
        ),
        (_shaped(lambda d2, s: -d2 / (2 * s**2)), "The exponential is missing: that is the exponent."),
        (
            _shaped(lambda d2, s: torch.exp(-d2)),
            "The 2 and σ are missing: that is exp(−‖x − x′‖²), the kernel for one σ only.",
        ),
        (
            _shaped(lambda d2, s: torch.exp(-d2 / 2)),
            "σ is missing: that is the kernel for σ = 1 only. Divide the squared distance by 2σ².",
        ),
        (
            _summed(lambda d: d.square().mean(-1)),
            "You averaged over the coordinates. A squared distance is the sum of squares: use `.sum(-1)`.",
        ),
        (
            _summed(lambda d: d.abs().sum(-1)),
            "You added absolute differences. A squared distance is the sum of squared differences.",
        ),
        (
            _summed(lambda d: d.square()),
            "You forgot the sum over the coordinates: each pair of points has one distance. Add `.sum(-1)`.",
        ),
        (
            lambda a, b, s: rbf_kernel(b, a, s),
            "Rows and columns are swapped: row i belongs to `x1[i]`, column j to `x2[j]`.",
        ),
        (lambda a, b, s: rbf_kernel(a, a, s), "Only `x1` is used: the kernel compares rows of `x1` with rows of `x2`."),
    ]
    shapes = [(4, 5, 3, 0.7), (3, 3, 2, 1.6), (2, 4, 1, 0.4)]  # n, m, d and σ
    cases = [(points(n, d, seed), points(m, d, seed + 10), s) for seed, (n, m, d, s) in enumerate(shapes)]
    diagnose.function(mine, rbf_kernel, cases, mistakes)
    return "Your kernel and the library's kernel agree on three sets of points."


@exercise
def widest_alive(answer: Any, x: Tensor) -> str:
    """Explore: the largest σ at which each eigenvalue of K exceeds 1 % (`ALIVE`) of the largest eigenvalue.

    The answer may be up to 2 % too small.
    """
    found = diagnose.on_slider(answer, RbfExplorer.bandwidth)
    n, here, further = len(x), alive(x, found), alive(x, 1.02 * found)
    if here < n:
        raise Wrong(
            f"At σ = {found:g} only {here} of {n} eigenvalues are above {percent(ALIVE)} of the largest: "
            "a wider kernel makes points more similar, so fewer eigenvalues are large. Move σ down."
        )
    if further == n:
        raise Wrong(
            f"At σ = {found:g} all {n} eigenvalues are above {percent(ALIVE)} of the largest, and at "
            f"{1.02 * found:.3g} they still are. Move σ up."
        )
    return (
        f"At σ = {found:g} all {n} eigenvalues are above {percent(ALIVE)} of the largest. "
        "If σ is 2 % larger, one is not."
    )
