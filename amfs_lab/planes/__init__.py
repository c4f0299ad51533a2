"""Quadratic tasks in the plane: trajectories of the outer loop, with closed forms for their end points."""

from amfs_lab.planes.quadratics import (
    PULLS,
    Quadratics,
    descend,
    end,
    from_segment,
    geometric_median,
    geometric_medians,
    pulls,
    stable_below,
)
from amfs_lab.planes.walks import RULES, Walk

__all__ = [
    "PULLS",
    "RULES",
    "Quadratics",
    "Walk",
    "descend",
    "end",
    "from_segment",
    "geometric_median",
    "geometric_medians",
    "pulls",
    "stable_below",
]
