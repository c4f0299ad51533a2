"""What every test shares: seeded random numbers."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from amfs_lab.episode import Episode
from amfs_lab.tasks import EpisodeConfig, EpisodeSource

ROOT = Path(__file__).resolve().parent

torch.set_num_threads(1)  # the tensors are small, and threads that wait for each other are slow on a busy machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side, a file stays together: its tests share what is dear to make. Not so the lessons in
    the browser, the longest tests of all."""
    for item in items:
        if ROOT in item.path.parents and item.path.name != "test_lessons.py":
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(ROOT).as_posix()))


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
