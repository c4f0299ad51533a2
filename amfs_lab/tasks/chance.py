"""Chance that depends on names and numbers alone: the same key, the same draws, whatever else was drawn before."""

import hashlib

import torch


def generator(*key: object) -> torch.Generator:
    """A private source of chance for a key such as ("glyphs", "train", seed, index); no global state is touched."""
    words = "/".join(map(str, key)).encode()
    return torch.Generator().manual_seed(int.from_bytes(hashlib.blake2b(words, digest_size=7).digest()))
