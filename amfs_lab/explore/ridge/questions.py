"""Correct answers to the predictions about one solve and its filter. Each answer is computed on request."""

import math

import torch

from amfs_lab.explore.ridge.points import sample_points
from amfs_lab.explore.ridge.spectra import first
from amfs_lab.explore.ridge.vote import LONE, START, ends
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import solve


def answer_between_two_points(bandwidth: float = 0.05) -> str:
    """The answer to "you make σ very small: what does the curve do between two points?".

    It is `"falls back to zero"`, `"joins them by a straight line"` or `"overshoots"`, computed half-way between the two
    neighbours that are furthest apart.
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
    """The answer to "λ grows tenfold: which wave fades first?": `"the slow one"`, `"the fast one"` or `"both alike"`.

    The share that the fit keeps of a wave v is ⟨v, fitted values⟩ / ⟨v, v⟩.
    """
    x, _, K, _ = first()
    slow, fast = torch.sin(x), torch.sin(6 * x)
    kept = [float((wave * (K @ solve(K, wave, lam))).sum() / wave.square().sum()) for wave in (slow, fast)]
    return "both alike" if math.isclose(*kept, rel_tol=0.1) else f"the {'fast' if kept[1] < kept[0] else 'slow'} one"


def answer_when_labels_double(lam: float = START["lam"]) -> str:
    """The answer to "you double every label: what does a channel keep?": `"more"`, `"less"` or `"the same share"`."""
    _, y, K, spectrum = first()
    u = spectrum.eigenvectors.T
    once, twice = ((u @ K @ solve(K, labels, lam) / (u @ labels)).sum() for labels in (y, 2 * y))
    return "the same share" if torch.isclose(once, twice) else "more" if twice > once else "less"


def answer_label_of_the_outvoted_point(lam: float = 1e4) -> str:
    """The answer to "what class does the lone point's score say?": `"its own"`, `"its neighbours'"` or `"neither"`."""
    _, y, K, *_ = ends(START["task"], START["points"], START["bandwidth"])
    agrees = y[LONE, 0] * (K[LONE] @ solve(K, y, lam))[0]
    return "its own" if agrees > 0 else "its neighbours'" if agrees < 0 else "neither"
