"""A folder of your own images as a data set with training, validation and test classes."""

import os
from pathlib import Path

from amfs_lab.tasks import packed
from amfs_lab.tasks.image_folder import image_names
from amfs_lab.tasks.image_splits import by_folder, by_hash, check_split
from amfs_lab.tasks.images import check_positive
from amfs_lab.tasks.ragged import Ragged

ADVICE = "Make a folder for it beside the others, with one folder of images for each class."


def split(folder: Path | str, name: str, size: int = 84) -> tuple[Ragged, tuple[str, ...]]:
    """The images of `"train"`, `"validation"` or `"test"`, in colour or grey, and the labels of the classes.

    `folder` has the folders `train`, `validation` (or `val`) and `test`, and each of them has one folder for each
    class. If all three are missing, each folder in `folder` is a class. The classes are then split by a hash of their
    names (64 / 16 / 20 %). The images are grey if no image of the data set has colour. Images that are not square are
    padded with white to a square.

    Raises:
        DataError: a split without classes, a class in two splits, a link to a target outside the folder, any error of
            `image_names`, or an image that cannot be read. ConfigError: `size` < 1.
    """
    check_positive("size", size)
    place = Path(os.path.expanduser(folder))
    splits = by_folder(place) or by_hash(image_names(place))
    check_split(place, splits, name, ADVICE)
    copy = packed.pack_files("folder", place, splits, size, channels=None)
    copy.warn(place)
    return copy.split(name)
