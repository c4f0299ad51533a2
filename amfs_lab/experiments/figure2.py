"""Figure 2 of the paper: accuracy of MAML after 0 to 10 inner steps, and of I-AMFS after its one solve.

Both methods train for the same time, in turns in one process. They are then evaluated on the same unseen episodes. MAML
is trained with 5 inner steps, and evaluated after 0, 1, ..., 10 inner steps. The time of a task is the time from its
support set to the scores of its queries.
"""

import itertools
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from amfs_lab.config import TrainingConfig
from amfs_lab.episode import Episode, Examples
from amfs_lab.evaluation import check_episodes
from amfs_lab.experiments.experiment import (
    Experiment,
    Measured,
    Report,
    Rows,
    check_common,
    training_config,
)
from amfs_lab.experiments.result import Result, plain
from amfs_lab.experiments.trainings import Trainings
from amfs_lab.inner import Maml
from amfs_lab.learner import MetaLearner
from amfs_lab.markdown import markdown_table
from amfs_lab.methods import FunctionSpaceConfig
from amfs_lab.stats import Interval, accuracy_difference, accuracy_interval, mean_interval
from amfs_lab.tasks import EpisodeConfig, EpisodeSource, open_source

if TYPE_CHECKING:
    from amfs_lab.plots import SavableFigure

METHODS = ("maml", "i-amfs")


@dataclass(frozen=True)
class Figure2Config:
    """Settings of Figure 2. Settings that `TrainingConfig` also has are the same for both methods.

    Args:
        source: data set of the episodes.
        episode: shape of the episodes of training and evaluation.
        seconds: seconds of training for each method and seed.
        meta_steps: meta-steps of each method and seed.
        most: largest number of inner steps of MAML in the evaluation.
        split: split of unseen classes for the evaluation.
        episodes: episodes to evaluate on.
        seeds: number of training runs of each method; their seeds are 0, 1, ....
        width: filters of Conv-4.
        norm: normalisation of the backbone.
        tasks: episodes in a meta-step.
        meta_lr: outer learning rate.
        schedule: schedule of the outer learning rate.
        augment: random changes of the training images.
        maml, i_amfs: settings of the inner loops.
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
    maml: Maml = field(default_factory=Maml)
    i_amfs: FunctionSpaceConfig = field(default_factory=FunctionSpaceConfig)

    def __post_init__(self) -> None:
        check_common(self)
        self.training("maml", 0)  # checks the settings of the training before anything is computed

    def training(self, method: str, seed: int) -> TrainingConfig:
        """The configuration of the training run of a method and seed."""
        return training_config(self, method, inner=self.maml if method == "maml" else self.i_amfs, seed=seed)


class Figure2(Experiment[Figure2Config]):
    name = "figure2"
    help = "accuracy of MAML after 0 to 10 inner steps, and of I-AMFS after its one solve"
    config = Figure2Config
    hidden = ("most", "tasks", "meta_lr", "schedule", "inner_steps", "first_order")

    def title(self, config: Figure2Config) -> str:
        return f"Figure 2 on {config.source}, {config.split}, {config.episode}, {config.norm} norm"

    def folder(self, config: Figure2Config) -> str:
        return f"figure2-{config.source}-{config.episode.ways}w{config.episode.shots}s"

    def measure(self, config: Figure2Config, trainings: Trainings, report: Report) -> Measured:
        source = open_source(config.source, config.split, config.episode, trainings.root)
        training, rows = [], []
        for seed in range(config.seeds):
            trained = trainings.train({f"{method}-{seed}": config.training(method, seed) for method in METHODS})
            for name, (_, last, _) in trained.items():
                training.append(asdict(last) | {"seed": seed})
                report(f"{name}: {last.step} meta-steps in {last.seconds:.0f} s, loss {last.loss:.3f}")
            learners = {method: trained[f"{method}-{seed}"].learner for method in METHODS}
            rows.append(measure(learners, source, config.episodes, config.most))
            report(f"seed {seed}: measured on {config.episodes} episodes")
        return _stacked(training, rows)

    def summary(self, rows: Rows, config: Mapping[str, Any]) -> dict[str, Any]:
        """Means over seeds with 95 % intervals over episodes.

        With two or more seeds, there are also intervals over seeds.
        """
        maml, solve = (Curve.of(rows, method, EpisodeConfig(**config["episode"]).answers) for method in METHODS)
        steps = maml.per_episode.shape[2]
        return {
            "maml": [_numbers(maml, k) for k in range(steps)],
            "i-amfs": _numbers(solve, 0),
            "i-amfs minus maml": [_difference(solve, maml, k) for k in range(steps)],
        }

    def check(self, result: Result) -> None:
        expected = (len(result.seeds), result.config["episodes"])
        for method, columns in zip(METHODS, (result.config["most"] + 1, 1), strict=True):
            for what in ("right", "microseconds"):
                got = result.rows[f"{what} {method}"].shape
                if got != (*expected, columns):
                    raise ValueError(f"`{what} {method}` must have shape {(*expected, columns)}. Got {got}")

    def table(self, result: Result) -> str:
        """Accuracy and time of a task, as a Markdown table.

        There is one row for each number of inner steps of MAML, and one row for the solve of I-AMFS.
        """
        maml, solve = curves(result).values()
        read = [("MAML", str(k), maml, k) for k in range(result.config["most"] + 1)] + [
            ("I-AMFS", "one solve", solve, 0)
        ]
        rows = [
            (method, steps, f"{curve.interval(k).hundredths()} %", f"{curve.milliseconds(k):.1f}")
            for method, steps, curve, k in read
        ]
        return markdown_table(("method", "inner steps", "accuracy", "ms per task"), rows)

    def figure(self, result: Result) -> "SavableFigure":
        from amfs_lab.experiments import figures

        maml, solve = curves(result).values()
        steps = range(result.config["most"] + 1)
        return figures.accuracy_by_steps([maml.interval(k) for k in steps], solve.interval(0))


EXPERIMENT = Figure2()
run, load, table = EXPERIMENT.run, EXPERIMENT.load, EXPERIMENT.table


def gathered(config: Figure2Config, training: list[dict[str, Any]], rows: list[Rows]) -> Result:
    """A result made from existing measurements, such as those of a lesson. `rows` has one entry for each seed."""
    return EXPERIMENT.result(config, _stacked(training, rows))


def _stacked(training: list[dict[str, Any]], rows: list[Rows]) -> Measured:
    return Measured(
        {name: np.stack([each[name] for each in rows]) for name in rows[0]}, list(range(len(rows))), training
    )


def measure(
    learners: Mapping[str, MetaLearner], source: EpisodeSource, episodes: int, most: int = 10
) -> dict[str, np.ndarray]:
    """Correct answers and times of all learners on the same episodes 0, 1, ....

    MAML is measured after 0, 1, ..., `most` inner steps.

    Returns:
        `"right METHOD"`: numbers of correct answers. `"microseconds METHOD"`: times from support set to scores. Both
        have shape (episodes steps). `steps` is `most` + 1 for MAML, and 1 for a learner with one solve.
    """
    check_episodes(episodes)
    found: dict[str, list[np.ndarray]] = {}
    for index in range(-1, episodes):  # index -1 is a warm-up that is not counted
        for name, learner in learners.items():
            episode = source[max(index, 0)].to(learner.device)
            right, seconds = read(learner, episode, most)
            if index >= 0:
                found.setdefault(f"right {name}", []).append(right.astype(np.int16))
                found.setdefault(f"microseconds {name}", []).append((1e6 * seconds).round().astype(np.int32))
    return {name: np.stack(values) for name, values in found.items()}


@torch.no_grad()
def read(learner: MetaLearner, episode: Episode, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of correct answers in one episode, and the seconds to compute them.

    Both have one entry for each number of inner steps from 0 to `most`. A learner with one solve has only one entry.
    """
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
    return int((scores.argmax(1) == query.y).sum())  # also waits for the device


@dataclass(frozen=True)
class Curve:
    """Accuracies and times of one method, both of shape (seeds episodes steps)."""

    per_episode: np.ndarray
    microseconds: np.ndarray

    @classmethod
    def of(cls, rows: Mapping[str, np.ndarray], method: str, answers: int) -> "Curve":
        return cls(rows[f"right {method}"] / answers, rows[f"microseconds {method}"])

    def at(self, steps: int, episodes: int | None = None) -> torch.Tensor:
        """Accuracy of each episode after `steps` inner steps, averaged over seeds. For I-AMFS, `steps` is ignored."""
        column = min(steps, self.per_episode.shape[2] - 1)
        return torch.from_numpy(self.per_episode[:, :episodes, column].mean(0))

    def interval(self, steps: int, episodes: int | None = None, level: float = 0.95) -> Interval:
        return accuracy_interval(self.at(steps, episodes), level)

    def milliseconds(self, steps: int) -> float:
        """The median time of a task in milliseconds, after `steps` inner steps."""
        column = min(steps, self.microseconds.shape[2] - 1)
        return float(np.median(self.microseconds[:, :, column])) / 1e3


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


def curves(result: Result) -> dict[str, Curve]:
    """The curve of each method, by the name of the method."""
    answers = EpisodeConfig(**result.config["episode"]).answers
    return {method: Curve.of(result.rows, method, answers) for method in METHODS}
