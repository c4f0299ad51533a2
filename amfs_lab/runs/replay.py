"""Replay of a failed meta-step, to find the first tensor that is not finite."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from amfs_lab.config import TrainingConfig
from amfs_lab.devices import pick_device
from amfs_lab.episode import Episode
from amfs_lab.errors import ConfigError
from amfs_lab.inner import FeatureSpaceLoop
from amfs_lab.learner import MetaLearner, untouched
from amfs_lab.provenance import check_provenance, of_learner, of_source
from amfs_lab.runs import checkpoint
from amfs_lab.runs.folder import holds_checkpoint, holds_run, place
from amfs_lab.runs.saved import check_record
from amfs_lab.tasks import EpisodeSource, open_source


@dataclass(frozen=True)
class TensorSummary:
    """A summary of one tensor in a replay.

    `size` is the number of entries, and `broken` is the number of entries that are not finite. `low` and `high` are the
    smallest and the largest finite entry, or NaN if there is none.
    """

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
    """A replayed episode: its index, its classes, and a summary of each tensor in the order of computation."""

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
        end = "Everything is finite." if broken is None else f"The first tensor that is not finite: {broken.name}."
        return "\n".join([head, *map(str, self.parts), end])


def replay(
    folder: Path | str,
    episode: int | None = None,
    root: Path | None = None,
    device: str = "auto",
    learner: MetaLearner | None = None,
    train: EpisodeSource | None = None,
) -> list[Replay]:
    """Repeats the failed episode of a run, and returns summaries of its tensors.

    The learner has the state of the newest checkpoint in `folder`. If a step failed, but no single episode was the
    cause, the function repeats all episodes of the step. Dropout samples new masks in a replay.

    Args:
        episode: index of the episode to repeat, instead of the failed episode.
        learner, train: the same objects as the arguments of `MetaTrainer`, if the run had such arguments.
    Raises:
        DataError: no checkpoint, or no data.
        ConfigError: the run is complete; no step failed and `episode` is not given; or the data or the learner
            differ from those of the training.
    """
    folder = place(folder)
    if holds_run(folder) and not holds_checkpoint(folder):
        raise ConfigError(f"Only a run that was stopped or failed can be replayed. The one in {folder} is complete.")
    found = checkpoint.load(folder)
    config = TrainingConfig.from_dict(check_record(found.path, found.record)["config"])
    failed = found.record.get("failed") or {}
    if episode is not None:
        if episode < 0:
            raise ConfigError(f"The episode must be an integer >= 0. Got {episode}.")
        chosen = [episode]
    elif failed.get("episode") is not None:
        chosen = [failed["episode"]]
    elif failed:
        chosen = list(range((failed["step"] - 1) * config.tasks, failed["step"] * config.tasks))
    else:
        raise ConfigError(f"The run in {folder} did not fail. Name the episode to replay: --episode INDEX.")
    settings = (config.source, "train", config.episode, root, config.seed, config.augment)
    source = open_source(*settings) if train is None else train
    replayed = config.build(tuple(source[0].support.x.shape[1:])) if learner is None else learner
    data = {"train": of_source(source, train is not None)}
    present = {"data": data, "learner": of_learner(replayed, learner is not None)}
    check_provenance(folder, found.record, present)
    found.restore(replayed.to(pick_device(device)))
    reached = found.record.get("progress")
    step = failed.get("step", 1 + (reached["step"] if reached else 0))
    names_of = getattr(source, "classes_of", lambda index: ())
    return [
        Replay(step, index, repr(source), tuple(names_of(index)), tuple(through(replayed, source[index])))
        for index in chosen
    ]


def through(learner: MetaLearner, episode: Episode) -> list[TensorSummary]:
    """Summaries of the tensors of an episode, in the order of computation.

    The order is: images, meta-parameters, features, scores, loss, gradients with respect to the meta-parameters.
    Features are included only if the inner loop trains a head on features (`FeatureSpaceLoop`).
    """
    here = episode.to(learner.device, learner.dtype)
    parts = [("support images", here.support.x), ("query images", here.query.x)]
    parts += [(f"meta-parameter {name}", p) for name, p in learner.named_parameters()]
    with untouched(learner):
        if isinstance(learner.inner, FeatureSpaceLoop):
            with torch.no_grad():
                x = torch.cat([here.support.x, here.query.x])
                parts.append(("features", learner.net(x, len(here.support.x))))
        loss, scores = learner(here)
        parts += [("scores of the queries", scores), ("loss", loss)]
        names = [f"gradient of {name}" for name, p in learner.named_parameters() if p.requires_grad]
        grads = torch.autograd.grad(loss, learner.meta_parameters(), allow_unused=True, materialize_grads=True)
        parts += zip(names, grads, strict=True)
    return [TensorSummary.of(name, values) for name, values in parts]
