"""An episode: the support set and the query set of one task."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from amfs_lab.errors import DataError
from amfs_lab.moved import moved


@dataclass(frozen=True)
class Examples:
    """Labelled images or features in floating point: the support set or the query set of an episode.

    Labels are classes, 0..ways-1 in int64, or real numbers for regression. Real labels have one row of `ways` numbers
    for each image. For `ways` = 1, a vector of n real labels becomes n rows of one number.

    Raises DataError for images that are not in floating point, or for a number of labels that differs from the number
    of images. DataError is also raised for labels of a wrong type or shape, or a class outside 0..ways-1.
    """

    x: Float[Tensor, "n ..."]
    y: Int64[Tensor, " n"] | Float[Tensor, "n ways"] | Float[Tensor, " n"]
    ways: int

    def __post_init__(self) -> None:
        for name, value in (("Images", self.x), ("Labels", self.y)):
            if not isinstance(value, Tensor):
                got = f"a {type(value).__name__}"
                raise DataError(f"{name} must be a tensor. Got {got}. Make one: torch.as_tensor({name.lower()}).")
        if not self.x.is_floating_point():
            raise DataError(
                f"Images must be floating point. Got {self.x.dtype}. Convert them: x.float() / 255 for grey levels of "
                "0..255."
            )
        if self.x.ndim < 1 or len(self.x) == 0:
            raise DataError(f"Images must have a first axis of at least one image. Got shape {tuple(self.x.shape)}.")
        if not isinstance(self.ways, int) or self.ways < 1:
            raise DataError(f"`ways` must be an integer >= 1. Got {self.ways!r}.")
        if self.real and self.ways == 1 and self.y.ndim == 1:  # (n,) and (n, 1) would broadcast to (n, n)
            object.__setattr__(self, "y", self.y[:, None])
        check = _check_real if self.real else _check_classes
        check(self.y, len(self.x), self.ways)

    @classmethod
    def unchecked(cls, x: Tensor, y: Tensor, ways: int) -> "Examples":
        """An instance made without checks.

        Checks take time, and fail on the meta device and in `torch.func` transforms.
        """
        made = object.__new__(cls)
        vars(made).update(x=x, y=y, ways=ways)
        return made

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Examples":
        """A copy on another device, with images and real labels in another floating-point type."""
        return Examples.unchecked(self.x.to(device, dtype), self.y.to(device, dtype if self.real else None), self.ways)

    @property
    def real(self) -> bool:
        """True if the labels are real numbers, not classes."""
        return self.y.is_floating_point()

    @property
    def targets(self) -> Float[Tensor, "n ways"]:
        """Targets for regression: real labels are unchanged, and classes become one-hot rows."""
        return self.y if self.real else F.one_hot(self.y, self.ways).to(self.x.dtype)

    def loss(self, scores: Float[Tensor, "n ways"], label_smoothing: float = 0.0) -> Float[Tensor, ""]:
        """The mean loss over the n labels: cross-entropy for classes, 1/2 |score - y|^2 for real labels.

        With label smoothing e, the target of the true class is (1 - e) + e/ways. Each other class has the target
        e/ways. Real labels stay unchanged.

        For real labels, this loss is L/n with L = 1/2 sum (score - y)^2. So a gradient step with rate a on L equals a
        step with rate a n on this loss. Raises DataError unless the scores have one row of `ways` numbers for each
        label.
        """
        scores = self._scores(scores)
        if self.real:
            return (scores - self.y).square().sum(1).mean() / 2
        return F.cross_entropy(scores, self.y, label_smoothing=label_smoothing)

    def accuracy(self, scores: Float[Tensor, "n ways"]) -> Float[Tensor, ""]:
        """The share of labels whose class has the largest score; NaN for real labels.

        Raises DataError for the same scores as `loss`.
        """
        scores = self._scores(scores)
        if self.real:
            return scores.new_full((), float("nan"))
        return (scores.argmax(1) == self.y).to(scores.dtype).mean()

    def _scores(self, scores: Tensor) -> Tensor:
        """The scores in float32 or float64. In 16 bits, a sum of losses has only two or three digits.

        Raises DataError for scores of a wrong shape.
        """
        if scores.shape != (len(self.y), self.ways):
            raise DataError(
                f"Scores must have one row for each label and one column for each class, {(len(self.y), self.ways)}. "
                f"Got {tuple(scores.shape)}."
            )
        return scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores


@dataclass(frozen=True)
class Episode:
    """A task: a support set to learn from and a query set to evaluate on.

    Both sets have the same classes, and no common image. Raises DataError if the sets differ in ways, kind of labels or
    shape of images. Also raises DataError if a class has no example in the support set. The check does not search for
    common images.
    """

    support: Examples
    query: Examples

    def __post_init__(self) -> None:
        shared = ("the same number of ways", "the same kind of labels", "images of one shape")
        support, query = (
            (half.ways, "real numbers" if half.real else "classes", tuple(half.x.shape[1:]))
            for half in (self.support, self.query)
        )
        for what, a, b in zip(shared, support, query, strict=True):
            if a != b:
                raise DataError(f"Support and query set must have {what}. Got {a} and {b}.")
        labels, ways = self.support.y, self.support.ways
        if self.support.real or labels.is_meta:
            return
        missing = (torch.bincount(labels, minlength=ways) == 0).nonzero().flatten().tolist()
        if missing:
            raise DataError(
                f"A support set needs an example of each of its {ways} classes. Got no example of class {missing[0]} "
                "(counted from 0). Add one, or number the classes 0..ways-1 without a gap."
            )

    @classmethod
    def unchecked(cls, support: Examples, query: Examples) -> "Episode":
        """An episode made without checks; see `Examples.unchecked`."""
        made = object.__new__(cls)
        vars(made).update(support=support, query=query)
        return made

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Episode":
        """A copy on another device or in another floating-point type; see `Examples.to`."""
        return Episode.unchecked(self.support.to(device, dtype), self.query.to(device, dtype))


def _check_real(y: Tensor, n: int, ways: int) -> None:
    if y.shape != (n, ways):
        raise DataError(
            f"Real labels must have one row of {ways} numbers for each image, {(n, ways)}. "
            f"Got {tuple(y.shape)} in {y.dtype}. If they are indices of classes, convert them: y.long()."
        )


def _check_classes(y: Tensor, n: int, ways: int) -> None:
    if y.dtype != torch.int64:
        raise DataError(f"Classes must be int64, and real labels floating point. Got {y.dtype}. Convert: y.long().")
    if y.shape != (n,):
        raise DataError(
            f"Class indices must have one entry for each image, {(n,)}. Got {tuple(y.shape)}. Give a vector."
        )
    if y.is_meta:
        return
    low, high = (int(end) for end in torch.aminmax(y))
    if low < 0 or high >= ways:
        raise DataError(
            f"The classes of a {ways}-way task must be 0..{ways - 1}. Got {low}..{high}. Number them from 0 in the "
            "order of the episode's classes: torch.unique(y, return_inverse=True)[1]."
        )


__getattr__ = moved(__name__)
