"""What every test shares: seeded random numbers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from amfs_lab.episode import Episode
from amfs_lab.tasks import EpisodeConfig, EpisodeSource

torch.set_num_threads(1)  # the tensors are small, and threads that wait for each other are slow on a busy machine


@pytest.fixture
def randn() -> Callable[..., Tensor]:
    """`randn(3, 4)`: float64 normal numbers, the same in every run."""
    generator = torch.Generator().manual_seed(0)
    return lambda *shape, dtype=torch.float64: torch.randn(*shape, generator=generator, dtype=dtype)


@pytest.fixture
def images() -> Tensor:
    """Twelve classes of eight noisy images each, (12 8 28 28) in uint8: each class is a pattern of its own."""
    generator = torch.Generator().manual_seed(1)
    patterns = torch.rand(12, 1, 28, 28, generator=generator)
    noisy = patterns + 0.15 * torch.randn(12, 8, 28, 28, generator=generator)
    return (noisy.clamp(0, 1) * 255).to(torch.uint8)


@pytest.fixture
def episode(images: Tensor) -> Episode:
    """A 3-way 1-shot task with 2 queries a class, in float64."""
    source = EpisodeSource(images, tuple("abcdefghijkl"), EpisodeConfig(3, 1, 2))
    return source[0].to("cpu", torch.float64)
