"""A small network and its practice on waves: what lesson 06 takes apart, tasks of `tasks.sinusoids`.

The network's weights may have a leading axis of tasks, so that MAML on a batch of tasks is one computation.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from amfs_lab.tasks.sinusoids import SinusoidSource
from amfs_lab.widgets.explorer import one_thread

Params = dict[str, Tensor]
WIDTH = 40
RATE, STEPS, SHOTS, TASKS = 0.05, 3, 10, 10  # of practice: the inner loop's rate and steps, points, tasks in a step
META_RATE = 2e-2
PRACTICE = 200  # meta-steps: a few seconds


class SinusoidMLP(nn.Module):
    """1 -> 40 -> 40 -> 1 with tanh between: x (... n 1) to (... n 1)."""

    weight3: Tensor
    bias3: Tensor

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        for i, (wide, narrow) in enumerate(((1, WIDTH), (WIDTH, WIDTH), (WIDTH, 1)), 1):
            weight = torch.randn(wide, narrow, generator=generator, dtype=torch.float64) / wide**0.5
            bias = (
                torch.randn(1, narrow, generator=generator, dtype=torch.float64) if i == 1 else torch.zeros(1, narrow)
            )
            self.register_parameter(f"weight{i}", nn.Parameter(weight))
            self.register_parameter(f"bias{i}", nn.Parameter(bias.double()))

    def forward(self, x: Float[Tensor, "*t n 1"]) -> Float[Tensor, "*t n 1"]:
        for i in (1, 2):
            x = torch.tanh(x @ getattr(self, f"weight{i}") + getattr(self, f"bias{i}"))
        return x @ self.weight3 + self.bias3


class Batch(NamedTuple):
    """Waves of several tasks: labelled points (t n 1), and others to be judged by (t q 1)."""

    x: Tensor
    y: Tensor
    query_x: Tensor
    query_y: Tensor


def draw(source: SinusoidSource, first: int, tasks: int) -> Batch:
    """Episodes `first`, `first + 1`, ... of a source, in float64."""
    episodes = [source[first + t].to("cpu", torch.float64) for t in range(tasks)]
    halves = [(e.support.x, e.support.y, e.query.x, e.query.y) for e in episodes]
    return Batch(*(torch.stack(column) for column in zip(*halves, strict=True)))


def walk(net: SinusoidMLP, params: Params, x: Tensor, y: Tensor, rate: float, steps: int) -> Iterator[Params]:
    """params after 0..steps inner steps on 1/2 mean (f - y)^2: MAML's inner loop, on one task or on a batch of them."""
    graph = any(p.grad_fn is not None or p.requires_grad for p in params.values()) and torch.is_grad_enabled()
    yield params
    for _ in range(steps):
        with torch.enable_grad():
            here = params if graph else {name: p.detach().requires_grad_() for name, p in params.items()}
            loss = (functional_call(net, here, (x,)) - y).square().mean(-2).sum() / 2  # tasks share no weights
            grads = torch.autograd.grad(loss, list(here.values()), create_graph=graph)
        params = {name: here[name] - rate * g for name, g in zip(here, grads, strict=True)}
        if not graph:
            params = {name: p.detach() for name, p in params.items()}
        yield params


def query_loss(net: SinusoidMLP, batch: Batch, rate: float, steps: int) -> Float[Tensor, " t"]:
    """Each task's mean squared error on its queries after `steps` inner steps, a function of the net's parameters."""
    t = len(batch.x)
    start = {name: p.expand(t, *p.shape) for name, p in net.named_parameters()}
    *_, end = walk(net, start, batch.x, batch.y, rate, steps)
    return (functional_call(net, end, (batch.query_x,)) - batch.query_y).square().mean((-2, -1))


def practise(net: SinusoidMLP, meta_steps: int) -> Iterator[float]:
    """Second-order MAML on training waves; yields the mean query error of each meta-step."""
    source = SinusoidSource(SHOTS, SHOTS)
    optimizer = torch.optim.Adam(net.parameters(), lr=META_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, meta_steps)
    for step in range(meta_steps):
        loss = query_loss(net, draw(source, step * TASKS, TASKS), RATE, STEPS).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        yield float(loss.detach())


@lru_cache(maxsize=4)
def practised(meta_steps: int = PRACTICE) -> SinusoidMLP:
    """The network after so much practice, the same in every process."""
    net = SinusoidMLP()
    with one_thread():
        for _ in practise(net, meta_steps):
            pass
    return net
