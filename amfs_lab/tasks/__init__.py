"""Sources of episodes: glyphs, Omniglot, other data sets, your own images and embeddings, sinusoids.

`SOURCES` maps the names of data sets to the data sets. To add a data set, write a module with a function that loads a
split from a folder, and add one row to `SOURCES`.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError
from amfs_lab.moved import moved
from amfs_lab.plain import shown
from amfs_lab.tasks import cifar, cub, folder, glyphs, mini_imagenet, omniglot
from amfs_lab.tasks.image_folder import read_folder
from amfs_lab.tasks.images import read_image
from amfs_lab.tasks.ragged import Ragged
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
    "Ragged",
    "data_set",
    "episode_of",
    "open_source",
    "read_folder",
    "read_image",
]


class DataSet(NamedTuple):
    """A data set of images.

    Args:
        load: (split, root) -> images in uint8 (a tensor or `Ragged`, see `ImageSource`), and one label for each class.
            The folder `root` is searched first.
        unseen: words for the classes that no training episode contains, such as "unseen scripts".
        groups: word for groups of classes, such as "alphabets", if training and test classes share no group; else "".
        script: function from a label to the name of the writing system. A writing system has the same name in all data
            sets. By default, the name is the label.
        turned: True if rotated images can be used as new classes ("rotations", see `tasks.augment`).
        mean, std: normalisation constants of the pixels in [0, 1], one for each channel, or one for all.
        augment: augmentations of the training images for the result tables.
        ways: number of classes of the training episodes for the result tables, for learners without a head.
        shapes: episode shapes of the result tables, such as "5w1s" for 5-way 1-shot.
    """

    load: Callable[[str, Path | None], tuple[Tensor | Ragged, tuple[str, ...]]]
    unseen: str
    groups: str = ""
    script: Callable[[str], str] = str
    turned: bool = True
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    augment: tuple[str, ...] = ()
    ways: int = 20
    shapes: tuple[str, ...] = ("5w1s", "5w5s", "20w1s")


COLOR: dict[str, Any] = dict(turned=False, augment=("flip", "crop"), ways=10, shapes=("5w1s", "5w5s"))
# Constants of Lee et al. (2019) for CIFAR-100 and mini-ImageNet, and the usual ones of ImageNet.
CIFAR: dict[str, Any] = COLOR | dict(mean=(0.5074, 0.4867, 0.4411), std=(0.2675, 0.2566, 0.2763))
MINI_IMAGENET: dict[str, Any] = COLOR | dict(mean=(0.4721, 0.4533, 0.4100), std=(0.2772, 0.2677, 0.2845))
IMAGENET: dict[str, Any] = COLOR | dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
FOLDER: dict[str, Any] = COLOR | dict(mean=(0.5,), std=(0.25,), ways=5)

SPLITS = ("train", "validation", "test")
SHAPES = {"5w1s": EpisodeConfig(5, 1, 15), "5w5s": EpisodeConfig(5, 5, 15), "20w1s": EpisodeConfig(20, 1, 5)}
FOLDER_PREFIX = "folder:"
SOURCES: dict[str, DataSet] = {
    "glyphs": DataSet(
        glyphs.split, "unseen scripts", "scripts", omniglot.script, turned=False
    ),  # some letters become other letters when they are turned
    "omniglot": DataSet(
        partial(omniglot.split, omniglot.OFFICIAL),
        "unseen alphabets",
        "alphabets",
        omniglot.script,
        augment=("rotations",),
    ),
    "omniglot-random-classes": DataSet(
        partial(omniglot.split, omniglot.RANDOM_CLASSES),
        "unseen characters, also of seen alphabets",
        script=omniglot.script,
        augment=("rotations",),
    ),
    "fc100": DataSet(partial(cifar.split, "fc100"), "unseen superclasses", "superclasses", **CIFAR),
    "cifar-fs": DataSet(partial(cifar.split, "cifar-fs"), "unseen classes", **CIFAR),
    # The same data sets without the classes that are missing from the archive.
    "fc100:partial": DataSet(
        partial(cifar.split, "fc100", partial=True), "unseen superclasses", "superclasses", **CIFAR
    ),
    "cifar-fs:partial": DataSet(partial(cifar.split, "cifar-fs", partial=True), "unseen classes", **CIFAR),
    "mini-imagenet": DataSet(mini_imagenet.split, "unseen classes", **MINI_IMAGENET),
    "cub": DataSet(cub.split, "unseen birds", **IMAGENET),
}


def data_set(name: str) -> DataSet:
    """The `DataSet` with this name: a name in `SOURCES`, or `folder:PATH` for a folder of images (see `tasks.folder`).

    Raises ConfigError for any other name.
    """
    if name in SOURCES:
        return SOURCES[name]
    if isinstance(name, str) and name.startswith(FOLDER_PREFIX) and len(name) > len(FOLDER_PREFIX):
        path = Path(os.path.expanduser(name.removeprefix(FOLDER_PREFIX)))
        return DataSet(lambda split, root: folder.split(path, split), "unseen classes", **FOLDER)
    raise ConfigError(f"The source must be one of {', '.join(SOURCES)}, folder:PATH. Got {shown(name)}.")


def open_source(
    name: str,
    split: str,
    config: EpisodeConfig,
    root: Path | str | None = None,
    seed: int = 0,
    augment: Sequence[str] = (),
    unseen_by: str = "",
) -> ImageSource:
    """The episodes of a named data set, for example `open_source("glyphs", "train", EpisodeConfig(5, 1, 15))[index]`.

    Args:
        name: a name in `SOURCES`, or `folder:PATH`.
        split: `"train"`, `"validation"` or `"test"`; no class is in two splits.
        augment: see `amfs_lab.tasks.augment`; for training only.
        root: a folder that is searched first. The next folders are $AMFS_LAB_DATA, the package, and `data/`.
        unseen_by: name of the training data set, if the training used another data set. All classes in the training
            split of that data set are left out. For glyphs and Omniglot, all characters of the training scripts are
            left out.
    Raises:
        ConfigError: an unknown name or split, or a split too small for `config`. DataError: a missing or damaged file.
    """
    data = data_set(name)
    if split not in SPLITS:
        raise ConfigError(f"`split` must be one of {', '.join(SPLITS)}. Got {split!r}.")
    if "rotations" in augment and not data.turned:
        raise ConfigError(f"The classes of {name} must not be turned: some are turns of others. Leave rotations out.")
    place = Path(root) if root is not None else None
    images, labels = data.load(split, place)
    if unseen_by:
        other = data_set(unseen_by)
        seen = {other.script(label) for label in other.load("train", place)[1]}
        images, labels = _chosen(images, labels, [data.script(label) not in seen for label in labels])
    if name.startswith(FOLDER_PREFIX):  # so that the episodes stay the same if the folder is moved
        name = FOLDER_PREFIX + os.path.basename(os.path.normpath(name.removeprefix(FOLDER_PREFIX)))
    return ImageSource(images, labels, config, name, split, seed, augment)


def _chosen(
    images: Tensor | Ragged, labels: tuple[str, ...], keep: Sequence[bool]
) -> tuple[Tensor | Ragged, tuple[str, ...]]:
    """The images and labels of the classes with True in `keep`. Raises ConfigError if there is no such class."""
    kept = [c for c, one in enumerate(keep) if one]
    if not kept:
        raise ConfigError(f"The evaluation needs unseen classes. Got {len(labels)} classes, all seen in training.")
    if len(kept) == len(labels):
        return images, labels
    chosen = Ragged.of([images[c] for c in kept]) if isinstance(images, Ragged) else images[kept]
    return chosen, tuple(labels[c] for c in kept)


__getattr__ = moved(__name__)
