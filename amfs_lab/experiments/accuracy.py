"""Accuracy of several methods after the same training time, on tasks of several shapes.

All train in turns in one process, with BatchNorm that sees all of an episode's queries (transductive). Then each is
asked about the same unseen episodes twice: as it was trained, and with BatchNorm that sees the support set alone.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from amfs_lab.backbones import BATCH_NORMS, FLOAT32
from amfs_lab.config import TrainingConfig, preset
from amfs_lab.errors import ConfigError
from amfs_lab.evaluation import check_episodes, evaluate, group_of
from amfs_lab.experiments.result import Result, alike, check_free, code_version, machine, plain, whole
from amfs_lab.experiments.turns import side_by_side
from amfs_lab.inner import GradientLoop, Maml
from amfs_lab.learner import MetaLearner
from amfs_lab.plain import shown
from amfs_lab.stats import Interval, accuracy_difference, accuracy_interval, accuracy_p_value, holm, mean_interval
from amfs_lab.tasks import SPLITS, EpisodeConfig, open_source
from amfs_lab.training import MetaTrainer

NAME = "accuracy"
SHAPES = {"5w1s": EpisodeConfig(5, 1, 15), "5w5s": EpisodeConfig(5, 5, 15), "20w1s": EpisodeConfig(20, 1, 5)}


@dataclass(frozen=True)
class Recipe:
    """What a method trains on. A learner by gradient steps has a head for its own number of ways, and no other."""

    episode: EpisodeConfig
    meta_lr: float


# MAML trains on 5-way tasks, for its head; the others on harder ones. No more than the outer rates was chosen for this,
# on five of Omniglot's training alphabets, held out from short runs; the inner loops are as `amfs_lab.config` has them.
RECIPES: dict[str, Recipe] = {
    "i-amfs": Recipe(EpisodeConfig(20, 1, 5), 3e-3),
    "amfs": Recipe(EpisodeConfig(20, 1, 5), 3e-3),
    "maml": Recipe(EpisodeConfig(5, 1, 5), 3e-3),
    "prototypes": Recipe(EpisodeConfig(20, 1, 5), 3e-3),
}


@dataclass(frozen=True)
class AccuracyConfig:
    """What is trained, for how long, and how it is asked.

    Args:
        seconds: training time of each method. meta_steps: their meta-steps, if that comes first.
        split: what they are asked about, and how many `episodes` of each shape.
        precision: of Conv-4, in all methods but MAML, which stays with float32 (see `devices.pick_precision`).
        methods: what each of them trains on. The rest is of all, see `TrainingConfig`.
    """

    source: str = "omniglot"
    split: str = "validation"
    seconds: float | None = 480.0
    meta_steps: int = 100_000
    episodes: int = 600
    width: int = 32
    tasks: int = 4
    schedule: str = "cosine"
    augment: tuple[str, ...] = ("rotations",)
    precision: str = FLOAT32
    seed: int = 0
    methods: Mapping[str, Recipe] = field(default_factory=lambda: dict(RECIPES))

    def __post_init__(self) -> None:
        if self.split not in SPLITS[1:]:
            raise ConfigError(f"AccuracyConfig.split must be one of {', '.join(SPLITS[1:])}. Got {self.split!r}.")
        if not self.methods:
            raise ConfigError(f"AccuracyConfig.methods must name at least one of {', '.join(RECIPES)}. Got none.")
        check_episodes(self.episodes)
        for method in self.methods:
            training = self.training(method)  # refuses what training would refuse, before anything is computed
            if not any(evaluation_settings(training, SHAPES)):
                raise ConfigError(
                    f"AccuracyConfig.methods: {method} can be asked about tasks of the ways that it trains on, and no "
                    f"others: they must be those of one of {', '.join(SHAPES)}. Got {training.episode.ways}."
                )

    def training(self, method: str) -> TrainingConfig:
        """The settings of one of its trainings."""
        recipe = self.methods[method]
        same = ("source", "seconds", "width", "tasks", "schedule", "augment", "seed")
        return preset(
            method,
            precision=FLOAT32 if isinstance(preset(method).inner, Maml) else self.precision,
            episode=recipe.episode,
            meta_lr=recipe.meta_lr,
            norm="transductive",
            steps=self.meta_steps,
            validate_every=0,
            **{name: getattr(self, name) for name in same},
        )


def evaluation_settings(training: TrainingConfig, shapes: Mapping[str, EpisodeConfig]) -> Iterator[tuple[str, str]]:
    """Names of the shapes of task that one trained so can be asked about, each with each norm."""
    has_head = isinstance(training.inner, GradientLoop)
    for name, shape in shapes.items():
        if not has_head or shape.ways == training.episode.ways:
            for norm in BATCH_NORMS:
                yield name, norm


def key(method: str, shape: str, norm: str) -> str:
    """The name of a row: `"i-amfs 5w1s transductive"`."""
    return f"{method} {shape} {norm}"


def run(
    config: AccuracyConfig,
    root: Path | None = None,
    device: str = "cpu",
    report: Callable[[str], None] = lambda words: None,
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
    asked = {name: open_source(config.source, config.split, shape, root) for name, shape in SHAPES.items()}
    at_start = {"code": code_version(), "machine": machine()}
    trainers = {method: MetaTrainer(config.training(method), root=root, device=device) for method in config.methods}
    training = []
    for method, last in side_by_side({name: trainer.run() for name, trainer in trainers.items()}).items():
        training.append(asdict(last) | {"seed": config.seed})
        report(f"{method}: {last.step} meta-steps in {last.seconds:.0f} s, loss {last.loss:.3f}")
    rows: dict[str, np.ndarray] = {}
    for method, trainer in trainers.items():
        for shape, norm in evaluation_settings(trainer.config, SHAPES):
            answered = evaluate(with_norm(trainer.learner, trainer.config, norm), asked[shape], config.episodes)
            right = (answered.per_episode * SHAPES[shape].answers).round()
            rows[key(method, shape, norm)] = right.numpy().astype(np.int16)
            report(f"{key(method, shape, norm)}: {answered.accuracy.percent()}")
    in_full = {  # what the rows depend on as well
        "shapes": {name: asdict(shape) for name, shape in SHAPES.items()},
        "trainings": {method: trainer.config.to_dict() for method, trainer in trainers.items()},
    }
    result = Result(NAME, asdict(config) | in_full, [config.seed], training, rows, summary(rows, SHAPES), **at_start)
    if folder is not None:
        result.save(folder)
    return result


def with_norm(learner: MetaLearner, config: TrainingConfig, norm: str) -> MetaLearner:
    """The same parameters with other statistics."""
    if norm == config.norm:
        return learner
    other = replace(config, norm=norm).build()
    other.load_state_dict(learner.state_dict())
    return other.to(learner.device)


def accuracies(right: np.ndarray, shape: EpisodeConfig) -> torch.Tensor:
    """Accuracy of each episode, from how many answers were right."""
    return torch.from_numpy(right.astype(np.float64) / shape.answers)


def summary(rows: Mapping[str, np.ndarray], shapes: Mapping[str, EpisodeConfig]) -> dict[str, Any]:
    """Means and 95 % intervals over episodes; and, in pairs on the same episodes, by how much I-AMFS is ahead."""
    found: dict[str, Any] = {}
    for name in rows:
        _, shape, norm = name.split()
        own = accuracies(rows[name], shapes[shape])
        found[name] = {"accuracy": plain(accuracy_interval(own))}
        solve = key("i-amfs", shape, norm)
        if solve in rows and solve != name:
            found[name]["i-amfs minus it"] = plain(accuracy_difference(accuracies(rows[solve], shapes[shape]), own))
    return found


def adjusted(result: Result) -> dict[tuple[str, str], float]:
    """p-values of each method's difference to I-AMFS on each shape, adjusted by Holm for being so many.

    One question a method and shape, asked with the norm of the training: the rows with the other norm are nearly
    copies of these. They speak of these trainings on episodes of these classes, not of the methods.
    """
    shapes, p_values = _shapes(result), {}
    for name, right in result.rows.items():
        method, shape, norm = name.split()
        solve = result.rows.get(key("i-amfs", shape, norm))
        if solve is not None and method != "i-amfs" and norm == result.config["trainings"][method]["norm"]:
            own, other = (accuracies(each, shapes[shape]) for each in (right, solve))
            p_values[method, shape] = accuracy_p_value(other, own)
    return dict(zip(p_values, holm(list(p_values.values())), strict=True))


def over_groups(
    result: Result, method: str, shape: str, minus: str | None = None, root: Path | None = None
) -> Interval:
    """A method's accuracy on *other* alphabets or scripts, or by how much it is ahead of the method `minus` there.

    An episode's accuracy is the mean of those of its classes' groups, by the number of classes; the groups' accuracies
    are fitted to all episodes by least squares, and each counts once. The norm is that of the training.

    Args:
        root: where to look for the data first; they tell the classes of each episode.
    """
    config = _shapes(result)[shape]
    drawn = _groups(result.config["source"], result.config["split"], config, result.config["episodes"], root)
    groups = sorted({name for names in drawn for name in names})
    counts = torch.tensor([[names.count(group) for group in groups] for names in drawn], dtype=torch.float64)
    rows = [
        accuracies(result.rows[key(each, shape, result.config["trainings"][each]["norm"])], config)
        for each in (method, minus)
        if each is not None
    ]
    values = rows[0] if minus is None else rows[0] - rows[1]
    fitted = torch.linalg.lstsq(counts / config.ways, values[:, None]).solution[:, 0]
    return mean_interval(fitted, of="groups of classes")


@lru_cache(maxsize=8)
def _groups(source: str, split: str, config: EpisodeConfig, episodes: int, root: Path | None) -> list[list[str]]:
    """The group of each class of each episode."""
    opened = open_source(source, split, config, root)
    return [list(map(group_of, opened.classes_of(i))) for i in range(episodes)]


def load(folder: Path | str) -> Result:
    """A stored result: a row for each question that its trainings could be asked, and the summary that they give.

    Raises:
        DataError: no result of this experiment, or one whose parts don't agree.
    """
    result = Result.load(folder, NAME)
    with whole(folder):
        _check(result)
    return result


def _check(result: Result) -> None:
    for name in ("shapes", "trainings"):
        if not isinstance(result.config[name], dict):
            raise ValueError(f"{shown(result.config[name])} for `{name}`")
    shapes = _shapes(result)
    trainings = {method: TrainingConfig.from_dict(each) for method, each in result.config["trainings"].items()}
    for methods in (list(result.config["methods"]), [run["method"] for run in result.training]):
        if sorted(methods) != sorted(trainings):
            raise ValueError(f"trainings of {', '.join(methods) or 'no method'}, not of {', '.join(trainings)}")
    most = {
        key(method, shape, norm): shapes[shape].answers
        for method, training in trainings.items()
        for shape, norm in evaluation_settings(training, shapes)
    }
    if different := sorted(most.keys() ^ result.rows.keys()):
        raise ValueError(f"{'no' if different[0] in most else 'an unasked'} row `{different[0]}`")
    for name, right in result.rows.items():
        if right.shape != (result.config["episodes"],):
            raise ValueError(f"`{name}` of shape {right.shape}, not {(result.config['episodes'],)}")
        if not ((right >= 0) & (right <= most[name])).all():
            raise ValueError(f"`{name}` with {right.min()} to {right.max()} right answers of {most[name]}")
    if not alike(summary(result.rows, shapes), result.summary):
        raise ValueError("a summary that its rows do not give")


def _shapes(result: Result) -> dict[str, EpisodeConfig]:
    return {name: EpisodeConfig(**shape) for name, shape in result.config["shapes"].items()}


def table(result: Result) -> str:
    """The accuracies as a table in Markdown: one line a method and norm, with its meta-steps."""
    shapes, steps = _shapes(result), {run["method"]: run["step"] for run in result.training}
    heads = [str(shape) for shape in shapes.values()]
    lines = [f"| method | meta-steps | norm | {' | '.join(heads)} |", "|---|---|---|" + "---|" * len(heads)]
    for method in result.config["methods"]:
        for norm in BATCH_NORMS:
            cells = [_cell(result.rows.get(key(method, name, norm)), shape) for name, shape in shapes.items()]
            lines.append(f"| {method} | {steps[method]} | {norm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(right: np.ndarray | None, shape: EpisodeConfig) -> str:
    if right is None:
        return "–"  # the method can't be asked
    return f"{accuracy_interval(accuracies(right, shape)).hundredths()} %"
