"""Arrows of a figure: their ends, the length of their heads, and a dot in place of an arrow too short to show.

An arrow is a line of two points whose second one has an arrow head as its marker (`traces.vector`). The page turns the
head along the line. An arrow of length zero would therefore point anywhere, and the head of a short arrow would begin
behind its start. Every arrow of a figure goes through `arrow`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from amfs_lab.widgets.controls import Number

LEAST = 3.0  # pixels: a shorter arrow shows no direction


class Arrow(NamedTuple):
    """The arrays of an arrow's trace: both ends, the sizes of their markers, and the name of the marker."""

    x: Sequence[float]
    y: Sequence[float]
    size: Sequence[float]
    tip: str

    def fed(self, points: str) -> dict[str, Sequence[float] | str]:
        """The four arrays that the trace `traces.arrow(points, ...)` is fed by."""
        return {f"{points}_{part}": value for part, value in self._asdict().items()}


NOTHING = Arrow([], [], [], "arrow")


def arrow(start: Sequence[Number], tip: Sequence[Number], head: Number, scale: Number) -> Arrow:
    """An arrow from `start` to `tip`, its head no longer than itself; a dot at `start` where it shows no direction.

    Args:
        start, tip: two numbers each, in units of the axes. head: pixels of the head of a long arrow.
        scale: pixels a unit, about: a figure follows the width of the page.
    """
    pixels = scale * math.dist(start, tip)
    if not math.isfinite(pixels):
        return NOTHING
    if pixels < LEAST:  # both ends: plotly draws no first marker of a line whose markers look at the one before
        return Arrow([float(start[0])] * 2, [float(start[1])] * 2, [0.0, head / 2], "circle")
    return Arrow([float(start[0]), float(tip[0])], [float(start[1]), float(tip[1])], [0.0, min(head, pixels)], "arrow")


def room(start: Sequence[Number], direction: Sequence[Number], ranges: Sequence[Sequence[Number]]) -> float:
    """The multiple of `direction` that reaches from `start` to the edge of a panel with these ranges of its axes."""
    ways = [
        ((high if step > 0 else low) - place) / step
        for place, step, (low, high) in zip(start, direction, ranges, strict=True)
        if step
    ]
    return max(0.0, min(ways, default=math.inf))
