"""Conflict among the tasks of a meta-batch: the cosines of their gradients."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.arguments import check_tensor
from amfs_lab.errors import DataError
from amfs_lab.outer.directions import Directions


@dataclass(frozen=True)
class Conflict:
    """The mean of the cosines over the pairs of tasks, in [-1, 1], and the share of pairs with a negative cosine.

    t tasks have t(t-1)/2 pairs.
    """

    mean_cosine: Float[Tensor, "*b"]
    negative: Float[Tensor, "*b"]


def measure(grads: Float[Tensor, "*b t p"]) -> Conflict:
    """The `Conflict` of the cosines w_ij = <g_i, g_j> / (|g_i||g_j|) over the pairs i < j.

    With S = sum_i g_i/|g_i| the mean is (|S|^2 - t) / (t (t - 1)) when no gradient is zero. A pair with a zero gradient
    has the cosine 0. Raises DataError for fewer than two tasks, or if `grads` does not have the axes (t p).
    """
    check_tensor("grads", grads, "t p")
    t = grads.shape[-2]
    if t < 2:
        raise DataError(f"Conflict needs the gradients of at least 2 tasks. Got {t}. Use more tasks in each meta-step.")
    i, j = torch.triu_indices(t, t, 1, device=grads.device)
    pairs = Directions.of(grads).cosines()[..., i, j]
    return Conflict(pairs.mean(-1), (pairs < 0).to(pairs.dtype).mean(-1))
