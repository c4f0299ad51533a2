"""Curves of runs: their names, looks and points, for the explorers that show training."""

from collections.abc import Collection, Sequence

import numpy as np

from amfs_lab.methods import METHODS
from amfs_lab.widgets.live import NEXT

DRAWN = 300  # points of a curve that are drawn; a longer one is thinned
NAMES = {name: method.label for name, method in METHODS.items()}
MOST = len(NAMES)  # number of curves that colour, dash and marker can distinguish


def named(name: str) -> str:
    """A run's name in the notation of the lessons: `"i-amfs again"` is "I-AMFS again"."""
    method, blank, rest = name.partition(" ")
    return NAMES.get(method, method) + blank + rest


def slots(runs: Collection[str]) -> dict[str, int]:
    """The index of each run's look: a method has its own; any other name ("i-amfs again") gets the last free one."""
    own = {name: n for n, name in enumerate(NAMES)}
    free = [n for name, n in own.items() if name not in runs]
    return {name: own[name] if name in own else free.pop() for name in runs}


HEADS = {"running": "Running", "stopped": "Stopped", "finished": "Finished", "failed": "Ended by an error"}
NOTHING = {
    "idle": "Nothing has run yet.",
    "running": "The first meta-step is on its way.",
    "stopped": "Stopped before the first meta-step. Run the cell again.",
    "finished": "The run ended without a meta-step.",
    "failed": "An error ended the run before its first meta-step.",
}


def headed(status: str, words: str) -> str:
    """A sentence on runs, preceded by their status; after a stop, followed by the next step."""
    said = f"{HEADS[status]}: {words}." if status in HEADS else f"{words}."
    return f"{said} {NEXT}" if status == "stopped" else said


def smooth(values: Sequence[float] | np.ndarray, window: int) -> np.ndarray:
    """Running mean over the last `window` values; over fewer at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(values, dtype=float))])
    ends = np.arange(1, len(sums))
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def thin(n: int, most: int = DRAWN) -> np.ndarray:
    """The indices of the points to draw, at most `most` of n: all of a short curve, evenly spaced in a long one."""
    return np.arange(n) if n <= most else np.unique(np.linspace(0, n - 1, most).round().astype(int))
