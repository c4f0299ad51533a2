"""Noisy points on a line: the data of the explorers of ridge regression."""

import torch
from torch import Tensor

MOST = 40
GRID = torch.linspace(-3.3, 3.3, 221, dtype=torch.float64)[:, None]
DEAD = 1e-12  # an eigenvalue below this share of the largest is zero to within rounding

TRUTHS = {
    "sine": lambda x: torch.sin(2 * x),
    "slow and fast": lambda x: torch.sin(x) + 0.35 * torch.sin(6 * x),
    "step": lambda x: torch.sign(x),
}


def sample_points(truth: str, points: int, noise: float, sample: int) -> tuple[Tensor, Tensor]:
    """Random positions (n 1), and the noisy values of a function there (n 1).

    The argument `points` is the number n, at most 40, and `truth` is the name of the function. `sample` is the seed of
    the positions and of the noise. Another n with the same seed gives the same first positions.
    """
    generator = torch.Generator().manual_seed(sample)
    x = (6 * torch.rand(MOST, 1, generator=generator, dtype=torch.float64) - 3)[:points]
    error = torch.randn(MOST, 1, generator=generator, dtype=torch.float64)[:points]
    return x, TRUTHS[truth](x) + noise * error
