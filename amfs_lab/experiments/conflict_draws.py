"""Settings in which tasks disagree, each sampled in any number of draws.

Quadratic tasks in the plane: the unit of length is the standard deviation of their optima in each coordinate, and of
curvature that of a round task. Gradients alone, in any number of dimensions, where no walk is needed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.planes import Quadratics

AWAY = 3.0  # from the centre of all optima, where walks start
FAR = 10.0  # from there, where an outlier's optimum lies
MANY, FEW, APART = 5, 2, 4.0  # a majority, a minority, and the way between their centres


@dataclass(frozen=True)
class SampledTasks:
    """n draws of tasks: start of the trajectories, desired end point, and a second position for directions."""

    tasks: Quadratics
    start: Float[Tensor, "n 2"]
    wanted: Float[Tensor, "n 2"]
    about: Float[Tensor, "n 2"]


Normals = Float[Tensor, "n t 4"]  # of each task: two for its optimum, one for its curvature, one for its turn


@dataclass(frozen=True)
class Setting:
    """A distribution of conflicting tasks.

    Args:
        t: number of tasks. optima, hessians: how they are made of standard normal numbers, four a task.
        noise: of a step's gradients, one standard deviation or one a task, see `Walk`.
        outliers: number of outliers among the last tasks; the desired end point minimises the mean loss of the others.
    """

    t: int
    optima: Callable[[Normals], Float[Tensor, "n t 2"]]
    hessians: Callable[[Normals], Float[Tensor, "n t 2 2"]]
    noise: float | tuple[float, ...] = 0.0
    outliers: int = 0

    def draw(self, draws: int, seed: int) -> SampledTasks:
        """The sampled tasks; a smaller number of draws gives the first ones of a larger number."""
        # A stream of its own: a walk's noise comes from the seed itself.
        numbers = torch.from_numpy(np.random.default_rng((seed, 1)).standard_normal((draws, 4 + 4 * self.t)))
        towards, aside, z = numbers[:, :2], numbers[:, 2:4], numbers[:, 4:].reshape(draws, self.t, 4)
        tasks, kept = Quadratics(self.optima(z), self.hessians(z)), self.t - self.outliers
        return SampledTasks(
            tasks,
            start=AWAY * towards / torch.linalg.vector_norm(towards, dim=1, keepdim=True),
            wanted=Quadratics(tasks.optima[:, :kept], tasks.hessians[:, :kept]).best(),
            about=tasks.best() + aside,
        )


def spread(z: Normals) -> Float[Tensor, "n t 2"]:
    """Optima are drawn independently."""
    return z[..., :2]


def shared(z: Normals) -> Float[Tensor, "n t 2"]:
    """All optima are equal, so that only noise makes the gradients differ."""
    return torch.zeros_like(z[..., :2])


def two_groups(z: Normals) -> Float[Tensor, "n t 2"]:
    """A majority and a minority of optima, each with half the standard deviation."""
    return 0.5 * z[..., :2] + z.new_tensor([[0.0, 0.0]] * MANY + [[APART, 0.0]] * FEW)


def one_far(z: Normals) -> Float[Tensor, "n t 2"]:
    """The last optimum is at distance `FAR`, in a random direction."""
    last = z[:, -1:, :2]
    return torch.cat([z[:, :-1, :2], FAR * last / torch.linalg.vector_norm(last, dim=-1, keepdim=True)], 1)


def equal(z: Normals) -> Float[Tensor, "n t 2 2"]:
    """H = I, a round task."""
    return torch.eye(2, dtype=z.dtype).expand(*z.shape[:2], 2, 2)


def unequal(z: Normals) -> Float[Tensor, "n t 2 2"]:
    """H = h I, log h standard normal: each counts in theta* by its curvature."""
    return z[..., 2].exp()[..., None, None] * equal(z)


def stretched(z: Normals) -> Float[Tensor, "n t 2 2"]:
    """Curved 3 across and 0.3 along the valley, each turned its own way."""
    angle = math.pi * torch.special.ndtr(z[..., 3])
    across = torch.stack([angle.cos(), angle.sin()], -1)
    return 0.3 * equal(z) + 2.7 * across[..., :, None] * across[..., None, :]


LOUD = (1.0, 1.0, 1.0, 1.0, 10.0)  # the noise of five tasks, of which one has very noisy gradients

SETTINGS: dict[str, Setting] = {
    "two tasks": Setting(2, spread, stretched),
    "three round tasks": Setting(3, spread, equal),
    "five round tasks": Setting(5, spread, equal),
    "ten round tasks": Setting(10, spread, equal),
    "majority and minority": Setting(MANY + FEW, two_groups, equal),
    "unequal curvatures": Setting(5, spread, unequal),
    "stretched valleys": Setting(5, spread, stretched),
    "one outlier of five": Setting(5, one_far, equal, outliers=1),
    "one outlier of ten": Setting(10, one_far, equal, outliers=1),
    "noise in all": Setting(5, spread, equal, noise=1.0),
    "noise in one": Setting(5, spread, equal, noise=LOUD),
    "one optimum, noise in all": Setting(5, shared, equal, noise=1.0),
    "one optimum, noise in one": Setting(5, shared, equal, noise=LOUD),
}


@dataclass(frozen=True)
class Gradients:
    """t gradients of p normal numbers each.

    Args:
        lengths: standard deviation of the logarithm of a factor on each. cosine: what two of them have in common, in
            many dimensions.
    """

    t: int
    p: int
    lengths: float = 0.0
    cosine: float = 0.0

    def draw(self, draws: int, seed: int) -> Float[Tensor, "n t p"]:
        numbers = np.random.default_rng((seed, 2)).standard_normal((draws, self.t + 1, self.p + 1))
        own, common = torch.from_numpy(numbers[:, 1:, 1:]), torch.from_numpy(numbers[:, :1, 1:])
        factor = torch.from_numpy(np.exp(self.lengths * numbers[:, 1:, :1]))
        return factor * (math.sqrt(self.cosine) * common + math.sqrt(1 - self.cosine) * own)


# The last two are like those of meta-training: almost, and not quite, at right angles to each other.
GRADIENTS: dict[str, Gradients] = {
    "3 in 2-D": Gradients(3, 2),
    "5 in 2-D": Gradients(5, 2),
    "8 in 2-D": Gradients(8, 2),
    "3 in 2-D, unequal lengths": Gradients(3, 2, lengths=1.0),
    "5 in 2-D, unequal lengths": Gradients(5, 2, lengths=1.0),
    "8 in 2-D, unequal lengths": Gradients(8, 2, lengths=1.0),
    "5 in 10-D": Gradients(5, 10),
    "5 in 10-D, unequal lengths": Gradients(5, 10, lengths=1.0),
    "4 in 1000-D, cosine 0.05": Gradients(4, 1000, cosine=0.05),
    "32 in 1000-D, cosine 0.05": Gradients(32, 1000, cosine=0.05),
}
