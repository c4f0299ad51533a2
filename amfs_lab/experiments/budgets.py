"""Budgets of training runs, counted in baseline steps. For each method, equal time is a fixed number of meta-steps.

A baseline step is one step of supervised training, by an ordinary network, on the images of four 5-way 1-shot episodes.
The price of a method is the time of one of its meta-steps, in baseline steps. The price is measured once on a
machine and stored. A run of b baseline steps then has b / price meta-steps, also on a busy machine and after an
interruption.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amfs_lab.bench.methods import BASELINE, baseline_step, learner_step
from amfs_lab.bench.rounds import measure, synchronize
from amfs_lab.config import TrainingConfig
from amfs_lab.devices import pick_device
from amfs_lab.tasks import Episode, EpisodeConfig, open_source

ROUNDS, REFERENCE, TASKS = 15, EpisodeConfig(5, 1, 15), 4

# Settings of `BenchmarkConfig` by the size of the budget. "smoke" only shows that everything runs.
BUDGETS: dict[str, dict[str, Any]] = {
    "smoke": dict(baseline_steps=3, seeds=2, episodes=4, width=8, rates=(3e-3,)),
    "quick": dict(baseline_steps=600, seeds=3, episodes=600, width=32),
    "full": dict(baseline_steps=40_000, seeds=5, episodes=600, width=64),
}


def prices(
    configs: Mapping[str, TrainingConfig], root: Path | None = None, device: str = "cpu", rounds: int = ROUNDS
) -> dict[str, float]:
    """The price of a meta-step of each configuration, in baseline steps, rounded to two significant digits.

    A price is the median ratio of two times over `rounds` interleaved rounds. So a change of the machine's speed
    affects both times. More digits would be noise: methods of the same cost would get different numbers of meta-steps.
    """
    first, place = next(iter(configs.values())), pick_device(device)

    def episodes(shape: EpisodeConfig, number: int) -> list[Episode]:
        source = open_source(first.source, "train", shape, root)
        return [source[i].to(place) for i in range(number)]

    steps = {BASELINE: baseline_step(episodes(REFERENCE, TASKS), width=first.width)}
    steps |= {name: learner_step(each, episodes(each.episode, each.tasks)) for name, each in configs.items()}
    times = measure(steps, rounds, synchronize(place))
    return {name: float(f"{times.ratio(name, BASELINE)[0]:.2g}") for name in configs}


def meta_steps(baseline_steps: int, price: float) -> int:
    """The number of meta-steps that cost this number of baseline steps; at least 1."""
    return max(1, round(baseline_steps / price))
