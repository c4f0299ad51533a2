"""The network of lesson 06, untrained or meta-trained by MAML on the sinusoids of `tasks.sinusoids`."""

from dataclasses import replace
from functools import lru_cache
from typing import cast

import torch
from torch import nn

from amfs_lab.backbones import Wrapped
from amfs_lab.config import preset
from amfs_lab.inner import Maml
from amfs_lab.learner import MetaLearner, WithHead
from amfs_lab.tasks.sinusoids import SinusoidSource
from amfs_lab.training import MetaTrainer
from amfs_lab.widgets.explorer import one_thread

WIDTH = 40
RATE, STEPS, SHOTS = 0.05, 3, 10  # inner loop in training: learning rate, number of steps, number of labelled points
CONFIG = preset(
    "maml",
    inner=Maml(RATE, STEPS),
    tasks=10,
    steps=200,  # takes a few seconds
    meta_lr=2e-2,
    schedule="cosine",
    batched=True,
    validate_every=0,
)


def learner(seed: int = 0) -> MetaLearner:
    """A MAML learner with an untrained tanh network 1 -> 40 -> 40 -> 1 in float64."""
    first, second = nn.Linear(1, WIDTH), nn.Linear(WIDTH, WIDTH)
    body = Wrapped(nn.Sequential(first, nn.Tanh(), second, nn.Tanh()), features=WIDTH)
    made = MetaLearner(body, CONFIG.inner.build(), ways=1).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in (first, second, cast(WithHead, made.net).head):
            wide, narrow = layer.in_features, layer.out_features
            weight = torch.randn(wide, narrow, generator=generator, dtype=torch.float64) / wide**0.5
            layer.weight.copy_(weight.T)
            nn.init.zeros_(layer.bias)
            if layer is first:
                layer.bias.copy_(torch.randn(narrow, generator=generator, dtype=torch.float64))
    return made


def untrained(seed: int = 0) -> nn.Module:
    """The network before meta-training. It maps x (n 1) to values (n 1)."""
    return learner(seed).net


@lru_cache(maxsize=4)
def meta_trained(steps: int = CONFIG.steps) -> nn.Module:
    """The network after meta-training by MAML. Its weights are the same in every process.

    The argument `steps` is the number of meta-steps.
    """
    waves = SinusoidSource(SHOTS, SHOTS)
    trainer = MetaTrainer(replace(CONFIG, steps=steps), device="cpu", learner=learner(), train=waves, validation=waves)
    with one_thread():
        for _ in trainer.run():
            pass
    return trainer.learner.net
