"""The outer loop in the plane: trajectories and end points of five methods on the same three tasks."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from amfs_lab import planes
from amfs_lab.errors import NumericalError
from amfs_lab.explore.looks import IN_THE_PLANE
from amfs_lab.explore.outer_loop.plane import (
    CONTOURS,
    FAR,
    HEIGHT,
    HERE,
    STRETCH,
    beside_the_plane,
    distances,
    hessians,
    kept,
    landscape,
    marks,
    places,
    sides,
    start_and_optima,
    trajectory_curves,
)
from amfs_lab.widgets import style
from amfs_lab.widgets.controls import PlaySlider, Slider
from amfs_lab.widgets.draggable import DraggableExplorer, coordinates
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, axis, log_axis
from amfs_lab.widgets.style import INK
from amfs_lab.widgets.text import count
from amfs_lab.widgets.traces import bars, dots, hatched

TASKS, STEPS = len(style.TASKS), 200
LOOKS = IN_THE_PLANE
NEAR = 1e-6  # the smallest distance that is drawn
PLACES = places(TASKS)
START: dict[str, Any] = dict(
    x_0=-2.2, y_0=-2.0, x_1=-1.2, y_1=1.0, x_2=1.6, y_2=1.4, x_3=0.6, y_3=-1.6,
    curvature=4.0, stretch=1.0, inner_lr=0.2, inner_steps=1, lam=1.0, rate=0.1, shown=STEPS,
)  # fmt: skip


def tasks_of(state: State) -> planes.Quadratics:
    """The three tasks of a state. Tasks 1 and 2 have the curvature 1, and task 3 has the curvature `state.curvature`.

    `state.stretch` is the ratio of the two eigenvalues of each Hessian.
    """
    return landscape(state, TASKS, state.curvature, state.stretch).tasks


@lru_cache(maxsize=64)
def pulls_of(curvature: float, stretch: float, inner_lr: float, inner_steps: int, lam: float) -> Tensor:
    """The matrices W (method t 2 2), with one matrix W_t for each method and each task t.

    The meta-gradient of task t is W_t (theta - o_t), where o_t is the optimum of the task.
    """
    H = hessians(curvature, stretch, TASKS)
    return torch.stack([planes.pulls(method, H, inner_lr, inner_steps, lam) for method in LOOKS])


def end_of(W: Tensor, optima: Tensor) -> Tensor | None:
    """The point where the outer loop of one method ends (`planes.end`); None if there is no unique end."""
    try:
        return planes.end(W, optima)
    except NumericalError:
        return None


def limits(W: Tensor) -> Tensor:
    """The limit 2t / |s| of the outer learning rate for each method, where t is the number of tasks.

    s is the eigenvalue of sum_t W_t with the largest absolute value. The slider shows the learning rate as a multiple
    of this limit.
    """
    strongest = torch.linalg.eigvalsh(W.sum(-3)).abs().amax(-1)
    return 2 * W.shape[-3] / torch.where(strongest > 0, strongest, torch.ones_like(strongest))


def shares(W: Tensor) -> Tensor:
    """The share of each task in the pull of each method (method t): tr W_t / sum_t |tr W_t|.

    A share is negative if the task pushes theta away from the optimum of the task.
    """
    traces = W.diagonal(dim1=-2, dim2=-1).sum(-1)
    total = traces.abs().sum(-1, keepdim=True)
    return traces / torch.where(total > 0, total, torch.ones_like(total))


def fo_maml_diverges(
    curvature: float, inner_lr: float = START["inner_lr"], inner_steps: int = START["inner_steps"]
) -> bool:
    """True if FO-MAML diverges at every outer learning rate, for this curvature of task 3.

    Each Hessian is a multiple of the identity: h I.
    """
    W = planes.pulls("FO-MAML", hessians(curvature, 1.0, TASKS), inner_lr, inner_steps)
    return float(planes.stable_below(W)) == 0


class OuterLoopExplorer(DraggableExplorer):
    """Three quadratic tasks with draggable optima, and the outer-loop trajectories of five methods."""

    title = "The outer loop in the plane: trajectories and end points of five methods"
    alt = (
        "Three panels. Left: the plane of meta-parameters with the optima of three tasks, contours of their mean loss, "
        "the trajectory of each of five methods from one start, and the end point of each method. Upper right: bars "
        "with each task's share of the pull, one group for each method. Lower right: the distance of each trajectory "
        "from its end point, against steps, on a logarithmic scale."
    )

    places = PLACES
    shown = PlaySlider("steps", 0, STEPS, start=STEPS, help="how many steps of the outer loop are drawn")
    curvature = Slider(
        "curvature h", 0.1, 30.0, scale="log", start=4.0, unit="× tasks 1, 2", help="curvature of task 3"
    )
    inner_lr = Slider(
        "inner rate a", 0.0, 0.5, start=0.2, step=0.01, help="inner learning rate of FO-MAML, MAML and Reptile"
    )
    inner_steps = Slider("inner steps k", 0, 10, integer=True, start=1, help="number for FO-MAML, MAML and Reptile")
    lam = Slider("λ", 0.05, 50.0, scale="log", start=1.0, help="regulariser of the proximal solve")
    rate = Slider(
        "outer rate β",
        0.0,
        1.1,
        start=0.1,
        step=0.01,
        unit="× its limit",
        help="outer learning rate; each method has its own limit, 2 / s_max",
    )
    stretch = STRETCH
    x_0, y_0 = coordinates(0, START, "start")
    x_1, y_1 = coordinates(1, START, "task 1")
    x_2, y_2 = coordinates(2, START, "task 2")
    x_3, y_3 = coordinates(3, START, "task 3")

    presets = {
        "one curved task": START,
        "no inner loop": START | dict(inner_steps=0, lam=50.0),
        "no pull in MAML": START | dict(curvature=5.0),
        "diverges": START | dict(curvature=15.0, inner_lr=0.1, rate=0.05, shown=60),
        "even k": START | dict(curvature=15.0, inner_lr=0.1, inner_steps=2),
        "long inner loop": START | dict(inner_steps=10),
        "valleys": START | dict(stretch=10.0, curvature=2.0, inner_lr=0.1, rate=0.2),
    }

    panels = beside_the_plane(
        shares=Panel(
            "each task’s share of the pull",
            axis(type="category"),
            axis(range=(-1.05, 1.05), tickformat=".0%", nticks=5, zero=INK),
        ),
        distance=Panel(
            "distance from the method’s own end point",
            axis("steps of the outer loop", (0, STEPS)),
            log_axis(range=(math.log10(NEAR), math.log10(FAR)), dtick=2, exponentformat="power"),
        ),
    )
    layout = dict(height=HEIGHT, barmode="group", bargap=0.25)
    traces = {
        "mean loss": CONTOURS,
        **trajectory_curves(LOOKS, [2.2] * len(LOOKS)),
        **marks(LOOKS, 13, "ends here"),
        "places": dots(
            "place_x",
            "place_y",
            [INK, *(task.color for task in style.TASKS)],
            9,
            ["circle-open", *(task.marker for task in style.TASKS)],
            (INK, 1.5),
            hover=f"%{{text}}: {HERE}",
            more=dict(mode="markers+text", text=list(PLACES), textfont=dict(size=13)),
            textposition="place_side",
        ),
        **{
            f"task {t + 1}": bars(
                list(LOOKS),
                f"share_{t}",
                task.color,
                (INK, 1),
                hatched(task.pattern, INK, 5),
                at="shares",
                name=f"task {t + 1}",
                hover=f"%{{x}}, task {t + 1}: %{{y:.1%}} of the pull",
            )
            for t, task in enumerate(style.TASKS)
        },
        **distances(LOOKS, [2] * len(LOOKS), "distance", "distance"),
    }

    def compute(self, state: State) -> Arrays:
        tasks, _, _, heights = landscape(state, TASKS, state.curvature, state.stretch)
        W = pulls_of(state.curvature, state.stretch, state.inner_lr, state.inner_steps, state.lam)
        everywhere = start_and_optima(state, TASKS)
        arrays: dict[str, Any] = {"height": heights}
        ended, gone, away = {}, {}, {}
        rates = state.rate * limits(W)
        paths = planes.descend(rates[:, None, None, None] * W, tasks.optima, everywhere[0], 1.0, STEPS)
        for n, name in enumerate(LOOKS):
            end = end_of(W[n], tasks.optima)
            path, gone[name] = kept(paths[: state.shown + 1, n])
            distance = (path - end).norm(dim=1).clamp(NEAR, FAR) if end is not None else path.new_zeros(0)
            ended[name] = end is not None
            away[name] = float(distance[-1]) if end is not None else math.nan
            arrays |= {
                f"x_{n}": path[:, 0].numpy().round(4),
                f"y_{n}": path[:, 1].numpy().round(4),
                f"mark_x_{n}": [] if end is None else [float(end[0])],
                f"mark_y_{n}": [] if end is None else [float(end[1])],
                f"step_{n}": np.arange(len(distance)),
                f"distance_{n}": distance.numpy(),
            }
        pulled = shares(W)
        return Arrays(
            **arrays,
            **{f"share_{t}": pulled[:, t] for t in range(TASKS)},
            state=state,
            place_x=everywhere[:, 0],
            place_y=everywhere[:, 1],
            place_side=["bottom center", *sides(everywhere[1:])],
            ended=ended,
            gone=gone,
            away=away,
            shares_of_task_3=dict(zip(LOOKS, pulled[:, -1].tolist(), strict=True)),
            settles={name: float(planes.stable_below(W[n])) > 0 for n, name in enumerate(LOOKS)},
        )

    def say(self, a: Arrays) -> str:
        s = a.state
        pulls = ", ".join(f"{name} {_share(share)}" for name, share in a.shares_of_task_3.items())
        runs = [name for name in LOOKS if a.ended[name] and not a.settles[name]]
        free = [name for name in LOOKS if not a.ended[name]]
        if s.inner_lr * s.inner_steps:
            words = f"Task 3 has a·h = {s.inner_lr * s.curvature:.2f}. Task 3’s share of the pull: {pulls}. "
        else:
            words = f"{no_inner_loop(s)}. Task 3’s share of the pull: {pulls}. "
        apart = {name: _apart(a.away[name], a.gone[name]) for name in LOOKS if a.ended[name]}
        if not s.shown:
            words += "No step yet: all methods are at the start."
        elif set(apart.values()) == {THERE}:
            all_ = "all other methods" if free else "all methods"
            words += f"After {count(s.shown, 'step')} {all_} are at their own end points."
        else:
            distances = ", ".join(f"{name} {words}" for name, words in apart.items())
            words += f"Distance of each method from its own end point after {count(s.shown, 'step')}: {distances}."
        if runs:
            verb = "it diverges" if len(runs) == 1 else "they diverge"
            words += (
                f" The sum of the pulls of {' and '.join(runs)} has a negative eigenvalue: {verb} at every outer "
                "rate above 0."
            )
        if free:
            words += f" The pulls of {' and '.join(free)} are zero in some direction, so there is no single end point."
        return words


THERE = "below 0.00001"


def no_inner_loop(state: State) -> str:
    """The reason, as text, that the inner loop has no effect in this state."""
    return "The inner steps have length 0" if state.inner_steps else "There are no inner steps"


def _apart(distance: float, gone: bool) -> str:
    return "∞" if gone else THERE if distance <= 10 * NEAR else f"{distance:.2g}"


def _share(share: float) -> str:
    return f"{round(100 * share)} %".replace("-", "−")
