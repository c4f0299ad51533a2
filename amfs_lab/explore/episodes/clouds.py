"""Few-shot tasks in the plane. Each class is a round cloud, and one solve gives a label to every point of the plane.

The standard deviation of a class is 1. Distances and σ are in this unit.
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
OFTEN = 4  # the over-represented class has OFTEN times `shots` examples
NO_CLASS = -1  # the label of a point where no class wins, and of a query that belongs to no class
TIED = 1e-12  # two scores are tied if they differ by less than this share of the sum of all |votes|
SIDE = 7.0
GRID = torch.linspace(-SIDE, SIDE, 141, dtype=torch.float64)  # of each coordinate

CLOUDS, TWICE, TWO_PLACES = "one cloud each", "two examples at one place", "class A on two clouds"
UNBALANCED, NO_CLASS_QUERIES = f"class A with {OFTEN} × the examples", "queries of no class"
DATA = (CLOUDS, TWICE, TWO_PLACES, UNBALANCED, NO_CLASS_QUERIES)


class Task(NamedTuple):
    """Support points and query points, and the class of each point, counted from 0."""

    x: Float[Tensor, "n 2"]
    y: Int64[Tensor, " n"]
    query_x: Float[Tensor, "q 2"]
    query_y: Int64[Tensor, " q"]  # NO_CLASS for a query of no class
    ways: int

    @property
    def targets(self) -> Float[Tensor, "n ways"]:
        """One-hot labels: one column per class."""
        return one_hot(self.y, self.ways).to(self.x.dtype)


@lru_cache(maxsize=64)
def task(seed: int, ways: int, shots: int, separation: float, data: str = CLOUDS) -> Task:
    """A task that depends only on the arguments.

    With the same seed, more shots add points and leave the earlier points unchanged. If `separation` changes, each
    point moves together with its cloud.

    Args:
        separation: distance between the centres of neighbouring clouds.
    """
    draw = torch.Generator().manual_seed(seed)
    corners = ways + (data in (TWO_PLACES, NO_CLASS_QUERIES))
    turn = torch.rand(1, generator=draw, dtype=torch.float64) + torch.arange(corners) / corners
    radius = separation / (2 * math.sin(math.pi / corners))
    centres = radius * torch.stack([(2 * math.pi * turn).cos(), (2 * math.pi * turn).sin()], 1)
    own = torch.randn(MOST_WAYS + 1, OFTEN * MOST_SHOTS + QUERIES, 2, generator=draw, dtype=torch.float64)
    own = own[:corners] + centres[:, None]
    if data == TWO_PLACES:  # every second point of class A comes from the opposite cloud, which is not another class
        own[0, 1::2] = own[corners // 2, 1::2]
        own = own[torch.arange(corners) != corners // 2]
    counts = [OFTEN * shots if data == UNBALANCED and c == 0 else shots for c in range(ways)]
    x = torch.cat([own[c, :count] for c, count in enumerate(counts)])
    if data == TWICE:
        x[counts[0]] = x[0]  # the first example of class B has the place of the first example of class A
    classes = torch.arange(len(own))
    classes[ways:] = NO_CLASS
    return Task(
        x,
        torch.arange(ways).repeat_interleave(torch.tensor(counts)),
        own[:, OFTEN * MOST_SHOTS :].flatten(0, 1),
        classes.repeat_interleave(QUERIES),
        ways,
    )


def winners(scores: Float[Tensor, "*p ways"], total_votes: Float[Tensor, "*p ways"]) -> Int64[Tensor, "*p"]:
    """The class with the largest score, or NO_CLASS if the two largest scores are equal up to rounding errors.

    Args:
        total_votes: sum of |vote| for each class. The rounding errors are proportional to this sum.
    """
    best = scores.topk(2, -1)
    draw = best.values[..., 0] - best.values[..., 1] <= TIED * total_votes.amax(-1)
    return best.indices[..., 0].where(~draw, NO_CLASS)


def regions(t: Task, alpha: Float[Tensor, "n ways"], bandwidth: float) -> Int64[Tensor, "g g"]:
    """The winning class at each point of the grid. Each row of the result belongs to one height.

    An RBF kernel in the plane is the product of two kernels on the line. So the scores of a class are one matrix
    product.
    """
    across, up = (rbf_kernel(GRID[:, None], t.x[:, i : i + 1], bandwidth) for i in (0, 1))
    scores, total_votes = (torch.einsum("in,nc,jn->ijc", up, weights, across) for weights in (alpha, alpha.abs()))
    return winners(scores, total_votes)


def right(t: Task, labels: Int64[Tensor, " q"]) -> Bool[Tensor, " q"]:
    """True for each query whose predicted label is its class. For a query without a class, the value is False."""
    return (labels == t.query_y) & (t.query_y != NO_CLASS)
