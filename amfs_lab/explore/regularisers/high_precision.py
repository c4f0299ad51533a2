"""Kernel ridge regression in 60-digit arithmetic: the reference for the errors of float32 and float64.

The position of a point is a whole number of ticks of length 1/64. float32 and float64 represent such positions exactly.
So the difference between a fit in float32 or float64 and the reference is an arithmetic error. The computation uses the
compiled module `decimal`. The same fit with mpmath takes 35 times as long, which is too slow for a slider.
"""

from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from functools import lru_cache

import numpy as np

TICKS = 64  # per unit of x
REACH = 160  # the largest distance, in ticks
DIGITS = Context(prec=60)  # at the worst condition number here, 1e20, forty digits remain correct

Column = list[Decimal]


@lru_cache(maxsize=256)
def similarities(bandwidth: float) -> tuple[Decimal, ...]:
    """The RBF kernel at the distances 0, 1, ..., REACH ticks, by a recurrence that computes only one exponential."""
    with localcontext(DIGITS):
        ratio = (-1 / (2 * (TICKS * Decimal(bandwidth)) ** 2)).exp()
        values, square = [Decimal(1)], ratio**2
        for _ in range(REACH):  # k(m + 1) / k(m) = exp(-(2m + 1) h² / (2σ²))
            values.append(values[-1] * ratio)
            ratio *= square
        return tuple(values)


def fit(
    places: Sequence[int], labels: Sequence[float], bandwidth: float, lam: float, grid: Sequence[int]
) -> np.ndarray:
    """The values on the grid of f = sum_i alpha_i k(., x_i) with alpha = (K + lam I)^-1 y.

    For lam = 0, points at the same position are replaced by one point with the mean of their labels. The result is the
    limit of f for lam -> 0.
    """
    if not places:
        return np.zeros(len(grid))
    if lam == 0:
        places, labels = merged(places, labels)
    k = similarities(bandwidth)
    with localcontext(DIGITS):
        (alpha,) = solved(gram(places, k, lam), [[Decimal(y) for y in labels]])
        terms = list(zip(alpha, places, strict=True))
        return np.array([float(sum(a * k[abs(x - place)] for a, place in terms)) for x in grid])


def smallest_eigenvalue(places: Sequence[int], bandwidth: float) -> float:
    """The smallest eigenvalue of K, computed as 1 / s with the largest eigenvalue s of K^-1.

    The entries of K^-1 are accurate to all digits of float64. The result is 0 if two points have the same position.
    """
    if len(set(places)) < len(places):
        return 0.0
    with localcontext(DIGITS):
        identity = [[Decimal(int(i == j)) for i in range(len(places))] for j in range(len(places))]
        inverse = solved(gram(places, similarities(bandwidth), 0.0), identity)
    return 1 / float(np.linalg.eigvalsh(np.array(inverse, dtype=np.float64))[-1])


def merged(places: Sequence[int], labels: Sequence[float]) -> tuple[list[int], list[float]]:
    """The distinct positions in ascending order, and the mean of the labels at each position."""
    once = sorted(set(places))
    return once, [float(np.mean([y for x, y in zip(places, labels, strict=True) if x == place])) for place in once]


def gram(places: Sequence[int], k: Sequence[Decimal], lam: float) -> list[Column]:
    """The matrix K + lam I."""
    return [
        [k[abs(a - b)] + (Decimal(lam) if i == j else 0) for j, b in enumerate(places)] for i, a in enumerate(places)
    ]


def solved(matrix: list[Column], columns: list[Column]) -> list[Column]:
    """The solution A^-1 b for each column b, by Gaussian elimination.

    The elimination has no pivoting, so the matrix A must be positive definite.
    """
    n = len(matrix)
    rows = [[*row, *(column[i] for column in columns)] for i, row in enumerate(matrix)]
    for i in range(n):
        for j in range(i + 1, n):
            factor = rows[j][i] / rows[i][i]
            rows[j] = [low - factor * high for low, high in zip(rows[j], rows[i], strict=True)]
    answers = []
    for c in range(n, n + len(columns)):
        x = [Decimal(0)] * n
        for i in reversed(range(n)):
            x[i] = (rows[i][c] - sum(rows[i][j] * x[j] for j in range(i + 1, n))) / rows[i][i]
        answers.append(x)
    return answers
