"""Interleaved rounds: what is compared is timed in turns, so that a drifting machine drifts for all of it."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

Step = Callable[[], object]


@dataclass(frozen=True)
class Times:
    """Seconds of some steps, one a round, all measured in the same rounds."""

    seconds: dict[str, list[float]]

    def ms(self, name: str) -> float:
        """The median in milliseconds."""
        return 1000 * statistics.median(self.seconds[name])

    def ratio(self, name: str, floor: str) -> tuple[float, float, float]:
        """Median, smallest and largest of the ratios round by round."""
        ratios = [a / b for a, b in zip(self.seconds[name], self.seconds[floor], strict=True)]
        return statistics.median(ratios), min(ratios), max(ratios)

    def to_dict(self, *floors: str) -> dict[str, Any]:
        """Plain data: for each step its seconds, and its ratios to the floors."""
        return {
            name: {"seconds": own} | {f"x {floor}": self.ratio(name, floor) for floor in floors}
            for name, own in self.seconds.items()
        }


def synchronize(device: torch.device) -> Step:
    """Waits until the device has done what it was asked for; a CPU has when it answers."""
    known: dict[str, Step] = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}
    return known.get(device.type, lambda: None)


def measure(steps: Mapping[str, Step], rounds: int, wait: Step = lambda: None) -> Times:
    """Each step once without counting, then once a round, each with the `wait` for its device."""
    for step in steps.values():
        step()
    wait()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            wait()
            seconds[name].append(time.perf_counter() - began)
    return Times(seconds)


def ratio_text(ratio: tuple[float, float, float]) -> str:
    """`1.02 (0.97 to 1.08)`."""
    middle, least, most = ratio
    return f"{middle:.2f} ({least:.2f} to {most:.2f})"
