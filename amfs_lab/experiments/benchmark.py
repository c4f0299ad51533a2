"""The base class of the tables of the paper: methods trained with several seeds, and evaluated on the same episodes.

First, each method makes a short run with each of several outer learning rates. The rates are the same for all methods.
The rate with the best accuracy on validation classes is chosen.

The method is then trained twice with each seed, each time with a whole cosine schedule. The first training takes the
same time for all methods (`TIME`). This time is counted in baseline steps (see `budgets`). The second training has the
same number of meta-steps for all methods: the number that the reference method makes in this time (`STEPS`). All
learners are evaluated on the same episodes of unseen classes.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from amfs_lab.backbones import FLOAT32
from amfs_lab.calibration import BINS, calibration_error
from amfs_lab.config import TrainingConfig
from amfs_lab.errors import ConfigError
from amfs_lab.experiments.benchmark_rows import (
    KINDS,
    TIME,
    TRANSDUCTIVE,
    has_probabilities,
    key,
    over_all,
    shapes,
    shares,
)
from amfs_lab.experiments.benchmark_tables import accuracy_table, intervals, reliability
from amfs_lab.experiments.budgets import BUDGETS, meta_steps, prices
from amfs_lab.experiments.experiment import Experiment, Measured, Report, Rows, check_common, check_counts
from amfs_lab.experiments.pool import PRICES, Job, Pool, Question, slug
from amfs_lab.experiments.result import Result, plain
from amfs_lab.methods import METHODS
from amfs_lab.stats import together
from amfs_lab.tasks import EpisodeConfig, data_set

if TYPE_CHECKING:
    from amfs_lab.plots import SavableFigure

REFERENCE = "maml"
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
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2)
    rows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_common(self)
        data_set(self.source)
        for name in ("baseline_steps", "tasks"):
            if not isinstance(value := getattr(self, name), int) or value < 1:
                raise ConfigError(f"BenchmarkConfig.{name} must be an integer >= 1. Got {value!r}.")
        if not self.rates or not all(rate > 0 for rate in self.rates) or len(set(self.rates)) < len(self.rates):
            raise ConfigError(f"BenchmarkConfig.rates must have different rates > 0, at least one. Got {self.rates!r}.")

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
    """A column of a table: evaluation episodes of one data set and shape.

    The field `unseen_by` names a training data set. The training classes of that data set are left out.
    """

    source: str
    split: str
    shape: EpisodeConfig = field(default_factory=EpisodeConfig)
    unseen_by: str = ""


class Plan(NamedTuple):
    """The trainings and evaluations that some rows of a table need.

    Args:
        prices: for each row, the time of a meta-step in baseline steps. steps: for each row, the number of meta-steps.
        tries: for each row and outer learning rate, the validation accuracy after a short run.
        asked: for each training, its evaluations, by the name of the row in the result.
    """

    prices: dict[str, float]
    steps: dict[str, int]
    tries: dict[str, dict[str, float]]
    asked: dict[TrainingConfig, dict[str, Question]]

    @property
    def jobs(self) -> list[Job]:
        """The trainings, each with its evaluations."""
        return [Job(training, tuple(dict.fromkeys(own.values()))) for training, own in self.asked.items()]


class Benchmark(Experiment[BenchmarkConfig]):
    """A table with methods as rows, and with data sets and episode shapes as columns."""

    config = BenchmarkConfig
    hidden = ("tasks", "average")
    reference = REFERENCE
    kinds = KINDS  # the measured pairs of the norm and of what is equal for all trainings

    @property
    def option_help(self) -> Mapping[str, str]:  # type: ignore[override]
        rows = ", ".join(self.variants(self.config()))
        return {"rows": f"rows of the table to measure, beside the reference, of {rows} (default all)"}

    @abstractmethod
    def variants(self, config: BenchmarkConfig) -> dict[str, TrainingConfig]:
        """The training configuration of each row of the table, by the name of the row."""

    @abstractmethod
    def columns(self, config: BenchmarkConfig) -> dict[str, Column]:
        """The columns by name. A learner with a linear head is evaluated only on columns with the ways of the head."""

    def rival(self, variant: str) -> str | None:
        """The name of the row that the row `variant` is compared with; None: no comparison."""
        return None if variant == self.reference else self.reference

    def configure(self, given: dict[str, Any]) -> BenchmarkConfig:
        return BenchmarkConfig(**BUDGETS[given.pop("budget", "quick")] | given)

    def title(self, config: BenchmarkConfig) -> str:
        return f"{self.help[0].upper()}{self.help[1:]}, on {config.source}, {config.split}"

    def folder(self, config: BenchmarkConfig) -> str:
        return f"{self.name}-{slug(config.source)}"

    def trainings(self, root: Path | None, device: str, folder: Path | None, resume: bool, jobs: int) -> Pool:
        return Pool((folder or Path("runs") / "table").parent / "trained", root, device, jobs)

    def chosen(self, config: BenchmarkConfig) -> dict[str, TrainingConfig]:
        """The rows to measure, with their training configurations. Raises ConfigError for an unknown row.

        If `config.rows` is empty, these are all rows of the table. Otherwise they are three kinds of rows: the rows in
        `config.rows`, the rows that they are compared with, and the reference.
        """
        found = self.variants(config)
        if unknown := [name for name in config.rows if name not in found]:
            raise ConfigError(f"A row must be one of {', '.join(found)}. Got {', '.join(unknown)}.")
        wanted = {*config.rows, *(self.rival(name) for name in config.rows), self.reference}
        return {name: found[name] for name in found if not config.rows or name in wanted}

    def measure(self, config: BenchmarkConfig, trainings: Pool, report: Report) -> Measured:
        variants = self.chosen(config)
        plan = self._plan(config, variants, trainings, report)
        missing = trainings.missing(plan.jobs)
        report(f"Trainings with their evaluations: {len(plan.jobs) - missing} are complete, {missing} are missing.")
        rows: dict[str, list[np.ndarray]] = {}
        for own, found in zip(plan.asked.values(), trainings.answers(plan.jobs), strict=True):
            for name, question in own.items():
                rows.setdefault(name, []).append(found[question].correct)
                rows.setdefault(f"{name} reliability", []).append(found[question].reliability)
        settings = {
            "variants": {name: training.to_dict() for name, training in variants.items()},
            "columns": {name: asdict(column) for name, column in self.columns(config).items()},
            "prices": plan.prices,
            "steps": plan.steps,
            "common": plan.steps[self.reference],
            "tries": plan.tries,
        }
        runs = [trainings.record(job) for job in plan.jobs]
        return Measured(
            {name: np.stack(each) for name, each in rows.items()}, list(range(config.seeds)), runs, settings
        )

    def work(self, config: BenchmarkConfig, trainings: Pool, report: Report, cell: int, cells: int) -> None:
        """Does one share of the work: all trainings and evaluations of some rows.

        The number of this share is `cell`, from 1 to `cells`. Each row can be measured without the other rows, except
        that all rows need the price of the reference. The price is the time of a meta-step (see `budgets`).
        """
        chosen = self.chosen(config)
        if not 1 <= cell <= cells <= len(chosen):
            raise ConfigError(f"A cell must be K/N with 1 <= K <= N <= {len(chosen)} rows. Got {cell}/{cells}.")
        own = dict(list(chosen.items())[cell - 1 :: cells])
        report(f"Cell {cell} of {cells}: {', '.join(own)}")
        trainings.answers(self._plan(config, own, trainings, report).jobs)

    def _plan(
        self, config: BenchmarkConfig, variants: Mapping[str, TrainingConfig], trainings: Pool, report: Report
    ) -> "Plan":
        """The plan of the trainings and evaluations of these rows.

        Measures the prices of the rows (see `budgets`). Chooses their outer learning rates by short runs.
        """
        columns = self.columns(config)
        trainings.check_data([Column(config.source, "train"), *columns.values()])
        reference = {self.reference: self.variants(config)[self.reference]}
        price = _prices({**reference, **variants}, trainings)
        steps = {name: meta_steps(config.baseline_steps, price[name]) for name in price}
        report(f"Budget: {config.baseline_steps} steps of supervised training. Price of a meta-step, and meta-steps:")
        report("\n".join(f"  {name}: {price[name]:.2f}, {steps[name]}" for name in variants))
        report("Validation accuracy after a short run with each outer learning rate:")
        tries = self._tries(config, variants, steps, trainings)
        for name, found in tries.items():
            report(f"  {name}: " + ", ".join(f"rate {rate} {100 * share:.2f} %" for rate, share in found.items()))
        rates = {name: float(max(found, key=lambda rate: found[rate])) for name, found in tries.items()}
        asked: dict[TrainingConfig, dict[str, Question]] = {}
        for seed in range(config.seeds):
            for name, training in variants.items():
                for norm, equal in self.kinds:
                    length = steps[name if equal == TIME else self.reference]
                    whole = replace(training, steps=length, meta_lr=rates[name], seed=seed)
                    for column, each in fitting(columns, training).items():
                        question = Question(each.source, each.split, each.shape, norm, config.episodes, each.unseen_by)
                        asked.setdefault(whole, {})[key(name, column, norm, equal)] = question
        return Plan({name: price[name] for name in variants}, {name: steps[name] for name in variants}, tries, asked)

    def _tries(
        self, config: BenchmarkConfig, variants: Mapping[str, TrainingConfig], steps: Mapping[str, int], pool: Pool
    ) -> dict[str, dict[str, float]]:
        """The validation accuracy of each row after a short run with each rate; 0 if the training diverged."""
        shape, episodes = EpisodeConfig(5, 1, 15), min(TRY_EPISODES, config.episodes)
        asked = Question(config.source, "validation", shape, TRANSDUCTIVE, episodes)
        tried = [(name, rate) for name in variants for rate in config.rates]
        jobs = [
            Job(
                replace(variants[name], steps=max(1, round(TRY_SHARE * steps[name])), meta_lr=rate, seed=TRY_SEED),
                (asked,),
                may_diverge=True,
            )
            for name, rate in tried
        ]
        found: dict[str, dict[str, float]] = {name: {} for name in variants}
        for (name, rate), answers in zip(tried, pool.answers(jobs), strict=True):
            found[name][str(rate)] = round(float(answers[asked].correct.mean()) / shape.answers, 6)
        return found

    def summary(self, rows: Rows, config: Mapping[str, Any]) -> dict[str, Any]:
        """Accuracy with an interval over trainings and episodes, calibration error, and "ahead" of each row.

        "ahead" is the accuracy of the row minus the accuracy of its `rival`, paired by seed and episode. The level of
        its interval is above 95 %, so that all intervals of "ahead" hold together with probability 95 %.
        """
        found: dict[str, dict[str, Any]] = {}
        level = together(0.95, max(1, sum(self.rival(variant) is not None for variant in config["variants"])))
        for name in rows:
            if name.endswith(" reliability"):
                continue
            variant, *rest = name.split()
            own = shares(rows, config, name)
            found[name] = {"accuracy": plain(over_all(own))}
            if has_probabilities(config["variants"][variant]):
                table = torch.from_numpy(rows[f"{name} reliability"].astype(np.float64)).sum(0)
                found[name]["calibration error"] = round(calibration_error(table), 6)
            if (other := key(self.rival(variant) or "", *rest)) in rows:
                found[name]["ahead"] = plain(over_all(own - shares(rows, config, other), level))
        return found

    def check(self, result: Result) -> None:
        config, shape = result.config, shapes(result.config)
        for name in config["variants"]:
            best = max(config["tries"][name].values())
            if not (config["prices"][name] > 0 and 0 <= best <= 1 and isinstance(config["steps"][name], int)):
                raise ValueError(f"`{name}` must have a price, meta-steps, and accuracies of its tries")
        if config["common"] != config["steps"][self.reference]:
            raise ValueError(f"`common` must be the number of meta-steps of {self.reference}")
        seeds, episodes = len(result.seeds), config["episodes"]
        trainings = {name: TrainingConfig.from_dict(each) for name, each in config["variants"].items()}
        columns = {name: Column(**each | {"shape": shape[name]}) for name, each in config["columns"].items()}
        expected = {
            key(name, column, norm, equal)
            for name, training in trainings.items()
            for column in fitting(columns, training)
            for norm, equal in self.kinds
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
        """Accuracies at equal time as a Markdown table: one line for each method.

        A line has the number of meta-steps and, in each column, the accuracy and a verdict.
        """
        return accuracy_table(result)

    def legend(self, result: Result) -> str:
        """A text that explains the entries of the table."""
        variants = result.config["variants"]
        rivals: dict[str, list[str]] = {}
        for name in variants:
            if rival := self.rival(name):
                rivals.setdefault(rival, []).append(name)
        compared = "; ".join(f"{', '.join(names)}: with {rival}" for rival, names in rivals.items())
        return (
            f"Accuracy over {result.config['episodes']} episodes and {len(result.seeds)} trainings, with a 95 % "
            "interval over both. In brackets: better, worse or unclear in a paired comparison, corrected for the "
            f"number of rows ({compared}). –: a head with another number of ways. Trainings: "
            f"{result.config['baseline_steps']} baseline steps, {self._ways(result)}."
            + " The learning rates were chosen on episodes of the same split."
            * (result.config["split"] == "validation")
        )

    def _ways(self, result: Result) -> str:
        """The ways of the training episodes as text: "i-amfs, dkt: 20-way; maml: 5-way"."""
        found: dict[int, list[str]] = {}
        for name, training in result.config["variants"].items():
            found.setdefault(training["episode"]["ways"], []).append(name)
        return "; ".join(f"{', '.join(names)}: {ways}-way episodes" for ways, names in found.items())

    def remarks(self, result: Result) -> Sequence[str]:
        return (self.legend(result),)

    def figure(self, result: Result) -> "SavableFigure":
        return intervals(result)

    def reliability(self, result: Result) -> "SavableFigure":
        """Reliability diagrams at equal time: the share of correct answers for each confidence."""
        return reliability(result)


def fitting(columns: Mapping[str, Column], training: TrainingConfig) -> dict[str, Column]:
    """The columns on which a learner of this training can be evaluated."""
    has_head = METHODS[training.method].has_head
    return {name: each for name, each in columns.items() if not has_head or each.shape.ways == training.episode.ways}


def _prices(variants: Mapping[str, TrainingConfig], pool: Pool) -> dict[str, float]:
    """The price of each row: the time of a meta-step, in baseline steps (see `budgets`).

    Each price is measured once and stored in the pool, because it determines the number of meta-steps.
    """
    names = {name: f"{Job(training, ()).name} on {pool.device}" for name, training in variants.items()}
    with pool.stored(PRICES) as known:
        missing = {names[name]: training for name, training in variants.items() if names[name] not in known}
        if missing:
            threads = torch.get_num_threads()
            torch.set_num_threads(pool.threads)  # as in training
            try:
                known |= prices(missing, pool.root, pool.device)
            finally:
                torch.set_num_threads(threads)
        return {name: known[names[name]] for name in variants}
