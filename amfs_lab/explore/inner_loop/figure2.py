"""The paper's Figure 2, drawn from a stored result: accuracy against inner steps and against time, with intervals."""

from typing import Any

import numpy as np
import torch

from amfs_lab.experiments import Result, figure2
from amfs_lab.experiments.result import stored
from amfs_lab.explore.looks import METHODS
from amfs_lab.explore.training.compare import LEVELS, verdict
from amfs_lab.stats import FEW, accuracy_difference
from amfs_lab.widgets.controls import Choice, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State, half_widths
from amfs_lab.widgets.panels import Panel, Panels, axis, log_axis
from amfs_lab.widgets.style import INK
from amfs_lab.widgets.text import count
from amfs_lab.widgets.traces import curve, dots, dotted_curve

FIRST = {"the first 10": 10, "the first 30": 30, "the first 100": 100, "all": None}
BARS = dict(error_y=dict(type="data", thickness=2, width=5))
MAML, SOLVE = METHODS["MAML"], METHODS["I-AMFS"]
COMPARED: dict[str, Any] = dict(color=INK, size=17, symbol="square-open", rim=(None, 2), hover="compared")


def result(source: str = "glyphs") -> Result:
    """The stored result of Figure 2 that comes with the course, for the data set `"glyphs"` or `"omniglot"`."""
    return figure2.load(stored(f"figure2-{source}"))


class Figure2Explorer(Explorer):
    """A comparison of MAML after 0, 1, ... inner steps with I-AMFS, which needs one solve, on the same episodes.

    Args:
        shown: a result of `amfs-lab reproduce figure2`; default: the result that comes with the course.
    """

    title = "Figure 2: one solve against the number of inner steps"
    alt = (
        "Two panels of accuracies with error bars. Left: MAML against its number of inner steps, and a horizontal line "
        "for the one solve of I-AMFS. Right: the same accuracies against the time for one task, from its support set "
        "to the scores of its queries, on a logarithmic axis."
    )
    steps = Slider("steps k", 0, 10, integer=True, start=5, help="MAML’s number of steps in the sentence")
    episodes = Choice("episodes", FIRST, start="all", help="use fewer episodes")
    level = Choice("level", LEVELS, start="95 %", help="share of such intervals that contain the true mean")

    presets = {"as trained": dict(steps=5), "one step": dict(steps=1), "ten steps": dict(steps=10)}
    panels = Panels(
        steps=Panel(
            "accuracy against inner steps", axis("inner steps k"), axis("accuracy on unseen letters", tickformat=".0%")
        ),
        time=Panel(
            "accuracy against time", log_axis("milliseconds per task (median)"), axis("accuracy", tickformat=".0%")
        ),
    )
    layout = dict(height=400)
    frame = {
        "steps.y.range": "accuracy_range",
        "time.y.range": "accuracy_range",
        "steps.x.range": "step_range",
        "time.x.range": "time_range",
        "time.x.tickvals": "ticks",
        "time.x.ticktext": "tick_words",
    }
    traces = {
        "maml": dotted_curve(
            "counts",
            "maml",
            MAML,
            2,
            8,
            name="MAML",
            hover="%{x} steps: %{y:.1%}",
            more=BARS,
            error_y_array="maml_half",
        ),
        "solve": curve("step_range", "solve_line", SOLVE.color, name="I-AMFS, one solve", hover="one solve: %{y:.1%}"),
        "solve, low": curve("step_range", "solve_low", SOLVE.color, 1, "dot"),
        "solve, high": curve("step_range", "solve_high", SOLVE.color, 1, "dot"),
        "compared": dots("chosen_x", "chosen_y", **COMPARED, name="compared"),
        "maml in time": dotted_curve(
            "maml_time",
            "maml",
            MAML,
            2,
            8,
            at="time",
            hover="%{x:.1f} ms: %{y:.1%}",
            more=BARS,
            error_y_array="maml_half",
        ),
        "solve in time": dots(
            "solve_time",
            "solve",
            SOLVE.color,
            13,
            SOLVE.marker,
            at="time",
            hover="one solve, %{x:.1f} ms: %{y:.1%}",
            more=BARS,
            error_y_array="solve_half",
        ),
        "compared in time": dots("chosen_time", "chosen_y", **COMPARED, at="time"),
    }

    def __init__(self, shown: Result | None = None, preset: str | None = None, **start: Any) -> None:
        self.shown = result() if shown is None else shown
        self.curves = figure2.curves(self.shown)
        counts = range(self.curves["maml"].per_episode.shape[2])
        self.times = np.array([self.curves["maml"].milliseconds(k) for k in counts])
        self.solve_time = self.curves["i-amfs"].milliseconds(0)
        super().__init__(preset, **start)

    def compute(self, state: State) -> Arrays:
        maml, solve = self.curves["maml"], self.curves["i-amfs"]
        first, level = FIRST[state.episodes], LEVELS[state.level]
        counts = np.arange(maml.per_episode.shape[2])
        k = min(state.steps, int(counts[-1]))
        intervals = [maml.interval(int(each), first, level) for each in counts]
        one = solve.interval(0, first, level)
        means, halves = np.array([each.mean for each in [*intervals, one]]), half_widths([*intervals, one])
        lowest, highest = float((means - halves).min()), float((means + halves).max())
        times, solve_time = self.times, self.solve_time
        ends = [min(times.min(), solve_time), max(times.max(), solve_time)]
        ticks = [t for t in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000) if ends[0] / 2 < t < 2 * ends[1]]
        return Arrays(
            state=state,
            counts=counts,
            maml=means[:-1],
            maml_half=halves[:-1],
            maml_time=times,
            solve=[one.mean],
            solve_half=halves[-1:],
            solve_time=[solve_time],
            solve_line=[one.mean, one.mean],
            solve_low=[one.mean - halves[-1]] * 2,
            solve_high=[one.mean + halves[-1]] * 2,
            step_range=[-0.4, float(counts[-1]) + 0.4],
            time_range=[float(np.log10(ends[0])) - 0.12, float(np.log10(ends[1])) + 0.12],
            ticks=ticks,
            tick_words=[f"{t:g}" for t in ticks],
            accuracy_range=[lowest - 0.05, min(highest + 0.05, 1.02)],
            chosen_x=[k],
            chosen_time=[times[k]],
            chosen_y=[intervals[k].mean],
            k=k,
            verdict=verdict("I-AMFS", "MAML", accuracy_difference(solve.at(0, first), maml.at(k, first), level)),
            ratio=times[k] / solve_time,
            n=one.n,
            seeds=len(self.shown.seeds),
        )

    def say(self, a: Arrays) -> str:
        seeds = "one training of each" if a.seeds == 1 else f"means over {a.seeds} trainings of each"
        basis = f"These are {a.state.level} intervals over {a.n} episodes, for {seeds}. " if a.n >= FEW else ""
        speed = f"MAML takes {a.ratio:.3g} times as long as the solve"
        return (
            f"With {count(a.k, 'inner step')} MAML has an accuracy of {_share(a.chosen_y[0])}, I-AMFS with one solve "
            f"has {_share(a.solve[0])}: {a.verdict}. {basis}{speed}."
        )


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def settings(shown: Result) -> str:
    """A short text: the settings of a result, the machine of the measurement, and the mean length of training."""
    c, m = shown.config, shown.machine
    lines = [
        f"{c['source']}, on its {c['split']} letters, {c['episode']['ways']}-way {c['episode']['shots']}-shot",
        f"Conv-4 of width {c['width']}, {c['norm']} BatchNorm, MAML trained with "
        f"{count(c['maml']['steps'], 'inner step')} of rate {c['maml']['lr']:g}",
        f"{m['cpu']}, {m['cores']} cores (load {m['load']} at the start), {count(m['threads'], 'thread')}, "
        f"torch {m['torch']}",
    ]
    for method in figure2.METHODS:
        runs = [run for run in shown.training if run["method"] == method]
        steps, seconds = (
            torch.tensor([float(run[what]) for run in runs], dtype=torch.float64).mean() for what in ("step", "seconds")
        )
        lines.append(f"{method}: {len(runs)} trainings, {steps:.0f} meta-steps in {seconds:.0f} s on average")
    return "\n".join(lines)
