"""The training runs of an experiment. The runs take turns in one process, are saved, and can be resumed."""

import contextlib
import shutil
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import NamedTuple

from amfs_lab.config import TrainingConfig
from amfs_lab.errors import ConfigError
from amfs_lab.learner import MetaLearner
from amfs_lab.runs import Progress, load_run
from amfs_lab.runs.folder import holds_checkpoint, holds_run
from amfs_lab.training import MetaTrainer


class Trained(NamedTuple):
    """A trained learner, the last progress of its training run, and the settings of the run."""

    learner: MetaLearner
    progress: Progress
    config: TrainingConfig


class Trainings:
    """Trains the learners of an experiment.

    Args:
        root: first directory to search for data.
        device: see `devices.pick_device`.
        folder: directory of the result. Until the result is saved, the training runs are in the directory
            `FOLDER-training`, in one subdirectory for each run. With None, nothing is saved.
        resume: True continues the training runs in `FOLDER-training`, and loads complete runs.
    Raises:
        ConfigError: `resume` is True and `folder` is None, or `resume` is False and `FOLDER-training` already exists.
    """

    def __init__(
        self, root: Path | None = None, device: str = "cpu", folder: Path | None = None, resume: bool = False
    ) -> None:
        self.root, self.device, self.resume = root, device, resume
        self.folder = None if folder is None else folder.with_name(f"{folder.name}-training")
        if resume and self.folder is None:
            raise ConfigError("`resume` needs the folder of the result. Got none. Give `folder`.")
        if self.folder is not None and self.folder.exists() and not resume:
            raise ConfigError(
                f"{self.folder} already holds training runs, which are never overwritten. Resume them (resume=True, on "
                "the command line --resume), delete them, or name another folder for the result."
            )

    def train(self, configs: Mapping[str, TrainingConfig]) -> dict[str, Trained]:
        """Trains one learner for each configuration, in turns.

        The run with the least training time so far makes the next step. So a change of the machine's speed affects all
        runs.

        Raises:
            ConfigError: a run in the folder has other settings. NumericalError: a training run that diverged.
        """
        done = {name: self._complete(name, config) for name, config in configs.items()}
        trainers = {name: self._trainer(name, config) for name, config in configs.items() if done[name] is None}
        last = in_turns({name: trainer.run() for name, trainer in trainers.items()})
        trained = {name: Trained(each.learner, last[name], each.config) for name, each in trainers.items()}
        return {name: done[name] or trained[name] for name in configs}

    def _trainer(self, name: str, config: TrainingConfig) -> MetaTrainer:
        folder = None if self.folder is None else self.folder / name
        return MetaTrainer(config, folder, self.root, self.device, resume=self.resume)

    def _complete(self, name: str, config: TrainingConfig) -> Trained | None:
        """The learner of a complete run in the folder; None if there is no such run."""
        if not self.resume or self.folder is None or not holds_run(self.folder / name):
            return None
        if holds_checkpoint(self.folder / name):
            return None
        learner, trained_with, progress = load_run(self.folder / name, self.device)
        if trained_with != config:
            raise ConfigError(
                f"The run in {self.folder / name} must have the settings of this experiment. Got others. Resume it "
                "with its own settings, or delete it."
            )
        return Trained(learner, progress, config)

    def finish(self) -> None:
        """Deletes the saved training runs, because the result has their measurements."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def in_turns(runs: Mapping[str, Generator[Progress, None, None]]) -> dict[str, Progress]:
    """Runs several training runs to their ends. The run with the least training time so far makes the next step.

    If one run fails or is interrupted, all runs stop and save a checkpoint.

    Returns:
        the last progress of each run.
    """
    waiting, last, spent = dict(runs), {}, dict.fromkeys(runs, 0.0)
    with contextlib.ExitStack() as stack:
        for run in runs.values():
            stack.enter_context(contextlib.closing(run))
        while waiting:
            name = min(waiting, key=lambda each: spent[each])
            try:
                last[name] = next(waiting[name])
                spent[name] = last[name].seconds
            except StopIteration:
                del waiting[name]
    return last
