"""Labelled points on a line and the spectrum of their Gram matrix, for `FilterExplorer` and its predictions."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from amfs_lab.explore.ridge.points import GRID, TRUTHS, sample_points
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import Spectrum

TRUTH = "slow and fast"
PLACES = ("evenly spaced", "anywhere", "each place twice")
# The initial state of `FilterExplorer`; each of its presets starts from it.
START: dict[str, Any] = dict(
    bandwidth=0.5, lam=0.02, steps=0, eigen_direction=0, points=24, places="evenly spaced", noise=0.1, sample=1
)


@lru_cache(maxsize=64)
def labelled(places: str, points: int, noise: float, sample: int) -> tuple[Tensor, Tensor]:
    """The positions (n 1) and noisy labels (n 1) of points on a line. Equal arguments give equal points.

    `places` is one of `PLACES`: the rule for the positions. `sample` is the seed.
    """
    x, y = sample_points(TRUTH, points, noise, sample)
    error = y - TRUTHS[TRUTH](x)
    if places == "evenly spaced":
        x = torch.linspace(-3, 3, points, dtype=x.dtype)[:, None]
    elif places == "each place twice":
        x = torch.linspace(-3, 3, (points + 1) // 2, dtype=x.dtype).repeat_interleave(2)[:points, None]
    return x, TRUTHS[TRUTH](x) + error


@lru_cache(maxsize=64)
def kernel_and_spectrum(places: str, points: int, sample: int, bandwidth: float) -> tuple[Tensor, Tensor, Spectrum]:
    """The Gram matrix K of the `labelled` points, the kernel matrix between grid and points, and the spectrum of K."""
    x, _ = labelled(places, points, 0.0, sample)
    K = rbf_kernel(x, x, bandwidth)
    return K, rbf_kernel(GRID, x, bandwidth), Spectrum.of(K)


def first() -> tuple[Tensor, Tensor, Tensor, Spectrum]:
    """The positions, labels, Gram matrix and spectrum in the initial state of `FilterExplorer`."""
    where = {name: START[name] for name in ("places", "points", "sample")}
    K, _, spectrum = kernel_and_spectrum(**where, bandwidth=START["bandwidth"])
    return *labelled(**where, noise=START["noise"]), K, spectrum


def spent(lam: float) -> float:
    """The degrees of freedom of the fit for this λ. The other settings are the initial state of `FilterExplorer`."""
    return float(first()[3].degrees_of_freedom(lam))
