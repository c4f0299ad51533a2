"""What short numbers cost in accuracy: each method trained in float32 and again in bfloat16, with several seeds.

Both trainings of a seed start from the same parameters and see the same episodes for the same number of meta-steps, in
turns. Each learner is then asked about the same unseen episodes in the precision that it was trained in.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from amfs_lab.backbones import BFLOAT16, FLOAT32, PRECISIONS
from amfs_lab.config import METHODS, TrainingConfig, preset
from amfs_lab.devices import pick_device
from amfs_lab.errors import ConfigError
from amfs_lab.evaluation import check_episodes, evaluate
from amfs_lab.experiments.accuracy import accuracies
from amfs_lab.experiments.result import Result, alike, check_free, code_version, machine, plain, whole
from amfs_lab.experiments.turns import side_by_side
from amfs_lab.stats import Interval, accuracy_difference, accuracy_interval, mean_interval
from amfs_lab.tasks import SPLITS, EpisodeConfig, open_source
from amfs_lab.training import MetaTrainer

NAME = "precision"


@dataclass(frozen=True)
class PrecisionConfig:
    """What is trained, for how long, and how it is asked.

    Args:
        methods: each is trained in both precisions. seeds: how often, with the seeds 0, 1, ...
        meta_steps: of each training. episode: what it trains on and is asked about.
        split: what they are asked about, and how many `episodes` of it.
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
        if not isinstance(self.seeds, int) or self.seeds < 1:
            raise ConfigError(f"PrecisionConfig.seeds must be an integer >= 1. Got {self.seeds!r}.")
        if self.split not in SPLITS[1:]:
            raise ConfigError(f"PrecisionConfig.split must be one of {', '.join(SPLITS[1:])}. Got {self.split!r}.")
        if not self.methods:
            raise ConfigError(f"PrecisionConfig.methods must name at least one of {', '.join(METHODS)}. Got none.")
        if len(set(self.methods)) < len(self.methods):
            raise ConfigError(f"PrecisionConfig.methods must name each once. Got {', '.join(self.methods)}.")
        check_episodes(self.episodes)
        for method in self.methods:
            self.training(method, FLOAT32, 0)  # refuses what training would refuse, before anything is computed

    def training(self, method: str, precision: str, seed: int) -> TrainingConfig:
        """The settings of one of its trainings."""
        same = ("source", "episode", "width", "schedule")
        return preset(
            method,
            precision=precision,
            seed=seed,
            steps=self.meta_steps,
            validate_every=0,
            **{name: getattr(self, name) for name in same},
        )


def run(
    config: PrecisionConfig,
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
        NumericalError: a training has come to nothing.
    """
    if folder is not None:
        check_free(folder)
    asked = open_source(config.source, config.split, config.episode, root)
    at_start = {"code": code_version(), "machine": machine() | {"device": str(pick_device(device))}}
    training: list[dict[str, Any]] = []
    rows = {
        f"{method} {precision}": np.zeros((config.seeds, config.episodes), np.int16)
        for method in config.methods
        for precision in PRECISIONS
    }
    for method in config.methods:
        for seed in range(config.seeds):
            trainers = {
                precision: MetaTrainer(config.training(method, precision, seed), root=root, device=device)
                for precision in PRECISIONS
            }
            last = side_by_side({precision: trainer.run() for precision, trainer in trainers.items()})
            for precision, trainer in trainers.items():
                training.append(asdict(last[precision]) | {"seed": seed, "precision": precision})
                answered = evaluate(trainer.learner, asked, config.episodes)
                right = (answered.per_episode * config.episode.answers).round()
                rows[f"{method} {precision}"][seed] = right.numpy().astype(np.int16)
                spent = f"{1000 * last[precision].seconds / last[precision].step:.0f} ms a meta-step"
                report(f"{method} {precision}, seed {seed}: {answered.accuracy.percent()}, {spent}")
    seeds = list(range(config.seeds))
    result = Result(NAME, asdict(config), seeds, training, rows, summary(rows, config.episode), **at_start)
    if folder is not None:
        result.save(folder)
    return result


def summary(rows: Mapping[str, np.ndarray], shape: EpisodeConfig) -> dict[str, Any]:
    """Of each method: both accuracies, with 95 % intervals over episodes, each averaged over the seeds; and, in pairs,
    by how much bfloat16 is ahead: of those averages, and seed by seed."""
    found: dict[str, Any] = {}
    for method in dict.fromkeys(name.rpartition(" ")[0] for name in rows):
        full, short = (
            torch.stack([accuracies(seed, shape) for seed in rows[f"{method} {precision}"]]) for precision in PRECISIONS
        )
        found[method] = {
            FLOAT32: plain(accuracy_interval(full.mean(0))),
            BFLOAT16: plain(accuracy_interval(short.mean(0))),
            "ahead": plain(accuracy_difference(short.mean(0), full.mean(0))),
            "ahead by seed": [plain(accuracy_difference(b, a)) for a, b in zip(full, short, strict=True)],
        }
    return found


def over_seeds(result: Result) -> Interval:
    """By how much bfloat16 is ahead, over *trainings*: pairs of one seed are one value, the mean of all methods.

    Pairs of one seed see the same tasks, so they are no samples of their own: the number of values is that of seeds.
    """
    shape = EpisodeConfig(**result.config["episode"])
    gaps = [
        accuracies(result.rows[f"{method} {BFLOAT16}"] - result.rows[f"{method} {FLOAT32}"], shape).mean(1)
        for method in result.config["methods"]
    ]
    return mean_interval(torch.stack(gaps).mean(0), of="seeds")


def load(folder: Path | str) -> Result:
    """A stored result: two rows a method, and the summary that they give.

    Raises:
        DataError: no result of this experiment, or one whose parts don't agree.
    """
    result = Result.load(folder, NAME)
    with whole(folder):
        _check(result)
    return result


def _check(result: Result) -> None:
    shape = EpisodeConfig(**result.config["episode"])
    expected = [f"{method} {precision}" for method in result.config["methods"] for precision in PRECISIONS]
    if sorted(expected) != sorted(result.rows):
        raise ValueError(f"rows {', '.join(result.rows)}, not {', '.join(expected)}")
    for name, right in result.rows.items():
        if right.shape != (len(result.seeds), result.config["episodes"]):
            raise ValueError(f"`{name}` of shape {right.shape}, not {(len(result.seeds), result.config['episodes'])}")
        if not ((right >= 0) & (right <= shape.answers)).all():
            raise ValueError(f"`{name}` with {right.min()} to {right.max()} right answers of {shape.answers}")
    trained = sorted((run["method"], run["precision"], run["seed"]) for run in result.training)
    if trained != sorted((*name.rsplit(" ", 1), seed) for name in expected for seed in result.seeds):
        raise ValueError("trainings that do not belong to its rows")
    if not alike(summary(result.rows, shape), result.summary):
        raise ValueError("a summary that its rows do not give")


def table(result: Result) -> str:
    """A line a method in Markdown: both accuracies, their difference in points, and the ratio of their times."""
    heads = ("method", FLOAT32, BFLOAT16, f"{BFLOAT16} ahead, points", f"meta-step, x {FLOAT32}")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for method, found in result.summary.items():
        full, short, ahead = (Interval(**found[name]) for name in (FLOAT32, BFLOAT16, "ahead"))
        cells = [f"{each.hundredths()} %" for each in (full, short)]
        cells += [ahead.hundredths(sign="+"), f"{times(result, method):.2f}"]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def times(result: Result, method: str) -> float:
    """Seconds of training in bfloat16 over those in float32, all seeds together."""
    spent = dict.fromkeys(PRECISIONS, 0.0)
    for run in result.training:
        if run["method"] == method:
            spent[run["precision"]] += run["seconds"]
    return spent[BFLOAT16] / spent[FLOAT32]
