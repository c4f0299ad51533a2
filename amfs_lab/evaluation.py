"""Episodes to accuracy with an interval; every episode is kept, so that methods can be compared in pairs."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.errors import ConfigError, NumericalError
from amfs_lab.learner import MetaLearner
from amfs_lab.stats import Interval, mean_interval, paired_difference
from amfs_lab.tasks import EpisodeConfig, EpisodeSource


@dataclass(frozen=True)
class Evaluation:
    """The accuracy of a learner on the queries of episodes 0..n-1 of a source."""

    accuracy: Interval
    per_episode: Float[Tensor, " n"]
    config: EpisodeConfig

    def minus(self, other: "Evaluation") -> Interval:
        """How much better than `other`, on the same episodes."""
        return paired_difference(self.per_episode, other.per_episode)

    def __str__(self) -> str:
        return f"{self.config}: {self.accuracy.percent()}"


@torch.no_grad()
def evaluate(learner: MetaLearner, source: EpisodeSource, episodes: int = 600, first: int = 0) -> Evaluation:
    """Mean query accuracy over episodes `first` .. `first + episodes - 1`, with a 95 % interval over episodes.

    Raises:
        ConfigError: fewer than two episodes. NumericalError: scores that are not finite, naming the episode.
    """
    check_episodes(episodes)
    device = next(learner.parameters()).device
    accuracies = torch.empty(episodes)
    for i in range(episodes):
        episode = source[first + i].to(device)
        scores = learner.scores(episode)
        if not bool(torch.isfinite(scores).all()):
            raise NumericalError(
                f"Scores must be finite. Got NaN or infinity in episode {first + i} of {source!r}. "
                "The learner's parameters are damaged, or lam is too small for this precision."
            )
        accuracies[i] = episode.query.accuracy(scores).cpu()
    return Evaluation(mean_interval(accuracies), accuracies, source.config)


def check_episodes(episodes: int) -> None:
    """Raises ConfigError unless there are enough episodes for an interval."""
    if episodes < 2:
        raise ConfigError(
            f"`episodes` must be >= 2, for an interval over them. Got {episodes}. 600 is the usual number."
        )
