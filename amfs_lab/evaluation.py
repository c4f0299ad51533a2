"""Episodes to accuracy with an interval; every episode is kept, so that methods can be compared in pairs."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.errors import ConfigError, NumericalError
from amfs_lab.learner import MetaLearner, explained, measuring
from amfs_lab.provenance import data_name
from amfs_lab.stats import Interval, mean_interval, paired_difference
from amfs_lab.tasks import EpisodeConfig, EpisodeSource, first_episode

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
        """How much better than `other`, on the same episodes."""
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
    accuracies, all_scores, all_labels = torch.empty(episodes), [], []
    with measuring(learner):
        for i in range(episodes):
            _seed(learner.device, first + i)  # for a network that draws numbers even so: each episode has its own
            episode = (source[first + i] if i else first_episode(source, first)).to(learner.device)
            if episode.query.real:
                raise ConfigError(
                    f"Accuracy needs classes. Got real labels in {source!r}: use `learner.loss(episode)`."
                )
            scores = _scores(learner, episode, explain=i == 0)
            if not bool(torch.isfinite(scores).all()):
                raise NumericalError(
                    f"Scores must be finite. Got NaN or infinity in episode {first + i} of {source!r}. "
                    "The learner's parameters are damaged, or lam is too small for this precision."
                )
            accuracies[i] = episode.query.accuracy(scores).cpu()
            all_scores.append(scores.cpu())
            all_labels.append(episode.query.y.cpu())
    return Evaluation(
        mean_interval(accuracies),
        accuracies,
        getattr(source, "config", None),
        data_name(source),
        first,
        tuple(all_scores),
        tuple(all_labels),
    )


def _scores(learner: MetaLearner, episode: Any, explain: bool) -> Tensor:
    if not explain:
        return learner.scores(episode)
    with explained(episode):
        return learner.scores(episode)


def _seed(device: torch.device, seed: int) -> None:
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def check_episodes(episodes: int) -> None:
    """Raises ConfigError unless there are enough episodes for an interval."""
    if episodes < 2:
        raise ConfigError(
            f"`episodes` must be >= 2, for an interval over them. Got {episodes}. 600 is the usual number."
        )
