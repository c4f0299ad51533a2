"""Quadratic tasks in the plane: the outer loop where it can be watched, with closed forms for where it ends."""

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
