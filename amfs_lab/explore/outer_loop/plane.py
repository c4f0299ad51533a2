"""The plane of θ in which trajectories are drawn: tasks, points, contours of the mean loss, and shared traces."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab import planes
from amfs_lab.widgets.controls import Number
from amfs_lab.widgets.figure import State
from amfs_lab.widgets.panels import EQUAL_X, EQUAL_Y, Panel, Panels, axis
from amfs_lab.widgets.style import Look
from amfs_lab.widgets.traces import Trace, contours, curve, dots

VIEW = 3.0  # the plane is drawn from -VIEW to VIEW
FAR = 30.0  # a trajectory is not drawn beyond this
GRID = torch.linspace(-VIEW, VIEW, 41, dtype=torch.float64)
SITES = torch.stack(torch.meshgrid(GRID, GRID, indexing="xy"), -1)
PALE = [[0.0, "#FFFFFF"], [1.0, "#C9D3DE"]]

PLANE = Panel("the plane of θ", axis("θ₁", (-VIEW, VIEW), **EQUAL_X), axis("θ₂", (-VIEW, VIEW), **EQUAL_Y))
HEIGHT = 560  # pixels of a figure with the plane
HERE = "(%{x:.2f}, %{y:.2f})"
CONTOURS = contours(
    GRID.tolist(), GRID.tolist(), "height", PALE, hover="mean loss √: %{z:.2f}", more=dict(ncontours=14)
)


def beside_the_plane(**right: Panel) -> Panels:
    """Three panels: the plane on the left, over both rows, and two panels on the right."""
    upper, lower = right
    named: dict[str, Any] = {"plane": PLANE, **right}
    return Panels(f"plane {upper} / plane {lower}", widths=(0.56, 0.44), **named)


def walks(looks: Mapping[str, Look], widths: Sequence[Number]) -> dict[str, Trace]:
    """One curve per rule or method in the plane, fed by `x_0` and `y_0`, `x_1` and `y_1`, ..."""
    return {
        name: curve(
            f"x_{n}", f"y_{n}", look.color, widths[n], look.dash, name=name, group=name, hover=f"{name}: {HERE}"
        )
        for n, (name, look) in enumerate(looks.items())
    }


def marks(looks: Mapping[str, Look], size: int, what: str) -> dict[str, Trace]:
    """One point per rule or method in the plane, fed by `mark_x_0` and `mark_y_0`, ...; `what` is its hover text."""
    return {
        f"mark of {name}": dots(
            f"mark_x_{n}",
            f"mark_y_{n}",
            look.color,
            size,
            look.marker,
            ("white", 1.5),
            group=name,
            hover=f"{name} {what}: {HERE}",
        )
        for n, (name, look) in enumerate(looks.items())
    }


def distances(looks: Mapping[str, Look], widths: Sequence[Number], at: str, array: str) -> dict[str, Trace]:
    """One curve per rule or method against its steps, fed by `step_0` and `array_0`, `step_1` and `array_1`, ..."""
    return {
        f"{at} of {name}": curve(
            f"step_{n}",
            f"{array}_{n}",
            look.color,
            widths[n],
            look.dash,
            at=at,
            group=name,
            hover=f"{name}, step %{{x}}: %{{y:.2g}}",
        )
        for n, (name, look) in enumerate(looks.items())
    }


def places(tasks: int) -> dict[str, tuple[str, str]]:
    """The names of the start and of the tasks' optima, each with the names of its two controls."""
    return {"start": ("x_0", "y_0"), **{f"task {t}": (f"x_{t}", f"y_{t}") for t in range(1, tasks + 1)}}


def standing(state: State, tasks: int) -> Float[Tensor, "n 2"]:
    """The start and the optima of the first `tasks` tasks in a state, the start first."""
    return torch.tensor([[state[x], state[y]] for x, y in places(tasks).values()], dtype=torch.float64)


@lru_cache(maxsize=64)
def bowls(curvature: float, stretch: float, tasks: int) -> Float[Tensor, "t 2 2"]:
    """Hessians with eigenvalues h sqrt(stretch) and h / sqrt(stretch), each steep direction 50° after the last one.

    h is 1 for all tasks except the last, which has `curvature`.
    """
    steep = [math.radians(50 * t) for t in range(tasks)]
    turns = torch.tensor(
        [[[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]] for a in steep], dtype=torch.float64
    )
    h = torch.tensor([1.0] * (tasks - 1) + [curvature], dtype=torch.float64)
    scale = torch.tensor([stretch**0.5, stretch**-0.5], dtype=torch.float64)
    found = turns @ torch.diag_embed(h[:, None] * scale) @ turns.mT
    return (found + found.mT) / 2


class Ground(NamedTuple):
    """The tasks and the results that do not depend on the trajectory: optimum, geometric medians and contours."""

    tasks: planes.Quadratics
    best: Float[Tensor, " 2"]
    medians: Float[Tensor, "2 2"]  # ends of the segment of geometric medians; usually a single point
    heights: np.ndarray  # square root of the mean loss at each of the sites, so that contours are evenly spaced


def ground(state: State, tasks: int, curvature: float, stretch: float) -> Ground:
    """The `Ground` of the first `tasks` tasks of a state; cached while only the trajectory changes."""
    return _ground(tuple((state[x], state[y]) for x, y in list(places(tasks).values())[1:]), curvature, stretch)


@lru_cache(maxsize=64)
def _ground(optima: tuple[tuple[float, float], ...], curvature: float, stretch: float) -> Ground:
    tasks = planes.Quadratics(torch.tensor(optima, dtype=torch.float64), bowls(curvature, stretch, len(optima)))
    heights = tasks.mean_loss(SITES).sqrt().numpy().round(3)
    return Ground(tasks, tasks.best(), planes.geometric_medians(tasks.optima), heights)


def sides(places: Float[Tensor, "n 2"]) -> list[str]:
    """Position of each point's name: above the point, or towards the middle at the edges of the plane."""
    edge = 0.8 * VIEW
    rows = ["bottom" if y > edge else "top" for y in places[:, 1]]
    columns = ["left" if x > edge else "right" if x < -edge else "center" for x in places[:, 0]]
    return [f"{row} {column}" for row, column in zip(rows, columns, strict=True)]


def kept(path: Float[Tensor, "k 2"]) -> tuple[Float[Tensor, "j 2"], bool]:
    """The drawn part of a trajectory, up to its first point beyond `FAR`, and True if it has diverged."""
    lost = ~(path.abs() <= FAR).all(1)  # so that NaN counts as lost too
    if not bool(lost.any()):
        return path, False
    path = path[: int(lost.int().argmax()) + 1]
    return path.nan_to_num(nan=1e3 * FAR).clamp(-1e3 * FAR, 1e3 * FAR), True
