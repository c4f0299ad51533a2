"""The result of a benchmark as Markdown tables and figures."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from amfs_lab.experiments.benchmark_rows import STEPS, SUPPORT, TIME, TRANSDUCTIVE, has_probabilities, key, verdict
from amfs_lab.experiments.result import Result
from amfs_lab.markdown import markdown_table
from amfs_lab.stats import Interval

if TYPE_CHECKING:
    from amfs_lab.plots import SavableFigure


def accuracy_table(result: Result, norm: str = TRANSDUCTIVE, equal: str = TIME) -> str:
    """Accuracies as a Markdown table: one line for each method.

    A line has the number of meta-steps and, in each column, the accuracy and a verdict.
    """
    columns, config = list(result.config["columns"]), result.config
    lines = []
    for name in config["variants"]:
        steps = config["steps"][name] if equal == TIME else config["common"]
        cells = [_cell(result.summary.get(key(name, column, norm, equal))) for column in columns]
        lines.append([name, f"{steps}", *cells])
    return markdown_table(["method", "meta-steps", *columns], lines)


def calibration_table(result: Result) -> str:
    """The expected calibration error of each method at equal time, in percentage points.

    "–" means that the scores of the method are not probabilities.
    """
    columns = list(result.config["columns"])
    lines = []
    for name in result.config["variants"]:
        found = [result.summary.get(key(name, column, TRANSDUCTIVE, TIME), {}) for column in columns]
        errors = [each.get("calibration error") for each in found]
        lines.append([name, *("–" if error is None else f"{100 * error:.1f}" for error in errors)])
    return markdown_table(["method", *columns], lines)


def tries_table(result: Result) -> str:
    """The time of a meta-step of each method, and the validation accuracy after a short run with each rate.

    The time (price) is in baseline steps, see `budgets`. The rates are outer learning rates.
    """
    prices, tries = result.config["prices"], result.config["tries"]
    rates = list(next(iter(tries.values())))
    lines = [
        [name, f"{prices[name]:.2g}", *(f"{100 * found[rate]:.1f} %" for rate in rates)]
        for name, found in tries.items()
    ]
    return markdown_table(["method", "price of a meta-step", *(f"rate {rate}" for rate in rates)], lines)


# Further tables of one result, by name.
PARTS: Mapping[str, Callable[[Result], str]] = {
    "after equal meta-steps": lambda result: accuracy_table(result, equal=STEPS),
    "inductive": lambda result: accuracy_table(result, SUPPORT),
    "calibration": calibration_table,
    "tries": tries_table,
}


def intervals(result: Result) -> "SavableFigure":
    """A figure of the accuracies at equal time, with a panel for each column of the table."""
    from amfs_lab.experiments import figures

    panels = {
        column: {
            name: Interval(**found["accuracy"])
            for name in result.config["variants"]
            if (found := result.summary.get(key(name, column, TRANSDUCTIVE, TIME)))
        }
        for column in result.config["columns"]
    }
    return figures.intervals(panels, f"% correct, trained on {result.config['source']}")


def reliability(result: Result) -> "SavableFigure":
    """Reliability diagrams after training for equal time: the share of correct answers for each confidence."""
    from amfs_lab.experiments import figures

    found = {
        column: {
            name: result.rows[f"{own} reliability"].sum(0)
            for name, training in result.config["variants"].items()
            if (own := key(name, column, TRANSDUCTIVE, TIME)) in result.rows and has_probabilities(training)
        }
        for column in result.config["columns"]
    }
    return figures.reliability(found)


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "–"
    word = verdict(Interval(**found["ahead"])) if "ahead" in found else ""
    return f"{Interval(**found['accuracy']).hundredths()} %" + (f" ({word})" if word else "")
