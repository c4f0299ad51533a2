"""A comparison of learners on the same episodes: accuracies, paired differences, and justified conclusions as text."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from amfs_lab.errors import ConfigError
from amfs_lab.experiments.intervals import made_up
from amfs_lab.explore.training.curves import named
from amfs_lab.stats import (
    FEW,
    Interval,
    accuracy_difference,
    accuracy_interval,
    anytime_interval,
    difference_of_trainings,
    looks,
    together,
)
from amfs_lab.widgets.controls import Choice
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State, half_widths
from amfs_lab.widgets.panels import Panel, Panels, axis
from amfs_lab.widgets.style import BLUE, INK
from amfs_lab.widgets.traces import Trace, dots

LEVELS = {"68 %": 0.68, "95 %": 0.95, "99 %": 0.99}
FIRST = {
    "the first 10": 10,
    "the first 30": 30,
    "the first 50": 50,
    "the first 100": 100,
    "the first 150": 150,
    "all": None,
}
ONE_LOOK, ANY_LOOKS = "one look", "any number of looks"
NAMES = axis(type="category", autorange="reversed", automargin=True)


class CompareExplorer(Explorer):
    """Accuracies and paired differences with intervals, for the first episodes up to a chosen number.

    The level is the probability that all intervals of a panel contain their true values. A look is one inspection of
    the results. An interval for one look is valid if the number of episodes was fixed in advance. An interval for any
    number of looks belongs to a confidence sequence: it is valid at every number of episodes, so you may stop at any
    time (see `stats.looks`).

    Args:
        per_episode: the accuracies of each learner by name, on the same episodes in the same order.
    Raises:
        ConfigError: fewer than two learners, or learners evaluated on different numbers of episodes.
    """

    title = "All learners on the same episodes: accuracies and paired differences"
    alt = (
        "Two panels of points with horizontal error bars. "
        "Left: the accuracy of each learner with its confidence interval. "
        "Right: the paired difference of every two learners with its interval, and a line at zero. "
        f"With fewer than {FEW} episodes there are points without bars."
    )
    episodes = Choice("episodes", FIRST, start="all", help="number of episodes that are used")
    level = Choice(
        "level", LEVELS, start="95 %", help="probability that all intervals of a panel contain their true values"
    )
    interval = Choice(
        "interval for",
        (ONE_LOOK, ANY_LOOKS),
        help="one look: for a number of episodes fixed in advance. Any number of looks: you may stop at any time",
    )

    panels = Panels(
        widths=(0.45, 0.55),
        spacing=(0.26, 0.25),  # space for the names of pairs
        method=Panel("accuracy", axis("accuracy on unseen letters", tickformat=".0%"), NAMES),
        pair=Panel("difference, episode by episode", axis("percentage points", zero=INK, zerolinewidth=2), NAMES),
    )
    layout: ClassVar[dict[str, Any]] = {"height": 300, "showlegend": False}
    traces: ClassVar[dict[str, Trace]] = {
        at: dots(
            f"{at}_means",
            f"{at}_names",
            color,
            10,
            symbol,
            at=at,
            hover=f"%{{y}}: %{{x{form}}}",
            more=dict(error_x=dict(type="data", thickness=2, width=6, color=color)),
            error_x_array=f"{at}_half_widths",
        )
        for at, color, symbol, form in (("method", BLUE, "circle", ":.2%"), ("pair", INK, "diamond", ":.2f"))
    }

    def __init__(self, per_episode: Mapping[str, Tensor], preset: str | None = None, **start: Any) -> None:
        self.per_episode = {named(name): torch.as_tensor(values) for name, values in per_episode.items()}
        counts = {len(values) for values in self.per_episode.values()}
        if len(self.per_episode) < 2 or len(counts) != 1 or min(counts) < 2:
            raise ConfigError(
                "`per_episode` must have two or more methods with the same number of episodes, at least 2. "
                f"Got {', '.join(f'{name}: {len(values)}' for name, values in self.per_episode.items()) or 'none'}. "
                "Evaluate all methods on the same episodes."
            )
        super().__init__(preset, **start)

    def compute(self, state: State) -> Arrays:
        seen = {name: values[: FIRST[state.episodes]] for name, values in self.per_episode.items()}
        level, one_look = LEVELS[state.level], state.interval == ONE_LOOK
        of_one, of_pair = (accuracy_interval, pair_interval) if one_look else (anytime_interval, pair_anytime)
        methods = {name: of_one(values, together(level, len(seen))) for name, values in seen.items()}
        order = sorted(methods, key=lambda name: -methods[name].mean)
        pairs = list(combinations(order, 2))
        each = together(level, len(pairs))
        gaps = [of_pair(seen[a], seen[b], each) for a, b in pairs]
        n = len(next(iter(seen.values())))
        return Arrays(
            method_names=order,
            method_means=np.array([methods[name].mean for name in order]),
            method_half_widths=half_widths([methods[name] for name in order]),
            pair_names=[f"{a} − {b}" for a, b in pairs],
            pair_means=100 * np.array([gap.mean for gap in gaps]),
            pair_half_widths=100 * half_widths(gaps),
            verdicts=[verdict(a, b, gap) for (a, b), gap in zip(pairs, gaps, strict=True)],
            ever=excluding_zero(torch.stack([seen[a].double() - seen[b].double() for a, b in pairs]), each),
            n=n,
            level=state.level,
            interval=state.interval,
        )

    def say(self, a: Arrays) -> str:
        if a.n < FEW:
            return f"After {a.n} episodes no difference can be shown: an interval needs {FEW}."
        pairs = len(a.verdicts)
        of = f"{a.level} for {'the pair' if pairs == 1 else f'all {pairs} pairs together'}, for {a.interval}"
        result = f"After {a.n} episodes, {of}: {'; '.join(a.verdicts)}."
        one, several = (f"{count} of {pairs}" for count in a.ever)
        return (
            f"{result} If you had looked after each episode from {FEW} on, the intervals for one look would have shown "
            f"a difference at least once for {one} pairs, and those for any number of looks for {several} pairs."
        )


def pair_interval(a: Tensor, b: Tensor, level: float) -> Interval:
    """The interval `stats.accuracy_difference`. It is valid for a number of episodes that was fixed in advance."""
    return accuracy_difference(a, b, level)


def pair_anytime(a: Tensor, b: Tensor, level: float) -> Interval:
    """The interval `stats.anytime_interval` of the differences. It is valid even after earlier looks at the results."""
    return anytime_interval(a.double() - b.double(), level)


def excluding_zero(differences: Tensor, level: float) -> tuple[int, int]:
    """The number of pairs of learners whose interval excludes zero for at least one number of episodes.

    Args:
        differences: the paired differences, with one row per pair of learners and one column per episode.
    Returns:
        two numbers: for intervals of one look, and for intervals of any number of looks (see `stats.looks`).
    """
    if differences.shape[1] < FEW:
        return 0, 0
    means, one_look, any_looks = looks(differences, level)
    one, several = (int((means.abs() > half).any(1).sum()) for half in (one_look, any_looks))
    return one, several


def verdict(a: str, b: str, gap: Interval) -> str:
    """A sentence that compares learners `a` and `b`, based only on the interval `gap` of their paired difference."""
    if gap.half_width is None:
        return f"{a} and {b} do not differ clearly ({gap.n} episodes, an interval needs {FEW})"
    touching = f"{100 * abs(gap.mean):.1f}" == f"{100 * gap.half_width:.1f}"
    digits = 2 if touching else 1  # one more digit if rounding would move an end of the interval to zero
    points = f"{100 * abs(gap.mean):.{digits}f} ± {100 * gap.half_width:.{digits}f} points"
    if gap.low > 0:
        return f"{a} is ahead of {b} by {points}"
    if gap.high < 0:
        return f"{a} is behind {b} by {points}"
    signed = f"{100 * gap.mean:+.{digits}f}".replace("-", "−")
    if float(points.split()[0]) == 0:
        signed = signed[1:]
    return f"{a} and {b} do not differ clearly ({signed} ± {100 * gap.half_width:.{digits}f} points)"


def ahead(per_episode: Mapping[str, Tensor], level: float = 0.95) -> str | None:
    """The learner that is ahead of all others; `"no clear winner"` if there is none; None without data.

    The intervals hold for all pairs together. So, if all learners are equally accurate, the function names a learner
    with a probability of at most 1 - `level`. The result is about these learners on episodes like these. Two trainings
    of the same method are two learners and may differ. To compare methods, use `against_luck`.
    """
    each = together(level, len(per_episode) * (len(per_episode) - 1) // 2 or 1)
    for name, values in per_episode.items():
        others = [accuracy_difference(values, other, each) for rival, other in per_episode.items() if rival != name]
        if others and all(gap.low > 0 for gap in others):
            return named(name)
    return "no clear winner" if per_episode else None


def against_luck(a: str, b: str, trainings_of_a: Sequence[float], trainings_of_b: Sequence[float]) -> str:
    """A text that compares the difference of two *methods* with the variation between trainings of one method.

    Args:
        trainings_of_a, trainings_of_b: the mean accuracy of each training, on the same episodes. Together there must be
            at least three trainings.
    """
    ours, theirs = (torch.tensor(means, dtype=torch.float64) for means in (trainings_of_a, trainings_of_b))
    gap = difference_of_trainings(ours, theirs)
    gap_text = f"{a} − {b}: " + gap.points().replace("-", "−")
    if gap.low <= 0 <= gap.high:
        return f"{gap_text}. Trainings of one method also differ by so much: no conclusion about the methods."
    side = "ahead of" if gap.mean > 0 else "behind"
    return f"{gap_text}. {a} is {side} {b}. The difference is larger than between trainings of one method."


def equal_learners(episodes: int = 200, seed: int = 0) -> dict[str, Tensor]:
    """Accuracies of four simulated learners with equal true accuracies (see `experiments.intervals.made_up`).

    Any clear difference between these learners is a false positive.
    """
    rows = made_up(1, 4, episodes, torch.Generator().manual_seed(seed))[0]
    return {f"learner {name}": row for name, row in zip("ABCD", rows, strict=True)}
