"""Sinusoid regression (Finn et al. 2017): each task is y = A sin(x + phase) with its own amplitude and phase."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.arguments import check_count
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError
from amfs_lab.tasks.rng import checked_index, generator

AMPLITUDES, PHASES, PLACES = (0.1, 5.0), (0.0, math.pi), (-5.0, 5.0)


@dataclass(frozen=True)
class Wave:
    """The function of one task: y = amplitude * sin(x + phase)."""

    amplitude: float
    phase: float

    def __call__(self, x: Float[Tensor, "n 1"]) -> Float[Tensor, "n 1"]:
        return self.amplitude * torch.sin(x + self.phase)


@dataclass(frozen=True)
class SinusoidSource:
    """A source of sinusoid tasks. The episode `source[index]` has `shots` support points and `queries` query points.

    All points of an episode are on one wave. Three numbers are uniform: the amplitude in 0.1..5, the phase in 0..pi,
    and x in -5..5. An episode is a pure function of (split, seed, index). Points are sampled one after the other. So
    the first points stay the same if `shots` is larger.

    Args:
        split: any name; different names give different tasks.
        noise: standard deviation of the noise in the support labels, >= 0.
    """

    shots: int = 10
    queries: int = 10
    split: str = "train"
    seed: int = 0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("shots", "queries"):
            check_count(f"SinusoidSource.{name}", getattr(self, name), 1, 10**9)
        if not 0 <= self.noise < math.inf:
            raise ConfigError(f"SinusoidSource.noise must be a finite number >= 0. Got {self.noise}.")

    def wave(self, index: int) -> Wave:
        """The true function of episode `index`."""
        chance = torch.rand(2, generator=self._generator(index, "wave"), dtype=torch.float64, device="cpu").tolist()
        ranges = zip(chance, (AMPLITUDES, PHASES), strict=True)
        return Wave(*(low + share * (high - low) for share, (low, high) in ranges))

    def __getitem__(self, index: int) -> Episode:
        wave = self.wave(index)
        low, high = PLACES
        halves = []
        for name, n in (("support", self.shots), ("query", self.queries)):
            chance = torch.rand(n, 2, generator=self._generator(index, name), dtype=torch.float64, device="cpu")
            x = low + (high - low) * chance[:, :1]
            error = torch.special.ndtri(chance[:, 1:]) * (self.noise if name == "support" else 0.0)
            halves.append(Examples(x.float(), (wave(x) + error).float(), 1))
        return Episode(*halves)

    def _generator(self, index: int, what: str) -> torch.Generator:
        return generator("sinusoids", self.split, self.seed, checked_index(index), what)
