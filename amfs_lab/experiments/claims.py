"""The claims of the paper, and the answers from stored tables.

All accuracies are from the first column of a table, which is 5-way 1-shot. For a paired difference of accuracies, the
answer is "yes" if its interval is above zero, and "no" if its interval is below zero. Otherwise the answer is
"unclear". `LEVEL` is a text about the level of these intervals.
"""

import contextlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from jaxtyping import Float64
from scipy.special import fdtri
from torch import Tensor

from amfs_lab.experiments.benchmark_rows import STEPS, TIME, TRANSDUCTIVE, key, over_all, shares, verdict
from amfs_lab.experiments.result import Result
from amfs_lab.markdown import markdown_table

LEVEL = (
    "Each claim has its own 95 % interval, over trainings and episodes of 5-way 1-shot tasks. The tables correct their "
    "intervals for the number of rows, so a table may say `unclear` where a claim has an answer."
)


class Claim(NamedTuple):
    """A claim of the paper.

    Args:
        says: text of the claim. table: name of the table that can answer it. measured: description of the measurement.
        answer: a function from a result of this table to the measured value and the verdict, as text.
    """

    says: str
    table: str
    measured: str
    answer: Callable[[Result], str]


def claims_table(results: Iterable[Result]) -> str:
    """The claims in a Markdown table, with one column of answers for each data set; "–": no answer."""
    found = {(each.experiment, _data(each)): each for each in results}
    sources = list(dict.fromkeys(source for _, source in found))
    lines = []
    for claim in CLAIMS:
        cells = ["–"] * len(sources)
        for i, source in enumerate(sources):
            with contextlib.suppress(KeyError):  # a table, or a row of a table, that was not measured
                cells[i] = claim.answer(found[claim.table, source])
        lines.append([claim.says, claim.measured, *cells])
    return markdown_table(["claim", "measured", *sources], lines)


def _data(result: Result) -> str:
    """The data sets and the split of a result: "glyphs, test", or "glyphs to omniglot, validation"."""
    source, split = result.config["source"], result.config["split"]
    others = sorted({column["source"] for column in result.config["columns"].values()} - {source})
    return f"{' to '.join([source, *others])}, {split}"


def _accuracies(result: Result, row: str, equal: str = TIME) -> Float64[Tensor, "seeds episodes"]:
    return shares(result.rows, result.config, key(row, next(iter(result.config["columns"])), TRANSDUCTIVE, equal))


def _points(gap: Float64[Tensor, "seeds episodes"]) -> str:
    interval = over_all(gap)
    return f"{interval.hundredths(1, '+')} points: {verdict(interval, 'yes', 'no')}"


def _ahead(first: str, second: str, equal: str = TIME) -> Callable[[Result], str]:
    """A function that returns the difference of two rows of a result, with the verdict, as text."""
    return lambda result: _points(_accuracies(result, first, equal) - _accuracies(result, second, equal))


def _time(result: Result) -> str:
    own, other = (result.config["prices"][row] for row in ("i-amfs+5-way", "maml"))
    return f"{own / other:.2f}: {'yes' if own < other else 'no'}"


def _spread(result: Result) -> str:
    """The standard deviations over trainings of I-AMFS and of MAML, as text.

    The text also has the result of a two-sided F test of their ratio, at 5 %.
    """
    freedom = len(result.seeds) - 1
    if not freedom:
        return "unclear"
    own, other = (float(_accuracies(result, method).mean(1).std()) for method in ("i-amfs", "maml"))
    most = fdtri(freedom, freedom, 0.975) ** 0.5  # ratio of two equal standard deviations, in 97.5 % of all cases
    word = "yes" if other > most * own else "no" if own > most * other else "unclear"
    return f"{100 * own:.1f} against {100 * other:.1f} points: {word}"


def _loss_of_first_order(result: Result) -> str:
    """The difference of two losses of accuracy, as text: the loss of MAML minus the loss of I-AMFS.

    The loss is the accuracy that a method loses with first-order meta-gradients.
    """

    own, other = (
        _accuracies(result, exact, STEPS) - _accuracies(result, first_order, STEPS)
        for exact, first_order in (("i-amfs", "i-amfs+first-order"), ("maml", "fo-maml"))
    )
    return _points(other - own)


FASTER, EQUAL_TIME = "I-AMFS is faster", "I-AMFS minus MAML after equal time"
CLAIMS = (
    Claim(FASTER, "table1", "time of a meta-step on the same episodes, divided by MAML's time", _time),
    Claim(FASTER, "table1", EQUAL_TIME, _ahead("i-amfs", "maml")),
    Claim(
        "One solve is as good as five gradient steps",
        "table1",
        "I-AMFS minus MAML after equal meta-steps on the same episodes",
        _ahead("i-amfs+5-way", "maml", STEPS),
    ),
    Claim("I-AMFS is more stable", "table1", "standard deviation over trainings, I-AMFS against MAML", _spread),
    Claim("I-AMFS is better across domains", "table2", EQUAL_TIME, _ahead("i-amfs", "maml")),
    Claim(
        "I-AMFS is robust to first-order meta-gradients",
        "table4",
        "loss of MAML minus loss of I-AMFS, after equal meta-steps",
        _loss_of_first_order,
    ),
    Claim("O-AMFS improves MAML", "table1", "O-AMFS minus MAML after equal time", _ahead("o-amfs", "maml")),
    Claim("O-AMFS improves I-AMFS", "table1", "AMFS minus I-AMFS after equal time", _ahead("amfs", "i-amfs")),
    Claim(
        "O-AMFS improves MAML across domains",
        "table2",
        "O-AMFS minus MAML after equal time",
        _ahead("o-amfs", "maml"),
    ),
)
