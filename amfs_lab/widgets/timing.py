"""Measures the time of a control's move in the kernel, from the message of the widget to the updated figure."""

import inspect
import statistics
import time
from collections.abc import Iterable
from types import ModuleType
from typing import NamedTuple

from amfs_lab.widgets.drive import move
from amfs_lab.widgets.explorer import Explorer


class Timing(NamedTuple):
    """The median and the largest time of a move of one control, in milliseconds."""

    control: str
    median: float
    worst: float


def time_moves(explorer: Explorer, rounds: int = 7) -> list[Timing]:
    """Measures the times of the moves of each control, in `rounds` rounds.

    A move sets the first widget of a control to one of its test values (`probes`). An additional first round is not
    counted. This round fills the caches of the explorer with the data that a control does not change.
    """
    timings = []
    for name, control in explorer.declared.items():
        part, spent = explorer.controls[name].parts[0], []
        for counted in (False, *[True] * rounds):
            for value in control.probes():
                began = time.perf_counter()
                move(explorer, part, value)
                if counted:
                    spent.append(1000 * (time.perf_counter() - began))
        explorer.reset()
        timings.append(Timing(name, statistics.median(spent), max(spent)))
    return timings


def report(kinds: Iterable[type[Explorer]], rounds: int = 7) -> None:
    """Prints one row for each control: explorer, control, median time and largest time in milliseconds."""
    print(f"{'explorer':<24}{'control':<16}{'median ms':>10}{'worst ms':>10}")
    for kind in kinds:
        for timing in time_moves(kind(), rounds):
            row = f"{kind.__name__:<24}{timing.control:<16}"
            print(f"{row}{timing.median:>10.1f}{timing.worst:>10.1f}", flush=True)


def ready_kinds(room: ModuleType) -> list[type[Explorer]]:
    """The explorer classes that a module exports, without those that are not `ready`."""
    exported = (getattr(room, name) for name in room.__all__)
    return [kind for kind in exported if isinstance(kind, type) and issubclass(kind, Explorer) and ready(kind)]


def ready(kind: type[Explorer]) -> bool:
    """True if an explorer class has controls and can be called without arguments."""
    arguments = inspect.signature(kind.__init__).parameters.values()
    needed = [a for a in arguments if a.default is a.empty and a.kind not in (a.VAR_KEYWORD, a.VAR_POSITIONAL)]
    return bool(kind.declared) and len(needed) == 1  # `self`
