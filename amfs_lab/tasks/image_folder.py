"""A folder of images with one folder for each class."""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress
from operator import not_
from pathlib import Path
from unicodedata import normalize

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from amfs_lab.errors import DataError, printable
from amfs_lab.tasks.images import check_positive, read_square
from amfs_lab.tasks.junk_files import is_leftover

ENDINGS = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
HEIC = (".heic", ".heics", ".heif", ".heifs", ".hif")  # photographs of many telephones, which Pillow cannot read
ICLOUD = ".icloud"  # `.IMG_1.jpg.icloud` is the placeholder of an `IMG_1.jpg` that is not on this machine
SHOWN = 5  # names in a sentence; further names are only counted


class FolderLabel(str):
    """The name of a class, with two attributes for error messages.

    The attributes are set if `read_folder` cut all classes to the size of the smallest class. Then `smallest` is the
    name of the smallest class, and `samples` is its size. Otherwise `smallest` is "", and `samples` is None.
    """

    smallest: str
    samples: int | None

    def __new__(cls, name: str, smallest: str = "", samples: int | None = None) -> "FolderLabel":
        label = super().__new__(cls, name)
        label.smallest, label.samples = smallest, samples
        return label


@dataclass(frozen=True)
class _Class:
    """The content of the folder of a class, sorted by name: images, other files, and folders.

    `images` has paths as strings, for speed.
    """

    label: str
    place: Path
    images: list[str]
    others: list[Path]
    folders: list[Path]


def read_folder(
    folder: Path | str, size: int = 28, ink: bool = False, at_least: int | None = None
) -> tuple[UInt8[Tensor, "c s size size"], tuple[str, ...]]:
    """The images and labels of a folder that has one folder of images for each class, as input for `ImageSource`.

    Classes and images are sorted by name. Every class is cut to the size of the smallest class: only its first images
    are kept. Names are compared by code point in Unicode's form NFC, so that the order is the same on every system. `A`
    and `a` are two classes. Files of the operating system (`is_leftover`) are ignored. Files next to the class folders
    are also ignored if they are not images. A warning lists all other files and folders that are left out.

    Args:
        size: pixels on each side. ink: True inverts the images, so that dark ink on white becomes bright ink on black.
        at_least: classes with fewer images are left out.
    Raises:
        DataError: any error of `image_files`, or an image that cannot be read. ConfigError: `size` or `at_least` < 1.
    """
    check_positive("size", size)
    if at_least is not None:
        check_positive("at_least", at_least)
    place = _folder(folder)
    found = _classes(place)
    classes = _with_images(place, found, at_least or 0)
    remarks = [*_left_out(place, found)]
    if small := [f"{each.label!r} ({len(each.images)})" for each in found if len(each.images) < (at_least or 0)]:
        remarks.append(f"{len(small)} of {len(found)} classes left out: fewer than {at_least} images: {_few(small)}.")
    sizes = [len(each.images) for each in classes]
    samples = min(sizes)
    smallest = [each.label for each in classes if len(each.images) == samples]
    if cut := sum(sizes) - samples * len(classes):
        remarks.append(
            f"{cut} of {sum(sizes)} images left out: each class is cut to {samples}, the size of the smallest, "
            f"{_few(list(map(repr, smallest)))}. Add images there, or set `at_least={samples + 1}`."
        )
    for remark in remarks:
        warnings.warn(remark, stacklevel=2)
    images, several = np.empty((len(classes), samples, size, size), np.uint8), []
    for row, each in zip(images, classes, strict=True):
        for sample, path in enumerate(each.images[:samples]):
            row[sample], more = read_square(Path(path), size, ink)
            several += [Path(path)] * more
    if several:
        advice = "Save the other images as separate files if they are samples, too."
        warnings.warn(f"Only the first image of {_names(place, several)} is read. {advice}", stacklevel=2)
    cut_to = (smallest[0], samples) if cut else ("", None)
    return torch.from_numpy(images), tuple(FolderLabel(each.label, *cut_to) for each in classes)


def image_files(folder: Path | str) -> dict[str, list[Path]]:
    """The image files of each class as paths; see `image_names`."""
    return {label: list(map(Path, names)) for label, names in image_names(folder).items()}


def image_names(folder: Path | str) -> dict[str, list[str]]:
    """The paths of all image files of each class, as strings, sorted by name. No class is cut.

    Raises DataError for a missing folder, no class, a class without an image, or two classes with the same name.
    """
    place = _folder(folder)
    classes = _with_images(place, _classes(place))
    for remark in _left_out(place, classes):
        warnings.warn(remark, stacklevel=2)
    return {each.label: each.images for each in classes}


def loose_images(folder: Path) -> list[Path]:
    """The image files in a folder itself, not in its subfolders, sorted by name. Raises DataError if there are none."""
    found = [Path(file.path) for file in _listed(folder)[1] if _is_image(file.name)]
    if not found:
        raise DataError(f"Expected images ({', '.join(ENDINGS)}) in {folder}. Got none. Add images, or name files.")
    return found


def _folder(folder: Path | str) -> Path:
    place = Path(os.path.expanduser(folder))
    if not os.path.isdir(place):
        got = "a file. If it is an archive, extract it" if os.path.exists(place) else "none. Check the name"
        raise DataError(f"Expected a folder {place} with one folder of images for each class. Got {got}.")
    return place


def _classes(place: Path) -> list[_Class]:
    """The classes in a folder, sorted by name. Raises DataError for no class, or for two classes with the same name."""
    folders, files = _listed(place)
    if not folders:
        loose = sum(_is_image(file.name) for file in files)
        raise DataError(
            f"Expected one folder of images for each class in {place}. Got {loose} images and no folder. Put each "
            "image into the folder of its class."
        )
    found: dict[str, _Class] = {}
    for folder in folders:
        label, (below, files) = _label(folder.name), _listed(folder.path)
        if label in found:
            raise DataError(
                f"Expected one folder for each class in {place}. Got two folders with the name {label!r}, "
                f"encoded differently: {found[label].place.name!a} and {folder.name!a}. Merge them, or rename one."
            )
        images = [file.path for file in files if _is_image(file.name)]
        others = [Path(file.path) for file in files if not _is_image(file.name)]
        found[label] = _Class(label, Path(folder.path), images, others, [Path(each.path) for each in below])
    return list(found.values())


def _with_images(place: Path, classes: list[_Class], at_least: int = 0) -> list[_Class]:
    """The classes that have at least `at_least` images.

    Raises DataError if there is no such class, or if such a class has no images.
    """
    large = [each for each in classes if len(each.images) >= at_least]
    if not large:
        most = max(len(each.images) for each in classes)
        raise DataError(f"Expected a class of {at_least} images in {place}. Got at most {most}. Lower `at_least`.")
    for each in large:
        if not each.images:
            others = [*each.others, *_images_below(each.folders)]
            raise DataError(
                f"Expected images ({', '.join(ENDINGS)}) in {each.place}. Got none"
                + (f", but {_names(each.place, others)}. Convert them, or move them there." if others else ".")
                + " Add images, or remove that folder."
            )
    return large


def _left_out(place: Path, classes: list[_Class]) -> Iterator[str]:
    """One sentence for each kind of file and folder that is not read."""
    loose = [Path(file.path) for file in _listed(place)[1] if file.name.lower().endswith((*ENDINGS, *HEIC))]
    others = [path for each in classes for path in each.others]
    heic = [path for path in others if path.suffix.lower() in HEIC]
    icloud = [path for path in others if path.suffix.lower() == ICLOUD]
    unknown = [path for path in others if path.suffix.lower() not in (*HEIC, ICLOUD)]
    folders = [path for each in classes for path in each.folders]
    deeper = len(list(_images_below(folders)))
    for paths, why in (
        (loose, "An image must be in the folder of its class."),
        (heic, "HEIC images must be converted to JPEG."),
        (icloud, "They are still only in iCloud. Download them."),
        (unknown, f"Images must end in {', '.join(ENDINGS)}."),
        (folders, f"{deeper} images are in folders within classes. Move them into the folder of the class."),
    ):
        if paths:
            yield f"Left out: {_names(place, paths)}. {why}"


def _images_below(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        for root, below, files in os.walk(folder):
            below[:] = sorted(name for name in below if not is_leftover(name))
            yield from (Path(root, name) for name in sorted(files) if not is_leftover(name) and _is_image(name))


def _listed(folder: Path | str) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
    """The folders and the files in a folder, sorted by name, without leftovers (`is_leftover`). Raises DataError."""
    try:
        with os.scandir(folder) as entries:
            found = [each for each in entries if not is_leftover(each.name) or each.name.lower().endswith(ICLOUD)]
    except OSError as error:
        raise DataError(
            f"Expected a readable folder. Got {folder}: {error.strerror}. Change its permissions."
        ) from error
    found.sort(key=lambda each: (_label(each.name), each.name))
    folders = [os.path.isdir(each.path) if each.is_symlink() else each.is_dir() for each in found]
    return list(compress(found, folders)), list(compress(found, map(not_, folders)))


def _label(name: str) -> str:
    """The name in Unicode's form NFC, because macOS decomposes letters.

    Control characters are escaped. Bytes that are not UTF-8 become the character U+FFFD.
    """
    if name.isascii() and name.isprintable():
        return name
    return printable(normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")), line=True)


def _is_image(name: str) -> bool:
    return name.lower().endswith(ENDINGS)


def _names(place: Path, paths: list[Path]) -> str:
    return _few([repr(path.relative_to(place).as_posix()) for path in paths])


def _few(names: list[str]) -> str:
    more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
    *first, last = [*names[:SHOWN], *more]
    return f"{', '.join(first)} and {last}" if first else last
