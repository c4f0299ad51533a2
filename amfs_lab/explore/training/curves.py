"""Names, points and looks (colour, dash and marker) of the curves of runs, for the explorers of meta-training."""

from collections.abc import Collection, Sequence

import numpy as np

from amfs_lab.methods import LESSONS, METHODS
from amfs_lab.widgets.live import NEXT

DRAWN = 300  # number of points of a curve that are drawn; a longer curve is thinned
NAMES = {name: method.label for name, method in METHODS.items()}
MOST = len(LESSONS)  # number of curves that colour, dash and marker can distinguish


def named(name: str) -> str:
    """The name of a run in the lessons: `"i-amfs again"` becomes "I-AMFS again"."""
    method, blank, rest = name.partition(" ")
    return NAMES.get(method, method) + blank + rest


def slots(runs: Collection[str]) -> dict[str, int]:
    """The index of the look of each run. A look is a colour, dash and marker.

    Each method of the lessons has its own look. A run with another name gets a look that no other run uses.
    """
    own = {name: n for n, name in enumerate(LESSONS)}
    free = [n for name, n in own.items() if name not in runs]
    return {name: own[name] if name in own else free.pop() for name in runs}


HEADS = {"running": "Running", "stopped": "Stopped", "finished": "Finished", "failed": "Ended by an error"}
NOTHING = {
    "idle": "Nothing has run yet.",
    "running": "The first meta-step has begun.",
    "stopped": "Stopped before the first meta-step. Run the cell again.",
    "finished": "The run ended without a meta-step.",
    "failed": "An error ended the run before its first meta-step.",
}


def headed(status: str, words: str) -> str:
    """A text: the status of the runs, the sentence `words`, and advice if the user has stopped the runs."""
    said = f"{HEADS[status]}: {words}." if status in HEADS else f"{words}."
    return f"{said} {NEXT}" if status == "stopped" else said


def smooth(values: Sequence[float] | np.ndarray, window: int) -> np.ndarray:
    """The running mean over the last `window` values. At the beginning, the mean is over fewer values."""
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(values, dtype=float))])
    ends = np.arange(1, len(sums))
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def thin(n: int, most: int = DRAWN) -> np.ndarray:
    """The indices of the points to draw: all n points, or evenly spaced points if n is too large.

    The argument `most` is the largest number of points to draw.
    """
    return np.arange(n) if n <= most else np.unique(np.linspace(0, n - 1, most).round().astype(int))
