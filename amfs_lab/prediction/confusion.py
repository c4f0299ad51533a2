"""Confusion of classes: the prediction for each query, and counts of predictions for each pair of classes."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from amfs_lab.errors import DataError
from amfs_lab.evaluation import group_of

MOST = 30  # largest number of rows in a readable matrix


@dataclass(frozen=True)
class QueryResult:
    """The prediction for one query: class names, and the softmax probability of the predicted class.

    `episode`: index of the episode in the source. `query`: index of the query in the episode, from 0.
    `offered`: the names of all classes of the episode.
    """

    episode: int
    query: int
    true: str
    predicted: str
    correct: bool
    probability: float
    offered: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a line of JSON or CSV, without `offered`."""
        return {name: value for name, value in vars(self).items() if name != "offered"}


def query_results(
    scores: Sequence[Float[Tensor, "q ways"]],
    labels: Sequence[Tensor],
    classes_of: Callable[[int], Sequence[str]],
    first: int = 0,
) -> Iterator[QueryResult]:
    """The `QueryResult` of each query, in the order of the episodes of an `Evaluation`.

    Args:
        scores, labels: scores and true classes of the queries of each episode: `Evaluation.scores` and `.labels`.
        classes_of: function from the index of an episode to its class names, in the order of the score columns. A
            source has this function: `source.classes_of`.
        first: index of the first episode.
    Raises:
        DataError: an episode whose number of class names is not its number of classes.
    """
    for i, (rows, right) in enumerate(zip(scores, labels, strict=True)):
        names = tuple(classes_of(first + i))
        if len(names) != rows.shape[1]:
            raise DataError(f"Episode {first + i} must have a name for each of {rows.shape[1]} classes. Got {names}.")
        shares = rows.double().softmax(1)
        best = rows.argmax(1)
        for query, (true, predicted) in enumerate(zip(right.tolist(), best.tolist(), strict=True)):
            share = float(shares[query, predicted])
            yield QueryResult(first + i, query, names[true], names[predicted], true == predicted, share, names)


@dataclass(frozen=True)
class Pair:
    """A pair of classes with two counts of queries.

    `offered` is the number of queries of class `true` in episodes with both classes. `times` is the number of these
    queries that were predicted as class `predicted`.
    """

    true: str
    predicted: str
    times: int
    offered: int

    @property
    def share(self) -> float:
        return self.times / self.offered

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"share": self.share}


@dataclass(frozen=True)
class Confusion:
    """Counts of predictions: `times[a, b]` of `offered[a, b]` queries of class a were predicted as class b.

    Episodes have different classes. A query of class a can be predicted as b only in an episode with both classes. So
    `offered[a, b]` counts only the queries of a in such episodes. A share is times / offered. It is not a share of all
    queries of a.
    """

    classes: tuple[str, ...]
    times: Counter[tuple[str, str]]
    offered: Counter[tuple[str, str]]

    @classmethod
    def of(cls, results: Iterable[QueryResult]) -> "Confusion":
        times, offered = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for each in results:
            times[each.true, each.predicted] += 1
            offered.update((each.true, name) for name in each.offered)
        return cls(tuple(sorted({name for name, _ in offered})), times, offered)

    @property
    def mistakes(self) -> list[Pair]:
        """Pairs of different classes, the most frequent mistake first.

        Pairs with equal counts are sorted by share, then by name.
        """
        pairs = [Pair(a, b, n, self.offered[a, b]) for (a, b), n in self.times.items() if a != b]
        return sorted(pairs, key=lambda pair: (-pair.times, -pair.share, pair.true, pair.predicted))

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of classes (scripts or alphabets): the parts of names before "/"; () if a name has no "/"."""
        if not all("/" in name for name in self.classes):
            return ()
        return tuple(sorted({group_of(name) for name in self.classes}))

    def grouped(self) -> "Confusion":
        """Counts of mistakes by groups of classes. The diagonal has the mistakes within a group.

        For one query of group A, the wrong classes of group B in its episode are counted. `offered[A, B]` is the sum
        of these counts over all queries of group A. `times[A, B]` is the number of queries of group A that were
        predicted as a wrong class of group B.
        """
        times, offered = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for counts, mine in ((self.times, times), (self.offered, offered)):
            for (a, b), n in counts.items():
                if a != b:
                    mine[group_of(a), group_of(b)] += n
        return Confusion(self.groups, times, offered)

    def hardest(self, most: int = MOST) -> tuple[str, ...]:
        """The classes with the most mistakes, sorted by name.

        The argument `most` is the largest number of classes. A mistake counts for the true class and for the predicted
        class.
        """
        wrong = Counter[str]()
        for (a, b), n in self.times.items():
            if a != b:
                wrong[a] += n
                wrong[b] += n
        ordered = sorted(self.classes, key=lambda name: (-wrong[name], name))
        return tuple(sorted(ordered[:most]))

    def shares(self, classes: Sequence[str]) -> Float[np.ndarray, "c c"]:
        """The shares `times` / `offered`, with true classes in rows; NaN for classes that never shared an episode."""
        rows = [[self.times[a, b] / n if (n := self.offered[a, b]) else float("nan") for b in classes] for a in classes]
        return np.array(rows).reshape(len(classes), len(classes))


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix for a figure: the `shares` of classes or groups, and a title that explains a cell."""

    names: tuple[str, ...]
    shares: Float[np.ndarray, "c c"]
    title: str
    grouped: bool


def readable(confusion: Confusion, most: int = MOST) -> Matrix:
    """A confusion matrix for a figure, with a limited number of rows.

    The argument `most` is the largest number of rows. The rows are all classes, if this number allows it. Otherwise,
    the rows are the groups of classes. If there are fewer than two groups or too many, the rows are the classes with
    the most mistakes.
    """
    if len(confusion.classes) <= most:
        title = (
            "Share of the queries of a class (row) that are classified as another (column);\ngrey: never in one episode"
        )
        return Matrix(confusion.classes, confusion.shares(confusion.classes), title, False)
    if 1 < len(confusion.groups) <= most:
        groups = confusion.grouped()
        title = (
            f"Mistakes by group of the {len(confusion.classes)} classes: how often a wrong class\n"
            "of the column's group is chosen for a query of the row's group (grey: never in one episode)"
        )
        return Matrix(groups.classes, groups.shares(groups.classes), title, True)
    chosen = confusion.hardest(most)
    title = f"The {len(chosen)} of {len(confusion.classes)} classes with the most mistakes: share of the queries of a\n"
    title += "class (row) that are classified as another (column); grey: never in one episode"
    return Matrix(chosen, confusion.shares(chosen), title, False)
