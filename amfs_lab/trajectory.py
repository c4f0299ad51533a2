"""Trajectories of meta-training: sketches of the meta-parameters, and the plane in which they spread most.

The principal plane of the positions is known only at the end of a run. A position is the vector of all meta-parameters,
which is too large to store for each step: 0.45 MB for a Conv-4 of width 64. So each step stores a sketch, the result of
a linear map that nearly preserves distances. The plane is computed from the sketches. The map depends only on the
number of meta-parameters and a seed, so you can compare runs of different days.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from amfs_lab.errors import ConfigError
from amfs_lab.outer import Aggregator
from amfs_lab.outer.conflict import measure


@dataclass(frozen=True)
class CountSketch:
    """The map y = S theta, which adds each entry of theta (the meta-parameters), with a random sign, to one of m sums.

    E|S x|^2 = |x|^2, with a relative standard deviation of at most sqrt(2 / numbers): 4 % at 1024. The length is exact
    if `numbers` is at least the number of meta-parameters, because each sum then has at most one entry. This is a
    count sketch (Charikar, Chen and Farach-Colton 2002), with sums of equal size: the numbers of entries in two sums
    differ by at most one. A sketch takes one pass over theta.

    Args:
        numbers: length m of a sketch, >= 2.
        seed: seed of the signs and of the order of the entries. Only sketches with the same seed can be compared.
    """

    numbers: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.numbers, int) or self.numbers < 2:
            raise ConfigError(f"CountSketch.numbers must be an integer >= 2. Got {self.numbers!r}.")

    def of(self, params: Sequence[Tensor]) -> Float[Tensor, " m"]:
        """The sketch of the parameters, in their dtype and on their device."""
        theta = torch.cat([p.detach().reshape(-1) for p in params])
        order, signs = _sample(len(theta), self.seed, theta.device)
        entries = F.pad(theta[order] * signs, (0, -len(theta) % self.numbers))
        return entries.view(-1, self.numbers).sum(0)


@lru_cache(maxsize=4)
def _sample(size: int, seed: int, device: torch.device) -> tuple[Int[Tensor, " p"], Int[Tensor, " p"]]:
    """A random order and random signs of `size` entries. They depend only on `size` and `seed`."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(size, generator=generator)
    signs = 2 * torch.randint(0, 2, (size,), generator=generator, dtype=torch.int8) - 1
    return order.to(device), signs.to(device)


@dataclass(frozen=True)
class TrajectoryPoint:
    """One meta-step of a trajectory: position, cosine and weights at the meta-parameters theta *before* the update.

    So the first position is the start of the run. The position and the loss of a step belong to the same theta.

    Args:
        position: sketch of theta, float32 on the CPU. Comparisons and repr ignore this field.
        size: number of meta-parameters.
        cosine: mean cosine over the pairs of task gradients, see `outer.conflict.measure`; None for a single task.
        weights: weight c_j of each task gradient, including normalisation; () if the aggregator has no weights.
    """

    position: Float[Tensor, " m"] = field(compare=False, repr=False)
    size: int
    cosine: float | None
    weights: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """The point as plain data for JSON. `from_dict` is the inverse."""
        return vars(self) | {"position": self.position.tolist(), "weights": list(self.weights)}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "TrajectoryPoint":
        position = torch.tensor(plain["position"], dtype=torch.float32)
        return cls(**plain | {"position": position, "weights": tuple(plain["weights"])})


def record(position: Float[Tensor, " m"], aggregator: Aggregator, grads: Float[Tensor, "t p"]) -> TrajectoryPoint:
    """The trajectory point of a meta-step, from the sketch `position` and the t task gradients `grads`."""
    cosine = float(measure(grads).mean_cosine) if len(grads) > 1 else None
    try:
        weights = tuple(aggregator.weights(grads).tolist())
    except ConfigError:  # a TorchJD rule that is not a weighted sum of gradients
        weights = ()
    return TrajectoryPoint(position.float().cpu(), grads.shape[1], cosine, weights)


@dataclass(frozen=True, eq=False)
class Plane:
    """The principal plane of positions: their mean and first two principal components.

    The rows of Y are the centred positions, and Y = U s V^T is the singular value decomposition. The axes are the first
    two rows of V^T. Axis k has the share s_k^2 / sum s^2 of the variance. The sign of each axis is chosen so that the
    mean start of the runs has a negative coordinate. So the plane does not flip when it is computed again during a run.
    An axis without variance is zero.

    An arc in the plane proves nothing, because any smooth path looks like an arc. Even a random walk in many dimensions
    looks like an arc: its principal components are cosines in time, with 61 % and 15 % of the variance (Antognini and
    Sohl-Dickstein 2018, "PCA of high dimensional random walks with comparison to neural network training"). See
    `random_walk_shares`.
    """

    centre: Float[Tensor, " m"]
    axes: Float[Tensor, "2 m"]
    shares: tuple[float, float]

    @classmethod
    def of(cls, runs: Sequence[Float[Tensor, "_ m"]]) -> "Plane":
        """The principal plane of the positions of some runs, in float64.

        All runs have the same weight, even if their lengths differ. Raises ConfigError if there is no position.
        """
        runs = [run.double() for run in runs if len(run)]
        if not runs:
            raise ConfigError("A plane needs at least one position. Got none. Record a run first.")
        centre = torch.stack([run.mean(0) for run in runs]).mean(0)
        rows = torch.cat([(run - centre) / math.sqrt(len(run) * len(runs)) for run in runs])
        tall = len(rows) > rows.shape[1]
        gram = rows.T @ rows if tall else rows @ rows.T
        squares, vectors = torch.linalg.eigh(gram)  # ascending
        top = vectors.T.flip(0)[:2]
        axes = top if tall else F.normalize(top @ rows, dim=1, eps=1e-150)
        axes = F.pad(axes, (0, 0, 0, 2 - len(axes)))  # a single position has no second direction
        total = float(gram.trace())
        shares = [max(s, 0.0) / total if total > 0 else 0.0 for s in [*squares.flip(0)[:2].tolist(), 0.0][:2]]
        alive = torch.tensor([share > 1e-12 for share in shares])  # a smaller share is rounding error
        starts = torch.stack([run[0] - centre for run in runs]).mean(0)
        turned = torch.where(axes @ starts > 0, -1.0, 1.0) * alive
        return cls(centre, axes * turned[:, None], (shares[0] * bool(alive[0]), shares[1] * bool(alive[1])))

    def coordinates(self, positions: Float[Tensor, "n m"]) -> Float[Tensor, "n 2"]:
        """The coordinates of positions in the plane, in the unit of the distance |theta - theta'|."""
        return (positions.double() - self.centre) @ self.axes.T


class Paths(NamedTuple):
    """Several runs in one plane: the coordinates (n 2) and the sketches (n m) of each run, by name."""

    plane: Plane
    coordinates: dict[str, Float[Tensor, "n 2"]]
    positions: dict[str, Float[Tensor, "n m"]]


def paths(runs: Mapping[str, Sequence[Any]]) -> Paths:
    """The recorded runs in their common plane: `paths({"amfs": list(trainer.run())})`.

    Raises ConfigError if there is no step, or if a step has no position. Also raises ConfigError if the runs differ in
    the number of meta-parameters or the length of the sketches.
    """
    check_one_kind([step for steps in runs.values() for step in steps])
    positions = {name: torch.stack([s.trajectory.position for s in steps]) for name, steps in runs.items() if steps}
    plane = Plane.of(list(positions.values()))
    return Paths(plane, {name: plane.coordinates(run) for name, run in positions.items()}, positions)


def check_one_kind(steps: Sequence[Any]) -> None:
    """Raises ConfigError for a step without a position, or for steps whose positions cannot be compared."""
    if any(getattr(step, "trajectory", None) is None for step in steps):
        raise ConfigError(
            "A trajectory needs steps with a position. Got a step without one. Make the trainer with "
            "`trajectory=CountSketch()`."
        )
    kinds = {(step.trajectory.size, len(step.trajectory.position)) for step in steps}
    if len(kinds) > 1:
        words = " and ".join(f"{size} meta-parameters in {numbers} numbers" for size, numbers in sorted(kinds))
        raise ConfigError(
            f"Runs in one plane must have the same meta-parameters and the same sketch. Got {words}. "
            "Draw together only runs with the same inner loop and width."
        )


def random_walk_shares(runs: int = 1) -> tuple[float, float]:
    """The variance shares of both axes of a `Plane`, if the runs are random walks. They are a baseline for an arc.

    The argument `runs` is the number of random walks. All walks start at the same point. The shares are the limit for
    many steps of equal size in many dimensions. One centred walk has the eigenvalues 1/(pi k)^2, k = 1, 2, ... Each
    other walk adds the eigenvalues of a walk that is not centred: 1/(pi (k - 1/2))^2.
    """
    if runs < 1:
        raise ConfigError(f"`runs` must be >= 1. Got {runs}.")
    apart = [1 / (math.pi * (k - 0.5)) ** 2 for k in (1, 2)] * (runs - 1)
    largest = sorted([1 / (math.pi * k) ** 2 for k in (1, 2)] + apart, reverse=True)
    total = (runs - 1) / 2 + 1 / 6
    return largest[0] / total, largest[1] / total
