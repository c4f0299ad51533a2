"""Few-shot tasks in the plane: classes are round clouds, and one solve labels every place.

A class spreads with standard deviation 1, so distances and σ are counted in that unit.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import one_hot

from amfs_lab.kernels import rbf_kernel

NAMES = "ABCDEF"
MOST_WAYS, MOST_SHOTS, QUERIES = len(NAMES), 10, 10
OFTEN = 4  # how many times as many examples a class has that is over-represented
NOBODY = -1  # the label of a place where no class wins, and of a query that is of no class
TIED = 1e-12  # scores closer than this share of all votes, whatever their signs, are a draw
SIDE = 7.0
GRID = torch.linspace(-SIDE, SIDE, 141, dtype=torch.float64)  # of either coordinate

CLOUDS, TWICE, TWO_PLACES = "one cloud each", "two examples on one place", "class A on two clouds"
CROWD, STRANGERS = f"class A with {OFTEN} × the examples", "queries of no class"
DATA = (CLOUDS, TWICE, TWO_PLACES, CROWD, STRANGERS)


class Task(NamedTuple):
    """Points to learn from and points to be judged on, with the class of each, from 0."""

    x: Float[Tensor, "n 2"]
    y: Int64[Tensor, " n"]
    query_x: Float[Tensor, "q 2"]
    query_y: Int64[Tensor, " q"]  # NOBODY for a stranger
    ways: int

    @property
    def targets(self) -> Float[Tensor, "n ways"]:
        """One-hot: a column for each class."""
        return one_hot(self.y, self.ways).to(self.x.dtype)


@lru_cache(maxsize=64)
def task(seed: int, ways: int, shots: int, separation: float, data: str = CLOUDS) -> Task:
    """A pure function: the same seed keeps its points as shots are added, and their places in a cloud as clouds move.

    Args:
        separation: how far apart the centres of neighbouring clouds lie.
    """
    draw = torch.Generator().manual_seed(seed)
    corners = ways + (data in (TWO_PLACES, STRANGERS))
    turn = torch.rand(1, generator=draw, dtype=torch.float64) + torch.arange(corners) / corners
    radius = separation / (2 * math.sin(math.pi / corners))
    centres = radius * torch.stack([(2 * math.pi * turn).cos(), (2 * math.pi * turn).sin()], 1)
    own = torch.randn(MOST_WAYS + 1, OFTEN * MOST_SHOTS + QUERIES, 2, generator=draw, dtype=torch.float64)
    own = own[:corners] + centres[:, None]
    if data == TWO_PLACES:  # every other point of class A comes from the cloud across, which is no class of its own
        own[0, 1::2] = own[corners // 2, 1::2]
        own = own[torch.arange(corners) != corners // 2]
    counts = [OFTEN * shots if data == CROWD and c == 0 else shots for c in range(ways)]
    x = torch.cat([own[c, :count] for c, count in enumerate(counts)])
    if data == TWICE:
        x[counts[0]] = x[0]  # the first example of B lies on the first of A
    classes = torch.arange(len(own))
    classes[ways:] = NOBODY
    return Task(
        x,
        torch.arange(ways).repeat_interleave(torch.tensor(counts)),
        own[:, OFTEN * MOST_SHOTS :].flatten(0, 1),
        classes.repeat_interleave(QUERIES),
        ways,
    )


def winners(scores: Float[Tensor, "*p ways"], loudness: Float[Tensor, "*p ways"]) -> Int64[Tensor, "*p"]:
    """The class with the largest score, and NOBODY where two draw, to within the rounding of votes as loud as these."""
    best = scores.topk(2, -1)
    draw = best.values[..., 0] - best.values[..., 1] <= TIED * loudness.amax(-1)
    return best.indices[..., 0].where(~draw, NOBODY)


def regions(t: Task, alpha: Float[Tensor, "n ways"], bandwidth: float) -> Int64[Tensor, "g g"]:
    """The winning class at each place of the grid (a row is one height).

    In the plane the kernel is the product of two on the line, so the scores of a class are one matrix product.
    """
    across, up = (rbf_kernel(GRID[:, None], t.x[:, i : i + 1], bandwidth) for i in (0, 1))
    scores, loudness = (torch.einsum("in,nc,jn->ijc", up, weights, across) for weights in (alpha, alpha.abs()))
    return winners(scores, loudness)


def right(t: Task, labels: Int64[Tensor, " q"]) -> Bool[Tensor, " q"]:
    """True for each query with its own class; no label is right for a stranger."""
    return (labels == t.query_y) & (t.query_y != NOBODY)
