"""The pull w(h) of a task with curvature h on the outer loop: the meta-gradient of the task is w(h) (θ - θ*).

Here θ* is the optimum of the task.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from amfs_lab import planes
from amfs_lab.explore.inner_loop.steps import BEST_FLOW
from amfs_lab.explore.outer_loop.outer_loop import LOOKS, no_inner_loop
from amfs_lab.widgets.controls import Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, Panels, axis
from amfs_lab.widgets.style import GRAY, INK
from amfs_lab.widgets.text import count
from amfs_lab.widgets.traces import curve, dots, reference_line

TOP = 25.0  # largest curvature of the left panel
CURVATURES = torch.linspace(0.0, TOP, 501, dtype=torch.float64)
THETA = torch.linspace(-2.0, 2.0, 81, dtype=torch.float64)
HEIGHT = 4.0  # of the right panel
SEEN = ("joint", "MAML", "proximal")  # methods whose meta-losses the right panel draws
START: dict[str, Any] = dict(curvature=4.0, inner_lr=0.2, inner_steps=1, lam=1.0)


def pull(method: str, h: Tensor, inner_lr: float, inner_steps: int, lam: float) -> Tensor:
    """The pull w(h) of a task with the Hessian h I: the meta-gradient of `method` is w(h) (θ - θ*)."""
    hessians = h[..., None, None] * torch.eye(2, dtype=h.dtype)
    return planes.pulls(method, hessians, inner_lr, inner_steps, lam)[..., 0, 0]


class PullExplorer(Explorer):
    """The pull w(h) of a task against its curvature h for five methods, and the meta-losses of three methods.

    The gradient of a meta-loss is w(h) (θ - θ*), where θ* is the optimum of the task.
    """

    title = "The pull of a task on the outer loop, after the inner loop has reduced its loss"
    alt = (
        "Two panels. Left: five curves, the pull of a task against its curvature for joint training, FO-MAML, MAML, "
        "Reptile and the proximal solve, with a marker on each at the present curvature. Right: the loss of this task "
        "against theta without an inner loop, after the inner steps of MAML, and after the proximal solve."
    )

    curvature = Slider("curvature h", 0.1, TOP, scale="log", start=START["curvature"], help="curvature of the task")
    inner_lr = Slider(
        "inner rate a", 0.0, 0.5, start=START["inner_lr"], step=0.01, help="learning rate of an inner step"
    )
    inner_steps = Slider("inner steps k", 0, 10, integer=True, start=START["inner_steps"], help="number of inner steps")
    lam = Slider("λ", 0.05, 50.0, scale="log", start=START["lam"], help="regulariser of the proximal solve")

    presets = {
        "one step": START,
        "no pull at 1/a": START | dict(curvature=5.0),
        "one overshooting step": START | dict(curvature=8.0),
        "five steps": START | dict(inner_steps=5),
        "as one solve": START | dict(inner_lr=0.04, inner_steps=10, lam=round(BEST_FLOW / (0.04 * 10), 2)),
    }

    panels = Panels(
        widths=(0.58, 0.42),
        pull=Panel("pull w(h) on the outer loop", axis("curvature h", (0, TOP)), axis("w", zero=GRAY, automargin=True)),
        loss=Panel(
            "the task’s loss, before and after the inner loop",
            axis("θ − θ*, distance from the task’s optimum", (-2, 2)),
            axis("loss", (0, HEIGHT)),
        ),
    )
    layout = dict(height=420)
    frame = {"pull.y.range": "pull_range"}
    traces = {
        **{
            name: curve(
                "curvatures",
                f"pull_{n}",
                look.color,
                2.5,
                look.dash,
                name=name,
                group=name,
                hover=f"{name}, h = %{{x:.3g}}: w = %{{y:.3g}}",
            )
            for n, (name, look) in enumerate(LOOKS.items())
        },
        "now": reference_line("now_x", "now_y", 1.2, "dot"),
        "here": dots(
            "here_x",
            "here_y",
            [look.color for look in LOOKS.values()],
            10,
            [look.marker for look in LOOKS.values()],
            (INK, 1),
            hover="%{text}: w = %{y:.3g}",
            more=dict(text=list(LOOKS)),
        ),
        **{
            f"loss of {name}": curve(
                "theta",
                f"loss_{n}",
                LOOKS[name].color,
                2.5,
                LOOKS[name].dash,
                at="loss",
                group=name,
                hover=f"{name}: %{{y:.3g}}",
            )
            for n, name in enumerate(SEEN)
        },
    }

    def compute(self, state: State) -> Arrays:
        settings = (state.inner_lr, state.inner_steps, state.lam)
        h = torch.tensor([state.curvature], dtype=torch.float64)
        curves = {name: pull(name, CURVATURES, *settings) for name in LOOKS}
        here = {name: float(pull(name, h, *settings)) for name in LOOKS}
        top = max(2.0, 1.25 * max(abs(w) for w in here.values()))
        return Arrays(
            state=state,
            curvatures=CURVATURES,
            **{f"pull_{n}": curves[name].clamp(-1e3, 1e3) for n, name in enumerate(LOOKS)},
            here_x=[state.curvature] * len(LOOKS),
            here_y=list(here.values()),
            now_x=[state.curvature] * 2,
            now_y=[-1e3, 1e3],
            pull_range=[-0.6 * top, top],
            theta=THETA,
            **{f"loss_{n}": (here[name] * THETA.square() / 2).clamp(max=1e3) for n, name in enumerate(SEEN)},
            here=here,
        )

    def say(self, a: Arrays) -> str:
        s = a.state
        pulls = ", ".join(f"{name} {_number(w)}" for name, w in a.here.items())
        x = s.inner_lr * s.curvature
        words = f"At h = {s.curvature:.3g} the pull is: {pulls}."
        if not s.inner_lr * s.inner_steps:
            return f"{words} {no_inner_loop(s)}: MAML and FO-MAML equal joint training, and Reptile has no pull."
        words += f" An inner step leaves 1 − a·h = {_number(1 - x)} of the distance"
        if s.inner_steps > 1:
            words += f", so {count(s.inner_steps, 'step')} leave {_number((1 - x) ** s.inner_steps)}"
        if abs(1 - x) < 1e-12:
            return f"{words}: the task is solved from every start, so it has no pull in MAML."
        if abs(a.here["MAML"]) < 1e-9 * s.curvature:
            return f"{words}: the task is almost solved, so its pull in MAML is almost zero."
        return f"{words}."


def _number(value: float) -> str:
    """A number as text with three digits, in scientific notation if its absolute value is at least 1e5."""
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= 1e5:
        return f"{value:.2e}".replace("e+0", "e+").replace("e+", "e").replace("-", "−")
    return np.format_float_positional(rounded, trim="-").replace("-", "−")
