"""Coverage, false-alarm rate and power of each rule of `stats`, measured on data whose true values are known.

Coverage is measured by resampling stored episodes: the true value is the mean of all stored episodes. False alarms and
power are measured on simulated accuracies. `amfs-lab reproduce intervals` prints the tables of `docs/statistics.md`.
The command uses fixed seeds and takes a few seconds.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from amfs_lab.experiments import accuracy, figure2, precision
from amfs_lab.experiments.experiment import accuracies
from amfs_lab.experiments.result import stored
from amfs_lab.markdown import markdown_table
from amfs_lab.stats import (
    FEW,
    accuracy_interval,
    accuracy_p_value,
    crossed_interval,
    difference_of_trainings,
    holm,
    looks,
    mean_interval,
    together,
)

RUNS, EPISODES, BETTER, QUERIES = 2000, 200, 0.02, 75
SIZES = (30, 50, 100, 150, 200)  # the numbers of episodes in `CompareExplorer`


def made_up(runs: int, learners: int, episodes: int, generator: torch.Generator) -> Tensor:
    """Simulated accuracies (runs, learners, episodes) of learners with equal true accuracy.

    Each episode has a difficulty that is the same for all learners. Each learner also has its own random error in each
    episode. A further random error comes from the limited number of 75 queries.
    """
    easy = 0.7 + 0.25 * torch.rand(runs, 1, episodes, generator=generator)
    own = (easy + 0.08 * torch.randn(runs, learners, episodes, generator=generator)).clamp(0, 1)
    luck = (own * (1 - own) / QUERIES).sqrt() * torch.randn(runs, learners, episodes, generator=generator)
    return ((own + luck).clamp(0, 1) * QUERIES).round().double() / QUERIES


def cells() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Accuracies and paired differences of the stored episodes, for each stored row.

    A row is one learner, evaluated on episodes of one shape.
    """
    shares, gaps = {}, {}
    result = accuracy.load(stored("accuracy-omniglot"))
    for name, right in result.rows.items():
        method, shape, norm = name.split()
        shares[name] = accuracies(right, accuracy.SHAPES[shape])
        if method != "i-amfs":
            solve = result.rows[accuracy.key("i-amfs", shape, norm)]
            gaps[name] = accuracies(solve, accuracy.SHAPES[shape]) - shares[name]
    for source in ("glyphs", "omniglot"):
        by_method = figure2.curves(figure2.load(stored(f"figure2-{source}")))
        maml, solve = (torch.from_numpy(by_method[method].per_episode[0]) for method in figure2.METHODS)
        for k in range(0, maml.shape[1], 5):
            shares[f"{source}, {k} steps"] = maml[:, k]
            gaps[f"{source}, {k} steps"] = solve[:, 0] - maml[:, k]
    rows = precision.load(stored("precision-glyphs")).rows
    for method in ("i-amfs", "amfs", "anil", "prototypes"):
        full, short = (torch.from_numpy(rows[f"{method} {kind}"][0] / QUERIES) for kind in precision.PRECISIONS)
        shares[method], gaps[method] = full, short - full
    return shares, gaps


def coverage(values: Tensor, n: int, runs: int, generator: torch.Generator) -> tuple[float, float]:
    """Coverage of Student's interval and of `accuracy_interval`, both from n resampled values.

    The true value is the mean of all values.
    """
    sample = values[torch.randint(len(values), (runs, n), generator=generator)]
    off, variance = (sample.mean(1) - values.mean()).abs(), sample.var(1)
    told = []
    for rule in (mean_interval, accuracy_interval):
        steady, noisy = (rule(scale * torch.linspace(-1, 1, n, dtype=torch.float64)).half_width for scale in (0, 1))
        unit = torch.linspace(-1, 1, n, dtype=torch.float64).var()
        assert steady is not None
        assert noisy is not None
        half = (steady**2 + (noisy**2 - steady**2) * variance / unit).sqrt()  # half^2 is linear in the variance
        told.append(float((off <= half + 1e-12).double().mean()))
    return told[0], told[1]


def table_of_coverage() -> str:
    """A Markdown table: for each number of episodes, the lowest coverage over all stored rows."""
    generator = torch.Generator().manual_seed(0)
    head = ("95 % interval of", "n", "rows", "Student's, worst row", "`accuracy_interval`, worst row", "mean of rows")
    lines = []
    for what, rows in zip(("accuracy", "paired difference"), cells(), strict=True):
        for n in (30, 100, 600):
            first = {name: coverage(values, n, RUNS // 2, generator) for name, values in rows.items()}
            lowest = {name for rule in (0, 1) for name in sorted(first, key=lambda name: first[name][rule])[:3]}
            again = [
                coverage(rows[name], n, 5 * RUNS, generator) for name in sorted(lowest)
            ]  # measured again, because the lowest of many is biased
            mean = sum(ours for _, ours in first.values()) / len(first)
            numbers = (*map(min, zip(*again, strict=True)), mean)
            lines.append([what, str(n), str(len(rows)), *(f"{100 * share:.1f} %" for share in numbers)])
    return markdown_table(head, lines)


def table_of_scripts() -> str:
    """A Markdown table: the coverage of intervals for the accuracy on scripts that were not measured."""
    generator = torch.Generator().manual_seed(2)
    head = ("measured on", "interval over 200 episodes", "interval over scripts")
    return markdown_table(head, ([f"{scripts} scripts", *_scripts(scripts, generator)] for scripts in (5, 10, 20)))


def _scripts(scripts: int, generator: torch.Generator) -> tuple[str, str]:
    """The coverage of an interval over episodes, and the coverage of an interval over scripts, as text.

    The true accuracies of the scripts have standard deviation 2 points. Each episode has five classes from these
    scripts.
    """
    own = 0.02 * torch.randn(RUNS, scripts, generator=generator)
    drawn = torch.randint(scripts, (RUNS, 5 * EPISODES), generator=generator)
    seen = own.gather(1, drawn) + 0.1 * torch.randn(RUNS, 5 * EPISODES, generator=generator)
    per_script = torch.zeros(RUNS, scripts).scatter_reduce(1, drawn, seen, "mean", include_self=False)
    means, one, _ = (each[:, -1] for each in looks(seen.view(RUNS, EPISODES, 5).mean(2)))
    over_scripts = [interval.low <= 0 <= interval.high for interval in map(mean_interval, per_script[:500])]
    return f"{100 * _share(means.abs() <= one):.0f} %", f"{100 * sum(over_scripts) / 500:.0f} %"


def table_of_rules() -> str:
    """A Markdown table: the false-alarm rate and the power of each rule.

    All learners are equal for the false-alarm rate. One learner is better for the power.
    """
    generator = torch.Generator().manual_seed(1)
    equal = made_up(RUNS, 4, EPISODES, generator)
    rows = (
        [name, *("–" if share is None else f"{100 * share:.1f} %" for share in numbers)]
        for name, numbers in (*_pairs(equal), *_trainings(generator), *_questions(generator), *_crossed(generator))
    )
    return markdown_table(("rule", "false alarms", "power"), rows)


Line = tuple[str, tuple[float, float | None]]


def _pairs(equal: Tensor) -> Iterator[Line]:
    """Table lines for rules that compare four learners in six pairs.

    Power: the first learner is better by `BETTER`, and the rule detects the difference.
    """
    pairs = list(itertools.combinations(range(4), 2))
    gaps = torch.stack([equal[:, a] - equal[:, b] for a, b in pairs], 1)
    at = [n - FEW for n in SIZES]
    alone, together_6, together_3 = (looks(gaps, level) for level in (0.95, together(0.95, 6), together(0.95, 3)))
    for name, (means, one, _), chosen in (
        ("each of 6 pairs at 95 %, one look at 200 episodes", alone, at[-1:]),
        ("each of 6 pairs at 95 %, looks at 30, 50, 100, 150 and 200", alone, at),
        ("6 pairs together (`CompareExplorer`), one look at 200", together_6, at[-1:]),
        ("6 pairs together, looks at 30, 50, 100, 150 and 200", together_6, at),
        ("6 pairs together, a look after each episode from 30 on", together_6, slice(None)),
    ):
        wrong = (means.abs() > one)[:, :, chosen].flatten(1).any(1)
        yield name, (_share(wrong), _share((means[:, 0] + BETTER > one[:, 0])[:, chosen].any(1)))
    means, _, sequence = together_6
    wrong = (means.abs() > sequence).flatten(1).any(1)
    yield (
        "6 pairs together, confidence sequence, a look after each episode",
        (_share(wrong), _share((means[:, 0] + BETTER > sequence[:, 0]).any(1))),
    )
    means, one, _ = (each[:, :, -1] for each in together_3)
    signs = {(a, b): (1, i) for i, (a, b) in enumerate(pairs)} | {(b, a): (-1, i) for i, (a, b) in enumerate(pairs)}

    def ahead(learner: int, better: float = 0.0) -> Tensor:
        """True for each simulated run in which this learner is ahead of both other learners."""
        rivals = [signs[learner, other] for other in range(3) if other != learner]
        return torch.stack([sign * means[:, i] + better > one[:, i] for sign, i in rivals]).all(0)

    wrong = torch.stack([ahead(learner) for learner in range(3)]).any(0)
    yield "`ahead` of three learners, 200 episodes", (_share(wrong), _share(ahead(0, BETTER)))


def _trainings(generator: torch.Generator) -> Iterator[Line]:
    """Table lines for rules on methods whose training runs have standard deviation 1 point.

    Power: one method is better by 4 points, and the rule detects the difference.
    """
    luck = torch.randn(RUNS, 10, generator=generator)
    scatter = made_up(RUNS, 2, EPISODES, generator) + 0.01 * luck[:, :2, None]
    means, one, _ = looks(scatter[:, 0] - scatter[:, 1])
    wrong = means[:, -1].abs() > one[:, -1]
    yield "one training of each method, by an interval over episodes", (_share(wrong), None)
    for m, k in ((1, 2), (3, 3), (5, 5)):
        gaps = [difference_of_trainings(row[:m], row[m : m + k]) for row in luck[:800]]
        wrong, found = ([not gap.low <= better <= gap.high for gap in gaps] for better in (0, -4))
        yield f"`difference_of_trainings`, {m} against {k}", (sum(wrong) / 800, sum(found) / 800)


def _questions(generator: torch.Generator) -> Iterator[Line]:
    """Table lines for rules that compare two learners on each of three task shapes.

    Power: one learner is better by `BETTER` on all three shapes, and the rule detects the difference on the first
    shape.
    """
    equal = made_up(3 * 400, 2, EPISODES, generator).view(400, 3, 2, EPISODES)
    asked = [[[accuracy_p_value(a + more, b) for a, b in shapes] for shapes in equal] for more in (0, BETTER)]
    for name, rule in (("three questions, each at 5 %", lambda p: p), ("three questions, `holm`", holm)):
        wrong, found = asked
        shares = np.mean([min(rule(p)) <= 0.05 for p in wrong]), np.mean([rule(p)[0] <= 0.05 for p in found])
        yield name, (float(shares[0]), float(shares[1]))


def _crossed(generator: torch.Generator) -> Iterator[Line]:
    """Table lines for `crossed_interval` of the paired differences of two methods.

    The training runs have standard deviation 1 point. Power: one method is better by `BETTER`.
    """
    for s in (3, 5):
        luck = 0.01 * torch.randn(800, 2 * s, 1, generator=generator)
        values = made_up(800, 2 * s, EPISODES, generator) + luck
        gaps = [crossed_interval(a - b) for a, b in zip(values[:, :s], values[:, s:], strict=True)]
        wrong, found = ([not gap.low <= better <= gap.high for gap in gaps] for better in (0, -BETTER))
        yield f"`crossed_interval`, {s} trainings of each method", (sum(wrong) / 800, sum(found) / 800)


def _share(true: Tensor) -> float:
    return float(true.double().mean())


def tables() -> str:
    """The three Markdown tables, separated by empty lines."""
    return "\n\n".join([table_of_coverage(), table_of_scripts(), table_of_rules()])
