"""Meta-training as an iterator: `for progress in trainer.run(): ...`; to stop is to break."""

import math
import time
from collections.abc import Generator, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from amfs_lab import checkpoint
from amfs_lab.backbones import BATCH_NORMS
from amfs_lab.config import TrainingConfig
from amfs_lab.episode import Episode
from amfs_lab.errors import ConfigError, DataError, NumericalError
from amfs_lab.evaluation import evaluate
from amfs_lab.learner import MetaLearner, TaskGradients
from amfs_lab.outer import Aggregator
from amfs_lab.outer.aggregation import check_finite
from amfs_lab.path import Followed, Sketch, followed
from amfs_lab.stats import Interval
from amfs_lab.tasks import open_source


@dataclass(frozen=True)
class Progress:
    """Where a run is after a meta-step: mean query loss and accuracy of its tasks, and training seconds so far.

    `followed`: position, cosine and weights (see `amfs_lab.path`), of a trainer that was asked to follow.
    """

    method: str
    step: int
    seconds: float
    loss: float
    accuracy: float
    validation: Interval | None = None
    followed: Followed | None = None


def pick_device(name: str = "auto") -> torch.device:
    """`"auto"`: CUDA where there is one, then Apple's MPS, else the CPU; or the device of that name.

    Raises:
        ConfigError: a device that torch does not know or that is not there.
    """
    if name != "auto":
        try:
            return torch.empty(0, device=name).device
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(
                f"The device must be auto, or cpu, cuda or mps where this machine has it. Got {name!r}."
            ) from error
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


class NonFiniteTask(NumericalError):
    """A task of a meta-step whose loss or gradient is not finite: `task` is its place among the tasks."""

    def __init__(self, task: int) -> None:
        super().__init__(
            "Losses and gradients must be finite. Got NaN or infinity. "
            "Lower meta_lr, or increase lam if the solve failed."
        )
        self.task = task


def meta_step(
    learner: MetaLearner, aggregator: Aggregator, optimizer: torch.optim.Optimizer, episodes: Sequence[Episode]
) -> TaskGradients:
    """theta <- theta - beta * sum_j c_j g_j (through `optimizer`), one g_j a task, the weights c from `aggregator`.

    Raises:
        NonFiniteTask: before anything is applied. NumericalError: so too, when finite gradients combine to infinity.
    """
    tasks = learner.task_gradients(episodes)
    direction = aggregator.combine(tasks.rows)
    if not bool(torch.isfinite(tasks.losses.sum() + direction.sum())):  # the one synchronisation of a step
        sound = torch.isfinite(tasks.losses) & torch.isfinite(tasks.rows).all(1)
        if not bool(sound.all()):
            raise NonFiniteTask(int((~sound).int().argmax()))
        check_finite(tasks.rows, direction)
    params = learner.meta_parameters()
    for param, piece in zip(params, direction.split([p.numel() for p in params]), strict=True):
        param.grad = piece.view_as(param)
    optimizer.step()
    return tasks


class MetaTrainer:
    """Meta-trains the learner that `config` describes.

    Args:
        folder: where the trained learner is saved when the run ends or is stopped; None keeps it in memory only.
        root: where to look for the data first. device: see `pick_device`.
        follow: what each `Progress` shall keep of the meta-parameters' position; None keeps and costs nothing.
    Raises:
        ConfigError, DataError: before anything is trained, when the data cannot serve the configuration or the folder
            already holds a run.
    """

    def __init__(
        self,
        config: TrainingConfig,
        folder: Path | str | None = None,
        root: Path | None = None,
        device: str = "auto",
        follow: Sketch | None = None,
    ) -> None:
        self.follow = follow
        self.config, self.folder = config, None if folder is None else Path(folder)
        if self.folder is not None:
            checkpoint.check_free(self.folder)
        self.device = pick_device(device)
        self.train = open_source(config.source, "train", config.episode, root, config.seed, config.augment)
        self.validation = open_source(config.source, "validation", config.episode, root)
        self.learner: MetaLearner = config.build().to(self.device)
        self._used = False

    def run(self) -> Generator[Progress, None, None]:
        """Yields after every meta-step, and saves at the end, also when the caller breaks off. A trainer runs once.

        Raises:
            ConfigError: a second run.
            NumericalError: a loss or gradient that is not finite; nothing of that step is applied, nothing is saved.
        """
        if self._used:
            raise ConfigError("A trainer runs once. Got a second `run()`: make a new MetaTrainer for a fresh start.")
        self._used = True
        config, learner = self.config, self.learner
        learner.start(self.train[0].to(self.device))
        optimizer = torch.optim.Adam(learner.meta_parameters(), lr=config.meta_lr)
        outer = copy(config.outer)  # a rule that remembers, as some of TorchJD's do, begins each run afresh
        progress, step, seconds = None, 0, 0.0
        try:
            for step in range(1, config.steps + 1):
                began = time.perf_counter()
                optimizer.param_groups[0]["lr"] = config.rate(self._spent(step - 1, seconds))
                position = self._position()
                tasks = meta_step(learner, outer, optimizer, self._tasks(step))
                loss, accuracy = float(tasks.losses.mean()), float(tasks.accuracies.mean())
                told = None
                if position is not None:  # the rows outlive the update, which does not touch them
                    told = followed(position, tasks.rows.shape[1], outer, tasks.rows)
                seconds += time.perf_counter() - began
                last = self._spent(step, seconds) >= 1
                progress = Progress(config.method, step, seconds, loss, accuracy, None, told)
                if self._validation_due(step, last):  # may be broken off
                    progress = replace(progress, validation=self._validate())
                yield progress
                if last:
                    break
        except NumericalError as error:
            progress = None  # a run that went wrong leaves no result behind
            raise self._located(error, step) from error
        finally:
            if self.folder is not None and progress is not None:
                save_learner(self.folder, learner, config, progress)

    def _spent(self, steps: int, seconds: float) -> float:
        """The share of the budget that is used up, whichever of steps and seconds is further."""
        return max(steps / self.config.steps, seconds / (self.config.seconds or math.inf))

    def _position(self) -> Tensor | None:
        """Where the meta-parameters are, if anybody asked."""
        return None if self.follow is None else self.follow.of(self.learner.meta_parameters())

    def _tasks(self, step: int) -> list[Episode]:
        first = (step - 1) * self.config.tasks
        return [self.train[first + t].to(self.device) for t in range(self.config.tasks)]

    def _located(self, error: NumericalError, step: int) -> NumericalError:
        if not isinstance(error, NonFiniteTask):
            return NumericalError(f"{error} It is meta-step {step}.")
        episode = (step - 1) * self.config.tasks + error.task
        return NumericalError(f"{error} It is meta-step {step}, episode {episode} of {self.train!r}.")

    def _validation_due(self, step: int, last: bool) -> bool:
        every = self.config.validate_every
        return every > 0 and (last or step % every == 0)

    def _validate(self) -> Interval:
        return evaluate(self.learner, self.validation, self.config.validation_episodes).accuracy


def save_learner(folder: Path, learner: MetaLearner, config: TrainingConfig, progress: Progress) -> None:
    """Writes meta-parameters, configuration and the last progress; `load_learner` reads them."""
    fields = asdict(replace(progress, followed=None))
    if progress.followed is not None:
        fields["followed"] = progress.followed.to_dict()
    record: dict[str, Any] = {"config": config.to_dict(), "progress": fields}
    checkpoint.save(folder, dict(learner.state_dict()), record)


def load_learner(folder: Path | str, device: str = "auto") -> tuple[MetaLearner, TrainingConfig]:
    """The learner that a run left in `folder`, with the configuration it was trained under.

    Raises:
        DataError: no run there, or a damaged one. ConfigError: a configuration that this version does not know.
    """
    learner, config, _ = load_run(folder, device)
    return learner, config


def load_run(
    folder: Path | str, device: str = "auto", norm: str | None = None
) -> tuple[MetaLearner, TrainingConfig, Progress]:
    """`load_learner`, and the run's last progress; raises the same.

    Args:
        norm: `"transductive"` or `"support"`, whose statistics BatchNorm shall take in place of those it was trained
            with: how much does it owe to the other queries? ConfigError for a run without BatchNorm.
    """
    tensors, record = checkpoint.load(Path(folder))
    config = TrainingConfig.from_dict(record.get("config", {}))
    if norm is not None:
        if not {norm, config.norm} <= set(BATCH_NORMS):
            both = " and ".join(BATCH_NORMS)
            raise ConfigError(f"Only {both} norm can stand for each other. Got {norm!r} for a run with {config.norm}.")
        config = replace(config, norm=norm)
    learner = config.build()
    try:
        learner.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(
            f"Expected the tensors in {folder} to fit the settings beside them. Got others. Train it again."
        ) from error
    return learner.to(pick_device(device)), config, _progress(folder, record)


def _progress(folder: Path | str, record: dict[str, Any]) -> Progress:
    try:
        fields = record["progress"]
        validation, told = fields["validation"], fields.get("followed")  # which older runs lack
        parts = {
            "validation": None if validation is None else Interval(**validation),
            "followed": None if told is None else Followed.from_dict(told),
        }
        return Progress(**fields | parts)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"Expected the progress of a run in {folder}. Got {record.get('progress')!r}. Train it again."
        ) from error
