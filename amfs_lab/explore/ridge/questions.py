"""The correct answers to the predictions about one solve and its filter.

A prediction is a question that a student answers before the result is shown. Each function computes one answer.
"""

import math

import torch

from amfs_lab.explore.ridge.points import sample_points
from amfs_lab.explore.ridge.spectra import first
from amfs_lab.explore.ridge.vote import LONE, START, ends
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import solve


def answer_between_two_points(bandwidth: float = 0.05) -> str:
    """The answer to "you make σ very small: what does the curve do between two points?".

    It is `"falls back to zero"`, `"joins them by a straight line"` or `"overshoots"`. The curve is evaluated half-way
    between the two neighbouring points with the largest distance.
    """
    x, y = sample_points("sine", points=20, noise=0.3, sample=6)
    x, order = x[:, 0].sort()
    left = int(x.diff().argmax())
    middle = (x[left : left + 2].mean()).reshape(1, 1)
    alpha = solve(rbf_kernel(x[:, None], x[:, None], bandwidth), y[order], lam=0.1)
    height = float(rbf_kernel(middle, x[:, None], bandwidth) @ alpha)
    ends = y[order][left : left + 2].abs()
    if abs(height) > ends.max():
        return "overshoots"
    return "falls back to zero" if abs(height) < 0.01 * ends.min() else "joins them by a straight line"


def answer_first_direction_to_vanish(lam: float = 10 * START["lam"]) -> str:
    """The answer to "λ becomes ten times as large: which wave does the fit lose first?".

    It is `"the slow one"` (sin x), `"the fast one"` (sin 6x) or `"both equally"`. The fit to the labels v keeps the
    share ⟨v, fitted values⟩ / ⟨v, v⟩ of v.
    """
    x, _, K, _ = first()
    slow, fast = torch.sin(x), torch.sin(6 * x)
    kept = [float((wave * (K @ solve(K, wave, lam))).sum() / wave.square().sum()) for wave in (slow, fast)]
    return "both equally" if math.isclose(*kept, rel_tol=0.1) else f"the {'fast' if kept[1] < kept[0] else 'slow'} one"


def answer_when_labels_double(lam: float = START["lam"]) -> str:
    """The answer to "you double every label: what share of an eigen-direction does the filter keep?".

    It is `"larger"`, `"smaller"` or `"the same share"`. An eigen-direction is an eigenvector of the Gram matrix.
    """
    _, y, K, spectrum = first()
    u = spectrum.eigenvectors.T
    once, twice = ((u @ K @ solve(K, labels, lam) / (u @ labels)).sum() for labels in (y, 2 * y))
    return "the same share" if torch.isclose(once, twice) else "larger" if twice > once else "smaller"


def answer_label_of_the_outvoted_point(lam: float = 1e4) -> str:
    """The answer to "for large λ, which class does the score give at a point among points of the other class?".

    It is `"its own"`, `"its neighbours'"` or `"neither"`.
    """
    _, y, K, *_ = ends(START["task"], START["points"], START["bandwidth"])
    agrees = y[LONE, 0] * (K[LONE] @ solve(K, y, lam))[0]
    return "its own" if agrees > 0 else "its neighbours'" if agrees < 0 else "neither"
