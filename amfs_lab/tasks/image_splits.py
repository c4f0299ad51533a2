"""Splits of image classes into training, validation and test: by folders, by CSV files, or by a hash of their names."""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from amfs_lab import files
from amfs_lab.errors import DataError, printable
from amfs_lab.tasks.image_folder import image_names
from amfs_lab.tasks.rng import shuffled

# The names that the folder and the CSV file of a split may have.
NAMES = {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("test",)}
TRAIN, VALIDATION = 0.64, 0.16  # shares of the classes, as in mini-ImageNet
CSV_BYTES = 2**26  # the largest CSV of mini-ImageNet has 1.3 MB
SHOWN = 3  # names in a message; further names are only counted
Image = TypeVar("Image")


def by_folder(place: Path) -> dict[str, dict[str, list[str]]]:
    """The images of the folders `train`, `validation` (or `val`) and `test` by split and class; {} if all are missing.

    Raises DataError for a class in two splits, and for any error of `image_names`.
    """
    folders = {split: _existing(place, names, "") for split, names in NAMES.items()}
    return disjoint(place, {split: image_names(folder) for split, folder in folders.items() if folder})


def by_csv(place: Path, images: Mapping[str, Image]) -> dict[str, dict[str, list[Image]]]:
    """The images named in `train.csv`, `val.csv` and `test.csv`, by split and class; {} without CSV files.

    Args:
        images: all images by name. The column `filename` of a CSV file has these names.
    Raises:
        DataError: a file without the columns `filename` and `label`, or without rows; an image that does not exist or
            that occurs twice; a class in two splits.
    """
    found: dict[str, dict[str, list[Image]]] = {}
    seen: set[str] = set()
    for split, path in csv_files(place).items():
        names, labels = _columns(path)
        if missing := [name for name in names if name not in images]:
            raise DataError(
                f"Expected the images that {path} names. Got {len(missing):,} of {len(names):,} that are not there: "
                f"{few(missing)}. Restore them, or remove these rows."
            )
        classes: dict[str, list[str]] = {}
        for name, label in zip(names, labels, strict=True):
            if name in seen:
                raise DataError(f"Expected each image in one row. Got {name!r} again in {path}. Remove that row.")
            seen.add(name)
            classes.setdefault(label, []).append(name)
        found[split] = {
            printable(label, line=True): [images[name] for name in sorted(classes[label])] for label in sorted(classes)
        }
    return disjoint(place, found)


def csv_files(place: Path) -> dict[str, Path]:
    """The CSV files of a folder by split. The file for validation is `validation.csv`, `val.csv` or `valid.csv`."""
    found = {split: _existing(place, names, ".csv") for split, names in NAMES.items()}
    return {split: path for split, path in found.items() if path}


def by_hash(classes: Mapping[str, list[Image]]) -> dict[str, dict[str, list[Image]]]:
    """The classes by split: 64 / 16 / 20 % of the classes, in the order of a hash of their names.

    Each split has at least one class. Raises DataError for fewer than three classes.
    """
    if len(classes) < 3:
        raise DataError(f"Expected at least 3 classes, one for each split. Got {few(classes)}. Add classes.")
    order, n = shuffled(classes), len(classes)
    train = min(max(1, round(TRAIN * n)), n - 2)
    validation = min(max(train + 1, round((TRAIN + VALIDATION) * n)), n - 1)
    parts = {"train": order[:train], "validation": order[train:validation], "test": order[validation:]}
    return {split: {label: classes[label] for label in sorted(labels)} for split, labels in parts.items()}


def disjoint(place: Path, splits: dict[str, dict[str, list[Image]]]) -> dict[str, dict[str, list[Image]]]:
    """Checks that no class is in two splits, because a test class must be new. Returns the splits. Raises DataError."""
    home: dict[str, str] = {}
    for split, classes in splits.items():
        for label in classes:
            if (other := home.setdefault(label, split)) != split:
                raise DataError(
                    f"Expected each class in one split. Got {label!r} in {other} and {split} of {place}. Move its "
                    "images into one of them."
                )
    return splits


def check_split(place: Path, splits: Mapping[str, object], name: str, advice: str) -> None:
    """Raises DataError if the split `name` has no classes."""
    if not splits.get(name):
        there = ", ".join(split for split, classes in splits.items() if classes) or "none"
        raise DataError(f"Expected images for the split {name} in {place}. Got the splits: {there}. {advice}")


def few(names: Iterable[str]) -> str:
    """A text with the first three names, and with the number of further names."""
    shown = [f"'{printable(name, line=True)}'" for name in names]
    more = [f"{len(shown) - SHOWN:,} more"] if len(shown) > SHOWN else []
    *first, last = [*shown[:SHOWN], *more] or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def _existing(place: Path, names: Iterable[str], ending: str) -> Path | None:
    """The file or folder with one of these names; None if there is none. Raises DataError if there are two."""
    is_one = os.path.isfile if ending else os.path.isdir
    found = [path for name in names if is_one(path := place / (name + ending))]
    if len(found) > 1:
        both = " and ".join(path.name for path in found)
        raise DataError(f"Expected one name for each split in {place}. Got {both}. Rename or remove one of them.")
    return found[0] if found else None


def _columns(path: Path) -> tuple[list[str], list[str]]:
    """The columns filename and label of a CSV file. Raises DataError."""
    names, labels = [], []
    try:
        table = csv.reader(io.StringIO(files.content(path, CSV_BYTES).decode("utf-8-sig"), newline=""), strict=True)
        columns = next(table, [])
        if not {"filename", "label"} <= set(columns):
            raise ValueError(f"the columns {few(columns)}")
        name, label = columns.index("filename"), columns.index("label")
        for row in filter(None, table):  # a list of all rows would take ten times as long, to collect garbage
            names.append(row[name])
            labels.append(row[label])
        if not names or not all(names) or not all(labels):
            raise ValueError("a row without a name or a label" if names else "no rows")
        return names, labels
    except (OSError, ValueError, IndexError, csv.Error) as error:
        got = "a row without a name or a label" if isinstance(error, IndexError) else error
        raise DataError(
            f"Expected a CSV file with the columns filename and label. Got {path}: {got}. Correct it, or remove it."
        ) from error
