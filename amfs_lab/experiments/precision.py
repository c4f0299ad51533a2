"""Accuracy cost of bfloat16: each method is trained in float32 and again in bfloat16, with several seeds.

The two training runs of a seed start from the same parameters, and use the same episodes in the same number of
meta-steps. The two runs take turns: the run with the least training time makes the next step. Each learner is then
evaluated on the same unseen episodes, in its training precision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from amfs_lab.backbones import BFLOAT16, FLOAT32, PRECISIONS
from amfs_lab.config import TrainingConfig
from amfs_lab.errors import ConfigError
from amfs_lab.evaluation import evaluate
from amfs_lab.experiments.experiment import (
    Experiment,
    Measured,
    Report,
    Rows,
    accuracies,
    check_common,
    check_counts,
    correct_answers,
    training_config,
)
from amfs_lab.experiments.result import Result, plain
from amfs_lab.experiments.trainings import Trainings
from amfs_lab.markdown import markdown_table
from amfs_lab.methods import METHODS
from amfs_lab.stats import Interval, accuracy_difference, accuracy_interval, mean_interval
from amfs_lab.tasks import EpisodeConfig, open_source

if TYPE_CHECKING:
    from amfs_lab.plots import SavableFigure


@dataclass(frozen=True)
class PrecisionConfig:
    """Settings of the comparison of precisions. Settings that `TrainingConfig` also has are the same for all runs.

    Args:
        source: data set of the episodes.
        split: split of unseen classes for the evaluation.
        methods: methods to train in both precisions.
        seeds: number of training runs of each method and precision; their seeds are 0, 1, ....
        meta_steps: meta-steps of each training run.
        episode: shape of the episodes of training and evaluation.
        episodes: episodes to evaluate on.
        width: filters of Conv-4.
        schedule: schedule of the outer learning rate.
    """

    source: str = "glyphs"
    split: str = "validation"
    methods: tuple[str, ...] = ("i-amfs", "amfs", "anil", "prototypes")
    seeds: int = 3
    meta_steps: int = 300
    episode: EpisodeConfig = field(default_factory=EpisodeConfig)
    episodes: int = 600
    width: int = 64
    schedule: str = "cosine"

    def __post_init__(self) -> None:
        check_common(self)
        if not self.methods:
            raise ConfigError(f"PrecisionConfig.methods must name at least one of {', '.join(METHODS)}. Got none.")
        if len(set(self.methods)) < len(self.methods):
            raise ConfigError(f"PrecisionConfig.methods must name each method once. Got {', '.join(self.methods)}.")
        for method in self.methods:
            self.training(method, FLOAT32, 0)  # checks the settings of the training before anything is computed

    def training(self, method: str, precision: str, seed: int) -> TrainingConfig:
        """The configuration of the training run of a method, precision and seed."""
        return training_config(self, method, precision=precision, seed=seed)


class Precision(Experiment[PrecisionConfig]):
    name = "precision"
    help = "accuracy of methods trained in bfloat16 and in float32"
    config = PrecisionConfig
    hidden = ("episode", "schedule")

    def title(self, config: PrecisionConfig) -> str:
        return f"Precisions of {', '.join(config.methods)} on {config.source}, {config.split}"

    def folder(self, config: PrecisionConfig) -> str:
        return f"precision-{config.source}"

    def measure(self, config: PrecisionConfig, trainings: Trainings, report: Report) -> Measured:
        source = open_source(config.source, config.split, config.episode, trainings.root)
        training: list[dict[str, Any]] = []
        rows: dict[str, list[np.ndarray]] = {name: [] for name in _names(config.methods)}
        for method in config.methods:
            for seed in range(config.seeds):
                trained = trainings.train(
                    {f"{method}-{kind}-{seed}": config.training(method, kind, seed) for kind in PRECISIONS}
                )
                for learner, last, settings in trained.values():
                    precision = settings.precision
                    training.append(asdict(last) | {"seed": seed, "precision": precision})
                    found = evaluate(learner, source, config.episodes)
                    rows[f"{method} {precision}"].append(correct_answers(found, config.episode))
                    spent = f"{1000 * last.seconds / last.step:.0f} ms a meta-step"
                    report(f"{method} {precision}, seed {seed}: {found.accuracy.percent()}, {spent}")
        return Measured({name: np.stack(each) for name, each in rows.items()}, list(range(config.seeds)), training)

    def summary(self, rows: Rows, config: Mapping[str, Any]) -> dict[str, Any]:
        """Both accuracies of each method, and their paired difference: bfloat16 minus float32 ("ahead").

        The values are averages over seeds, with intervals over episodes. "ahead by seed" has one value for each seed.
        """
        shape, found = EpisodeConfig(**config["episode"]), {}
        for method in dict.fromkeys(name.rpartition(" ")[0] for name in rows):
            full, short = (
                torch.stack([accuracies(seed, shape) for seed in rows[f"{method} {precision}"]])
                for precision in PRECISIONS
            )
            found[method] = {
                FLOAT32: plain(accuracy_interval(full.mean(0))),
                BFLOAT16: plain(accuracy_interval(short.mean(0))),
                "ahead": plain(accuracy_difference(short.mean(0), full.mean(0))),
                "ahead by seed": [plain(accuracy_difference(b, a)) for a, b in zip(full, short, strict=True)],
            }
        return found

    def check(self, result: Result) -> None:
        shape, expected = EpisodeConfig(**result.config["episode"]), _names(result.config["methods"])
        if sorted(expected) != sorted(result.rows):
            raise ValueError(f"the rows must be {', '.join(expected)}. Got {', '.join(result.rows)}")
        for name, correct in result.rows.items():
            check_counts(name, correct, (len(result.seeds), result.config["episodes"]), shape.answers)
        trained = sorted((run["method"], run["precision"], run["seed"]) for run in result.training)
        if trained != sorted((*name.rsplit(" ", 1), seed) for name in expected for seed in result.seeds):
            raise ValueError("each row must have its training runs. Got other training runs")

    def table(self, result: Result) -> str:
        """One line for each method: both accuracies, their difference in points, and the ratio of training times."""
        difference, time = f"{BFLOAT16} minus {FLOAT32}, points", f"time of a meta-step / time in {FLOAT32}"
        head = ("method", FLOAT32, BFLOAT16, difference, time)
        rows = []
        for method, found in result.summary.items():
            full, short, ahead = (Interval(**found[name]) for name in (FLOAT32, BFLOAT16, "ahead"))
            both = [f"{each.hundredths()} %" for each in (full, short)]
            rows.append([method, *both, ahead.hundredths(sign="+"), f"{times(result, method):.2f}"])
        return markdown_table(head, rows)

    def figure(self, result: Result) -> "SavableFigure":
        from amfs_lab.experiments import figures

        ahead = {METHODS[method].label: Interval(**found["ahead"]) for method, found in result.summary.items()}
        return figures.intervals({result.config["source"]: ahead}, f"points, {BFLOAT16} minus {FLOAT32}", reference=0.0)


EXPERIMENT = Precision()
run, load, table = EXPERIMENT.run, EXPERIMENT.load, EXPERIMENT.table


def _names(methods: Sequence[str]) -> list[str]:
    return [f"{method} {precision}" for method in methods for precision in PRECISIONS]


def over_seeds(result: Result) -> Interval:
    """The accuracy difference bfloat16 minus float32, averaged over methods, with an interval over seeds.

    Each seed gives one value. Training runs of the same seed use the same tasks, so they are not independent samples.
    """
    shape = EpisodeConfig(**result.config["episode"])
    gaps = [
        accuracies(result.rows[f"{method} {BFLOAT16}"] - result.rows[f"{method} {FLOAT32}"], shape).mean(1)
        for method in result.config["methods"]
    ]
    return mean_interval(torch.stack(gaps).mean(0), of="seeds")


def times(result: Result, method: str) -> float:
    """Training time in bfloat16 divided by the training time in float32, each summed over all seeds."""
    spent = dict.fromkeys(PRECISIONS, 0.0)
    for run in result.training:
        if run["method"] == method:
            spent[run["precision"]] += run["seconds"]
    return spent[BFLOAT16] / spent[FLOAT32]
