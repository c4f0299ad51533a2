"""Pictures of three-dimensional space, drawn with plain lines and without WebGL. A slider can turn the pictures."""

import math

import torch
from torch import Tensor

from amfs_lab.widgets.controls import Number
from amfs_lab.widgets.traces import Trace, vector

LOW, HIGH = -0.5, 1.6  # ends of the floor, along both of its sides
MIDDLE = torch.tensor([(LOW + HIGH) / 2, (LOW + HIGH) / 2, 0.0], dtype=torch.float64)
SQUARE = torch.tensor(
    [[LOW, LOW, 0], [HIGH, LOW, 0], [HIGH, HIGH, 0], [LOW, HIGH, 0], [LOW, LOW, 0]], dtype=torch.float64
)
CORNER = 0.1  # side of the right-angle mark


def seen_from(points: Tensor, azimuth: Number, elevation: Number) -> Tensor:
    """The projection of points (n 3) onto the picture (n 2). The middle of the floor is the origin.

    The projection is parallel. The two angles are in degrees and give the viewing position. The elevation 90 is a view
    from above.
    """
    a, e = math.radians(azimuth), math.radians(elevation)
    across = [-math.sin(a), math.cos(a), 0.0]
    upwards = [-math.sin(e) * math.cos(a), -math.sin(e) * math.sin(a), math.cos(e)]
    return (points - MIDDLE) @ points.new_tensor([across, upwards]).T


def floor_lines() -> Tensor:
    """The grid of the floor as the points (n 3) of one connected line.

    The line first follows all grid lines along one axis, and then all grid lines along the other axis.
    """
    ticks = torch.linspace(LOW, HIGH, 8, dtype=torch.float64).tolist()
    along = [[end, tick, 0.0] for n, tick in enumerate(ticks) for end in ((LOW, HIGH), (HIGH, LOW))[n % 2]]
    return torch.tensor(along + [[y, x, z] for x, y, z in along], dtype=torch.float64)


def line_along(direction: Tensor) -> Tensor:
    """The ends (2 3) of the line through the origin along `direction` (3). The ends lie on the edges of the floor."""
    sides = torch.stack([LOW / direction[:2], HIGH / direction[:2]])
    return torch.stack([sides.amin(0).max(), sides.amax(0).min()])[:, None] * direction


def ends(v: Tensor) -> Tensor:
    """The two ends of an arrow from the origin to `v` (3); no points if `v` is zero."""
    return torch.stack([torch.zeros_like(v), v]) if v.norm() > 1e-9 else v.new_zeros(0, 3)


def corner(foot: Tensor, upright: Tensor) -> Tensor:
    """The mark of the right angle between `foot` (3) and `upright` (3), at the tip of `foot`.

    The mark has no points if `foot` or `upright` is too short for it.
    """
    if min(foot.norm(), upright.norm()) < 2 * CORNER:
        return foot.new_zeros(0, 3)
    inwards, along = -CORNER * foot / foot.norm(), CORNER * upright / upright.norm()
    return torch.stack([foot + inwards, foot + inwards + along, foot + along])


def arrow(points: str, name: str, color: str, width: Number, dash: str | None = None) -> Trace:
    """The trace of an arrow with the hover text `name`. The names of its arrays begin with `points`."""
    return vector(points, color, width, dash, name=name, listed=False, more=dict(hoverinfo="name"))
