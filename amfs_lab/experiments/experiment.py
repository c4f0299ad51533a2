"""The base class of experiments. It runs and resumes them, checks stored results, and makes tables and figures."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
import torch

from amfs_lab.config import TrainingConfig, preset
from amfs_lab.devices import pick_device
from amfs_lab.errors import ConfigError
from amfs_lab.evaluation import Evaluation, check_episodes
from amfs_lab.experiments.result import RECORD, Result, alike, check_free, whole
from amfs_lab.experiments.trainings import Trainings
from amfs_lab.provenance import code_version, machine
from amfs_lab.tasks import SPLITS, EpisodeConfig

if TYPE_CHECKING:
    from amfs_lab.plots import SavableFigure

Config = TypeVar("Config")
Rows = Mapping[str, np.ndarray]
Report = Callable[[str], None]


def silent(words: str) -> None:
    """Ignores a progress message."""


@dataclass(frozen=True)
class Measured:
    """The measurements of an experiment, without summary.

    Args:
        rows: arrays with one entry for each episode (or each draw of random tasks).
        seeds: seeds of the training runs or of the draws.
        training: one record for each training run.
        settings: further settings that the rows depend on, beside the configuration, as plain data.
    """

    rows: Rows
    seeds: list[int]
    training: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)


class Experiment(ABC, Generic[Config]):
    """A table or figure that can be measured again, stored, and checked when it is loaded.

    A subclass defines how to measure, summarise, check and print. All experiments are in `experiments.EXPERIMENTS`.
    For each experiment in this list, there is a command `amfs-lab reproduce NAME` with options.

    `help` is the description of the command. `option_help` replaces help texts of its options. `hidden` lists the
    fields of the configuration that have no option.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    option_help: ClassVar[Mapping[str, str]] = {}
    hidden: ClassVar[Sequence[str]] = ()
    config: type[Config]

    @abstractmethod
    def measure(self, config: Config, trainings: Any, report: Report) -> Measured:
        """Makes all measurements. Bad settings and missing data raise errors before any training."""

    @abstractmethod
    def summary(self, rows: Rows, config: Mapping[str, Any]) -> dict[str, Any]:
        """Means and intervals as plain data, computed from the rows and the stored configuration."""

    @abstractmethod
    def check(self, result: Result) -> None:
        """Raises KeyError, TypeError or ValueError if the rows do not fit the configuration."""

    @abstractmethod
    def table(self, result: Result) -> str:
        """The result as a Markdown table, which the command prints."""

    @abstractmethod
    def figure(self, result: Result) -> "SavableFigure":
        """The result as a static figure. Needs matplotlib (the extra `lab`)."""

    def remarks(self, result: Result) -> Sequence[str]:
        """Texts that the command prints below the table."""
        return ()

    @abstractmethod
    def title(self, config: Config) -> str:
        """A short description of the run, which the command prints first."""

    @abstractmethod
    def folder(self, config: Config) -> str:
        """Default name of the result's folder."""

    def configure(self, given: dict[str, Any]) -> Config:
        """The configuration from the options of the command. `given` holds only the options that the user set."""
        return self.config(**given)

    def run(
        self,
        config: Config,
        root: Path | None = None,
        device: str = "cpu",
        report: Report = silent,
        folder: Path | None = None,
        resume: bool = False,
        jobs: int = 1,
    ) -> Result:
        """Runs the experiment and returns the result. If a folder is given, also saves the result.

        Args:
            root: first directory to search for data. report: a function that gets a line of text after each part.
            resume: True continues the training runs of an interrupted experiment (see `Trainings`).
            jobs: number of processes of an experiment with a `Pool`.
        Raises:
            ConfigError: the folder exists (without `resume`), its result has other settings, or the data are too small
                for the settings. This error comes before any training.
            NumericalError: a training run that diverged.
        """
        if folder is not None and resume and (folder / RECORD).is_file():
            return self._complete(config, folder)
        if folder is not None:
            check_free(folder)
        trainings = self.trainings(root, device, folder, resume, jobs)
        at_start = {"code": code_version(), "machine": machine() | {"device": str(pick_device(device))}}
        result = self.result(config, self.measure(config, trainings, report), **at_start)
        if folder is not None:
            result.save(folder)
            trainings.finish()
        return result

    def trainings(self, root: Path | None, device: str, folder: Path | None, resume: bool, jobs: int) -> Any:
        """The object that trains the learners: `Trainings`, or `Pool`."""
        return Trainings(root, device, folder, resume)

    def _complete(self, config: Config, folder: Path) -> Result:
        """The complete result in the folder. Raises ConfigError if the result has other settings than `config`."""
        result = self.load(folder)
        settings = json.loads(json.dumps(asdict(config)))  # type: ignore[call-overload]
        if differ := [name for name, value in settings.items() if result.config.get(name) != value]:
            raise ConfigError(
                f"The complete result in {folder} has other settings: {', '.join(differ)}. Name another folder for a "
                "new result."
            )
        return result

    def result(self, config: Config, found: Measured, **at_start: Any) -> Result:
        """The complete result: settings, measurements and summary."""
        settings = asdict(config) | found.settings  # type: ignore[call-overload]
        summary = self.summary(found.rows, settings)
        return Result(self.name, settings, found.seeds, found.training, found.rows, summary, **at_start)

    def load(self, folder: Path | str) -> Result:
        """Loads a stored result and checks that the rows are complete and that the summary follows from them.

        Raises:
            DataError: no result of this experiment, or a result whose parts do not agree.
        """
        result = Result.load(folder, self.name)
        with whole(folder):
            self.check(result)
            if not alike(self.summary(result.rows, result.config), result.summary):
                raise ValueError("the summary must be the one that is computed from the rows. Got other numbers")
        return result


def check_common(config: Any) -> None:
    """Raises ConfigError for wrong values of the fields `split`, `episodes`, `seeds` or `most`.

    A configuration without `seeds` or `most` is allowed.
    """
    name = type(config).__name__
    for each in ("seeds", "most"):
        value = getattr(config, each, 1)
        if not isinstance(value, int) or value < 1:
            raise ConfigError(f"{name}.{each} must be an integer >= 1. Got {value!r}.")
    if config.split not in SPLITS[1:]:
        raise ConfigError(f"{name}.split must be one of {', '.join(SPLITS[1:])}. Got {config.split!r}.")
    check_episodes(config.episodes)


def training_config(config: Any, method: str, **own: Any) -> TrainingConfig:
    """The configuration of one training run: the preset of the method, with values from the experiment.

    All fields that both configurations have get the experiment's values. `own` sets further fields.
    """
    shared = {each.name for each in fields(TrainingConfig)} & {each.name for each in fields(config)}
    settings = {name: getattr(config, name) for name in shared}
    return preset(method, **settings | {"steps": config.meta_steps, "validate_every": 0} | own)


def correct_answers(evaluation: Evaluation, shape: EpisodeConfig) -> np.ndarray:
    """The number of correctly classified queries in each episode."""
    return (evaluation.per_episode * shape.answers).round().numpy().astype(np.int16)


def accuracies(correct: np.ndarray, shape: EpisodeConfig) -> torch.Tensor:
    """The accuracy in each episode, from the number of correctly classified queries."""
    return torch.from_numpy(correct.astype(np.float64) / shape.answers)


def check_counts(name: str, correct: np.ndarray, shape: tuple[int, ...], most: int) -> None:
    """Raises ValueError unless the row `name` has this shape and all its entries are from 0 to `most`."""
    if correct.shape != shape:
        raise ValueError(f"`{name}` must have shape {shape}. Got {correct.shape}")
    if not ((correct >= 0) & (correct <= most)).all():
        raise ValueError(f"`{name}` must have 0 to {most} correct answers. Got {correct.min()} to {correct.max()}")
