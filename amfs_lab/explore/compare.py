"""Methods on the same episodes: each one's accuracy, every difference in pairs, and what may be said of it."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import plotly.graph_objects as go
import torch
from torch import Tensor

from amfs_lab.errors import ConfigError
from amfs_lab.explore.base import Explorer
from amfs_lab.explore.controls import Choice
from amfs_lab.explore.drawing import Arrays, State, Trace
from amfs_lab.explore.meta_training import named
from amfs_lab.explore.theme import BLUE, INK, marks
from amfs_lab.stats import Interval, mean_interval, paired_difference

LEVELS = {"68 %": 0.68, "95 %": 0.95, "99 %": 0.99}
FIRST = {
    "the first 5": 5,
    "the first 10": 10,
    "the first 20": 20,
    "the first 50": 50,
    "the first 100": 100,
    "all": None,
}


class CompareExplorer(Explorer):
    """Accuracies with their intervals, and paired differences with theirs, for the first so many episodes.

    Args:
        per_episode: the accuracies of each method, by name, on the same episodes in the same order.
    Raises:
        ConfigError: fewer than two methods, or methods measured on different numbers of episodes.
    """

    title = "The same episodes for all: accuracies, and differences in pairs"
    alt = (
        "Two panels of points with horizontal error bars. "
        "Left: the accuracy of each method with its confidence interval. "
        "Right: the paired difference of every two methods with its interval, and a line at zero."
    )
    episodes = Choice("episodes", FIRST, start="all", help="what would fewer have told?")
    level = Choice("level", LEVELS, start="95 %", help="how often such an interval covers the true mean")

    panels: ClassVar[dict[str, Any]] = {
        "rows": 1,
        "cols": 2,
        "column_widths": [0.45, 0.55],
        "horizontal_spacing": 0.26,
        "subplot_titles": ("accuracy", "difference, episode by episode"),
    }
    layout: ClassVar[dict[str, Any]] = {
        "height": 300,
        "showlegend": False,
        "xaxis": {"tickformat": ".0%", "title": "accuracy on unseen letters"},
        "yaxis": {"type": "category", "autorange": "reversed", "automargin": True},
        "xaxis2": {"title": "percentage points", "zeroline": True, "zerolinecolor": INK, "zerolinewidth": 2},
        "yaxis2": {"type": "category", "autorange": "reversed", "automargin": True},
    }
    traces = tuple(
        Trace(
            go.Scatter,
            marks(color, 10, symbol, hover=f"%{{y}}: %{{x{form}}}")
            | dict(error_x=dict(type="data", thickness=2, width=6, color=color)),
            at=at,
            x=f"{what}_means",
            y=f"{what}_names",
            error_x_array=f"{what}_half_widths",
        )
        for what, at, color, symbol, form in (
            ("method", (1, 1), BLUE, "circle", ":.2%"),
            ("pair", (1, 2), INK, "diamond", ":.2f"),
        )
    )

    def __init__(self, per_episode: Mapping[str, Tensor], preset: str | None = None, **start: Any) -> None:
        self.per_episode = {named(name): torch.as_tensor(values) for name, values in per_episode.items()}
        counts = {len(values) for values in self.per_episode.values()}
        if len(self.per_episode) < 2 or len(counts) != 1 or min(counts) < 2:
            raise ConfigError(
                "Expected two or more methods on the same episodes, at least 2 of them. "
                f"Got {', '.join(f'{name}: {len(values)}' for name, values in self.per_episode.items()) or 'none'}."
            )
        super().__init__(preset, **start)

    def compute(self, state: State) -> Arrays:
        seen = {name: values[: FIRST[state.episodes]] for name, values in self.per_episode.items()}
        level = LEVELS[state.level]
        methods = {name: mean_interval(values, level) for name, values in seen.items()}
        order = sorted(methods, key=lambda name: -methods[name].mean)
        pairs = {(a, b): paired_difference(seen[a], seen[b], level) for a, b in combinations(order, 2)}
        return Arrays(
            method_names=order,
            method_means=np.array([methods[name].mean for name in order]),
            method_half_widths=np.array([methods[name].half_width for name in order]),
            pair_names=[f"{a} − {b}" for a, b in pairs],
            pair_means=100 * np.array([gap.mean for gap in pairs.values()]),
            pair_half_widths=100 * np.array([gap.half_width for gap in pairs.values()]),
            verdicts=[verdict(a, b, gap) for (a, b), gap in pairs.items()],
            n=len(next(iter(seen.values()))),
            level=state.level,
        )

    def say(self, a: Arrays) -> str:
        return f"After {a.n} episodes, at {a.level}: {'; '.join(a.verdicts)}."


def verdict(a: str, b: str, gap: Interval) -> str:
    """What a paired difference allows to say, in words."""
    touching = f"{100 * abs(gap.mean):.1f}" == f"{100 * gap.half_width:.1f}"
    digits = 2 if touching else 1  # one more where rounding would move the interval's end onto zero
    points = f"{100 * abs(gap.mean):.{digits}f} ± {100 * gap.half_width:.{digits}f} points"
    if gap.low > 0:
        return f"{a} is ahead of {b} by {points}"
    if gap.high < 0:
        return f"{a} is behind {b} by {points}"
    signed = f"{100 * gap.mean:+.{digits}f}".replace("-", "−")
    return f"{a} and {b} can't be told apart ({signed} ± {100 * gap.half_width:.{digits}f} points)"


def ahead(per_episode: Mapping[str, Tensor], level: float = 0.95) -> str | None:
    """The method whose paired interval against every other lies above zero, `"no clear winner"`, None without data."""
    for name, values in per_episode.items():
        others = [paired_difference(values, other, level) for rival, other in per_episode.items() if rival != name]
        if others and all(gap.low > 0 for gap in others):
            return named(name)
    return "no clear winner" if per_episode else None


def against_luck(a: str, b: str, gap: Interval, luck: Interval) -> str:
    """What the difference of two methods is worth beside that of one method's two seeds, in words.

    Args:
        gap: a minus b on the same episodes. luck: b with another seed minus b, likewise.
    """
    if gap.low <= 0 <= gap.high:
        return f"These {gap.n} episodes can't tell {a} from {b}."
    side = "ahead of" if gap.mean > 0 else "behind"
    if abs(gap.mean) <= abs(luck.mean) + luck.half_width:
        return f"{a} came out {side} {b}, by no more than another seed may be worth: nothing to conclude."
    return (
        f"{a} came out {side} {b}, by more than another seed was worth here. Two seeds are few: train more to be sure."
    )


def at_equal_steps(history: Mapping[str, Any], names: Sequence[str], share: float = 0.5) -> dict[str, Tensor]:
    """Training accuracies of the named runs over the last `share` of the steps that all of them made.

    With one seed, step s trains every method on the same tasks, so these are paired as well. Empty unless all made two.
    """
    runs = {name: history.get(name, ()) for name in names}
    common = min(len(steps) for steps in runs.values())
    if common < 2:
        return {}
    first = min(int(common * (1 - share)), common - 2)
    return {
        name: torch.tensor([step.accuracy for step in steps[first:common]], dtype=torch.float64)
        for name, steps in runs.items()
    }
