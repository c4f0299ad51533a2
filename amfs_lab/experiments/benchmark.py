"""The base of the tables of the paper: methods, each trained with several seeds for equal time, on the same episodes.

Protocol. Each method first tries the same number of outer learning rates, in short runs that are judged on validation
classes. Then it is trained with each seed for the same number of baseline steps (see `budgets`). Its learner is
evaluated at the end (`END`, equal time) and after as many meta-steps as the reference method makes (`COMMON`, equal
meta-steps). All learners are evaluated on the same episodes of unseen classes.
"""

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from amfs_lab import files
from amfs_lab.backbones import BATCH_NORMS, FLOAT32
from amfs_lab.calibration import BINS, calibration_error
from amfs_lab.config import TrainingConfig
from amfs_lab.errors import ConfigError
from amfs_lab.experiments.budgets import BUDGETS, meta_steps, prices
from amfs_lab.experiments.experiment import Experiment, Measured, Report, Rows, accuracies, check_common, check_counts
from amfs_lab.experiments.pool import COMMON, END, Job, Pool, Question
from amfs_lab.experiments.result import Result, plain
from amfs_lab.markdown import markdown_table
from amfs_lab.methods import METHODS
from amfs_lab.stats import Interval, accuracy_interval, crossed_interval, together
from amfs_lab.tasks import EpisodeConfig, data_set

if TYPE_CHECKING:
    from amfs_lab.plots import SavableFigure

REFERENCE = "maml"
TRANSDUCTIVE, SUPPORT = BATCH_NORMS
# What is evaluated: (norm, time). With the support set's statistics only at the end.
KINDS = ((TRANSDUCTIVE, END), (SUPPORT, END), (TRANSDUCTIVE, COMMON))
TRY_SEED, TRY_SHARE, TRY_EPISODES = 1000, 0.2, 200  # of the short runs that choose the outer learning rate


@dataclass(frozen=True)
class BenchmarkConfig:
    """Settings of a table. Settings that `TrainingConfig` also has are the same for all methods.

    Args:
        source: data set of the training episodes.
        split: split of unseen classes for the evaluation.
        baseline_steps: budget of each training run, in steps of supervised training.
        seeds: training runs of each method; their seeds are 0, 1, ....
        episodes: episodes of each shape to evaluate on.
        width: filters of Conv-4.
        tasks: episodes in a meta-step.
        average: decay of the moving average of the meta-parameters.
        precision: number format of the backbone.
        rates: outer learning rates that each method tries.
        rows: rows of the table to measure, beside the reference; empty: all.
    """

    source: str = "glyphs"
    split: str = "test"
    baseline_steps: int = BUDGETS["quick"]["baseline_steps"]
    seeds: int = 3
    episodes: int = 600
    width: int = 32
    tasks: int = 4
    average: float = 0.99
    precision: str = FLOAT32
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)
    rows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_common(self)
        data_set(self.source)
        for name in ("baseline_steps", "tasks"):
            if not isinstance(value := getattr(self, name), int) or value < 1:
                raise ConfigError(f"BenchmarkConfig.{name} must be an integer >= 1. Got {value!r}.")
        if not self.rates or not all(rate > 0 for rate in self.rates):
            raise ConfigError(f"BenchmarkConfig.rates must have at least one rate > 0. Got {self.rates!r}.")

    def training(self, method: str, **changes: Any) -> TrainingConfig:
        """The settings of a method's training run, without its length and outer learning rate."""
        row, data = METHODS[method], data_set(self.source)
        ways = 5 if row.has_head else data.ways
        settings: dict[str, Any] = dict(
            method=method,
            inner=row.inner,
            outer=row.outer,
            source=self.source,
            episode=EpisodeConfig(ways, 1, 5),
            tasks=self.tasks,
            width=self.width,
            precision=self.precision,
            schedule="cosine",
            average=self.average,
            augment=data.augment,
            validate_every=0,
        )
        return TrainingConfig(**settings | changes)


@dataclass(frozen=True)
class Column:
    """A column of a table: episodes of one data set and shape, without the training classes of `unseen_by`."""

    source: str
    split: str
    shape: EpisodeConfig = field(default_factory=EpisodeConfig)
    unseen_by: str = ""


class Benchmark(Experiment[BenchmarkConfig]):
    """A table of methods against data sets and shapes."""

    config = BenchmarkConfig
    hidden = ("tasks", "average")
    reference = REFERENCE

    @property
    def option_help(self) -> Mapping[str, str]:  # type: ignore[override]
        rows = ", ".join(self.variants(self.config()))
        return {"rows": f"rows of the table to measure, beside the reference, of {rows} (default all)"}

    @abstractmethod
    def variants(self, config: BenchmarkConfig) -> dict[str, TrainingConfig]:
        """The training of each row of the table, by the name of the row."""

    @abstractmethod
    def columns(self, config: BenchmarkConfig) -> dict[str, Column]:
        """The columns by name. A learner with a head is evaluated on the columns with its number of ways."""

    def rival(self, variant: str) -> str | None:
        """The row that this row is compared with; None: no comparison."""
        return None if variant == self.reference else self.reference

    def configure(self, given: dict[str, Any]) -> BenchmarkConfig:
        return BenchmarkConfig(**BUDGETS[given.pop("budget", "quick")] | given)

    def title(self, config: BenchmarkConfig) -> str:
        return f"{self.help[0].upper()}{self.help[1:]}, on {config.source}, {config.split}"

    def folder(self, config: BenchmarkConfig) -> str:
        return f"{self.name}-{config.source}"

    def trainings(self, root: Path | None, device: str, folder: Path | None, resume: bool, jobs: int) -> Pool:
        return Pool((folder or Path("runs") / "table").parent / "trained", root, device, jobs)

    def chosen(self, config: BenchmarkConfig) -> dict[str, TrainingConfig]:
        """The variants that the configuration names, the rows that they are compared with, and the reference."""
        found = self.variants(config)
        if unknown := [name for name in config.rows if name not in found]:
            raise ConfigError(f"A row must be one of {', '.join(found)}. Got {', '.join(unknown)}.")
        wanted = {*config.rows, *(self.rival(name) for name in config.rows), self.reference}
        return {name: found[name] for name in found if not config.rows or name in wanted}

    def measure(self, config: BenchmarkConfig, trainings: Pool, report: Report) -> Measured:
        variants, columns = self.chosen(config), self.columns(config)
        for column in columns.values():
            trainings.source(column)  # missing data are an error before any training
        price = _prices(variants, trainings)
        steps = {name: meta_steps(config.baseline_steps, price[name]) for name in variants}
        common = min(steps.values())
        report(f"Budget: {config.baseline_steps} steps of supervised training. Price of a meta-step, and meta-steps:")
        report("\n".join(f"  {name}: {price[name]:.2f}, {steps[name]}" for name in variants))
        report("Validation accuracy after a short run with each outer learning rate:")
        tries = self._tries(config, variants, steps, trainings)
        for name, found in tries.items():
            report(f"  {name}: " + ", ".join(f"rate {rate} {100 * share:.2f} %" for rate, share in found.items()))
        rates = {name: float(max(found, key=lambda rate: found[rate])) for name, found in tries.items()}
        jobs, keys = [], []
        for seed in range(config.seeds):
            for name, training in variants.items():
                whole = replace(training, steps=steps[name], meta_lr=rates[name], seed=seed)
                asked = {
                    (column, norm, at): Question(
                        each.source, each.split, each.shape, norm, at, config.episodes, each.unseen_by
                    )
                    for column, each in fitting(columns, training).items()
                    for norm, at in KINDS
                }
                jobs.append(Job(whole, tuple(asked.values()), common))
                keys.append((name, asked))
        answers = trainings.answers(jobs)
        rows: dict[str, list[np.ndarray]] = {}
        for (name, asked), found in zip(keys, answers, strict=True):
            for (column, norm, at), question in asked.items():
                own = key(name, column, norm, at)
                rows.setdefault(own, []).append(found[question].correct)
                rows.setdefault(f"{own} reliability", []).append(found[question].reliability)
        settings = {
            "variants": {name: training.to_dict() for name, training in variants.items()},
            "columns": {name: asdict(column) for name, column in columns.items()},
            "prices": price,
            "steps": steps,
            "common": common,
            "tries": tries,
        }
        seeds = list(range(config.seeds))
        runs = [{"method": name, "seed": seed, "step": steps[name]} for name in variants for seed in seeds]
        return Measured({name: np.stack(each) for name, each in rows.items()}, seeds, runs, settings)

    def _tries(
        self, config: BenchmarkConfig, variants: Mapping[str, TrainingConfig], steps: Mapping[str, int], pool: Pool
    ) -> dict[str, dict[str, float]]:
        """The validation accuracy of each variant after a short run with each outer learning rate."""
        jobs = []
        for name, training in variants.items():
            short = max(1, round(TRY_SHARE * steps[name]))
            for rate in config.rates:
                run = replace(training, steps=short, meta_lr=rate, seed=TRY_SEED)
                shape = EpisodeConfig(5, 1, 15)
                episodes = min(TRY_EPISODES, config.episodes)
                asked = Question(config.source, "validation", shape, TRANSDUCTIVE, END, episodes)
                jobs.append(Job(run, (asked,), short))
        answers = iter(pool.answers(jobs))
        return {
            name: {
                f"{rate:g}": round(float(next(iter(next(answers).values())).correct.mean()) / 75, 6)
                for rate in config.rates
            }
            for name in variants
        }

    def summary(self, rows: Rows, config: Mapping[str, Any]) -> dict[str, Any]:
        """For each row: accuracy with an interval over trainings and episodes, calibration error, and the difference to
        its rival. Differences are paired by seed and episode, and their intervals hold for all rows together."""
        shape, found = shapes(config), {}
        level = together(0.95, max(1, sum(self.rival(variant) is not None for variant in config["variants"])))
        for name in rows:
            if name.endswith(" reliability"):
                continue
            variant, column, norm, at = name.split()
            own = accuracies(rows[name], shape[column])
            table = torch.from_numpy(rows[f"{name} reliability"].astype(np.float64)).sum(0)
            found[name] = {"accuracy": plain(over_all(own)), "calibration error": round(calibration_error(table), 6)}
            other = rows.get(key(self.rival(variant) or "", column, norm, at))
            if other is not None:
                gap = own - accuracies(other, shape[column])
                found[name]["ahead"] = plain(over_all(gap, level))
        return found

    def check(self, result: Result) -> None:
        config, shape = result.config, shapes(result.config)
        seeds, episodes = len(result.seeds), config["episodes"]
        trainings = {name: TrainingConfig.from_dict(each) for name, each in config["variants"].items()}
        columns = {name: Column(**each | {"shape": shape[name]}) for name, each in config["columns"].items()}
        expected = {
            key(name, column, norm, at)
            for name, training in trainings.items()
            for column in fitting(columns, training)
            for norm, at in KINDS
        }
        if different := sorted((expected | {f"{name} reliability" for name in expected}) ^ result.rows.keys()):
            raise ValueError(f"the row `{different[0]}` is missing, or does not belong to the configuration")
        for name in expected:
            answers = shape[name.split()[1]].answers
            check_counts(name, result.rows[name], (seeds, episodes), answers)
            table = result.rows[f"{name} reliability"]
            if table.shape != (seeds, BINS, 3) or not (table[:, :, 0].sum(1) == episodes * answers).all():
                raise ValueError(f"`{name} reliability` must count {episodes * answers} answers for each seed")
            if not (table[:, :, 2].sum(1) == result.rows[name].sum(1)).all():
                raise ValueError(f"`{name} reliability` must have as many correct answers as `{name}`")

    def table(self, result: Result) -> str:
        """Accuracies at equal time: one line for each method, with its meta-steps, and its verdict in each column."""
        return self.table_of(result, TRANSDUCTIVE, END)

    def legend(self, result: Result) -> str:
        """The meaning of the cells of the table."""
        variants = result.config["variants"]
        rivals: dict[str, list[str]] = {}
        for name in variants:
            if rival := self.rival(name):
                rivals.setdefault(rival, []).append(name)
        compared = "; ".join(f"{', '.join(names)}: with {rival}" for rival, names in rivals.items())
        return (
            f"Accuracy over {result.config['episodes']} episodes and {len(result.seeds)} trainings, with a 95 % "
            "interval over both. In brackets: better, worse or unclear in a paired comparison, corrected for the "
            f"number of rows ({compared}). –: a head with another number of ways."
        )

    def remarks(self, result: Result) -> Sequence[str]:
        return (self.legend(result),)

    def table_of(self, result: Result, norm: str, at: str) -> str:
        columns, config = list(result.config["columns"]), result.config
        lines = []
        for name in config["variants"]:
            steps = config["steps"][name] if at == END else config["common"]
            cells = [_cell(result.summary.get(key(name, column, norm, at))) for column in columns]
            lines.append([name, f"{steps}", *cells])
        return markdown_table(["method", "meta-steps", *columns], lines)

    def calibration_table(self, result: Result) -> str:
        """The expected calibration error of each method, in points, at equal time."""
        columns = list(result.config["columns"])
        lines = []
        for name in result.config["variants"]:
            found = [result.summary.get(key(name, column, TRANSDUCTIVE, END)) for column in columns]
            lines.append([name, *("–" if each is None else f"{100 * each['calibration error']:.1f}" for each in found)])
        return markdown_table(["method", *columns], lines)

    def reliability(self, result: Result) -> "SavableFigure":
        """Reliability diagrams at equal time: how often an answer of a given confidence is correct."""
        from amfs_lab.experiments import figures

        found = {
            column: {
                name: result.rows[f"{own} reliability"].sum(0)
                for name in result.config["variants"]
                if (own := key(name, column, TRANSDUCTIVE, END)) in result.rows
            }
            for column in result.config["columns"]
        }
        return figures.reliability(found)

    def figure(self, result: Result) -> "SavableFigure":
        from amfs_lab.experiments import figures

        panels = {
            column: {
                name: Interval(**found["accuracy"])
                for name in result.config["variants"]
                if (found := result.summary.get(key(name, column, TRANSDUCTIVE, END)))
            }
            for column in result.config["columns"]
        }
        return figures.intervals(panels, f"% correct, {result.config['source']}")


def key(variant: str, column: str, norm: str, at: str) -> str:
    """The name of a row: `"maml 5w1s transductive end"`."""
    return f"{variant} {column} {norm} {at}"


def fitting(columns: Mapping[str, Column], training: TrainingConfig) -> dict[str, Column]:
    """The columns on which a learner of this training can be evaluated."""
    has_head = METHODS[training.method].has_head
    return {name: each for name, each in columns.items() if not has_head or each.shape.ways == training.episode.ways}


def verdict(ahead: Mapping[str, Any] | None) -> str:
    """Better, worse or unclear, by the interval of the difference to the reference; empty for the reference."""
    if ahead is None:
        return ""
    gap = Interval(**ahead)
    return "better" if gap.low > 0 else "worse" if gap.high < 0 else "unclear"


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "–"
    word = verdict(found.get("ahead"))
    return f"{Interval(**found['accuracy']).hundredths()} %" + (f" ({word})" if word else "")


def over_all(values: torch.Tensor, level: float = 0.95) -> Interval:
    """An interval over trainings and episodes; without half width for one training, which says nothing of a method."""
    if len(values) > 1:
        return crossed_interval(values, level)
    return replace(accuracy_interval(values[0], level), half_width=None, n=1, of="trainings")


def shapes(config: Mapping[str, Any]) -> dict[str, EpisodeConfig]:
    """The shape of the episodes of each column, from the configuration of a result."""
    return {name: EpisodeConfig(**each["shape"]) for name, each in config["columns"].items()}


def _prices(variants: Mapping[str, TrainingConfig], pool: Pool) -> dict[str, float]:
    """The prices of the variants. They are measured once and kept in the pool, because they decide the meta-steps."""
    path = pool.folder / "prices.json"
    known: dict[str, float] = files.read_json(path) if path.is_file() else {}
    names = {name: Job(training, (), 0).name for name, training in variants.items()}
    missing = {names[name]: training for name, training in variants.items() if names[name] not in known}
    if missing:
        threads = torch.get_num_threads()
        torch.set_num_threads(pool.threads)  # as in training
        try:
            known |= prices(missing, pool.root)
        finally:
            torch.set_num_threads(threads)
        pool.folder.mkdir(parents=True, exist_ok=True)
        with files.replacing(path, text=True) as file:
            file.write(json.dumps(known, indent=1) + "\n")
    return {name: known[names[name]] for name in variants}
