"""End points of the aggregation rules in hundreds of random draws, and their distances from a reference point."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from amfs_lab.experiments import conflict
from amfs_lab.experiments.conflict_draws import SETTINGS
from amfs_lab.experiments.conflict_verdicts import RULES, key, verdict
from amfs_lab.experiments.result import Result, stored
from amfs_lab.explore import looks
from amfs_lab.stats import Interval, paired_difference
from amfs_lab.widgets.controls import Choice, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, Panels, axis
from amfs_lab.widgets.style import BLUE, INK, Look
from amfs_lab.widgets.text import percent
from amfs_lab.widgets.traces import bars, curve, dotted_curve, reference_line

AIMS = {"θ*": "to theta*", "the geometric median": "to median", "the best without the outlier": "to wanted"}
WIDTHS = (5.0, 3.0, 2.0, 2.0, 2.0)  # of the rules' curves, so that all stay visible if they coincide
BINS = 41
FEWEST = 10


@lru_cache(maxsize=4)
def result(folder: Path | None = None) -> Result:
    """The result in `folder`. With None, it is the stored result of the experiment `conflict`."""
    return conflict.load(stored("conflict-planes") if folder is None else folder)


def distances(shown: Result, setting: str, aim: str, draws: int) -> np.ndarray:
    """The distance of each rule's end point from the aim (draws rules).

    The aim "the best without the outlier" becomes θ* if the setting has no outlier.
    """
    return shown.rows[key(setting, AIMS[reachable(shown, setting, aim)])][:draws].astype(float)


def reachable(shown: Result, setting: str, aim: str) -> str:
    """The aim, or θ* if the aim excludes an outlier and the setting has none."""
    return aim if key(setting, AIMS[aim]) in shown.rows else "θ*"


def judged(ends: np.ndarray, fine: float) -> tuple[Interval, str]:
    """A paired interval and its verdict: the distance of O-AMFS from the aim, minus the distance of the mean rule."""
    gap = paired_difference(torch.from_numpy(ends[:, 1]), torch.from_numpy(ends[:, 0]))
    return gap, verdict(gap, fine)


class EndpointExplorer(Explorer):
    """Distances between the aim and the end points of five rules, for hundreds of random draws of a setting.

    A second panel shows the distance of O-AMFS minus the distance of the rule `Mean`.
    """

    title = "Hundreds of random draws: how far from the aim does each rule end?"
    alt = (
        "Two panels. Left: for each rule the share of draws that end within a distance of the aim, a curve that rises "
        "from 0 to 100 %. Right: bars counting draws by how much farther from the aim O-AMFS ends than the mean, with "
        "the mean difference and its interval."
    )

    setting = Choice("setting", list(SETTINGS), start="five round tasks", help="the kind of tasks that is drawn")
    aim = Choice("distance to", list(AIMS), help="the point to reach, the aim")
    draws = Slider("draws", FEWEST, 500, integer=True, start=500, help="number of draws that are used")

    presets = {
        "farther": dict(setting="five round tasks", aim="θ*", draws=500),
        "the same": dict(setting="two tasks", aim="θ*", draws=500),
        "an outlier": dict(setting="one outlier of five", aim="the best without the outlier", draws=500),
        "a noisy task": dict(setting="one optimum, noise in one", aim="θ*", draws=500),
        "its own aim": dict(setting="five round tasks", aim="the geometric median", draws=500),
    }
    panels = Panels(
        widths=(0.52, 0.48),
        ends=Panel(
            "share of draws that end within this distance",
            axis(rangemode="tozero"),
            axis("share of draws", (0, 1.02), tickformat=".0%"),
        ),
        gaps=Panel(
            "O-AMFS − mean, draw by draw",
            axis("difference of the distances from the aim (sd of the optima)", zero=INK),
            axis("draws", rangemode="tozero"),
        ),
    )
    layout = dict(height=420, bargap=0.05)
    frame = {"ends.x.title.text": "distance_title", "ends.x.range": "distance_range", "gaps.x.range": "gap_range"}
    traces = {
        **{
            rule: curve(
                f"ends_{n}",
                "shares",
                looks.RULES[rule].color,
                width,
                looks.RULES[rule].dash,
                name=rule,
                hover=f"{rule}: %{{y:.0%}} within %{{x:.2f}}",
                more=dict(line_shape="hv"),
            )
            for n, (rule, width) in enumerate(zip(RULES, WIDTHS, strict=True))
        },
        "counts": bars(
            "bins", "counts", BLUE, (INK, 0.5), at="gaps", hover="%{y} draws at %{x:.2f}", width="bin_width"
        ),
        "interval": dotted_curve(
            "interval", "interval_height", Look(INK, "solid", "circle"), 3, at="gaps", hover="mean difference %{x:.3f}"
        ),
        "zero": reference_line("zero", "zero_y", 1.5, "dash", at="gaps"),
    }

    def __init__(self, shown: Result | None = None, preset: str | None = None, **start: Any) -> None:
        self.shown = result() if shown is None else shown
        super().__init__(preset, **start)

    def compute(self, state: State) -> Arrays:
        ends = distances(self.shown, state.setting, state.aim, state.draws)
        n = len(ends)
        difference = ends[:, 1] - ends[:, 0]
        fine = conflict.ConflictConfig(**self.shown.config).fine
        gap, said = judged(ends, fine)
        reach = max(float(np.abs(difference).max()), 10 * fine)
        counts, edges = np.histogram(difference, BINS, (-reach, reach))
        far = max(float(np.quantile(ends, 0.995)), 10 * fine)
        aim = reachable(self.shown, state.setting, state.aim)
        return Arrays(
            state=state,
            **{f"ends_{k}": np.sort(ends[:, k]).round(3) for k in range(len(RULES))},
            shares=(np.arange(n) + 1) / n,
            aim=aim,
            distance_title=f"distance from {aim} (sd of the optima)",
            distance_range=[0, 1.05 * far],
            bins=(edges[1:] + edges[:-1]) / 2,
            bin_width=float(edges[1] - edges[0]),
            counts=counts,
            gap_range=[-1.05 * reach, 1.05 * reach],
            interval=[gap.low, gap.mean, gap.high],
            interval_height=[1.08 * float(counts.max())] * 3,
            zero=[0, 0],
            zero_y=[0, 1.15 * float(counts.max())],
            gap=gap,
            nearer=float((difference < -fine).mean()),
            medians=np.median(ends, 0),
            verdict="neither clearly nearer nor clearly farther" if said == "no difference shown" else said,
            n=n,
        )

    def say(self, a: Arrays) -> str:
        medians = ", ".join(f"{rule} {median:.3f}" for rule, median in zip(RULES, a.medians, strict=True))
        gap = f"{a.gap.mean:+.3f} ± {a.gap.half_width:.3f}".replace("-", "−")
        alike = "" if a.aim == a.state.aim else " No task is an outlier here, so the best point is θ*."
        return (
            f"{a.n} draws of {a.state.setting}.{alike} Median distance from {a.aim}: {medians}. "
            f"On average, O-AMFS ends {a.verdict} than the mean "
            f"({gap}, 95 %). It ends nearer in {percent(a.nearer)} of the draws."
        ).replace("the same than", "at the same distance as")
