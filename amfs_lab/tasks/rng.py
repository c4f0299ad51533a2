"""Random generators from keys: the same key always gives the same numbers."""

import hashlib
from collections.abc import Iterable
from operator import index as as_index

import torch

from amfs_lab.errors import ConfigError


def generator(*key: object) -> torch.Generator:
    """A new random generator for a key such as ("glyphs", "train", seed, index). No global generator changes."""
    words = "/".join(map(str, key)).encode()
    return torch.Generator().manual_seed(int.from_bytes(hashlib.blake2b(words, digest_size=7).digest()))


def shuffled(names: Iterable[str]) -> list[str]:
    """The names in the order of their SHA-256. The order looks random, but is the same on every machine."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())


def checked_index(index: object) -> int:
    """The index of an episode as an int: 3 and torch.tensor(3) both become 3. Raises ConfigError for other types."""
    try:
        return as_index(index)  # type: ignore[arg-type]
    except TypeError:
        raise ConfigError(
            f"The index of an episode must be an integer. Got {index!r}. Ask for one episode at a time."
        ) from None
