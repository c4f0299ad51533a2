"""Functions to be timed: meta-steps of all methods and of a baseline, adaptations to one task, aggregation rules.

The baseline is plain supervised training on the same number of images. Each batch has all images of one task. The
baseline computes the gradient for each batch, with an ordinary Conv-4 with BatchNorm. Then it makes one optimizer step
with the sum of the gradients.
"""

import contextlib
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from amfs_lab.backbones import BFLOAT16, Conv4
from amfs_lab.bench.rounds import Step
from amfs_lab.config import TrainingConfig, preset
from amfs_lab.episode import Episode
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.inner import Maml
from amfs_lab.learner import MetaLearner
from amfs_lab.meta_step import meta_step
from amfs_lab.methods import CLIPPED, METHODS, RULES
from amfs_lab.tasks import EpisodeConfig, ImageSource, glyphs, open_source

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library is from 2021 and warns on import
        import higher
except ImportError:
    higher = None

ADAPTING = ("i-amfs", "maml", "anil", "prototypes")  # one method for each inner loop
BASELINE, LAST = "baseline", "baseline channels-last"
CPU = torch.device("cpu")
PARAMETERS = 112_000  # approximate number in a Conv-4 with 64 filters


def episode_config(shape: str) -> EpisodeConfig:
    """The episode configuration for a shape: `"5w1s"` means 5 ways, 1 shot, 15 queries.

    Raises ConfigError for a text of another form.
    """
    match = re.fullmatch(r"(\d+)w(\d+)s", shape)
    if match is None:
        raise ConfigError(f"A shape must look like 5w1s (5 ways, 1 shot). Got {shape!r}.")
    return EpisodeConfig(int(match[1]), int(match[2]), 15)


def episodes_of(shape: EpisodeConfig, tasks: int, device: torch.device = CPU) -> list[Episode]:
    source = open_source("glyphs", "train", shape)
    return [source[index].to(device) for index in range(tasks)]


def meta_steps(shape: EpisodeConfig, methods: Iterable[str] = METHODS, device: torch.device = CPU) -> dict[str, Step]:
    """One function for each baseline, method and variant of a method. Each function makes a complete meta-step.

    All functions use the same episodes, which are sampled in advance.
    """
    episodes = episodes_of(shape, TrainingConfig().tasks, device)
    layouts = {BASELINE: torch.contiguous_format, LAST: torch.channels_last}
    steps = {name: baseline_step(episodes, layout) for name, layout in layouts.items()}
    for method in methods:
        steps[method] = learner_step(replace(preset(method), episode=shape), episodes)
    for method in ("i-amfs", "maml"):
        steps[f"{method} {BFLOAT16}"] = learner_step(preset(method, episode=shape, precision=BFLOAT16), episodes)
    steps["amfs batched"] = learner_step(replace(preset("amfs"), episode=shape, batched=True), episodes)
    if higher is not None:
        steps["maml by higher"] = higher_step(shape, episodes)
    return steps


def baseline_step(
    episodes: list[Episode], layout: torch.memory_format = torch.contiguous_format, width: int = 64
) -> Step:
    """A function that makes one step of supervised training on the images of the episodes.

    The network is an ordinary Conv-4 with a linear head.
    """
    net = ordinary(episodes[0], width).to(device_of(episodes), memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(net.parameters())
    batches = [(torch.cat([e.support.x, e.query.x]), torch.cat([e.support.y, e.query.y])) for e in episodes]

    def step() -> None:
        optimizer.zero_grad()
        for x, y in batches:
            F.cross_entropy(net(x), y).backward()
        optimizer.step()

    return step


def device_of(episodes: Sequence[Episode]) -> torch.device:
    return episodes[0].support.x.device


def ordinary(episode: Episode, width: int = 64) -> nn.Sequential:
    """A Conv-4 of standard torch layers, with a linear head for the episode's classes."""
    channels, size = episode.support.x.shape[1:3]
    layers: list[nn.Module] = []
    for inputs in (channels, width, width, width):
        convolution = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * (size // 16) ** 2, episode.support.ways))


def learner_step(config: TrainingConfig, episodes: list[Episode], backbone: Conv4 | None = None) -> Step:
    """A function that makes a complete meta-step of a method: task gradients, aggregation, optimizer step."""
    learner = config.build(tuple(episodes[0].support.x.shape[1:]))
    if backbone is not None:
        learner = MetaLearner(backbone, config.inner.build(), config.episode.ways)
        learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner.to(device_of(episodes)).start(episodes[0])
    optimizer = torch.optim.Adam(learner.meta_parameters(), lr=config.meta_lr)
    return lambda: meta_step(learner, config.outer, optimizer, episodes, config.batched)


def adaptations(shape: EpisodeConfig, device: torch.device = CPU) -> dict[str, Step]:
    """One function for each method. Each function adapts to a task and computes the scores of its queries."""
    (episode,) = episodes_of(shape, 1, device)

    def adapting(learner: MetaLearner) -> Step:
        def step() -> None:
            with torch.no_grad():
                learner.scores(episode)

        return step

    steps = {}
    for method in ADAPTING:
        learner = replace(preset(method), episode=shape).build().to(device)
        learner.start(episode)
        steps[method] = adapting(learner)
    return steps


def openings() -> dict[str, Step]:
    """One function for each available data set. Each function opens its data set again, from the cached copy."""
    steps: dict[str, Step] = {}
    for name in ("glyphs", "omniglot"):
        step = partial(open_anew, name)
        with contextlib.suppress(DataError):  # Omniglot is left out if it was not downloaded
            step()
            steps[name] = step
    return steps


def open_anew(name: str) -> None:
    glyphs.released.cache_clear()  # otherwise a process reads the file only once
    open_source(name, "train", EpisodeConfig(5, 1, 15))


def rules(tasks: int, parameters: int = PARAMETERS, device: torch.device = CPU) -> dict[str, Step]:
    """One function for each aggregation rule. All functions combine the same random gradients.

    The baseline is `grads.mean(0)`.
    """
    grads = torch.randn(tasks, parameters, generator=torch.Generator().manual_seed(0)).to(device)
    steps: dict[str, Step] = {"mean(0)": lambda: grads.mean(0)}
    return steps | {label: partial(rule.aggregator, grads) for label, rule in RULES.items() if label != CLIPPED}


def against(what: str, value: int, device: torch.device = CPU) -> dict[str, Step]:
    """One function for each of three methods: the baseline, I-AMFS and MAML. Each function makes one meta-step.

    The episodes are 5-way 1-shot, except for one changed setting.

    Args:
        what: the changed setting, one of "shots", "ways", "tasks" and "image size". value: its new value.
    """
    shape = EpisodeConfig(value if what == "ways" else 5, value if what == "shots" else 1, 15)
    size, tasks = value if what == "image size" else 28, value if what == "tasks" else TrainingConfig().tasks
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (shape.ways, shape.shots + shape.queries, size, size), generator=draw).byte()
    source = ImageSource(images, tuple(map(str, range(shape.ways))), shape)
    episodes = [source[index].to(device) for index in range(tasks)]
    steps = {BASELINE: baseline_step(episodes, torch.contiguous_format)}
    for method in ("i-amfs", "maml"):
        steps[method] = learner_step(replace(preset(method), episode=shape), episodes, Conv4(size=size))
    return steps


def higher_step(shape: EpisodeConfig, episodes: list[Episode]) -> Step:
    """A function that makes one meta-step of MAML, computed by the library `higher`.

    Network, inner steps and optimizer are the same as in our own MAML.
    """
    config = replace(preset("maml"), episode=shape)
    assert isinstance(config.inner, Maml)
    assert higher is not None
    net, settings, innerloop = config.build().net.to(device_of(episodes)), config.inner, higher.innerloop_ctx
    inner = torch.optim.SGD(net.parameters(), lr=settings.lr)
    optimizer = torch.optim.Adam(net.parameters(), lr=config.meta_lr)

    def step() -> None:
        optimizer.zero_grad()
        for e in episodes:
            with innerloop(net, inner, copy_initial_weights=False) as (moved, by):
                for _ in range(settings.steps):
                    by.step(e.support.loss(moved(e.support.x)))
                (e.query.loss(moved(e.query.x)) / len(episodes)).backward()
        optimizer.step()

    return step
