"""Distributions of tasks that disagree, and random draws from them.

`SETTINGS` has quadratic tasks in the plane. Their optima have standard deviation 1 in each coordinate, and a round task
has curvature 1. `GRADIENTS` has random gradients in any number of dimensions, without tasks and trajectories.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.planes import Quadratics

AWAY = 3.0  # distance from the centre of all optima to the start of a trajectory
FAR = 10.0  # distance from this centre to the optimum of an outlier
MANY, FEW, APART = 5, 2, 4.0  # tasks in the majority, tasks in the minority, distance between their centres


@dataclass(frozen=True)
class SampledTasks:
    """n random draws of the tasks of a setting, with three points of the plane for each draw.

    Args:
        start: start of the trajectories. wanted: desired end point.
        about: a point near the minimiser of the mean loss. Directions are measured at `start` and at `about`.
    """

    tasks: Quadratics
    start: Float[Tensor, "n 2"]
    wanted: Float[Tensor, "n 2"]
    about: Float[Tensor, "n 2"]


Normals = Float[Tensor, "n t 4"]  # four for each task: two for its optimum, one for its curvature, one for its rotation


@dataclass(frozen=True)
class Setting:
    """A distribution of conflicting tasks.

    Args:
        t: number of tasks.
        optima, hessians: functions of standard Gaussian numbers, four for each task.
        noise: standard deviation of the noise of the gradients: one number, or one number for each task. See `Walk`.
        outliers: number of outliers, which are the last tasks. The desired end point minimises the mean loss of the
            other tasks.
    """

    t: int
    optima: Callable[[Normals], Float[Tensor, "n t 2"]]
    hessians: Callable[[Normals], Float[Tensor, "n t 2 2"]]
    noise: float | tuple[float, ...] = 0.0
    outliers: int = 0

    def draw(self, draws: int, seed: int) -> SampledTasks:
        """Random draws of the tasks. Draw number i does not depend on `draws`, the number of draws."""
        # (seed, 1) gives a generator of its own, because the noise of the trajectories uses the seed.
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
    """Independent optima."""
    return z[..., :2]


def shared(z: Normals) -> Float[Tensor, "n t 2"]:
    """Equal optima, so that the gradients differ only by noise."""
    return torch.zeros_like(z[..., :2])


def two_groups(z: Normals) -> Float[Tensor, "n t 2"]:
    """Optima in two groups, a majority and a minority, each with standard deviation 0.5."""
    return 0.5 * z[..., :2] + z.new_tensor([[0.0, 0.0]] * MANY + [[APART, 0.0]] * FEW)


def one_far(z: Normals) -> Float[Tensor, "n t 2"]:
    """Independent optima, except for the last optimum. It is at distance `FAR` in a random direction."""
    last = z[:, -1:, :2]
    return torch.cat([z[:, :-1, :2], FAR * last / torch.linalg.vector_norm(last, dim=-1, keepdim=True)], 1)


def equal(z: Normals) -> Float[Tensor, "n t 2 2"]:
    """Hessians H = I: all tasks are round."""
    return torch.eye(2, dtype=z.dtype).expand(*z.shape[:2], 2, 2)


def unequal(z: Normals) -> Float[Tensor, "n t 2 2"]:
    """Hessians H = h I, where log h is a standard Gaussian number.

    The minimiser of the mean loss, theta*, is the mean of the optima with the weights h.
    """
    return z[..., 2].exp()[..., None, None] * equal(z)


def stretched(z: Normals) -> Float[Tensor, "n t 2 2"]:
    """Hessians with eigenvalue 3 across a valley and 0.3 along the valley. Each task has its own random rotation."""
    angle = math.pi * torch.special.ndtr(z[..., 3])
    across = torch.stack([angle.cos(), angle.sin()], -1)
    return 0.3 * equal(z) + 2.7 * across[..., :, None] * across[..., None, :]


ONE_NOISY = (1.0, 1.0, 1.0, 1.0, 10.0)  # noise of five tasks, of which the last has very noisy gradients

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
    "noise in one": Setting(5, spread, equal, noise=ONE_NOISY),
    "one optimum, noise in all": Setting(5, shared, equal, noise=1.0),
    "one optimum, noise in one": Setting(5, shared, equal, noise=ONE_NOISY),
}


@dataclass(frozen=True)
class Gradients:
    """A distribution of t random gradients with p Gaussian components each.

    Args:
        t: number of gradients. p: number of dimensions.
        lengths: standard deviation of the logarithm of a random factor, which multiplies each gradient; 0: no factor.
        cosine: cosine of two gradients, in the limit of many dimensions.
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


# The last two distributions resemble meta-training, where task gradients are nearly orthogonal to each other.
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
