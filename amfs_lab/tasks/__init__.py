"""Sources of episodes: glyphs, Omniglot, images and embeddings of your own, sinusoids."""

from collections.abc import Sequence
from pathlib import Path

from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError
from amfs_lab.tasks import glyphs, omniglot
from amfs_lab.tasks.image_folder import read_folder
from amfs_lab.tasks.images import read_image
from amfs_lab.tasks.source import EmbeddingSource, EpisodeConfig, EpisodeSource, ImageSource, LabelledSource, episode_of

__all__ = [
    "SOURCES",
    "SPLITS",
    "EmbeddingSource",
    "Episode",
    "EpisodeConfig",
    "EpisodeSource",
    "Examples",
    "ImageSource",
    "LabelledSource",
    "episode_of",
    "open_source",
    "read_folder",
    "read_image",
]

SOURCES = ("glyphs", *omniglot.PROTOCOLS)
SPLITS = ("train", "validation", "test")
UNSEEN = {  # what no training episode of the source has
    "glyphs": "unseen scripts",
    "omniglot": "unseen alphabets",
    "omniglot-random-classes": "unseen characters, also of seen alphabets",
}


def open_source(
    name: str,
    split: str,
    config: EpisodeConfig,
    root: Path | str | None = None,
    seed: int = 0,
    augment: Sequence[str] = (),
) -> ImageSource:
    """Episodes of a named data set: `open_source("glyphs", "train", EpisodeConfig(5, 1, 15))[index]`.

    Args:
        split: `"train"`, `"validation"` or `"test"`; no class is in two of them.
        augment: see `amfs_lab.tasks.augment`; for training only.
        root: a folder to look in first; then $AMFS_LAB_DATA, what comes with the package, and `data/`.
    Raises:
        ConfigError: an unknown name or split, or a split too small for `config`. DataError: a missing or damaged file.
    """
    if name not in SOURCES:
        raise ConfigError(f"The source must be one of {', '.join(SOURCES)}. Got {name!r}.")
    if split not in SPLITS:
        raise ConfigError(f"`split` must be one of {', '.join(SPLITS)}. Got {split!r}.")
    folder = Path(root) if root is not None else None
    if name in omniglot.PROTOCOLS:
        return ImageSource(*omniglot.split(name, split, folder), config, name, split, seed, augment)
    if "rotations" in augment:
        raise ConfigError("Printed glyphs are not turned: some scripts are turns of themselves. Leave rotations out.")
    images, labels = glyphs.load(folder).split(split)
    return ImageSource(images, labels, config, name, split, seed, augment)
