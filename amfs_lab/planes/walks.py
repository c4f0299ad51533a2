"""Trajectories of the outer loop of four rules in the plane.

A point of the plane is a complex number here, and a gradient is one, too. <a, b> is the real part of conj(a) b. A real
2 x 2 matrix is a map z -> p z + q conj(z). A list of t gradients contains complex numbers of Python. For many starts or
many samples of tasks, the list contains numpy arrays. So 200 steps of all four rules take a few milliseconds. The rules
of `amfs_lab.outer` would take far longer, because they are made for a few long gradients. A test compares both
implementations.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.errors import ConfigError
from amfs_lab.outer import Mean, MeanCosine, PairwiseCosine, PCGrad, cancellation_tolerance
from amfs_lab.planes.quadratics import Quadratics

Points = Any  # a complex number, or a numpy array of them
TINY = 1e-300  # added to a length before a division: it changes no length except 0, and 0 / TINY is 0
TOLERANCE = cancellation_tolerance(2, torch.float64)


@dataclass(frozen=True)
class Walk:
    """Settings of a trajectory with the steps theta <- theta - rate * decay^k * d, and the options of the rules.

    Here k is the index of the step, and d is the direction that a rule computes from the tasks' gradients. `steps` is
    the number of steps.

    Args:
        equal_steps: use d / |d| instead of d (0 for d = 0). Every step then has the length `rate * decay^k`, so rules
            differ only in direction.
        noise: standard deviation of the Gaussian noise on both coordinates of each task's gradient at each step; one
            number, or one number per task. All rules get the same noise. seed: seed of the noise, and of PCGrad's
            order.
    """

    rate: float = 0.1
    steps: int = 200
    decay: float = 1.0
    normalization: str = "length"
    negative: str = "keep"
    equal_steps: bool = False
    noise: float | tuple[float, ...] = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        PairwiseCosine(self.normalization, self.negative)  # refuses unknown options
        if not (
            self.rate >= 0 and 0 < self.decay <= 1 and bool(np.all(np.asarray(self.noise) >= 0)) and self.steps >= 0
        ):
            raise ConfigError(
                "A trajectory needs rate >= 0, 0 < decay <= 1, noise >= 0 and steps >= 0. "
                f"Got rate {self.rate}, decay {self.decay}, noise {self.noise}, steps {self.steps}."
            )

    def along(self, tasks: Quadratics, start: Float[Tensor, "*b 2"]) -> dict[str, Float[Tensor, "k *b 2"]]:
        """The trajectory of each rule of `RULES`: k = steps + 1 points, the start first.

        After an overflow the points are not finite.

        Args:
            start: one point, or one point for each sample of `tasks`, or many points for one sample of tasks.
        """
        pulls = _pulls(tasks)
        noise = self._noise(len(pulls), start)
        return {name: self._path(name, pulls, noise, _complex(start)) for name in RULES}

    def _path(self, rule: str, pulls: list[Any], noise: list[list[Points]], theta: Points) -> Float[Tensor, "k *b 2"]:
        path = np.full((self.steps + 1, *np.broadcast_shapes(np.shape(theta), np.shape(pulls[0][0]))), np.inf + 0j)
        path[0] = theta
        for k in range(self.steps):
            mirrored = theta.conjugate()
            g = [p * theta + q * mirrored - b for p, q, b in pulls]
            if noise:
                g = [each + shaken for each, shaken in zip(g, noise[k], strict=True)]
            try:
                d = RULES[rule](self, g)
                path[k + 1] = theta = theta - self.rate * self.decay**k * (_unit(d) if self.equal_steps else d)
            except OverflowError:
                break
        return torch.view_as_real(torch.from_numpy(path))

    def _noise(self, t: int, start: Float[Tensor, "*b 2"]) -> list[list[Points]]:
        spreads = np.atleast_1d(np.asarray(self.noise, dtype=float))
        if len(spreads) not in (1, t):
            raise ConfigError(f"`noise` must be one number, or one for each of {t} tasks. Got {len(spreads)} numbers.")
        if not spreads.any():
            return []
        size = (self.steps, t, *start.shape)
        normal = np.random.default_rng(self.seed).normal(size=size)
        drawn = torch.from_numpy(normal * spreads.reshape(-1, *(1,) * start.ndim))
        return [[_complex(task) for task in step] for step in drawn]


def mean(walk: Walk, g: list[Points]) -> Points:
    """The mean of the gradients: d = sum_j g_j / t."""
    return sum(g) / len(g)


def pairwise_cosine(walk: Walk, g: list[Points]) -> Points:
    """O-AMFS: d = Z sum_j <S, u_j> g_j with S = sum_i u_i."""
    u = [_unit(each) for each in g]
    return _weigh(walk, g, u, sum(u), full=len(g))


def mean_cosine(walk: Walk, g: list[Points]) -> Points:
    """Cosine to the mean: d = Z sum_j cos(g_j, gbar) g_j with the mean gradient gbar."""
    total = sum(g)
    total = total * (abs(total) > TOLERANCE * sum(abs(each) for each in g))
    return _weigh(walk, g, [_unit(each) for each in g], _unit(total), full=1)


def pcgrad(walk: Walk, g: list[Points]) -> Points:
    """PCGrad: the mean of the projected gradients.

    From each gradient, the component along every conflicting gradient is removed.
    """
    slopes = [each / (_dot(each, each) + TINY) for each in g]
    total = 0
    for own, order in zip(g, _orders(walk.seed, len(g)), strict=True):
        for j in order:
            overlap = _dot(own, g[j])
            own = own - (overlap - abs(overlap)) / 2 * slopes[j]  # the overlap if it is negative, else 0
        total = total + own
    return total / len(g)


# The direction d of a step, from the t gradients.
RULES: dict[str, Callable[[Walk, list[Points]], Points]] = {
    Mean.label: mean,
    PairwiseCosine.label: pairwise_cosine,
    MeanCosine.label: mean_cosine,
    PCGrad.label: pcgrad,
}


@cache
def _orders(seed: int, t: int) -> list[list[int]]:
    """For each of t tasks, the list of the other tasks, in the order of `PCGrad`."""
    generator = torch.Generator().manual_seed(seed)
    return [[j for j in torch.randperm(t, generator=generator).tolist() if j != i] for i in range(t)]


def _weigh(walk: Walk, g: list[Points], u: list[Points], reference: Points, full: int) -> Points:
    """The direction Z sum_j c_j g_j with c_j = <reference, u_j>.

    `full` is the value of every c_j if all gradients are equal.
    """
    c = [_dot(reference, each) for each in u]
    if walk.negative == "clip":
        c = [(each + abs(each)) / 2 for each in c]
    d = sum(weight * each for weight, each in zip(c, g, strict=True))
    total = sum(abs(weight) for weight in c)
    d = d * (total > TOLERANCE * full)
    if walk.normalization == "length":
        return _unit(d) * abs(sum(g)) / len(g)
    if walk.normalization == "unit":
        return d / (total + TINY)
    return d / (len(g) * full) if walk.normalization == "agreement" else d


def _dot(a: Points, b: Points) -> Any:
    return (a.conjugate() * b).real


def _unit(z: Points) -> Points:
    return z / (abs(z) + TINY)


def _pulls(tasks: Quadratics) -> list[tuple[Points, Points, Points]]:
    """The coefficients (p, q, b) of the gradient of each task.

    The gradient is H (theta - o) = p theta + q conj(theta) - b, with the complex number theta.
    """
    found = []
    for H, o in zip(tasks.hessians.unbind(-3), tasks.optima.unbind(-2), strict=True):
        (a, b), (c, d) = (row.unbind(-1) for row in H.double().unbind(-2))
        p = _complex(torch.stack([a + d, c - b], -1) / 2)
        q = _complex(torch.stack([a - d, c + b], -1) / 2)
        optimum = _complex(o)
        found.append((p, q, p * optimum + q * optimum.conjugate()))
    return found


def _complex(points: Float[Tensor, "*b 2"]) -> Points:
    z = torch.view_as_complex(points.double().contiguous())
    return z.item() if z.ndim == 0 else z.numpy()
