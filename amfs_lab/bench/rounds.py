"""Interleaved timing: each round times every step once, so a change of the machine's speed affects all steps."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

Step = Callable[[], object]


@dataclass(frozen=True)
class Times:
    """Times of several steps in seconds, measured in the same rounds. Each step has one value for each round."""

    seconds: dict[str, list[float]]

    def ms(self, name: str) -> float:
        """The median time of a step in milliseconds."""
        return 1000 * statistics.median(self.seconds[name])

    def ratio(self, name: str, baseline: str) -> tuple[float, float, float]:
        """Median, smallest and largest ratio of the step's time to the baseline's time, over the rounds."""
        ratios = [a / b for a, b in zip(self.seconds[name], self.seconds[baseline], strict=True)]
        return statistics.median(ratios), min(ratios), max(ratios)

    def to_dict(self, *baselines: str) -> dict[str, Any]:
        """Plain data for JSON: the seconds of each step, and the ratios of these times to the baselines."""
        return {
            name: {"seconds": own} | {f"x {baseline}": self.ratio(name, baseline) for baseline in baselines}
            for name, own in self.seconds.items()
        }


def synchronize(device: torch.device) -> Step:
    """A function that waits until the device has finished all work. On a CPU, the function does nothing."""
    known: dict[str, Step] = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}
    return known.get(device.type, lambda: None)


def measure(steps: Mapping[str, Step], rounds: int, wait: Step = lambda: None) -> Times:
    """The times of all steps. Each step runs once to warm up, and then once in each round.

    Each measured time includes a call of the function `wait`.
    """
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
    """The median, smallest and largest ratio as text: `1.02 (0.97 to 1.08)`."""
    middle, least, most = ratio
    return f"{middle:.2f} ({least:.2f} to {most:.2f})"
