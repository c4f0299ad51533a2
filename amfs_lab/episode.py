"""A task as a value: the support set that it is learned from and the query set that it is judged on."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Split:
    """One half of an episode: images (or features), and the label of each.

    Labels are classes, 0..ways-1, or real: one row of `ways` numbers each (regression).
    """

    x: Float[Tensor, "n ..."]
    y: Int64[Tensor, " n"] | Float[Tensor, "n ways"]
    ways: int

    @property
    def real(self) -> bool:
        """Whether the labels are real numbers, not classes."""
        return self.y.is_floating_point()

    @property
    def targets(self) -> Float[Tensor, "n ways"]:
        """What a function with `ways` outputs is to meet: real labels as they are, classes one-hot."""
        return self.y if self.real else F.one_hot(self.y, self.ways).to(self.x.dtype)

    def loss(self, scores: Float[Tensor, "n ways"]) -> Float[Tensor, ""]:
        """Cross-entropy for classes, 1/2 |score - y|^2 for real labels; the mean over the n labels.

        (Half the mean square is L/n with the L of Section 4.1: a step of length a on L is one of length a n here.)
        """
        return (scores - self.y).square().sum(1).mean() / 2 if self.real else F.cross_entropy(scores, self.y)

    def accuracy(self, scores: Float[Tensor, "n ways"]) -> Float[Tensor, ""]:
        """The share of labels whose class has the largest score; NaN for real labels, which are not right or wrong."""
        if self.real:
            return scores.new_full((), float("nan"))
        return (scores.argmax(1) == self.y).to(scores.dtype).mean()


@dataclass(frozen=True)
class Episode:
    """A task: learn from `support`, be judged on `query`. They share classes and no image."""

    support: Split
    query: Split

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Episode":
        def moved(half: Split) -> Split:
            return Split(half.x.to(device, dtype), half.y.to(device, dtype if half.real else None), half.ways)

        return Episode(moved(self.support), moved(self.query))
