"""Arrows of a figure: end points and length of the head, or a dot if the arrow is too short to show a direction.

An arrow is a line of two points. The marker of its second point is an arrow head (`traces.vector`), which the page
turns along the line. The head of an arrow of length zero would have a random direction. The head of a short arrow would
be longer than the arrow. The function `arrow` avoids these two problems, so every arrow of a figure is made with it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from amfs_lab.widgets.controls import Number

LEAST = 3.0  # pixels: a shorter arrow shows no direction


class Arrow(NamedTuple):
    """The arrays of an arrow's trace: x and y of both ends, the sizes of both markers, and the symbol of the head."""

    x: Sequence[float]
    y: Sequence[float]
    size: Sequence[float]
    tip: str

    def arrays(self, points: str) -> dict[str, Sequence[float] | str]:
        """The four arrays that set the properties of the trace `traces.vector(points, ...)`, by name."""
        return {f"{points}_{part}": value for part, value in self._asdict().items()}


NOTHING = Arrow([], [], [], "arrow")


def arrow(start: Sequence[Number], tip: Sequence[Number], head: Number, scale: Number) -> Arrow:
    """An arrow from `start` to `tip`. Its head is not longer than the arrow. A very short arrow becomes a dot.

    If a coordinate is not finite, the arrow is empty.

    Args:
        start, tip: coordinates (x, y) in units of the axes. head: length of the head of a long arrow, in pixels.
        scale: pixels per unit of the axes. It is approximate, because the width of the figure depends on the page.
    """
    pixels = scale * math.dist(start, tip)
    if not math.isfinite(pixels):
        return NOTHING
    if pixels < LEAST:  # two points at `start`: plotly does not draw the first marker if markers follow the line
        return Arrow([float(start[0])] * 2, [float(start[1])] * 2, [0.0, head / 2], "circle")
    return Arrow([float(start[0]), float(tip[0])], [float(start[1]), float(tip[1])], [0.0, min(head, pixels)], "arrow")


def room(start: Sequence[Number], direction: Sequence[Number], ranges: Sequence[Sequence[Number]]) -> float:
    """The largest t for which `start` + t `direction` is inside a panel whose axes have these ranges."""
    ways = [
        ((high if step > 0 else low) - place) / step
        for place, step, (low, high) in zip(start, direction, ranges, strict=True)
        if step
    ]
    return max(0.0, min(ways, default=math.inf))
