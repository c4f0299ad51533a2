"""mini-ImageNet (Vinyals et al. 2016): 100 classes of ImageNet with 600 images each, split into 64 / 16 / 20 classes.

The data set has no official address. It is read from a folder `mini-imagenet` in a data directory. The folder has one
of two layouts:
- `images/` with `train.csv`, `val.csv` and `test.csv` of Ravi and Larochelle (2017), columns filename and label;
- `train/`, `val/` and `test/` with one folder of images for each class.
"""

import os
from pathlib import Path

from amfs_lab.errors import DataError
from amfs_lab.tasks import data_dirs, packed
from amfs_lab.tasks.image_splits import by_csv, by_folder, check_split
from amfs_lab.tasks.ragged import Ragged

COMPLETE = {"train": (64, 38_400), "validation": (16, 9_600), "test": (20, 12_000)}  # classes and images
LAYOUT = (
    "Put `images/` with train.csv, val.csv and test.csv (Ravi and Larochelle 2017) there, or `train/`, `val/` and "
    "`test/` with one folder of images for each class"
)
WANTED = data_dirs.Wanted(
    "",
    ("mini-imagenet", "miniimagenet", "mini_imagenet"),
    "mini-imagenet",
    "It has no official address. Make the folder mini-imagenet in one of them. " + LAYOUT,
)


def split(name: str, root: Path | None = None, size: int = 84) -> tuple[Ragged, tuple[str, ...]]:
    """The images (n 3 size size) of `"train"`, `"validation"` or `"test"`, and the labels of the classes.

    The whole image is scaled to a square, as Ravi and Larochelle did. Warns if images were converted, or if the
    number of images differs from the complete set. Raises DataError for missing or damaged files.
    """
    place = data_dirs.find(WANTED, root)
    splits = survey(place)
    check_split(place, splits, name, LAYOUT + ".")
    copy = packed.pack_files("mini-imagenet", place, splits, size, oblong="stretch")
    copy.warn(place, {name: COMPLETE[name]})
    return copy.split(name)


def survey(place: Path) -> dict[str, dict[str, list[str]]]:
    """The paths of the image files in the folder, by split and class. Reads no image. Raises DataError."""
    folder, start = place / "images", os.path.join(place, "images", "")
    if folder.is_dir():
        try:
            images = {name: start + name for name in os.listdir(folder)}
        except OSError as error:
            raise DataError(f"Expected a readable folder. Got {folder}: {error.strerror}. Change its mode.") from error
        if splits := by_csv(place, images):
            return splits
    if splits := by_folder(place):
        return splits
    raise DataError(f"Expected images of mini-ImageNet in {place}. Got another layout. {LAYOUT}.")
