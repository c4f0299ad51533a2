"""Accuracy of several methods after the same training time, on episodes of several shapes.

All methods train in turns in one process, with transductive BatchNorm, which uses all queries of an episode. Each
method is then evaluated twice on the same unseen episodes: with transductive BatchNorm, and with BatchNorm that uses
only the support set.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from amfs_lab.backbones import BATCH_NORMS, FLOAT32
from amfs_lab.config import TrainingConfig
from amfs_lab.errors import ConfigError
from amfs_lab.evaluation import evaluate, group_of
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
from amfs_lab.inner import GradientLoop, Maml
from amfs_lab.learner import MetaLearner
from amfs_lab.markdown import markdown_table
from amfs_lab.methods import METHODS
from amfs_lab.plain import shown
from amfs_lab.stats import Interval, accuracy_difference, accuracy_interval, accuracy_p_value, holm, mean_interval
from amfs_lab.tasks import SHAPES, EpisodeConfig, open_source

if TYPE_CHECKING:
    from amfs_lab.plots import SavableFigure


@dataclass(frozen=True)
class Recipe:
    """The training episodes of a method, and its outer learning rate."""

    episode: EpisodeConfig
    meta_lr: float


# A method with a linear head for 5 classes must train on 5-way episodes. The other methods train on harder episodes.
# Only the outer learning rates were chosen for this table, in short runs. Their validation data were five of Omniglot's
# training alphabets, which these runs did not train on.
RECIPES: dict[str, Recipe] = {
    method: Recipe(EpisodeConfig(5 if METHODS[method].has_head else 20, 1, 5), 3e-3)
    for method in ("i-amfs", "amfs", "maml", "prototypes")
}


@dataclass(frozen=True)
class AccuracyConfig:
    """Settings of the accuracy table. Settings that `TrainingConfig` also has are the same for all methods.

    Args:
        source: data set of the episodes.
        split: split of unseen classes for the evaluation.
        seconds: seconds of training for each method.
        meta_steps: meta-steps of each method.
        episodes: episodes of each shape to evaluate on.
        width: filters of Conv-4.
        tasks: episodes in a meta-step.
        schedule: schedule of the outer learning rate.
        augment: names of random changes of the training images; no name: no changes.
        precision: number format of Conv-4 for all methods except MAML, which uses float32.
        seed: seed of every training run.
        methods: methods to train, in turns.
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
        check_common(self)
        if not self.methods:
            raise ConfigError(f"AccuracyConfig.methods must name at least one of {', '.join(RECIPES)}. Got none.")
        for method in self.methods:
            training = self.training(method)  # checks the settings of the training before anything is computed
            if not any(evaluation_settings(training, SHAPES)):
                raise ConfigError(
                    f"AccuracyConfig.methods: {method} must be trained with the ways of one of {', '.join(SHAPES)}, "
                    f"because it can be evaluated only with these. Got {training.episode.ways} ways."
                )

    def training(self, method: str) -> TrainingConfig:
        """The configuration of the training run of a method."""
        recipe = self.methods[method]
        config = training_config(self, method, **vars(recipe), norm="transductive")
        return replace(config, precision=FLOAT32) if isinstance(config.inner, Maml) else config


def evaluation_settings(training: TrainingConfig, shapes: Mapping[str, EpisodeConfig]) -> Iterator[tuple[str, str]]:
    """The (episode shape, norm) pairs on which a trained method can be evaluated."""
    has_head = isinstance(training.inner, GradientLoop)
    for name, shape in shapes.items():
        if not has_head or shape.ways == training.episode.ways:
            for norm in BATCH_NORMS:
                yield name, norm


def key(method: str, shape: str, norm: str) -> str:
    """The name of a row of the result: `"i-amfs 5w1s transductive"`."""
    return f"{method} {shape} {norm}"


class Accuracy(Experiment[AccuracyConfig]):
    name = "accuracy"
    help = "accuracy of several methods after the same training time"
    config = AccuracyConfig
    hidden = ("tasks", "schedule")
    option_help = {
        "augment": f"names of random changes of the training images; no name: no changes (default "
        f"{' '.join(AccuracyConfig.augment)}, but none for glyphs)",
        "methods": "methods to train, in turns (default all)",
    }

    def configure(self, given: dict[str, Any]) -> AccuracyConfig:
        if given.get("source") == "glyphs":  # printed glyphs are not turned
            given = {"augment": ()} | given
        if "methods" in given:
            if unknown := sorted(set(given["methods"]) - set(RECIPES)):
                raise ConfigError(f"The method must be one of {', '.join(RECIPES)}. Got {', '.join(unknown)}.")
            given |= {"methods": {method: RECIPES[method] for method in given["methods"]}}
        return AccuracyConfig(**given)

    def title(self, config: AccuracyConfig) -> str:
        return f"Accuracy of {', '.join(config.methods)} on {config.source}, {config.split}"

    def folder(self, config: AccuracyConfig) -> str:
        return f"accuracy-{config.source}"

    def measure(self, config: AccuracyConfig, trainings: Trainings, report: Report) -> Measured:
        root = trainings.root
        sources = {name: open_source(config.source, config.split, shape, root) for name, shape in SHAPES.items()}
        trained = trainings.train({method: config.training(method) for method in config.methods})
        training = []
        for method, (_, last, _) in trained.items():
            training.append(asdict(last) | {"seed": config.seed})
            report(f"{method}: {last.step} meta-steps in {last.seconds:.0f} s, loss {last.loss:.3f}")
        rows: dict[str, np.ndarray] = {}
        for method, (learned, _, settings) in trained.items():
            for shape, norm in evaluation_settings(settings, SHAPES):
                learner = with_norm(learned, settings, norm)
                found = evaluate(learner, sources[shape], config.episodes)
                rows[key(method, shape, norm)] = correct_answers(found, SHAPES[shape])
                report(f"{key(method, shape, norm)}: {found.accuracy.percent()}")
        stored = {
            "shapes": {name: asdict(shape) for name, shape in SHAPES.items()},
            "trainings": {method: each.config.to_dict() for method, each in trained.items()},
        }
        return Measured(rows, [config.seed], training, stored)

    def summary(self, rows: Rows, config: Mapping[str, Any]) -> dict[str, Any]:
        """The mean of each row, with a 95 % interval over episodes.

        Each row also has an entry "i-amfs minus it". This is the paired difference: the accuracy of I-AMFS minus the
        accuracy of the row, on the same episodes.
        """
        shapes, found = _shapes(config), {}
        for name in rows:
            _, shape, norm = name.split()
            own = accuracies(rows[name], shapes[shape])
            found[name] = {"accuracy": plain(accuracy_interval(own))}
            solve = key("i-amfs", shape, norm)
            if solve in rows and solve != name:
                found[name]["i-amfs minus it"] = plain(accuracy_difference(accuracies(rows[solve], shapes[shape]), own))
        return found

    def check(self, result: Result) -> None:
        for name in ("shapes", "trainings"):
            if not isinstance(result.config[name], dict):
                raise ValueError(f"`{name}` must be an object. Got {shown(result.config[name])}")
        shapes = _shapes(result.config)
        trainings = {method: TrainingConfig.from_dict(each) for method, each in result.config["trainings"].items()}
        for methods in (list(result.config["methods"]), [run["method"] for run in result.training]):
            if sorted(methods) != sorted(trainings):
                got = ", ".join(methods) or "none"
                raise ValueError(f"the training runs must be those of {', '.join(trainings)}. Got {got}")
        most = {
            key(method, shape, norm): shapes[shape].answers
            for method, training in trainings.items()
            for shape, norm in evaluation_settings(training, shapes)
        }
        if different := sorted(most.keys() ^ result.rows.keys()):
            wrong = "is missing" if different[0] in most else "does not belong to the configuration"
            raise ValueError(f"the row `{different[0]}` {wrong}")
        for name, correct in result.rows.items():
            check_counts(name, correct, (result.config["episodes"],), most[name])

    def table(self, result: Result) -> str:
        """The accuracies as a Markdown table, with one line for each method and norm.

        Each line also has the number of meta-steps of the method.
        """
        shapes, steps = _shapes(result.config), {run["method"]: run["step"] for run in result.training}
        rows = [
            [method, str(steps[method]), norm]
            + [_cell(result.rows.get(key(method, name, norm)), shape) for name, shape in shapes.items()]
            for method in result.config["methods"]
            for norm in BATCH_NORMS
        ]
        return markdown_table(["method", "meta-steps", "norm", *map(str, shapes.values())], rows)

    def figure(self, result: Result) -> "SavableFigure":
        from amfs_lab.experiments import figures

        panels: dict[str, dict[str, Interval]] = {}
        for name, shape in _shapes(result.config).items():
            for method, training in result.config["trainings"].items():
                if (right := result.rows.get(key(method, name, training["norm"]))) is not None:
                    found = accuracy_interval(accuracies(right, shape))
                    panels.setdefault(str(shape), {})[METHODS[method].label] = found
        return figures.intervals(panels, f"% correct, {result.config['source']}")


EXPERIMENT = Accuracy()
run, load, table = EXPERIMENT.run, EXPERIMENT.load, EXPERIMENT.table


def with_norm(learner: MetaLearner, config: TrainingConfig, norm: str) -> MetaLearner:
    """A learner with the same parameters, but with the normalisation `norm`.

    Args:
        config: the configuration of the training of `learner`.
    """
    if norm == config.norm:
        return learner
    other = replace(config, norm=norm).build()
    other.load_state_dict(learner.state_dict())
    return other.to(learner.device)


def adjusted(result: Result) -> dict[tuple[str, str], float]:
    """p-values of the difference between each method and I-AMFS on each shape, adjusted by Holm for multiple tests.

    There is one test for each method and shape. The test uses only the norm of the training, because the results with
    the other norm are nearly equal. The p-values compare these training runs on episodes of these classes, not the
    methods in general.
    """
    shapes, p_values = _shapes(result.config), {}
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
    """A method's accuracy on *other* alphabets or scripts, with an interval over these groups of classes.

    The model assumes that each group has one accuracy. The accuracy of an episode is the mean of the group accuracies
    over its classes. Least squares fits the group accuracies to all episodes. The result is the mean of the fitted
    group accuracies. The episodes are evaluated with the norm of the training.

    Args:
        minus: if given, the result is the accuracy of `method` minus the accuracy of this method.
        root: first directory to search for the data, which give the classes of each episode.
    """
    config = _shapes(result.config)[shape]
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
    """The group (alphabet or script) of each class of each episode."""
    opened = open_source(source, split, config, root)
    return [list(map(group_of, opened.classes_of(i))) for i in range(episodes)]


def _shapes(config: Mapping[str, Any]) -> dict[str, EpisodeConfig]:
    return {name: EpisodeConfig(**shape) for name, shape in config["shapes"].items()}


def _cell(correct: np.ndarray | None, shape: EpisodeConfig) -> str:
    if correct is None:
        return "–"  # the method cannot be evaluated on this shape
    return f"{accuracy_interval(accuracies(correct, shape)).hundredths()} %"
