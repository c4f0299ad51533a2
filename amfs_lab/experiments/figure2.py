"""Figure 2 of the paper: accuracy against the number of inner steps, MAML's 0 to 10 beside the one solve of I-AMFS.

Both train for the same time, in turns in one process; then each is asked about the same unseen episodes. MAML is
trained with 5 inner steps and read after each of 0..10 of them. The time of a task runs from its support set to the
scores of its queries.
"""

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from amfs_lab.config import FunctionSpaceConfig, MamlConfig, TrainingConfig, preset
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.evaluation import check_episodes
from amfs_lab.experiments.result import Result, alike, check_free, code_version, machine, plain
from amfs_lab.experiments.turns import side_by_side
from amfs_lab.inner import Maml
from amfs_lab.learner import MetaLearner
from amfs_lab.stats import Interval, accuracy_difference, accuracy_interval, mean_interval
from amfs_lab.tasks import SPLITS, EpisodeConfig, EpisodeSource, open_source
from amfs_lab.training import MetaTrainer

NAME = "figure2"
METHODS = ("maml", "i-amfs")


@dataclass(frozen=True)
class Figure2Config:
    """What is trained, for how long, and how it is asked.

    Args:
        seconds: training time of each method and seed. meta_steps: their meta-steps, if that comes first.
        most: the largest number of inner steps that MAML is read after.
        split: what they are asked about, and how many `episodes` of it; settings are chosen on "validation".
        seeds: how many trainings of each method, with the seeds 0, 1, ...
        maml, i_amfs: settings of the inner loops. The rest is of both, see `TrainingConfig`.
    """

    source: str = "glyphs"
    episode: EpisodeConfig = field(default_factory=EpisodeConfig)
    seconds: float | None = 240.0
    meta_steps: int = 100_000
    most: int = 10
    split: str = "test"
    episodes: int = 600
    seeds: int = 3
    width: int = 32
    norm: str = "transductive"
    tasks: int = 4
    meta_lr: float = 1e-3
    schedule: str = "cosine"
    augment: tuple[str, ...] = ()
    maml: MamlConfig = field(default_factory=MamlConfig)
    i_amfs: FunctionSpaceConfig = field(default_factory=FunctionSpaceConfig)

    def __post_init__(self) -> None:
        for name, smallest in (("most", 1), ("seeds", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < smallest:
                raise ConfigError(f"Figure2Config.{name} must be an integer >= {smallest}. Got {value!r}.")
        if self.split not in SPLITS[1:]:
            raise ConfigError(f"Figure2Config.split must be one of {', '.join(SPLITS[1:])}. Got {self.split!r}.")
        check_episodes(self.episodes)
        self.training("maml", 0)  # refuses what training would refuse, before anything is computed

    def training(self, method: str, seed: int) -> TrainingConfig:
        """The settings of one of its trainings."""
        same = ("source", "episode", "seconds", "width", "norm", "tasks", "meta_lr", "schedule", "augment")
        return preset(
            method,
            inner=self.maml if method == "maml" else self.i_amfs,
            steps=self.meta_steps,
            seed=seed,
            validate_every=0,
            **{name: getattr(self, name) for name in same},
        )


Rows = dict[str, np.ndarray]
Report = Callable[[str], None]


def run(
    config: Figure2Config,
    root: Path | None = None,
    device: str = "cpu",
    report: Report = lambda words: None,
    folder: Path | None = None,
) -> Result:
    """Trains, measures and, if a folder is given, saves.

    Args:
        root: where to look for the data first. report: told in words what has been done.
    Raises:
        ConfigError: the folder exists, or settings that the data can't serve; before anything is trained.
    """
    if folder is not None:
        check_free(folder)
    asked = open_source(config.source, config.split, config.episode, root)
    at_start = {"code": code_version(), "machine": machine()}
    training, rows = [], []
    for seed in range(config.seeds):
        trainers = {method: MetaTrainer(config.training(method, seed), root=root, device=device) for method in METHODS}
        for method, last in side_by_side({name: trainer.run() for name, trainer in trainers.items()}).items():
            training.append(asdict(last) | {"seed": seed})
            report(f"{method}, seed {seed}: {last.step} meta-steps in {last.seconds:.0f} s, loss {last.loss:.3f}")
        learners = {method: trainer.learner for method, trainer in trainers.items()}
        rows.append(measure(learners, asked, config.episodes, config.most))
        report(f"seed {seed}: measured on {config.episodes} episodes")
    result = gathered(config, training, rows, **at_start)
    if folder is not None:
        result.save(folder)
    return result


def gathered(config: Figure2Config, training: list[dict[str, Any]], rows: list[Rows], **where: Any) -> Result:
    """The result of trainings that were measured elsewhere, in a lesson say: one entry of `rows` a seed."""
    stacked = {name: np.stack([each[name] for each in rows]) for name in rows[0]}
    seeds = list(range(len(rows)))
    return Result(NAME, asdict(config), seeds, training, stacked, summary(stacked, config.episode.answers), **where)


def measure(learners: Mapping[str, MetaLearner], source: EpisodeSource, episodes: int, most: int = 10) -> Rows:
    """Each learner on the same episodes 0, 1, ...: right answers, and microseconds from support set to scores.

    Returns:
        `"right METHOD"` and `"microseconds METHOD"`, (episodes steps): `most` + 1 columns for a learner by gradient
        steps, one for a learner by one solve.
    """
    check_episodes(episodes)
    found: dict[str, list[np.ndarray]] = {}
    for index in range(-1, episodes):  # the first, of no account, warms up
        for name, learner in learners.items():
            episode = source[max(index, 0)].to(learner.device)
            right, seconds = read(learner, episode, most)
            if index >= 0:
                found.setdefault(f"right {name}", []).append(right.astype(np.int16))
                found.setdefault(f"microseconds {name}", []).append((1e6 * seconds).round().astype(np.int32))
    return {name: np.stack(values) for name, values in found.items()}


@torch.no_grad()
def read(learner: MetaLearner, episode: Episode, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Right answers of one episode and seconds until they stood there; after 0..most inner steps, or one solve."""
    right, seconds = [], []
    if not isinstance(learner.inner, Maml):
        began = time.perf_counter()
        right.append(_right(learner.scores(episode), episode.query))
        seconds.append(time.perf_counter() - began)
        return np.array(right), np.array(seconds)
    adapting, began = 0.0, time.perf_counter()
    for adapted in itertools.islice(learner.inner.walk(learner.net, episode.support), most + 1):
        adapting += time.perf_counter() - began
        began = time.perf_counter()
        right.append(_right(adapted(episode.query.x), episode.query))
        seconds.append(adapting + time.perf_counter() - began)
        began = time.perf_counter()
    return np.array(right), np.array(seconds)


def _right(scores: torch.Tensor, query: Examples) -> int:
    return int((scores.argmax(1) == query.y).sum())  # waits for the device, too


@dataclass(frozen=True)
class Curve:
    """A learner's accuracies (seeds episodes steps), the means over seeds with intervals over episodes, its times."""

    per_episode: np.ndarray
    microseconds: np.ndarray

    @classmethod
    def of(cls, rows: Mapping[str, np.ndarray], method: str, asked: int) -> "Curve":
        return cls(rows[f"right {method}"] / asked, rows[f"microseconds {method}"])

    def at(self, steps: int, episodes: int | None = None) -> torch.Tensor:
        """Accuracy of each episode after so many steps, the mean over seeds; the one solve has one column only."""
        column = min(steps, self.per_episode.shape[2] - 1)
        return torch.from_numpy(self.per_episode[:, :episodes, column].mean(0))

    def interval(self, steps: int, episodes: int | None = None, level: float = 0.95) -> Interval:
        return accuracy_interval(self.at(steps, episodes), level)

    def milliseconds(self, steps: int) -> float:
        """The median time of a task."""
        column = min(steps, self.microseconds.shape[2] - 1)
        return float(np.median(self.microseconds[:, :, column])) / 1e3


def summary(rows: Mapping[str, np.ndarray], asked: int) -> dict[str, Any]:
    """Means and 95 % intervals, over episodes (seeds averaged first) and, from two seeds on, over seeds."""
    maml, solve = (Curve.of(rows, method, asked) for method in METHODS)
    steps = maml.per_episode.shape[2]
    return {
        "maml": [_numbers(maml, k) for k in range(steps)],
        "i-amfs": _numbers(solve, 0),
        "i-amfs minus maml": [_difference(solve, maml, k) for k in range(steps)],
    }


def _numbers(curve: Curve, k: int) -> dict[str, Any]:
    by_seed = curve.per_episode[:, :, k].mean(1)
    return {
        "over episodes": plain(curve.interval(k)),
        "over seeds": _over(by_seed),
        "milliseconds": round(curve.milliseconds(k), 3),
    }


def _difference(a: Curve, b: Curve, k: int) -> dict[str, Any]:
    by_seed = a.per_episode[:, :, 0].mean(1) - b.per_episode[:, :, k].mean(1)
    return {"over episodes": plain(accuracy_difference(a.at(0), b.at(k))), "over seeds": _over(by_seed)}


def _over(by_seed: np.ndarray) -> dict[str, Any]:
    values = {"values": [round(float(value), 6) for value in by_seed]}
    return values | (plain(mean_interval(torch.from_numpy(by_seed))) if len(by_seed) > 1 else {})


def load(folder: Path | str) -> Result:
    """A stored Figure 2, its rows whole and its summary the one that they give.

    Raises:
        DataError: no result of this figure, or one whose parts don't agree.
    """
    result = Result.load(folder, NAME)
    try:
        shape = EpisodeConfig(**result.config["episode"])
        expected = (len(result.seeds), result.config["episodes"])
        for method, columns in zip(METHODS, (result.config["most"] + 1, 1), strict=True):
            for what in ("right", "microseconds"):
                got = result.rows[f"{what} {method}"].shape
                if got != (*expected, columns):
                    raise ValueError(f"`{what} {method}` of shape {got}, not {(*expected, columns)}")
        if not alike(summary(result.rows, shape.answers), result.summary):
            raise ValueError("a summary that its rows do not give")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"Expected a whole Figure 2 in {folder}. Got: {error}. Reproduce it.") from error
    return result


def curves(result: Result) -> dict[str, Curve]:
    """The curve of each method, by name."""
    asked = EpisodeConfig(**result.config["episode"]).answers
    return {method: Curve.of(result.rows, method, asked) for method in METHODS}
