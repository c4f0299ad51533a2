"""Meta-training as an iterator: `for progress in trainer.run(): ...`. You can stop with `break` and resume later."""

import contextlib
import math
import time
from collections.abc import Callable, Generator, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import torch

from amfs_lab.config import TrainingConfig, seeded
from amfs_lab.devices import pick_device
from amfs_lab.distributed import ALONE, Ranks, shared
from amfs_lab.episode import Episode
from amfs_lab.errors import ConfigError, NonFiniteTask, NumericalError
from amfs_lab.evaluation import check_measurable, evaluate
from amfs_lab.learner import MetaLearner, checked_learner, explained, repeatable, seed, seed_of, untouched
from amfs_lab.meta_step import apply, meta_gradient
from amfs_lab.moved import moved
from amfs_lab.provenance import code_version, of_learner, of_source
from amfs_lab.runs.folder import RunFolder
from amfs_lab.runs.interrupts import uninterrupted
from amfs_lab.runs.progress import Progress
from amfs_lab.selection import Selection
from amfs_lab.tasks import EpisodeSource, episode_of, open_source
from amfs_lab.trajectory import CountSketch, record


class Tasks(Sequence[Episode]):
    """The tasks of a meta-step that this rank (process) computes. `tasks[i]` reads a task from the training source.

    Reading a task seeds the random generators. So the random numbers of the network, such as those of dropout, depend
    on the task and not on the number of ranks.
    """

    def __init__(self, trainer: "MetaTrainer", step: int) -> None:
        self.trainer, tasks = trainer, trainer.config.tasks
        self.numbers = [(step - 1) * tasks + t for t in trainer.ranks.share(tasks)]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, i: int) -> Episode:
        episode = self.trainer._episode(self.numbers[i])
        seed(self.trainer.device, seed_of("task", self.trainer.config.seed, self.numbers[i]))
        return episode


class MetaTrainer:
    """Meta-trains the learner that `config` describes.

    With a folder, a checkpoint is written every `save_every` steps and when the run is stopped. On the same device with
    the same number of threads, a resumed run ends with exactly the same numbers as an uninterrupted run. This does not
    hold for a time budget (`config.seconds`). Random numbers of the network, such as those of dropout, depend only on
    `config.seed` and the task.

    Args:
        folder: folder for the final learner and the checkpoints; None saves nothing.
        root: a data directory that is searched first. device: see `pick_device`.
        trajectory: makes the sketch of the meta-parameters that each `Progress` records; None records no sketch.
        learner: your own learner instead of the one that `config` describes, or a function that makes a learner. A
            learner is trained in place. A function is called after the random generators are seeded by `config.seed`.
        train, validation: your own sources of episodes, instead of `config.source`: `train[index]` is an episode.
        resume: True continues from the newest checkpoint in `folder`. If there is no run, a new run starts.
        ranks: the processes of the run, see `distributed.joined`. All processes need the same arguments.
        save_every: number of meta-steps between checkpoints.
    Raises:
        ConfigError, DataError: the data do not fit the configuration, the folder already holds a run, or the run cannot
            be resumed. A run cannot be resumed if it is complete or damaged, or has other settings, other data or
            another network.
    """

    def __init__(
        self,
        config: TrainingConfig,
        folder: Path | str | None = None,
        root: Path | None = None,
        device: str = "auto",
        trajectory: CountSketch | None = None,
        resume: bool = False,
        save_every: int = 100,
        learner: MetaLearner | Callable[[], MetaLearner] | None = None,
        train: EpisodeSource | None = None,
        validation: EpisodeSource | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config, self.sketch, self.device, self.ranks = config, trajectory, pick_device(device), ranks
        if config.streamed and trajectory is not None:
            raise ConfigError(
                "A trajectory needs the gradients of all tasks. Got streamed=True. Leave one of them out."
            )
        ranks.agree(lambda: {"settings": config.to_dict()})
        if config.tasks < ranks.size:
            raise shared(
                ConfigError(
                    f"Each process needs a task. Got {ranks.size} processes and {config.tasks} tasks in a meta-step. "
                    "Start fewer processes, or give more tasks."
                )
            )
        with ranks.together():
            self.folder = RunFolder(folder, config, save_every, resume, writes=ranks.rank == 0)
            self.train, self.validation = self._sources(root, train, validation)
            shape = tuple(episode_of(self.train).support.x.shape[1:])
            with seeded(config.seed):
                made = config.build(shape) if learner is None else learner
                made = made if isinstance(made, MetaLearner) else made()
            self.learner = checked_learner(made).to(self.device)
            data = {"train": of_source(self.train, train is not None)}
            data["validation"] = of_source(self.validation, validation is not None)
            trained, code = of_learner(self.learner, learner is not None), code_version()
            self.folder.describe({"data": data, "learner": trained, "input_shape": list(shape), "code": code})
        ranks.agree(lambda: {"code": code, "data": data, "network": trained, "run folder": {"meta-steps": self.done}})
        self.selection = Selection(self.learner, config.average, config.keep == "best")
        self.saved_in: Path | None = None
        self._used = False

    @property
    def done(self) -> int:
        """The number of meta-steps that were completed before `run`; 0 for a new run."""
        return self.folder.step

    def run(self) -> Generator[Progress, None, None]:
        """Yields the progress after every meta-step. Saves the learner at the end and after a `break`.

        A trainer can run only once. The folder is locked from this call to the end of the run. If a checkpoint cannot
        be written, there is only a warning. If the learner cannot be saved in the folder, there is a warning, and the
        learner is saved in a temporary folder (`saved_in`).

        Raises:
            ConfigError: a second run; a folder that another run has locked, or that changed since this trainer was
                made; a learner that cannot be saved, or whose network cannot process the episodes. All these errors are
                raised before the first step.
            NumericalError: a loss or gradient that is not finite. The step is not applied. A checkpoint of the state
                before the step is written for `replay`, and no learner is saved.
        """
        if self._used:
            raise ConfigError("A trainer runs once. Got a second `run()`. Make a new MetaTrainer for a fresh start.")
        hold = contextlib.ExitStack()
        try:
            with self.ranks.together():
                hold.enter_context(self.folder.locked())
            with self.ranks.together():
                self.folder.check_visible()
        except BaseException:
            hold.close()
            raise
        self._used = True
        return self._run(hold)

    @torch.inference_mode(False)
    @torch.enable_grad()
    def _run(self, hold: contextlib.ExitStack) -> Generator[Progress, None, None]:
        config, learner, progress, selection = self.config, self.learner, self.folder.progress, self.selection
        ranks = self.ranks
        step, seconds = self.done, progress.seconds if progress else 0.0
        complete = progress is not None and self._spent(step, seconds) >= 1  # stopped in the last validation
        with hold:
            optimizer = torch.optim.Adam(learner.meta_parameters(), lr=config.meta_lr)
            outer = copy(config.outer)  # a stateful rule (some of TorchJD's rules) starts each run without a state
            with repeatable(self.device, "start", config.seed), ranks.together():
                self._begin(optimizer)
            ranks.copy_of_first(learner)
            try:
                if progress is not None and self._lacks_validation(progress, complete):
                    progress = self._validated(progress, selection)
                    yield progress
                for step in () if complete else range(self.done + 1, config.steps + 1):
                    began = time.perf_counter()
                    optimizer.param_groups[0]["lr"] = config.rate(self._spent(step - 1, seconds))
                    position = None if self.sketch is None else self.sketch.of(learner.meta_parameters())
                    with repeatable(self.device, "step", config.seed, step):
                        tasks = Tasks(self, step)
                        found = meta_gradient(
                            learner, outer, tasks, config.batched, config.streamed, ranks, config.tasks
                        )
                    with uninterrupted():
                        apply(learner, optimizer, found.direction)
                        selection.update(step)
                        loss, accuracy, point = float(found.loss), float(found.accuracy), None
                        if position is not None and found.tasks is not None:
                            rows = ranks.rows_of_all(found.tasks.rows, config.tasks)
                            point = record(position, outer, rows)
                        seconds += time.perf_counter() - began
                        if config.seconds:  # the ranks must end at the same step
                            seconds = ranks.of_first(seconds)
                        spent = self._spent(step, seconds)
                        complete, left = spent >= 1, seconds * max(1 / spent - 1, 0)
                        progress = Progress(config.method, step, seconds, loss, accuracy, None, point, left)
                    if self._lacks_validation(progress, complete):
                        progress = self._validated(progress, selection)
                    if step % self.folder.save_every == 0 and not complete:
                        self.folder.save_checkpoint(learner, optimizer, progress, selection=selection)
                    yield progress
                    if complete:
                        break
            except NumericalError as error:
                failed, where = {"step": step}, f"It is meta-step {step}."
                if isinstance(error, NonFiniteTask):
                    failed["episode"] = (step - 1) * config.tasks + error.task
                    where = f"{where[:-1]}, episode {failed['episode']} of {self.train!r}.{self.folder.replay_hint()}"
                self.folder.save_checkpoint(learner, optimizer, progress, failed, selection)
                progress = None  # no learner is saved
                raise shared(NumericalError(f"{error} {where}")) from error
            finally:
                ended = progress is not None and complete and not self._lacks_validation(progress, complete)
                self.saved_in = self.folder.finish(learner, optimizer, progress, ended, selection)

    def _lacks_validation(self, progress: Progress, complete: bool) -> bool:
        """True if there must be a validation after this step, and it is not done yet."""
        every = self.config.validate_every
        return bool(every) and progress.validation is None and (complete or progress.step % every == 0)

    def _validated(self, progress: Progress, selection: Selection) -> Progress:
        with selection.shown():
            found = evaluate(self.learner, self.validation, self.config.validation_episodes, ranks=self.ranks)
            selection.note(found.accuracy.mean)
        return replace(progress, validation=found.accuracy)

    def _begin(self, optimizer: torch.optim.Optimizer) -> None:
        """Initialises the learner or restores the checkpoint. Raises errors that would otherwise stop the run later."""
        self.folder.check_savable(self.learner)
        first = self._episode(0)
        with explained(first, self.config.batched):
            with untouched(self.learner):
                self.learner.task_gradients([first], self.config.batched)
            if self.folder.checkpoint is None:
                self.learner.start(first)
        if self.config.validate_every:
            check_measurable(self.learner, self.validation)
        if self.folder.checkpoint is not None:
            self.folder.checkpoint.restore(self.learner, optimizer, self.selection)

    def _episode(self, index: int) -> Episode:
        return episode_of(self.train, index).to(self.device)

    def _spent(self, steps: int, seconds: float) -> float:
        """The used share of the budget: the maximum of the share of the steps and the share of the seconds."""
        return max(steps / self.config.steps, seconds / (self.config.seconds or math.inf))

    def _sources(
        self, root: Path | None, train: EpisodeSource | None, validation: EpisodeSource | None
    ) -> tuple[EpisodeSource, EpisodeSource]:
        """The sources of training and validation episodes: the given sources, or those of `config.source`."""
        if (train is None) != (validation is None):
            raise ConfigError("`train` and `validation` must be given together. Got only one. Give both.")
        if train is not None and validation is not None:
            episode_of(validation)
            return train, validation
        self.folder.check_data_of_settings()
        config = self.config
        train = open_source(config.source, "train", config.episode, root, config.seed, config.augment)
        return train, open_source(config.source, "validation", config.episode, root)


__getattr__ = moved(__name__)
