"""The step that failed, once more: which number of which episode was the first that is none."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from amfs_lab.config import TrainingConfig
from amfs_lab.devices import pick_device
from amfs_lab.episode import Episode
from amfs_lab.errors import ConfigError
from amfs_lab.inner import FeatureSpaceLoop
from amfs_lab.learner import MetaLearner, untouched
from amfs_lab.provenance import of_learner, of_source
from amfs_lab.runs import checkpoint
from amfs_lab.runs.resume import restore
from amfs_lab.runs.saved import check_provenance, check_record
from amfs_lab.tasks import EpisodeSource, open_source


@dataclass(frozen=True)
class TensorSummary:
    """Some numbers on the way through an episode: how many are not finite, and from where to where the others go."""

    name: str
    size: int
    broken: int
    low: float
    high: float

    @classmethod
    def of(cls, name: str, values: Tensor) -> "TensorSummary":
        sound = values.detach()[torch.isfinite(values)]
        low, high = (float(sound.min()), float(sound.max())) if sound.numel() else (float("nan"), float("nan"))
        return cls(name, values.numel(), values.numel() - sound.numel(), low, high)

    def __str__(self) -> str:
        told = f"{self.broken} of {self.size} are not finite" if self.broken else "all finite"
        return f"{self.name:<32}{self.low:>12.4g} to {self.high:<12.4g}{told}"


@dataclass(frozen=True)
class Replay:
    """An episode of a saved state: its index, its classes, and what it looks like on the way."""

    step: int
    episode: int
    source: str
    classes: tuple[str, ...]
    parts: tuple[TensorSummary, ...]

    @property
    def first_broken(self) -> TensorSummary | None:
        return next((part for part in self.parts if part.broken), None)

    def __str__(self) -> str:
        head = f"meta-step {self.step}, episode {self.episode} of {self.source}\nclasses: {', '.join(self.classes)}"
        broken = self.first_broken
        end = "Everything is finite." if broken is None else f"The first that is not finite: {broken.name}."
        return "\n".join([head, *map(str, self.parts), end])


def replay(
    folder: Path | str,
    episode: int | None = None,
    root: Path | None = None,
    device: str = "auto",
    learner: MetaLearner | None = None,
    train: EpisodeSource | None = None,
) -> list[Replay]:
    """Takes the newest state in `folder` and goes through the episode that failed there, or through another one.

    All episodes of the step, where no single one is to blame. A network with dropout draws new masks here, so that its
    numbers differ from those of the step.

    Args:
        learner, train: what `MetaTrainer` was given, if it was: a configuration knows nothing of them.
    Raises:
        DataError: no state, or no data.
        ConfigError: the run has ended, or nothing failed there and no episode is named; or the run was trained on other
            data or with another learner than these.
    """
    folder = checkpoint.place(folder)
    if checkpoint.holds_run(folder) and not checkpoint.holds_state(folder):
        raise ConfigError(f"Only a run that was stopped or failed can be replayed. The one in {folder} is complete.")
    state = checkpoint.load_state(folder)
    check_record(state.path, state.record)
    config = TrainingConfig.from_dict(state.record["config"])
    failed = state.record.get("failed") or {}
    if episode is not None:
        if episode < 0:
            raise ConfigError(f"The episode must be an integer >= 0. Got {episode}.")
        chosen = [episode]
    elif failed.get("episode") is not None:
        chosen = [failed["episode"]]
    elif failed:
        chosen = list(range((failed["step"] - 1) * config.tasks, failed["step"] * config.tasks))
    else:
        raise ConfigError(f"The run in {folder} did not fail. Name the episode to go through: --episode INDEX.")
    source = train
    if source is None:
        source = open_source(config.source, "train", config.episode, root, config.seed, config.augment)
    own = learner is not None
    learner = (config.build() if learner is None else learner).to(pick_device(device))
    present = {"data": {"train": of_source(source, train is not None)}, "learner": of_learner(learner, own)}
    check_provenance(folder, state.record, present)
    restore(learner, torch.optim.Adam(learner.meta_parameters()), state)
    reached = state.record.get("progress")
    step = failed.get("step", 1 + (reached["step"] if reached else 0))
    return [Replay(step, n, repr(source), _classes_of(source, n), tuple(through(learner, source[n]))) for n in chosen]


def _classes_of(source: Any, index: int) -> tuple[str, ...]:
    """The names of an episode's classes, of a source that knows them."""
    return tuple(source.classes_of(index)) if hasattr(source, "classes_of") else ()


def through(learner: MetaLearner, episode: Episode) -> list[TensorSummary]:
    """Images, features, scores, loss and the gradient of every meta-parameter, in the order in which they arise."""
    here = episode.to(learner.device, learner.dtype)
    parts = [TensorSummary.of("support images", here.support.x), TensorSummary.of("query images", here.query.x)]
    parts += [TensorSummary.of(f"meta-parameter {name}", p) for name, p in learner.named_parameters()]
    with untouched(learner):
        if isinstance(learner.inner, FeatureSpaceLoop):
            with torch.no_grad():
                x = torch.cat([here.support.x, here.query.x])
                parts.append(TensorSummary.of("features", learner.net(x, len(here.support.x))))
        parts.append(TensorSummary.of("scores of the queries", learner.scores(here)))
        loss = learner.loss(here)
        parts.append(TensorSummary.of("loss", loss))
        named = [(name, p) for name, p in learner.named_parameters() if p.requires_grad]
        grads = torch.autograd.grad(loss, [p for _, p in named], allow_unused=True, materialize_grads=True)
    return parts + [TensorSummary.of(f"gradient of {name}", grad) for (name, _), grad in zip(named, grads, strict=True)]
