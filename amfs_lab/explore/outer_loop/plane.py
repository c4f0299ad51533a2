"""The plane of meta-parameters θ for several explorers: tasks, points, contours of the mean loss, and curves."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab import planes
from amfs_lab.widgets.controls import Number, Slider
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
STRETCH = Slider(
    "stretch", 1.0, 10.0, scale="log", start=1.0, unit=": 1", help="steep to flat curvature, in each task", rare=True
)


def beside_the_plane(**right: Panel) -> Panels:
    """Three panels: the plane on the left over the full height, and two panels on the right, one above the other."""
    upper, lower = right
    named: dict[str, Any] = {"plane": PLANE, **right}
    return Panels(f"plane {upper} / plane {lower}", widths=(0.56, 0.44), **named)


def trajectory_curves(looks: Mapping[str, Look], widths: Sequence[Number]) -> dict[str, Trace]:
    """One curve in the plane per rule or method. Curve n is drawn from the arrays `x_n` and `y_n`, n = 0, 1, ..."""
    return {
        name: curve(
            f"x_{n}", f"y_{n}", look.color, widths[n], look.dash, name=name, group=name, hover=f"{name}: {HERE}"
        )
        for n, (name, look) in enumerate(looks.items())
    }


def marks(looks: Mapping[str, Look], size: int, what: str) -> dict[str, Trace]:
    """One point in the plane per rule or method.

    Point n is drawn from the arrays `mark_x_n` and `mark_y_n`, n = 0, 1, ...

    Args:
        what: the hover text after the name of the rule or method.
    """
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
    """Curves against the steps in the panel `at`: one curve for each rule or method.

    Curve n is drawn from the arrays `step_n` and `{array}_n`, n = 0, 1, ...
    """
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
    """The names of the start and of the tasks, each with the names of the two controls for its coordinates."""
    return {"start": ("x_0", "y_0"), **{f"task {t}": (f"x_{t}", f"y_{t}") for t in range(1, tasks + 1)}}


def start_and_optima(state: State, tasks: int) -> Float[Tensor, "n 2"]:
    """The start point, followed by the optima of the tasks, from the controls in `state`.

    The argument `tasks` is the number of tasks.
    """
    return torch.tensor([[state[x], state[y]] for x, y in places(tasks).values()], dtype=torch.float64)


@lru_cache(maxsize=64)
def hessians(curvature: float, stretch: float, tasks: int) -> Float[Tensor, "t 2 2"]:
    """The Hessians of the tasks. Each Hessian has the eigenvalues h sqrt(stretch) and h / sqrt(stretch).

    h is `curvature` for the last task and 1 for every other task. The steep direction is the eigenvector of the larger
    eigenvalue. From one task to the next, the steep direction turns by 50°.
    """
    steep = [math.radians(50 * t) for t in range(tasks)]
    turns = torch.tensor(
        [[[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]] for a in steep], dtype=torch.float64
    )
    h = torch.tensor([1.0] * (tasks - 1) + [curvature], dtype=torch.float64)
    scale = torch.tensor([stretch**0.5, stretch**-0.5], dtype=torch.float64)
    found = turns @ torch.diag_embed(h[:, None] * scale) @ turns.mT
    return (found + found.mT) / 2


class Landscape(NamedTuple):
    """Tasks in the plane with their best point, geometric medians and contours. No field depends on a trajectory."""

    tasks: planes.Quadratics
    best: Float[Tensor, " 2"]
    medians: Float[Tensor, "2 2"]  # ends of the segment of geometric medians; usually a single point
    heights: np.ndarray  # square root of the mean loss at each point of the grid, so that contours are evenly spaced


def landscape(state: State, tasks: int, curvature: float, stretch: float) -> Landscape:
    """The `Landscape` of the tasks of a state.

    The argument `tasks` is the number of tasks. The result is cached, so a change of the trajectory does not compute
    the landscape again.
    """
    return _landscape(tuple((state[x], state[y]) for x, y in list(places(tasks).values())[1:]), curvature, stretch)


@lru_cache(maxsize=64)
def _landscape(optima: tuple[tuple[float, float], ...], curvature: float, stretch: float) -> Landscape:
    tasks = planes.Quadratics(torch.tensor(optima, dtype=torch.float64), hessians(curvature, stretch, len(optima)))
    heights = tasks.mean_loss(SITES).sqrt().numpy().round(3)
    return Landscape(tasks, tasks.best(), planes.geometric_medians(tasks.optima), heights)


def sides(places: Float[Tensor, "n 2"]) -> list[str]:
    """The position of the label of each point.

    The label is above the point. Near an edge of the plane, it is on the inner side.
    """
    edge = 0.8 * VIEW
    rows = ["bottom" if y > edge else "top" for y in places[:, 1]]
    columns = ["left" if x > edge else "right" if x < -edge else "center" for x in places[:, 0]]
    return [f"{row} {column}" for row, column in zip(rows, columns, strict=True)]


def kept(path: Float[Tensor, "k 2"]) -> tuple[Float[Tensor, "j 2"], bool]:
    """The part of a trajectory that is drawn, up to the first point beyond `FAR`.

    The second result is True if the trajectory has a point beyond `FAR`.
    """
    lost = ~(path.abs() <= FAR).all(1)  # with `~` and `<=`, NaN also counts as beyond `FAR`
    if not bool(lost.any()):
        return path, False
    path = path[: int(lost.int().argmax()) + 1]
    return path.nan_to_num(nan=1e3 * FAR).clamp(-1e3 * FAR, 1e3 * FAR), True
