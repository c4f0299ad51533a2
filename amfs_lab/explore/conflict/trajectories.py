"""Where four rules for the outer loop walk when tasks disagree, as in the paper's Figure 1, and where each ends."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
from torch import Tensor

from amfs_lab import planes
from amfs_lab.explore import looks
from amfs_lab.explore.outer_loop.plane import CONTOURS, LAYOUT, PANELS, ground, kept, places, sides, standing
from amfs_lab.outer import PairwiseCosine
from amfs_lab.outer.aggregation import NORMALIZATIONS
from amfs_lab.outer.conflict import measure
from amfs_lab.widgets.controls import Choice, IntSlider, LogSlider, PlaySlider, Slider, Toggle
from amfs_lab.widgets.draggable import Coordinate, DraggableExplorer
from amfs_lab.widgets.figure import Arrays, State, Trace
from amfs_lab.widgets.style import INK, VERMILLION, line, marks
from amfs_lab.widgets.text import count

MOST, STEPS = 4, 200
NEAR = 1e-4  # distances are drawn down to this
LOOKS = {name: looks.RULES[name] for name in planes.RULES}
WIDTHS = (6.0, 3.5, 2.5, 2.0)  # the wider ones are drawn first, so that walks on each other can all be seen
PLACES = places(MOST)
START: dict[str, Any] = dict(
    x_0=-2.6, y_0=-2.2, x_1=-2.0, y_1=1.6, x_2=-0.6, y_2=2.2, x_3=-1.6, y_3=-0.2, x_4=2.4, y_4=-1.6,
    tasks=4, loudness=1.0, stretch=1.0, rate=0.1, decay=1.0, noise=0.0, equal_steps=False, normalization="agreement",
    negative="keep", shown=STEPS,
)  # fmt: skip


@lru_cache(maxsize=64)
def walk_of(state: tuple[tuple[str, Any], ...]) -> dict[str, Tensor]:
    """The four walks (STEPS + 1, 2) of the tasks and settings in a state."""
    s = State(state)
    walk = planes.Walk(s.rate, STEPS, s.decay, s.normalization, s.negative, equal_steps=s.equal_steps, noise=s.noise)
    return walk.along(tasks_of(s), standing(s, s.tasks)[0])


def tasks_of(state: State) -> planes.Quadratics:
    """The first so many tasks; the last of them is `loudness` times as curved as the others."""
    return ground(state, state.tasks, state.loudness, state.stretch).tasks


class TrajectoryExplorer(DraggableExplorer):
    """Two to four tasks whose optima can be dragged, and the walks of the mean, O-AMFS, its variant and PCGrad."""

    title = "Meta-update trajectories: four rules among tasks that disagree"
    alt = (
        "Three panels. Left: the plane of meta-parameters with the optima of the tasks, contours of their mean loss, "
        "its minimum, the geometric median of the optima, and the walks of the mean, O-AMFS, cosine to mean and PCGrad "
        "from one start. Right: the distance of each walk from the minimum of the mean loss, and from the geometric "
        "median, against steps, on logarithmic scales."
    )

    places = PLACES
    shown = PlaySlider("steps", 0, STEPS, start=STEPS, help="how many steps of the outer loop are drawn")
    tasks = IntSlider("tasks", 2, MOST, start=MOST, help="how many of them there are")
    loudness = LogSlider("loudness", 0.1, 10.0, start=1.0, unit="× the others", help="curvature of the last task")
    stretch = LogSlider(
        "stretch", 1.0, 10.0, start=1.0, unit=": 1", help="steep to flat curvature, in each task", rare=True
    )
    noise = Slider("noise", 0.0, 3.0, start=0.0, step=0.05, help="sd of what is added to each gradient", rare=True)
    rate = LogSlider("rate β", 0.005, 1.0, start=0.1, help="of a step, or its length if steps are equal")
    decay = Slider(
        "decay", 0.95, 1.0, start=1.0, step=0.001, help="each step’s rate, × that of the one before", rare=True
    )
    normalization = Choice(
        "scale", list(NORMALIZATIONS), start="agreement", help="the factor Z of the two cosine rules"
    )
    negative = Choice("negative", ["keep", "clip"], help="what the cosine rules do with weights below zero", rare=True)
    equal_steps = Toggle(
        "equal steps", start=False, help="every step of every rule is β long: direction alone counts", rare=True
    )
    x_0, y_0 = (Coordinate(f"{axis}₀", START[f"{axis}_0"], help=help) for axis, help in (("x", "start"), ("y", "")))
    x_1, y_1 = (Coordinate(f"{axis}₁", START[f"{axis}_1"], help=help) for axis, help in (("x", "task 1"), ("y", "")))
    x_2, y_2 = (Coordinate(f"{axis}₂", START[f"{axis}_2"], help=help) for axis, help in (("x", "task 2"), ("y", "")))
    x_3, y_3 = (Coordinate(f"{axis}₃", START[f"{axis}_3"], help=help) for axis, help in (("x", "task 3"), ("y", "")))
    x_4, y_4 = (Coordinate(f"{axis}₄", START[f"{axis}_4"], help=help) for axis, help in (("x", "task 4"), ("y", "")))

    presets = {
        "one against three": START,
        "agreement": START | dict(x_1=-1.5, y_1=1.2, x_2=-1.0, y_2=1.4, x_3=-1.3, y_3=0.8, x_4=-0.7, y_4=0.9),
        "two opposed": START | dict(tasks=2, x_1=-2.0, y_1=1.0, x_2=2.0, y_2=1.0, x_0=-1.0, y_0=1.0),
        "loud task": START | dict(loudness=8.0, rate=0.05),
        "chatter": START | dict(normalization="unit", rate=0.3),
        "equal, decaying": START | dict(equal_steps=True, rate=0.15, decay=0.97),
        "valleys": START | dict(stretch=10.0),
        "noise": START | dict(noise=1.5),
    }

    panels = PANELS | dict(
        vertical_spacing=0.17,
        subplot_titles=("the plane of θ", "distance from θ*", "distance from the geometric median"),
    )
    layout = LAYOUT | dict(
        xaxis2=dict(range=[0, STEPS], showticklabels=False),
        yaxis2=dict(type="log", range=[math.log10(NEAR), 1], dtick=1, exponentformat="power"),
        xaxis3=dict(title="steps of the outer loop", range=[0, STEPS]),
        yaxis3=dict(type="log", range=[math.log10(NEAR), 1], dtick=1, exponentformat="power"),
    )
    traces = (
        CONTOURS,
        *(
            Trace(
                go.Scatter,
                line(
                    look.color, WIDTHS[n], look.dash, f"{name}: (%{{x:.2f}}, %{{y:.2f}})", legendgroup=name, name=name
                ),
                x=f"x_{n}",
                y=f"y_{n}",
            )
            for n, (name, look) in enumerate(LOOKS.items())
        ),
        *(
            Trace(
                go.Scatter,
                marks(
                    look.color,
                    11,
                    look.marker,
                    ("white", 1.5),
                    opacity=1,
                    hover=f"{name} is here: (%{{x:.2f}}, %{{y:.2f}})",
                    legendgroup=name,
                    showlegend=False,
                ),
                x=f"here_x_{n}",
                y=f"here_y_{n}",
            )
            for n, (name, look) in enumerate(LOOKS.items())
        ),
        Trace(
            go.Scatter,
            marks(VERMILLION, 13, "star", ("white", 1), opacity=1, hover="θ*, least mean loss: (%{x:.2f}, %{y:.2f})")
            | dict(name="θ*"),
            x="best_x",
            y="best_y",
        ),
        Trace(
            go.Scatter,
            marks("white", 11, "hexagon", (INK, 2), opacity=1, hover="geometric median: (%{x:.2f}, %{y:.2f})")
            | dict(name="geometric median", mode="lines+markers", line=dict(color=INK, width=2, dash="dot")),
            x="median_x",
            y="median_y",
        ),
        Trace(
            go.Scatter,
            marks(INK, 9, "x", opacity=1, hover="%{text}: (%{x:.2f}, %{y:.2f})")
            | dict(mode="markers+text", textfont=dict(size=13), showlegend=False),
            x="place_x",
            y="place_y",
            text="place_text",
            textposition="place_side",
            marker_symbol="place_symbol",
        ),
        *(
            Trace(
                go.Scatter,
                line(look.color, WIDTHS[n], look.dash, f"{name}, step %{{x}}: %{{y:.2g}}")
                | dict(legendgroup=name, showlegend=False),
                at=(row, 2),
                x=f"step_{n}",
                y=f"{goal}_{n}",
            )
            for row, goal in ((1, "from_best"), (2, "from_median"))
            for n, (name, look) in enumerate(LOOKS.items())
        ),
    )

    def present(self) -> int:
        return 1 + self.state.tasks

    def compute(self, state: State) -> Arrays:
        tasks, best, medians, heights = ground(state, state.tasks, state.loudness, state.stretch)
        paths = walk_of(tuple((name, value) for name, value in state.items() if name != "shown"))
        everywhere = standing(state, state.tasks)
        arrays: dict[str, Any] = {"height": heights}
        away: dict[str, tuple[float, float]] = {}
        for n, name in enumerate(LOOKS):
            path, gone = kept(paths[name][: state.shown + 1])
            apart = [(path - best).norm(dim=1), planes.from_segment(path, medians)]
            away[name] = (math.inf, math.inf) if gone else (float(apart[0][-1]), float(apart[1][-1]))
            arrays |= {
                f"x_{n}": path[:, 0].numpy().round(4),
                f"y_{n}": path[:, 1].numpy().round(4),
                f"here_x_{n}": [float(path[-1, 0])],
                f"here_y_{n}": [float(path[-1, 1])],
                f"step_{n}": np.arange(len(path)),
                f"from_best_{n}": apart[0].clamp(min=NEAR).numpy(),
                f"from_median_{n}": apart[1].clamp(min=NEAR).numpy(),
            }
        at = torch.tensor([arrays["here_x_1"][0], arrays["here_y_1"][0]], dtype=torch.float64)
        grads = tasks.gradients(at)
        conflicts = [measure(g) for g in (tasks.gradients(everywhere[0]), grads)]
        d = PairwiseCosine(state.normalization, state.negative)(grads)
        return Arrays(
            **arrays,
            state=state,
            place_x=everywhere[:, 0],
            place_y=everywhere[:, 1],
            place_text=list(places(state.tasks)),
            place_side=["bottom center", *sides(everywhere[1:])],
            place_symbol=["circle-open"] + ["x"] * state.tasks,
            best_x=[float(best[0])],
            best_y=[float(best[1])],
            median_x=medians[:, 0],
            median_y=medians[:, 1],
            away=away,
            between=float(planes.from_segment(best, medians)),
            conflicts=[(float(each.mean_cosine), float(each.negative)) for each in conflicts],
            ascends=float(d @ grads.mean(0)) < -1e-9,
        )

    def say(self, a: Arrays) -> str:
        s = a.state
        told = [
            f"{cosine:+.2f} ({100 * share:.0f} % of the pairs in conflict)".replace("-", "−")
            for cosine, share in a.conflicts
        ]
        words = f"Mean cosine of the tasks’ gradients: {told[0]} at the start"
        if not s.shown:
            return f"{words}; no step yet. θ* and the geometric median lie {_short(a.between)} apart."
        words += f", {told[1]} where O-AMFS stands. "
        told = [f"{name} {_short(best)} and {_short(median)}" for name, (best, median) in a.away.items()]
        words += f"After {count(s.shown, 'step')}, from θ* and from the geometric median: {', '.join(told)}."
        step = "a step without noise" if s.noise else "its next step"
        return words + (f" Where O-AMFS stands, {step} raises the mean loss." if a.ascends else "")


def _short(distance: float) -> str:
    return "gone" if math.isinf(distance) else "there" if distance <= NEAR else f"{distance:.2g}"
