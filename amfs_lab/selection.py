"""The final meta-parameters of a run: the last values, a moving average, or the best values in validation."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from amfs_lab.learner import MetaLearner

WARM_UP = 10  # steps in which the average follows the meta-parameters closely


class Selection:
    """The meta-parameters to evaluate and to save. They can differ from the current meta-parameters of the training.

    With `decay` > 0, a moving average of the meta-parameters theta is updated after each meta-step s = 1, 2, ...:

        average <- average + (1 - d) (theta - average),  d = min(decay, s / (s + 10))

    In the first steps, d is smaller than `decay`. So the early values of theta soon have little weight in the average.
    Buffers, such as BatchNorm statistics, are not averaged.

    Args:
        learner: the learner in training.
        decay: in [0, 1); with 0 there is no average.
        best: True selects the meta-parameters with the best validation accuracy.
    """

    def __init__(self, learner: MetaLearner, decay: float = 0.0, best: bool = False) -> None:
        self.learner, self.decay, self.keeps_best = learner, decay, best
        self.average: list[Tensor] | None = None
        self.best: dict[str, Tensor] | None = None
        self.best_accuracy = float("-inf")

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Updates the average with the current meta-parameters. So far, `step` meta-steps are completed."""
        if not self.decay:
            return
        params = self.learner.meta_parameters()
        if self.average is None:
            self.average = [p.detach().clone() for p in params]
        share = 1 - min(self.decay, step / (step + WARM_UP))
        for average, param in zip(self.average, params, strict=True):
            average.lerp_(param, share)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """A context in which the learner has the averaged meta-parameters, if there is an average."""
        if self.average is None:
            yield
            return
        kept = [p.detach().clone() for p in self.learner.meta_parameters()]
        self._put(self.average)
        try:
            yield
        finally:
            self._put(kept)

    def note(self, accuracy: float) -> None:
        """Stores the state of the learner if this validation accuracy is the best so far. Call it within `shown`."""
        if self.keeps_best and accuracy > self.best_accuracy:
            self.best_accuracy = accuracy
            self.best = {name: tensor.clone() for name, tensor in self.learner.state_dict().items()}

    def settle(self) -> None:
        """Copies the selected meta-parameters into the learner. Call it at the end of a run."""
        if self.best is not None:
            self.learner.load_state_dict(self.best)
        elif self.average is not None:
            self._put(self.average)

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint; an empty dictionary if neither `decay` nor `best` is set."""
        found = {"average": self.average, "best": self.best, "best_accuracy": self.best_accuracy}
        return found if self.decay or self.keeps_best else {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores a result of the method `state`. Raises ValueError if the average does not fit the learner."""
        self.average, self.best = state.get("average"), state.get("best")
        self.best_accuracy = state.get("best_accuracy", float("-inf"))
        params = self.learner.meta_parameters()
        if self.average is not None:
            if [p.shape for p in params] != [kept.shape for kept in self.average]:
                raise ValueError("the average must have the shapes of the meta-parameters")
            self.average = [kept.to(p) for kept, p in zip(self.average, params, strict=True)]

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for param, value in zip(self.learner.meta_parameters(), values, strict=True):
            param.copy_(value)
