"""A backbone and an inner loop make a meta-learner: per-task scores, losses and gradients."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from amfs_lab.backbones import Backbone
from amfs_lab.episode import Episode
from amfs_lab.errors import ConfigError
from amfs_lab.inner import FeatureSpaceLoop, GradientLoop


class TaskGradients(NamedTuple):
    """What one meta-step knows of its t tasks: query losses, query accuracies (NaN for real labels), one row of
    gradients each."""

    losses: Float[Tensor, " t"]
    accuracies: Float[Tensor, " t"]
    rows: Float[Tensor, "t p"]


class WithHead(nn.Module):
    """A backbone under a linear head, which starts at zero: every class is as likely as any other."""

    def __init__(self, backbone: Backbone, ways: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(backbone.features, ways)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.norm = backbone.norm

    def forward(self, x: Float[Tensor, "n ..."], reference: int | None = None) -> Float[Tensor, "n ways"]:
        return self.head(self.backbone(x, reference))


class MetaLearner(nn.Module):
    """Learns to learn: `scores(episode)` adapts to the support set and scores the queries.

    Args:
        backbone: called as `backbone(x, reference)` (see `amfs_lab.backbones`).
        inner: `FunctionSpace`, `Prototypes` (on features), or `Maml`, `Anil` (on a network with a linear head).
        ways: outputs of that head, where an episode of another number of ways is an error. Unused on features.
    """

    def __init__(self, backbone: Backbone, inner: FeatureSpaceLoop | GradientLoop, ways: int | None = None) -> None:
        super().__init__()
        self.inner, self.ways = inner, ways
        if isinstance(inner, FeatureSpaceLoop):
            self.net = backbone
        elif ways is None:
            raise ConfigError("Gradient loops end in a linear head: `ways` must be its number of outputs. Got None.")
        else:
            self.net = WithHead(backbone, ways)

    @torch.no_grad()
    def start(self, episode: Episode) -> None:
        """Lets the inner loop take its data-dependent start from the first task (a bandwidth from its distances)."""
        if isinstance(self.inner, FeatureSpaceLoop):
            x = torch.cat([episode.support.x, episode.query.x])
            self.inner.start(self.net(x, len(episode.support.x)))

    def scores(self, episode: Episode) -> Float[Tensor, "q ways"]:
        """Scores of the queries, one column a class."""
        return self._predict(episode)[0]

    def loss(self, episode: Episode) -> Float[Tensor, ""]:
        """The task's meta-objective: the loss of the queries (`Split.loss`: cross-entropy, or half the mean square of
        real labels), plus gamma * I/n if the inner loop asks for it."""
        return self._loss(episode)[0]

    def meta_parameters(self) -> list[nn.Parameter]:
        """The meta-parameters in the order of a gradient row: the network's, then the inner loop's own."""
        return [p for p in self.parameters() if p.requires_grad]

    def task_gradients(self, episodes: Sequence[Episode]) -> TaskGradients:
        """Each task runs forward and backward by itself (tasks share no images) and writes its row into one buffer."""
        params = self.meta_parameters()
        sizes = [p.numel() for p in params]
        rows = params[0].new_empty(len(episodes), sum(sizes))
        losses, accuracies = rows.new_empty(len(episodes)), rows.new_empty(len(episodes))
        for t, episode in enumerate(episodes):
            loss, scores = self._loss(episode)
            grads = torch.autograd.grad(loss, params, allow_unused=True, materialize_grads=True)
            for piece, grad in zip(rows[t].split(sizes), grads, strict=True):
                piece.copy_(grad.reshape(-1))
            losses[t] = loss.detach()
            accuracies[t] = episode.query.accuracy(scores.detach())
        return TaskGradients(losses, accuracies, rows)

    def _loss(self, episode: Episode) -> tuple[Float[Tensor, ""], Float[Tensor, "q ways"]]:
        scores, penalty = self._predict(episode)
        return episode.query.loss(scores) + penalty, scores

    def _predict(self, episode: Episode) -> tuple[Float[Tensor, "q ways"], Float[Tensor, ""] | float]:
        if isinstance(self.inner, FeatureSpaceLoop):
            scores, predictor = self.inner.predict(self.net, episode.support, episode.query.x)
            return scores, getattr(predictor, "penalty", 0.0)
        if episode.support.ways != self.ways:
            raise ConfigError(
                f"This learner's head has {self.ways} outputs, so its episodes must have {self.ways} ways. "
                f"Got {episode.support.ways}. Train one for that many, or use an inner loop on features."
            )
        return self.inner.adapt(self.net, episode.support)(episode.query.x), 0.0
