"""Toy tasks on a line, and four losses on a grid of σ and λ, with the minima and gradients of the losses."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from amfs_lab import ridge
from amfs_lab.explore.ridge.points import TRUTHS as LINE_TRUTHS
from amfs_lab.kernels import rbf_kernel

MOST, QUERIES = 40, 100
TRUTHS = {"sine": LINE_TRUTHS["sine"], "step": LINE_TRUTHS["step"], "constant": torch.ones_like}
# Two kinds of data are faulty: every point has a copy (the second half repeats the first), or one label is an outlier.
DATA = (*TRUTHS, "every point twice", "one outlier")
WILD = 6.0

SIGMAS = torch.logspace(math.log10(0.05), math.log10(5.0), 33, dtype=torch.float64)
LAMBDAS = torch.logspace(-4, 1, 36, dtype=torch.float64)


class Task(NamedTuple):
    """The support points (n 1) and the query points (q 1) of a task, with noisy labels."""

    x: Tensor
    y: Tensor
    query_x: Tensor
    query_y: Tensor

    def at(self, bandwidth: Tensor | float) -> tuple[Tensor, Tensor]:
        """The Gram matrices K_ss (support, support) and K_qs (query, support) for this bandwidth."""
        return rbf_kernel(self.x, self.x, bandwidth), rbf_kernel(self.query_x, self.x, bandwidth)


@lru_cache(maxsize=64)
def task(data: str, points: int, noise: float, sample: int) -> Task:
    """A task with at most 40 support points, and with 100 query points.

    The argument `points` is the number of support points: the first of 40 random points. `sample` is the seed of all
    points and labels. Equal arguments give an equal task.
    """
    truth = TRUTHS.get(data, TRUTHS["sine"])
    generator = torch.Generator().manual_seed(sample)

    def draw(n: int) -> tuple[Tensor, Tensor]:
        x = 6 * torch.rand(n, 1, generator=generator, dtype=torch.float64) - 3
        return x, truth(x) + noise * torch.randn(n, 1, generator=generator, dtype=torch.float64)

    x, y = (values[:points] for values in draw(MOST))
    if data == "every point twice":
        originals = torch.arange(points) % max(1, (points + 1) // 2)
        x, y = x[originals], y[originals]
    if data == "one outlier" and points:
        y = y + WILD * (torch.arange(points) == points // 2)[:, None]
    return Task(x, y, *draw(QUERIES))


class Spectra(NamedTuple):
    """The decomposition K_ss = U diag(s) Uᵀ of a task and z = Uᵀy, for every σ of `SIGMAS`.

    From this decomposition, the losses are computed for many λ without another factorisation.
    """

    eigenvalues: Tensor  # (σ n)
    eigenvectors: Tensor  # (σ n n)
    along: Tensor  # (σ n 1)
    K_qs: Tensor  # (σ q n)


@lru_cache(maxsize=32)
def grams(data: str, points: int, noise: float, sample: int) -> tuple[Tensor, Tensor]:
    """The matrices K_ss (σ n n) and K_qs (σ q n) of a task for every σ of `SIGMAS`."""
    t = task(data, points, noise, sample)
    x, query_x = (points / SIGMAS[:, None, None] for points in (t.x, t.query_x))
    return rbf_kernel(x, x, 1.0), rbf_kernel(query_x, x, 1.0)


@lru_cache(maxsize=32)
def spectra(data: str, points: int, noise: float, sample: int) -> Spectra:
    K_ss, K_qs = grams(data, points, noise, sample)
    s, U = torch.linalg.eigh(K_ss)
    return Spectra(s.clamp(min=0), U, U.mT @ task(data, points, noise, sample).y, K_qs)


def losses(data: str, points: int, noise: float, sample: int, lams: Tensor) -> dict[str, Tensor]:
    """The four losses of a task by name, each as a tensor (σ λ) of means over points.

    The loss "evidence" is minus the log evidence, in nats. Each of the other three losses is half the squared error.
    """
    query_y = task(data, points, noise, sample).query_y
    s, U, z, K_qs = spectra(data, points, noise, sample)
    shrink = 1 / (s[..., None] + lams)  # (σ n λ): (K + λI)⁻¹ along each direction
    alpha = U @ (z * shrink)
    left_out = alpha / (U.square() @ shrink)  # e_i = alpha_i / [(K + lam I)^-1]_ii
    minus_log_evidence = (z.square() * shrink - shrink.log()).sum(1) / 2 + points / 2 * math.log(2 * math.pi)
    n = max(points, 1)
    return {
        "query loss": (K_qs @ alpha - query_y).square().mean(1) / 2,
        "leave-one-out": left_out.square().sum(1) / (2 * n),
        "evidence": minus_log_evidence / n,
        "training loss": (lams * alpha).square().sum(1) / (2 * n),
    }


@lru_cache(maxsize=32)
def surfaces(data: str, points: int, noise: float, sample: int) -> dict[str, Tensor]:
    """The four `losses` for every σ of `SIGMAS` and every λ of `LAMBDAS`."""
    return losses(data, points, noise, sample, LAMBDAS)


def flat(surface: Tensor) -> bool:
    """True if a loss has the same value for all σ and λ, up to rounding."""
    return bool(surface.max() - surface.min() <= 1e-9 * surface.abs().max())


def best(surface: Tensor) -> tuple[float, float] | None:
    """The σ and λ at the minimum of one of the `surfaces`; None if the loss has the same value everywhere (`flat`)."""
    if flat(surface):
        return None
    i, j = divmod(int(surface.argmin()), len(LAMBDAS))
    return float(SIGMAS[i]), float(LAMBDAS[j])


def pulls(t: Task, bandwidth: float, lam: float) -> dict[str, tuple[float, float]]:
    """The negative gradient of each loss with respect to log σ and log λ, differentiated through the solve.

    For the query loss, the result is the negative meta-gradient.
    """
    logs = torch.tensor([math.log(bandwidth), math.log(lam)], dtype=torch.float64, requires_grad=True)
    sigma, ridge_strength = logs.exp()
    K, K_qs = t.at(sigma)
    alpha = ridge.solve(K, t.y, ridge_strength)
    n = max(len(t.y), 1)
    values = {
        "query loss": (K_qs @ alpha - t.query_y).square().mean() / 2,
        "leave-one-out": ridge.leave_one_out(K, t.y, ridge_strength).square().sum() / (2 * n),
        "evidence": -ridge.log_evidence(K, t.y, ridge_strength) / n,
        "training loss": (K @ alpha - t.y).square().sum() / (2 * n),
    }
    found = {}
    for name, value in values.items():
        gradient = torch.autograd.grad(value, logs, retain_graph=True)[0] if len(t.y) else torch.zeros(2)
        found[name] = tuple(-float(g) if abs(g) > 1e-12 else 0.0 for g in gradient)
    return found


@lru_cache(maxsize=32)
def shares(data: str, points: int, noise: float, sample: int) -> dict[str, np.ndarray]:
    """The rank of each pair (λ, σ) for each loss: the percentage of all pairs with a lower loss.

    Each array has one row per λ of `LAMBDAS` and one column per σ of `SIGMAS`.
    """
    found = {}
    for name, surface in surfaces(data, points, noise, sample).items():
        values = surface.T.numpy()
        found[name] = (100 * np.searchsorted(np.sort(values, axis=None), values) / values.size).round(1)
        if flat(surface):
            found[name] = np.zeros_like(values)
    return found


def judged(found: dict[str, Tensor], name: str) -> float | None:
    """The query loss at the σ and λ that minimise the loss `name`; None if the loss `name` is `flat`."""
    return None if flat(found[name]) else float(found["query loss"].flatten()[found[name].argmin()])
