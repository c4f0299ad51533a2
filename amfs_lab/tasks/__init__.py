"""Sources of episodes: glyphs, Omniglot, images and embeddings of your own, sinusoids.

`SOURCES` has the data sets by name. A new data set needs a module with a function of a split and a folder, and one row
in the table.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError
from amfs_lab.moved import moved
from amfs_lab.tasks import glyphs, omniglot
from amfs_lab.tasks.image_folder import read_folder
from amfs_lab.tasks.images import read_image
from amfs_lab.tasks.source import EmbeddingSource, EpisodeConfig, EpisodeSource, ImageSource, LabelledSource, episode_of

__all__ = [
    "SHAPES",
    "SOURCES",
    "SPLITS",
    "DataSet",
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


class DataSet(NamedTuple):
    """A data set of images.

    Args:
        load: (split, root) -> images (classes samples h w) in uint8, and one label for each class. `root` is searched
            first.
        unseen: description of its classes that no training episode has.
        turned: True if turned images can serve as new classes (`rotations`, see `tasks.augment`).
        augment: augmentations of the training images in the tables.
        ways: ways of the training episodes in the tables, for learners without a head. shapes: shapes of the tables.
    """

    load: Callable[[str, Path | None], tuple[Tensor, tuple[str, ...]]]
    unseen: str
    turned: bool = True
    augment: tuple[str, ...] = ()
    ways: int = 20
    shapes: tuple[str, ...] = ("5w1s", "5w5s", "20w1s")


SPLITS = ("train", "validation", "test")
SHAPES = {"5w1s": EpisodeConfig(5, 1, 15), "5w5s": EpisodeConfig(5, 5, 15), "20w1s": EpisodeConfig(20, 1, 5)}
SOURCES: dict[str, DataSet] = {
    "glyphs": DataSet(glyphs.split, "unseen scripts", turned=False),  # some letters are turns of others
    "omniglot": DataSet(partial(omniglot.split, omniglot.OFFICIAL), "unseen alphabets", augment=("rotations",)),
    "omniglot-random-classes": DataSet(
        partial(omniglot.split, omniglot.RANDOM_CLASSES),
        "unseen characters, also of seen alphabets",
        augment=("rotations",),
    ),
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
        split: `"train"`, `"validation"` or `"test"`; no class is in two splits.
        augment: see `amfs_lab.tasks.augment`; for training only.
        root: a folder that is searched first. The next ones are $AMFS_LAB_DATA, the package, and `data/`.
    Raises:
        ConfigError: an unknown name or split, or a split too small for `config`. DataError: a missing or damaged file.
    """
    if name not in SOURCES:
        raise ConfigError(f"The source must be one of {', '.join(SOURCES)}. Got {name!r}.")
    if split not in SPLITS:
        raise ConfigError(f"`split` must be one of {', '.join(SPLITS)}. Got {split!r}.")
    data = SOURCES[name]
    if "rotations" in augment and not data.turned:
        raise ConfigError(f"The classes of {name} must not be turned: some are turns of others. Leave rotations out.")
    images, labels = data.load(split, Path(root) if root is not None else None)
    return ImageSource(images, labels, config, name, split, seed, augment)


__getattr__ = moved(__name__)
