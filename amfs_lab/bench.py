"""What a meta-step costs, as a ratio to its floor: interleaved rounds in one process, medians with their spread.

The floor is plain supervised training on the same number of images: forward and backward of task-sized batches through
the same Conv-4 with BatchNorm, and one optimizer step. No meta-learner with that backbone can do less work.
"""

import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from amfs_lab.backbones import Conv4, TaskNorm
from amfs_lab.config import TrainingConfig, preset
from amfs_lab.episode import Episode
from amfs_lab.errors import ConfigError
from amfs_lab.learner import WithHead
from amfs_lab.tasks import EpisodeConfig, open_source
from amfs_lab.training import meta_step

METHODS = ("i-amfs", "amfs", "maml", "prototypes")
Step = Callable[[], object]


def report(rounds: int = 7, shapes: Sequence[str] = ("5w1s",)) -> None:
    """Prints one table a shape: ratio to the plain floor and to the floor in the learners' own layout."""
    if rounds < 1:
        raise ConfigError(f"`rounds` must be >= 1. Got {rounds}.")
    configs = [episode_config(shape) for shape in shapes]
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for shape in configs:
        times = measure(steps_for(shape), rounds)
        tasks, images = TrainingConfig().tasks, shape.ways * (shape.shots + shape.queries)
        print(f"\n{shape}, {tasks} tasks of {images} images, median of {rounds} interleaved rounds (min to max)")
        print(f"{'meta-step':<22}{'ms':>9}{'x plain floor':>24}{'x channels-last floor':>26}")
        for name, own in times.items():
            ratios = [ratio_text(own, times[floor]) for floor in ("floor", "floor channels-last")]
            print(f"{name:<22}{1000 * statistics.median(own):>9.1f}{ratios[0]:>24}{ratios[1]:>26}", flush=True)


def episode_config(shape: str) -> EpisodeConfig:
    """`"5w1s"` to 5 ways, 1 shot, 15 queries. Raises ConfigError for another form."""
    match = re.fullmatch(r"(\d+)w(\d+)s", shape)
    if match is None:
        raise ConfigError(f"A shape must look like 5w1s (ways, shots). Got {shape!r}.")
    return EpisodeConfig(int(match[1]), int(match[2]), 15)


def steps_for(shape: EpisodeConfig) -> dict[str, Step]:
    """One callable a row, each a whole meta-step on the same episodes, drawn beforehand."""
    source = open_source("glyphs", "train", shape)
    episodes = [source[index] for index in range(TrainingConfig().tasks)]
    steps = {"floor": floor_step(episodes, torch.contiguous_format)}
    steps["floor channels-last"] = floor_step(episodes, torch.channels_last)
    for method in METHODS:
        steps[method] = learner_step(replace(preset(method), episode=shape), episodes)
    return steps


def floor_step(episodes: list[Episode], layout: torch.memory_format) -> Step:
    """Supervised training of Conv-4 with native BatchNorm and a linear head on the episodes' images."""
    ways = episodes[0].support.ways
    net = WithHead(native_batch_norm(Conv4()), ways).to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(net.parameters())
    batches = [(torch.cat([e.support.x, e.query.x]), torch.cat([e.support.y, e.query.y])) for e in episodes]

    def step() -> None:
        optimizer.zero_grad()
        for x, y in batches:
            F.cross_entropy(net(x), y).backward()
        optimizer.step()

    return step


def native_batch_norm(backbone: Conv4) -> Conv4:
    """The same Conv-4 with `nn.BatchNorm2d` in place of its own normalisation, which knows of no support set."""

    class Native(nn.BatchNorm2d):
        def forward(self, x, reference=None):
            return super().forward(x)

    for name, module in list(backbone.named_modules()):
        if isinstance(module, TaskNorm):
            backbone.set_submodule(name, Native(len(module.weight)))
    return backbone


def learner_step(config: TrainingConfig, episodes: list[Episode]) -> Step:
    """A whole meta-step of the method: task gradients, aggregation, optimizer."""
    learner = config.build()
    learner.start(episodes[0])
    optimizer = torch.optim.Adam(learner.meta_parameters(), lr=config.meta_lr)
    return lambda: meta_step(learner, config.outer, optimizer, episodes)


def measure(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Seconds of each step, one a round; the rounds interleave the rows, so that a drifting machine drifts for all."""
    for step in steps.values():
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - began)
    return times


def ratio_text(own: list[float], floor: list[float]) -> str:
    """`1.02 (0.97 to 1.08)`: the median of the ratios round by round, with their spread."""
    ratios = [a / b for a, b in zip(own, floor, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
