"""Samples of classes of unequal sizes, in one tensor."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import overload

import torch
from jaxtyping import Shaped
from torch import Tensor

from amfs_lab.errors import ConfigError


@dataclass(frozen=True)
class Ragged:
    """Samples sorted by class: class c has the rows `offsets[c]` .. `offsets[c + 1] - 1` of `flat`.

    `len(ragged)` is the number of classes, `ragged[c]` has the samples of class c, and `ragged[a:b]` is a `Ragged` of
    the classes a to b - 1. Only `of` and slices with a step copy data.

    Args:
        flat: (n, ...), one row for each sample. The tensor may be memory-mapped.
        counts: the number of samples of each class.
    Raises:
        ConfigError: the sum of the counts is not the number of rows, or a count is negative.
    """

    flat: Shaped[Tensor, "n ..."]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if min(self.counts, default=0) < 0 or sum(self.counts) != len(self.flat):
            raise ConfigError(
                f"`counts` must be >= 0 and add up to the number of samples, {len(self.flat)}. Got a sum of "
                f"{sum(self.counts)}. Give the number of samples of each class."
            )

    @classmethod
    def of(cls, classes: Sequence[Tensor]) -> "Ragged":
        """A `Ragged` with copies of the samples. `classes` has one tensor (s, ...) for each class."""
        return cls(torch.cat(list(classes)), tuple(map(len, classes)))

    @property
    def offsets(self) -> tuple[int, ...]:
        """The first row of each class, and at the end the number of all rows."""
        return (0, *accumulate(self.counts))

    def __len__(self) -> int:
        return len(self.counts)

    @overload
    def __getitem__(self, which: int) -> Tensor: ...
    @overload
    def __getitem__(self, which: slice) -> "Ragged": ...
    def __getitem__(self, which: int | slice) -> "Tensor | Ragged":
        offsets = self.offsets
        if isinstance(which, slice):
            first, last, step = which.indices(len(self))
            if step != 1:
                return Ragged.of([self.flat[offsets[c] : offsets[c + 1]] for c in range(first, last, step)])
            last = max(first, last)
            return Ragged(self.flat[offsets[first] : offsets[last]], self.counts[first:last])
        c = range(len(self))[which]
        return self.flat[offsets[c] : offsets[c + 1]]


def counts_of(samples: Shaped[Tensor, "c s ..."]) -> tuple[int, ...]:
    """The number of samples of each class in a tensor (c, s, ...): s for each of the c classes."""
    return (samples.shape[1],) * samples.shape[0]
