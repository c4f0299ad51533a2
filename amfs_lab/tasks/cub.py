"""Caltech-UCSD Birds-200-2011 (Wah et al. 2011): 11,788 photographs of 200 species of birds.

The source is the official folder `CUB_200_2011/` or the official archive `CUB_200_2011.tgz`. An archive is read in one
pass, and no file of the archive is written to disk. If `train.csv`, `val.csv` and `test.csv` (columns filename and
label) are in the same directory as the folder or archive, they define the splits. Otherwise the splits are those of
Chen et al. (2019). These splits use the index i of a class in the sorted list: i % 2 = 0 for training, i % 4 = 1 for
validation, i % 4 = 3 for testing.
"""

import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from amfs_lab import files
from amfs_lab.errors import DataError, printable
from amfs_lab.tasks import data_dirs, packed
from amfs_lab.tasks.image_splits import by_csv, check_split, csv_files, few
from amfs_lab.tasks.images import Square, read_open
from amfs_lab.tasks.junk_files import is_leftover
from amfs_lab.tasks.ragged import Ragged

REMEDY = "Fetch it with `amfs-lab data fetch cub`"
WANTED = data_dirs.Wanted("CUB_200_2011.tgz", ("CUB_200_2011",), "cub", REMEDY)
COMPLETE = {"train": (100, 5_885), "validation": (50, 2_950), "test": (50, 2_953)}  # classes and images
NAMES, NUMBERS, CLASSES = LISTS = ("images.txt", "image_class_labels.txt", "classes.txt")
MEMBER = re.compile(rf"(?:.*/)?CUB_200_2011/(?:images/([^/]+/[^/]+\.jpe?g)|({'|'.join(LISTS)}))", re.IGNORECASE)
LARGEST, MOST = 2**25, 2**32  # bytes of one file, and of all; the official ones have 1.2 GB
IMAGES = 50_000  # in an archive: when an archive is packed, the squares of all its images are in memory
Image = TypeVar("Image")


def split(name: str, root: Path | None = None, size: int = 84) -> tuple[Ragged, tuple[str, ...]]:
    """The images (n 3 size size) of `"train"`, `"validation"` or `"test"`, and the labels of the classes.

    Each image is the centre square of a photograph, scaled to `size` pixels on each side. Warns if images were
    converted, or if the number of images differs from the complete set. Raises DataError for a missing or damaged file.
    """
    place = data_dirs.find(WANTED, root)
    if place.is_dir():
        copy = packed.pack_files("cub", place, survey(place), size, oblong="crop")
    else:
        copy = packed.copy("cub", key(place, size), partial(_archived, place, Square(size, True, "crop")))
    check_split(place, copy.splits, name, f"{REMEDY}.")
    copy.warn(place, {name: COMPLETE[name]})
    return copy.split(name)


def key(place: Path, size: int = 84) -> str:
    """The key of the packed copy (see `tasks.packed`): a hash of names, sizes and times of the files, and of `size`."""
    return packed.file_key([place, *csv_files(place.parent).values()], size)


def survey(place: Path) -> dict[str, dict[str, list[str]]]:
    """The paths of the image files of the folder, by split and class. Reads no image. Raises DataError."""
    classes = arrange(place, lambda name: files.content(place / name, LARGEST))
    named = {name: os.path.join(place, "images", name) for names in classes.values() for name in names}
    return _splits(place, classes, {name: path for name, path in named.items() if os.path.isfile(path)})


def arrange(place: Path, read: Callable[[str], bytes]) -> dict[str, list[str]]:
    """The sorted image names of each class, from the official lists. The function `read` gives the content of a list.

    Raises DataError.
    """
    try:
        names, numbers, labels = (_pairs(name, read(name)) for name in LISTS)
        if names.keys() != numbers.keys():
            raise ValueError(f"other images in {NAMES} than in {NUMBERS}")
        classes: dict[str, list[str]] = {label: [] for label in sorted(labels.values())}
        for number, name in names.items():
            if numbers[number] not in labels:
                raise ValueError(f"the class {numbers[number]!r:.20}, which is not in {CLASSES}")
            if name.startswith("/") or ".." in name.split("/"):
                raise ValueError(f"a path that leaves the folder, {name!r:.80}")
            classes[labels[numbers[number]]].append(name)
        return {label: sorted(found) for label, found in classes.items()}
    except (OSError, ValueError, KeyError) as error:
        got = f"no {error.args[0]}" if isinstance(error, KeyError) else error
        raise DataError(f"Expected the lists {', '.join(LISTS)} in {place}. Got: {got}. {REMEDY}.") from error


def by_index(classes: Iterable[str]) -> dict[str, list[str]]:
    """The classes of each split, by their index in alphabetical order.

    Of every four classes, the first and the third are for training, the second for validation, the fourth for testing.
    """
    splits: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for i, label in enumerate(sorted(classes)):
        splits["train" if i % 2 == 0 else "validation" if i % 4 == 1 else "test"].append(label)
    return splits


def _splits(
    place: Path, classes: dict[str, list[str]], images: Mapping[str, Image]
) -> dict[str, dict[str, list[Image]]]:
    """The images by split and class. The splits are from CSV files beside the folder or archive, or from `by_index`.

    Raises DataError if images are missing.
    """
    if splits := by_csv(place.parent, {**{name.rpartition("/")[2]: images[name] for name in images}, **images}):
        return splits
    missing = [name for names in classes.values() for name in names if name not in images]
    if missing:
        total = sum(map(len, classes.values()))
        raise DataError(
            f"Expected the images that {NAMES} names in {place}. Got {len(missing):,} of {total:,} that are not there: "
            f"{few(missing)}. {REMEDY}."
        )
    return {
        split: {label: [images[name] for name in classes[label]] for label in labels if classes[label]}
        for split, labels in by_index(classes).items()
    }


def _pairs(name: str, data: bytes) -> dict[str, str]:
    """A list with lines "NUMBER VALUE", as a dictionary from number to value. Raises ValueError."""
    pairs = [line.partition(" ") for line in data.decode().splitlines() if line.strip()]
    found = {number: printable(value.strip(), line=True) for number, _, value in pairs}
    if not found or not all(found.values()) or len(found) < len(pairs):
        raise ValueError(f"lines of {name} that are not a number of its own and a value")
    return found


def _archived(place: Path, square: Square) -> packed.Source:
    """All photographs of the official archive as squares, for a packed copy. Raises DataError."""
    lists: dict[str, bytes] = {}
    names: list[str] = []

    def members() -> Iterator[tuple[int, tuple[str, bytes]]]:
        for path, data in files.tar_members(place, MOST, LARGEST, _is_wanted):
            image, found = MEMBER.fullmatch(path).groups()  # type: ignore[union-attr]
            if found:
                lists[found.lower()] = data
            elif len(names) < IMAGES:
                names.append(image)
                yield len(names) - 1, (image, data)
            else:
                raise ValueError(f"more than {IMAGES:,} images")

    def read(member: tuple[str, bytes]) -> tuple[np.ndarray, bool, bool]:
        try:
            return read_open(io.BytesIO(member[1]), square)[0]
        except Exception as error:  # Pillow may raise nearly any type for a damaged file
            raise DataError(f"Expected an intact image {member[0]} in {place}. Got: {error}. {REMEDY}.") from error

    try:
        blocks = list(packed.decoded(members(), read, sum(images for _, images in COMPLETE.values()), "cub"))
    except DataError:
        raise
    except (OSError, ValueError) as error:
        raise DataError(f"Expected a complete archive at {place}. Got: {error}. {REMEDY}.") from error
    images = {name: blocks[row] for row, name in enumerate(names)}
    splits = _splits(place, arrange(place, lists.__getitem__), images)
    order = [block for classes in splits.values() for found in classes.values() for block in found]
    counts = {split: {label: len(found) for label, found in classes.items()} for split, classes in splits.items()}
    shape = (square.size, square.size, 3)
    return packed.Source(counts, shape, lambda: (block._replace(row=row) for row, block in enumerate(order)))


def _is_wanted(path: str) -> bool:
    return bool(MEMBER.fullmatch(path)) and not is_leftover(path.rpartition("/")[2])
