"""A task as a value: the support set that it is learned from and the query set that it is judged on."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """One half of an episode: images (or features) and the label of each, 0..ways-1."""

    x: Float[Tensor, "n ..."]
    y: Int64[Tensor, " n"]
    ways: int

    @property
    def targets(self) -> Float[Tensor, "n ways"]:
        """The labels one-hot, in the dtype of `x`."""
        return torch.nn.functional.one_hot(self.y, self.ways).to(self.x.dtype)


@dataclass(frozen=True)
class Episode:
    """A task: learn from `support`, be judged on `query`. They share classes and no image."""

    support: Split
    query: Split

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Episode":
        return Episode(
            *(Split(half.x.to(device, dtype), half.y.to(device), half.ways) for half in (self.support, self.query))
        )
