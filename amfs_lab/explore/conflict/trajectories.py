"""Trajectories of four aggregation rules, and their end points, for conflicting tasks as in the paper's Figure 1."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from amfs_lab import planes
from amfs_lab.explore import looks
from amfs_lab.explore.conflict.conflict import RULES
from amfs_lab.explore.outer_loop.plane import (
    CONTOURS,
    HEIGHT,
    HERE,
    STRETCH,
    beside_the_plane,
    distances,
    kept,
    landscape,
    marks,
    places,
    sides,
    start_and_optima,
    trajectory_curves,
)
from amfs_lab.outer import PairwiseCosine
from amfs_lab.outer.aggregation import NORMALIZATIONS
from amfs_lab.outer.conflict import measure
from amfs_lab.widgets.controls import Choice, PlaySlider, Slider, Toggle
from amfs_lab.widgets.draggable import DraggableExplorer, coordinates
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, axis, log_axis
from amfs_lab.widgets.style import INK, VERMILLION, Look
from amfs_lab.widgets.text import count
from amfs_lab.widgets.traces import dots, dotted_curve

MOST, STEPS = 4, 200
NEAR = 1e-4  # the smallest distance that is drawn
DISTANCE = log_axis(range=(math.log10(NEAR), 1), dtick=1, exponentformat="power")
LOOKS = {name: looks.RULES[name] for name in RULES}
WIDTHS = (6.0, 3.5, 2.5, 2.0)  # wider curves are drawn first, so that coinciding curves all stay visible
PLACES = places(MOST)
START: dict[str, Any] = dict(
    x_0=-2.6, y_0=-2.2, x_1=-2.0, y_1=1.6, x_2=-0.6, y_2=2.2, x_3=-1.6, y_3=-0.2, x_4=2.4, y_4=-1.6,
    tasks=4, curvature=1.0, stretch=1.0, rate=0.1, decay=1.0, noise=0.0, equal_steps=False, normalization="agreement",
    negative="keep", shown=STEPS,
)  # fmt: skip


@lru_cache(maxsize=64)
def trajectories_of(state: tuple[tuple[str, Any], ...]) -> dict[str, Tensor]:
    """The four trajectories (STEPS + 1, 2) for the tasks and settings in a state."""
    s = State(state)
    walk = planes.Walk(s.rate, STEPS, s.decay, s.normalization, s.negative, equal_steps=s.equal_steps, noise=s.noise)
    return walk.along(tasks_of(s), start_and_optima(s, s.tasks)[0])


def tasks_of(state: State) -> planes.Quadratics:
    """The tasks of a state. The last task has curvature `state.curvature`, and every other task has curvature 1."""
    return landscape(state, state.tasks, state.curvature, state.stretch).tasks


class TrajectoryExplorer(DraggableExplorer):
    """Two to four tasks with draggable optima, and the trajectories of the mean, O-AMFS, cosine to mean and PCGrad."""

    title = "Meta-update trajectories: four rules among tasks that disagree"
    alt = (
        "Three panels. Left: the plane of meta-parameters with the optima of the tasks, contours of their mean loss, "
        "its minimum, the geometric median of the optima, and the trajectories of the mean, O-AMFS, cosine to mean and "
        "PCGrad from one start. Right: the distance of each trajectory from the minimum of the mean loss, and from the "
        "geometric median, against steps, on logarithmic scales."
    )

    places = PLACES
    shown = PlaySlider("steps", 0, STEPS, start=STEPS, help="how many steps of the outer loop are drawn")
    tasks = Slider("tasks", 2, MOST, integer=True, start=MOST, help="number of tasks")
    curvature = Slider("curvature", 0.1, 10.0, scale="log", start=1.0, unit="× the others", help="of the last task")
    stretch = STRETCH
    noise = Slider("noise", 0.0, 3.0, start=0.0, step=0.05, help="sd of the noise added to each gradient", rare=True)
    rate = Slider("rate β", 0.005, 1.0, scale="log", start=0.1, help="learning rate, or the length of equal steps")
    decay = Slider(
        "decay", 0.95, 1.0, start=1.0, step=0.001, help="factor of the rate from each step to the next", rare=True
    )
    normalization = Choice(
        "scale", list(NORMALIZATIONS), start="agreement", help="the factor Z of the two cosine rules"
    )
    negative = Choice("negative", ["keep", "clip"], help="what the cosine rules do with weights below zero", rare=True)
    equal_steps = Toggle(
        "equal steps", start=False, help="every step of every rule has length β: only the direction counts", rare=True
    )
    x_0, y_0 = coordinates(0, START, "start")
    x_1, y_1 = coordinates(1, START, "task 1")
    x_2, y_2 = coordinates(2, START, "task 2")
    x_3, y_3 = coordinates(3, START, "task 3")
    x_4, y_4 = coordinates(4, START, "task 4")

    presets = {
        "one against three": START,
        "agreement": START | dict(x_1=-1.5, y_1=1.2, x_2=-1.0, y_2=1.4, x_3=-1.3, y_3=0.8, x_4=-0.7, y_4=0.9),
        "two opposed": START | dict(tasks=2, x_1=-2.0, y_1=1.0, x_2=2.0, y_2=1.0, x_0=-1.0, y_0=1.0),
        "curved task": START | dict(curvature=8.0, rate=0.05),
        "chatter": START | dict(normalization="unit", rate=0.3),
        "equal, decaying": START | dict(equal_steps=True, rate=0.15, decay=0.97),
        "valleys": START | dict(stretch=10.0),
        "noise": START | dict(noise=1.5),
    }

    panels = beside_the_plane(
        from_best=Panel("distance from θ*", axis(range=(0, STEPS), showticklabels=False), DISTANCE),
        from_median=Panel("distance from the geometric median", axis("steps of the outer loop", (0, STEPS)), DISTANCE),
    )
    layout = dict(height=HEIGHT)
    traces = {
        "mean loss": CONTOURS,
        **trajectory_curves(LOOKS, WIDTHS),
        **marks(LOOKS, 11, "is here"),
        "best": dots(
            "best_x", "best_y", VERMILLION, 13, "star", ("white", 1), name="θ*", hover=f"θ*, least mean loss: {HERE}"
        ),
        "median": dotted_curve(
            "median_x",
            "median_y",
            Look(INK, "dot", "hexagon"),
            2,
            11,
            (INK, 2),
            inside="white",
            name="geometric median",
            hover=f"geometric median: {HERE}",
        ),
        "places": dots(
            "place_x",
            "place_y",
            INK,
            9,
            hover=f"%{{text}}: {HERE}",
            more=dict(mode="markers+text", textfont=dict(size=13)),
            text="place_text",
            textposition="place_side",
            marker_symbol="place_symbol",
        ),
        **distances(LOOKS, WIDTHS, "from_best", "from_best"),
        **distances(LOOKS, WIDTHS, "from_median", "from_median"),
    }

    def present(self) -> int:
        return 1 + self.state.tasks

    def compute(self, state: State) -> Arrays:
        tasks, best, medians, heights = landscape(state, state.tasks, state.curvature, state.stretch)
        paths = trajectories_of(tuple((name, value) for name, value in state.items() if name != "shown"))
        everywhere = start_and_optima(state, state.tasks)
        arrays: dict[str, Any] = {"height": heights}
        away: dict[str, tuple[float, float]] = {}
        for n, name in enumerate(LOOKS):
            path, gone = kept(paths[name][: state.shown + 1])
            apart = [(path - best).norm(dim=1), planes.from_segment(path, medians)]
            away[name] = (math.inf, math.inf) if gone else (float(apart[0][-1]), float(apart[1][-1]))
            arrays |= {
                f"x_{n}": path[:, 0].numpy().round(4),
                f"y_{n}": path[:, 1].numpy().round(4),
                f"mark_x_{n}": [float(path[-1, 0])],
                f"mark_y_{n}": [float(path[-1, 1])],
                f"step_{n}": np.arange(len(path)),
                f"from_best_{n}": apart[0].clamp(min=NEAR).numpy(),
                f"from_median_{n}": apart[1].clamp(min=NEAR).numpy(),
            }
        at = torch.tensor([arrays["mark_x_1"][0], arrays["mark_y_1"][0]], dtype=torch.float64)
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
        cosines = [
            f"{cosine:+.2f} ({100 * share:.0f} % of the pairs in conflict)".replace("-", "−")
            for cosine, share in a.conflicts
        ]
        words = f"Mean cosine of the tasks’ gradients: {cosines[0]} at the start"
        if not s.shown:
            return f"{words}; no step yet. The distance between θ* and the geometric median is {_short(a.between)}."
        words += f", {cosines[1]} at the end of O-AMFS. "
        ends = [
            f"{name} {_short(best)} from θ* and {_short(median)} from the median"
            for name, (best, median) in a.away.items()
        ]
        words += f"Distances after {count(s.shown, 'step')}: {'; '.join(ends)}."
        noise = " without noise" if s.noise else ""
        return words + (f" The next step of O-AMFS{noise} raises the mean loss." if a.ascends else "")


def _short(distance: float) -> str:
    return "∞" if math.isinf(distance) else "below 0.0001" if distance <= NEAR else f"{distance:.2g}"
