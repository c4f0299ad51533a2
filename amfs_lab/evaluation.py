"""Evaluation of the accuracy, with an interval.

The accuracy of every episode is kept, so that methods can be compared in pairs.
"""

import contextlib
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.distributed import ALONE, Ranks
from amfs_lab.episode import Episode
from amfs_lab.errors import ConfigError, DataError, NumericalError
from amfs_lab.learner import MetaLearner, explained, measuring, seed
from amfs_lab.provenance import data_name
from amfs_lab.stats import FEW, Interval, accuracy_difference, accuracy_interval, mean_interval, paired_difference
from amfs_lab.tasks import EpisodeConfig, EpisodeSource, episode_of


@dataclass(frozen=True)
class Evaluation:
    """The accuracy of a learner on the queries of some episodes of a source.

    Args:
        accuracy: the mean accuracy with its interval. per_episode: the share of correct queries in each episode.
        config: the shape of the episodes; None if the source has none. data: the name of the source and split.
        first: index of the first episode in the source.
        scores: one tensor (q, ways) for each episode. labels: one tensor (q) of true classes for each episode. Entry i
            of both belongs to `source[first + i]`.
        classes: the class names of each episode, if the source has them.
    """

    accuracy: Interval
    per_episode: Float[Tensor, " n"]
    config: EpisodeConfig | None
    data: str = "episodes"
    first: int = 0
    scores: tuple[Tensor, ...] = ()
    labels: tuple[Tensor, ...] = ()
    classes: tuple[tuple[str, ...], ...] = ()

    @property
    def by_group(self) -> dict[str, float]:
        """The accuracy in each group of classes, such as a script or an alphabet; see `group_of`.

        The result is empty if the source has no names of classes. If any name has no group, each class is its own
        group.
        """
        answers: dict[str, list[bool]] = defaultdict(list)
        for scores, labels, names in zip(self.scores, self.labels, self.classes, strict=bool(self.classes)):
            for label, correct in zip(labels.tolist(), (scores.argmax(1) == labels).tolist(), strict=True):
                answers[group_of(names[label]) if self._grouped else names[label]].append(correct)
        return {group: sum(right) / len(right) for group, right in sorted(answers.items())}

    @property
    def over_groups(self) -> Interval | None:
        """The mean accuracy over groups of classes, with an interval; None for fewer than two groups.

        All groups have the same weight. The interval is Student's t interval of the groups' accuracies. It is also
        valid for groups that were not evaluated. In contrast, the interval over episodes is valid only for the
        evaluated groups.
        """
        values = _values(self.by_group)
        return mean_interval(values, of=self._groups) if len(values) > 1 else None

    def minus_over_groups(self, other: "Evaluation") -> Interval:
        """The paired difference to `other` over groups. The interval is valid for new groups, too.

        Raises DataError if `other` has other episodes, or if there are fewer than two groups.
        """
        self._check_same(other)
        counts = [len(each.per_episode) for each in (self, other)]
        if counts[0] != counts[1]:
            raise DataError(f"Two evaluations must use the same episodes. Got {counts[0]} and {counts[1]} episodes.")
        ours, theirs = self.by_group, other.by_group
        if len(ours) < 2 or ours.keys() != theirs.keys():
            raise DataError(
                "An interval over groups needs at least 2 groups of classes, the same ones in both evaluations. "
                f'Got {sorted(ours)[:5]} and {sorted(theirs)[:5]}. A source names its classes: "script/letter".'
            )
        return paired_difference(_values(ours), _values(theirs), of=self._groups)

    def minus(self, other: "Evaluation") -> Interval:
        """The paired difference to `other` on the same episodes. Raises DataError if `other` has other episodes."""
        self._check_same(other)
        return accuracy_difference(self.per_episode, other.per_episode)

    @cached_property
    def _grouped(self) -> bool:
        return all("/" in name for names in self.classes for name in names)

    @property
    def _groups(self) -> str:
        return "groups of classes" if self._grouped else "classes"

    def _check_same(self, other: "Evaluation") -> None:
        for what in ("data", "config", "first"):
            if getattr(self, what) != getattr(other, what):
                raise DataError(
                    "Two evaluations must use the same episodes, whose variation cancels. Got "
                    f"{getattr(self, what)} and {getattr(other, what)} ({what})."
                )

    @property
    def remark(self) -> str:
        """A warning if there are too few episodes for an interval, otherwise an empty text."""
        n = len(self.per_episode)
        return "" if n >= FEW else f"An interval needs {FEW} episodes. Got {n}. 600 is the usual number."

    def __str__(self) -> str:
        shape = self.data if self.config is None else f"{self.data}, {self.config}"
        return f"{shape}: {self.accuracy.percent()}"


def group_of(name: str) -> str:
    """The part of a class's name before the first "/": its script or alphabet."""
    return name.partition("/")[0]


def _values(by_group: dict[str, float]) -> Tensor:
    return torch.tensor(list(by_group.values()), dtype=torch.float64, device="cpu")


@torch.no_grad()
def evaluate(
    learner: MetaLearner, source: EpisodeSource, episodes: int = 600, first: int = 0, ranks: Ranks = ALONE
) -> Evaluation:
    """Mean query accuracy over some episodes of a source. With 30 episodes or more, the result has a 95 % interval.

    The index of the first episode is `first`, and the number of episodes is `episodes`.

    Afterwards, buffers, training mode and random generators are restored. The same learner always has the same results
    on the same episodes. The network is in evaluation mode: dropout is off, and torch's BatchNorm uses its running
    averages over training tasks. If your own network needs statistics of the episode, use `backbones.EpisodeNorm`,
    which is the same in both modes. Or use torch's BatchNorm with `track_running_stats=False`.

    Args:
        ranks: each rank evaluates a share of the episodes; all ranks return the same result.
    Raises:
        ConfigError: fewer than two episodes, real labels, or a network that cannot process the images.
        NumericalError: scores that are not finite; the message contains the index of the episode.
    """
    check_episodes(episodes)
    if not isinstance(first, Integral):
        raise ConfigError(f"`first` must be an integer, the index of an episode. Got {first!r}.")
    if learner.device.type == "meta":
        raise ConfigError("A learner on the meta device has no values. Load it on another one: load_learner(folder).")
    rows = []
    names_of = getattr(source, "classes_of", None)
    with ranks.together(), measuring(learner):
        for i in ranks.share(episodes):
            episode, scores = _measured(learner, source, first + i, explain=i == 0)
            if not bool(torch.isfinite(scores).all()):
                raise NumericalError(
                    f"Scores must be finite. Got NaN or infinity in episode {first + i} of {source!r}. "
                    "The learner's parameters are damaged, or lam is too small for this precision."
                )
            rows.append((episode.query.accuracy(scores).float().cpu(), scores.cpu(), episode.query.y.cpu()))
    shares, all_scores, all_labels = zip(*(row for part in ranks.gathered(rows) for row in part), strict=True)
    accuracies = torch.stack(shares)
    return Evaluation(
        accuracy_interval(accuracies),
        accuracies,
        getattr(source, "config", None),
        data_name(source),
        first,
        all_scores,
        all_labels,
        () if names_of is None else tuple(tuple(names_of(first + i)) for i in range(episodes)),
    )


def _measured(learner: MetaLearner, source: Any, index: int, explain: bool) -> tuple[Episode, Tensor]:
    """An episode, and the scores of its queries."""
    seed(learner.device, index)  # for a network that uses random numbers in evaluation mode
    episode = episode_of(source, index).to(learner.device)
    if episode.query.real:
        raise ConfigError(
            f"Accuracy needs classes. Got real labels in {source!r}. Use `learner.loss(episode)`, and train with "
            "validate_every=0."
        )
    with explained(episode) if explain else contextlib.nullcontext():
        return episode, learner.scores(episode)


@torch.no_grad()
def check_measurable(learner: MetaLearner, source: EpisodeSource) -> None:
    """Evaluates the first episode of the source, so that an error of `evaluate` comes early."""
    with measuring(learner):
        _measured(learner, source, 0, explain=True)


def check_episodes(episodes: int) -> None:
    """Raises ConfigError unless `episodes` is an integer >= 2."""
    if not isinstance(episodes, Integral):
        raise ConfigError(f"`episodes` must be an integer, the number of episodes. Got {episodes!r}.")
    if episodes < 2:
        raise ConfigError(f"`episodes` must be >= 2, for a mean over them. Got {episodes}. 600 is the usual number.")
