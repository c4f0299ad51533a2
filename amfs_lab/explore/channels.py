"""Labelled points on a line, their Gram matrix's spectrum, and the keys to lesson 02's questions."""

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from amfs_lab.explore.ridge import GRID, TRUTHS, draw
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import Spectrum, solve

TRUTH = "slow and fast"
PLACES = ("evenly spaced", "anywhere", "each place twice")
# What `FilterExplorer` starts from, and each of its buttons.
START: dict[str, Any] = dict(
    bandwidth=0.5, lam=0.02, steps=0, channel=0, points=24, places="evenly spaced", noise=0.1, sample=1
)


@lru_cache(maxsize=64)
def labelled(places: str, points: int, noise: float, sample: int) -> tuple[Tensor, Tensor]:
    """Points (n 1) where `places` says, and their noisy labels (n 1): a pure function."""
    x, y = draw(TRUTH, points, noise, sample)
    error = y - TRUTHS[TRUTH](x)
    if places == "evenly spaced":
        x = torch.linspace(-3, 3, points, dtype=x.dtype)[:, None]
    elif places == "each place twice":
        x = torch.linspace(-3, 3, (points + 1) // 2, dtype=x.dtype).repeat_interleave(2)[:points, None]
    return x, TRUTHS[TRUTH](x) + error


@lru_cache(maxsize=64)
def channels(places: str, points: int, sample: int, bandwidth: float) -> tuple[Tensor, Tensor, Spectrum]:
    """The Gram matrix of those points, their similarities to the grid, and the spectrum."""
    x, _ = labelled(places, points, 0.0, sample)
    K = rbf_kernel(x, x, bandwidth)
    return K, rbf_kernel(GRID, x, bandwidth), Spectrum.of(K)


def first() -> tuple[Tensor, Tensor, Tensor, Spectrum]:
    """Points, labels, Gram matrix and spectrum of the explorer's first state."""
    where = {name: START[name] for name in ("places", "points", "sample")}
    K, _, spectrum = channels(**where, bandwidth=START["bandwidth"])
    return *labelled(**where, noise=START["noise"]), K, spectrum


def spent(lam: float) -> float:
    """The degrees of freedom that the fit spends at this λ, everything else as in the explorer's first state."""
    return float(first()[3].degrees_of_freedom(lam))


def first_to_go(lam: float = 10 * START["lam"]) -> str:
    """The key to "λ grows tenfold: which wave fades first?": `"the slow one"`, `"the fast one"`, `"both alike"`.

    What the fit keeps of a wave v is ⟨v, fitted values⟩ / ⟨v, v⟩.
    """
    x, _, K, _ = first()
    slow, fast = torch.sin(x), torch.sin(6 * x)
    kept = [float((wave * (K @ solve(K, wave, lam))).sum() / wave.square().sum()) for wave in (slow, fast)]
    return "both alike" if math.isclose(*kept, rel_tol=0.1) else f"the {'fast' if kept[1] < kept[0] else 'slow'} one"


def when_doubled(lam: float = START["lam"]) -> str:
    """The key to "you double every label: what does a channel keep?": `"more"`, `"less"` or `"the same share"`."""
    _, y, K, spectrum = first()
    u = spectrum.eigenvectors.T
    once, twice = ((u @ K @ solve(K, labels, lam) / (u @ labels)).sum() for labels in (y, 2 * y))
    return "the same share" if torch.isclose(once, twice) else "more" if twice > once else "less"
