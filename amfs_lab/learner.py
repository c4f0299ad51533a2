"""A backbone and an inner loop make a meta-learner: per-task scores, losses and gradients."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from amfs_lab.backbones import Backbone, written_out
from amfs_lab.episode import Episode, Split
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

    def task_gradients(self, episodes: Sequence[Episode], batched: bool = False) -> TaskGradients:
        """Losses, accuracies and gradients of the tasks.

        Each task runs forward and backward by itself (tasks share no images) and writes its row into one buffer.

        Args:
            batched: all tasks at once instead, each with a copy of the meta-parameters: the same numbers but for
                rounding, in fewer and larger operations, which is what a GPU is fast at and a CPU is not.
        Raises:
            ConfigError: `batched` with episodes of different shapes.
        """
        if batched:
            return self._together(episodes)
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

    def _together(self, episodes: Sequence[Episode]) -> TaskGradients:
        first, t, task = episodes[0], len(episodes), _Task(self)
        shapes = {(e.support.x.shape, e.query.x.shape, e.support.ways, e.support.real) for e in episodes}
        if len(shapes) > 1:
            raise ConfigError("Tasks that run together must have one shape. Got different ones: leave `batched` out.")
        copies = {
            name: p.detach().expand(t, *p.shape).clone().requires_grad_(p.requires_grad)
            for name, p in task.named_parameters()
        }
        stacked = [
            torch.stack([getattr(getattr(e, half), part) for e in episodes])
            for half, part in (("support", "x"), ("support", "y"), ("query", "x"), ("query", "y"))
        ]

        def one(params: dict[str, Tensor], *parts: Tensor) -> tuple[Tensor, Tensor]:
            return functional_call(task, params, (*parts, first.support.ways))

        with written_out():
            losses, accuracies = vmap(one)(copies, *stacked)
        moved = [copies[name] for name, p in task.named_parameters() if p.requires_grad]
        grads = torch.autograd.grad(losses.sum(), moved, allow_unused=True, materialize_grads=True)
        return TaskGradients(losses.detach(), accuracies, torch.cat([grad.reshape(t, -1) for grad in grads], 1))

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


class _Task(nn.Module):
    """A learner as a function of one task's tensors, for the transforms of `torch.func`."""

    def __init__(self, learner: MetaLearner) -> None:
        super().__init__()
        self.learner = learner

    def forward(
        self, support_x: Tensor, support_y: Tensor, query_x: Tensor, query_y: Tensor, ways: int
    ) -> tuple[Tensor, Tensor]:
        episode = Episode(Split(support_x, support_y, ways), Split(query_x, query_y, ways))
        loss, scores = self.learner._loss(episode)
        return loss, episode.query.accuracy(scores.detach())
