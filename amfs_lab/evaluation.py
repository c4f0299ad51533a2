"""Episodes to accuracy with an interval; every episode is kept, so that methods can be compared in pairs."""

import contextlib
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.episode import Episode
from amfs_lab.errors import ConfigError, DataError, NumericalError
from amfs_lab.learner import MetaLearner, explained, measuring, seed
from amfs_lab.provenance import data_name
from amfs_lab.stats import Interval, mean_interval, paired_difference
from amfs_lab.tasks import EpisodeConfig, EpisodeSource, episode_of

FEW = 30  # episodes, below which an interval is not to be relied on


@dataclass(frozen=True)
class Evaluation:
    """The accuracy of a learner on the queries of some episodes of a source. It prints with the name of its data.

    Args:
        accuracy, per_episode: the mean with its interval, and the share of queries that each episode got right.
        config: the shape of the episodes; None for a source that tells none. data: the name of the source and split.
        first: index of the first episode. scores: of each episode (q, ways). labels: of each episode (q), the right
            classes; row i of both is of `source[first + i]`.
    """

    accuracy: Interval
    per_episode: Float[Tensor, " n"]
    config: EpisodeConfig | None
    data: str = "episodes"
    first: int = 0
    scores: tuple[Tensor, ...] = ()
    labels: tuple[Tensor, ...] = ()

    def minus(self, other: "Evaluation") -> Interval:
        """How much better than `other`, on the same episodes. Raises DataError for others."""
        for what in ("data", "config", "first"):
            if getattr(self, what) != getattr(other, what):
                raise DataError(
                    "Two evaluations must be of the same episodes, whose luck cancels. Got "
                    f"{getattr(self, what)} and {getattr(other, what)} ({what})."
                )
        return paired_difference(self.per_episode, other.per_episode)

    @property
    def remark(self) -> str:
        """A sentence of caution where there are few episodes; empty elsewhere."""
        n = len(self.per_episode)
        return "" if n >= FEW else f"{n} episodes are few: the interval may be too narrow. 600 is the usual number."

    def __str__(self) -> str:
        shape = self.data if self.config is None else f"{self.data}, {self.config}"
        return f"{shape}: {self.accuracy.percent()}" + (f". {self.remark}" if self.remark else "")


@torch.no_grad()
def evaluate(learner: MetaLearner, source: EpisodeSource, episodes: int = 600, first: int = 0) -> Evaluation:
    """Mean query accuracy over episodes `first` .. `first + episodes - 1`, with a 95 % interval over episodes.

    It leaves no trace: buffers, modes and torch's random generators end as they were, and the same learner on the same
    episodes gives the same numbers. Layers that know an evaluation mode are in it: dropout is off, and torch's own
    BatchNorm normalises with its running averages over training tasks, not with the images of the episode. (The kit's
    norms have no running averages and do the same in both modes; for statistics of the episode with a network of your
    own take `backbones.TaskNorm`, or torch's BatchNorm with `track_running_stats=False`.)

    Raises:
        ConfigError: fewer than two episodes, real labels (which are not right or wrong), or a network that cannot work
            with such images. NumericalError: scores that are not finite, naming the episode.
    """
    check_episodes(episodes)
    check_first(first)
    check_readable(learner)
    shares, all_scores, all_labels = [], [], []
    with measuring(learner):
        for i in range(episodes):
            episode, scores = _measured(learner, source, first + i, explain=i == 0)
            if not bool(torch.isfinite(scores).all()):
                raise NumericalError(
                    f"Scores must be finite. Got NaN or infinity in episode {first + i} of {source!r}. "
                    "The learner's parameters are damaged, or lam is too small for this precision."
                )
            shares.append(episode.query.accuracy(scores).float().cpu())
            all_scores.append(scores.cpu())
            all_labels.append(episode.query.y.cpu())
    accuracies = torch.stack(shares)
    return Evaluation(
        mean_interval(accuracies),
        accuracies,
        getattr(source, "config", None),
        data_name(source),
        first,
        tuple(all_scores),
        tuple(all_labels),
    )


def _measured(learner: MetaLearner, source: Any, index: int, explain: bool) -> tuple[Episode, Tensor]:
    """An episode, and the scores of its queries."""
    seed(learner.device, index)  # for a network that draws numbers even so: each episode has its own
    episode = episode_of(source, index).to(learner.device)
    if episode.query.real:
        raise ConfigError(
            f"Accuracy needs classes. Got real labels in {source!r}: use `learner.loss(episode)`, and train with "
            "validate_every=0."
        )
    with explained(episode) if explain else contextlib.nullcontext():
        return episode, learner.scores(episode)


@torch.no_grad()
def check_measurable(learner: MetaLearner, source: EpisodeSource) -> None:
    """Raises what `evaluate` would raise at its first episode of a source that cannot be measured on."""
    with measuring(learner):
        _measured(learner, source, 0, explain=True)


def check_episodes(episodes: int) -> None:
    """Raises ConfigError unless there are enough episodes for an interval."""
    if not isinstance(episodes, Integral):
        raise ConfigError(f"`episodes` must be an integer, the number of them. Got {episodes!r}.")
    if episodes < 2:
        raise ConfigError(
            f"`episodes` must be >= 2, for an interval over them. Got {episodes}. 600 is the usual number."
        )


def check_first(first: object) -> None:
    """Raises ConfigError unless it is the index of an episode."""
    if not isinstance(first, Integral):
        raise ConfigError(f"`first` must be an integer, the index of an episode. Got {first!r}.")


def check_readable(learner: MetaLearner) -> None:
    """Raises ConfigError for a learner on the meta device, whose tensors have no values."""
    if learner.device.type == "meta":
        raise ConfigError("A learner on the meta device has no values. Load them on another one: load_learner(folder).")
