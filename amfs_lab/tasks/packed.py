"""Packed copies: all images of a data set at one size, in one memory-mapped file of the cache folder.

A copy is a safetensors file with the tensor `images` (n h w 3), or (n h w) for grey images, sorted by split and class.
The file name contains the key, a hash of the source. So a changed source gets a new copy.
"""

import contextlib
import hashlib
import json
import math
import os
import stat
import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from filelock import FileLock
from jaxtyping import UInt8
from tqdm import tqdm

from amfs_lab import files
from amfs_lab.errors import DataError
from amfs_lab.tasks import data_dirs
from amfs_lab.tasks.images import Square, has_colour, read_as
from amfs_lab.tasks.ragged import Ragged

FORMAT = 5  # of the packed copy: with a new number, old copies are not used
COUNTS: tuple[str, ...] = ("modes", "sizes", "pages")  # of a `Block`, added up in a `Packed`
BATCH = 256  # images that are read ahead
DAY = 24 * 3600  # seconds; writing a file takes less time
CHECKED = 2**26  # bytes: a larger copy is opened without its checksum, which would read all of it
Item = TypeVar("Item")
Splits = Mapping[str, Mapping[str, Sequence[str]]]  # paths as strings, because making a Path is slower


class Block(NamedTuple):
    """Images for the rows `row` .. `row + k - 1` of a packed copy.

    `modes` is the number of files with an unexpected mode. `sizes` is the number of files with an unexpected size.
    `pages` is the number of files with further pages.
    """

    row: int
    images: UInt8[np.ndarray, "k ..."]
    modes: int = 0
    sizes: int = 0
    pages: int = 0


@dataclass(frozen=True)
class Source:
    """A data set to pack: its numbers of images by split and label, the shape of an image, and the function `read`."""

    splits: dict[str, dict[str, int]]
    shape: tuple[int, ...]
    read: Callable[[], Iterable[Block]]


@dataclass(frozen=True)
class Packed:
    """The images of a data set, memory-mapped if possible.

    Args:
        images: (n h w 3) or (n h w), sorted by split and class.
        splits: the number of images by split and label.
        modes: number of images that were converted because of their mode.
        sizes: number of images that were converted because of their size.
        pages: number of files with further pages or frames, which are not used.
    """

    images: UInt8[np.ndarray, "n ..."]
    splits: dict[str, dict[str, int]]
    modes: int = 0
    sizes: int = 0
    pages: int = 0

    def split(self, name: str) -> tuple[Ragged, tuple[str, ...]]:
        """The images (n 3 h w) or (n h w) of a split, and the labels of its classes. The images are not copied."""
        names = list(self.splits)
        first = sum(sum(self.splits[other].values()) for other in names[: names.index(name)])
        counts = self.splits[name]
        flat = torch.from_numpy(self.images[first : first + sum(counts.values())])
        return Ragged(flat.permute(0, 3, 1, 2) if flat.ndim == 4 else flat, tuple(counts.values())), tuple(counts)

    @property
    def remarks(self) -> list[str]:
        """Sentences on images that were converted, and on files with pages that are not used."""
        mode, (high, wide) = "stored as grey" if self.images.ndim == 3 else "RGB", self.images.shape[1:3]
        kinds = ((self.modes, mode), (self.sizes, f"{wide}x{high}"))
        said = [f"{count:,} of {len(self.images):,} images were not {kind}" for count, kind in kinds if count]
        converted = [f"{', '.join(said)}: they were converted."] if said else []
        few = f"{self.pages:,} of {len(self.images):,} files have further pages or frames. Only the first is used."
        return converted + [few] * bool(self.pages)

    def warn(self, place: Path, complete: Mapping[str, tuple[int, int]] = {}) -> None:
        """Gives the `remarks` as warnings. Also warns of each split whose numbers differ from `complete`.

        `complete` has the numbers of classes and images of complete splits.
        """
        for said in (*self.remarks, *incomplete(self.splits, complete)):
            warnings.warn(f"{place}: {said}", stacklevel=3)


def incomplete(splits: Mapping[str, Mapping[str, int]], complete: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """One sentence for each split that does not have the numbers of classes and images in `complete`."""
    for name, (classes, images) in complete.items():
        got, total = len(splits.get(name, {})), sum(splits.get(name, {}).values())
        if (got, total) != (classes, images):
            yield (
                f"Expected {classes} classes of {images:,} images in all for {name}. Got {got} of {total:,}. "
                "Accuracies differ from the ones on the complete set."
            )


def pack_files(
    name: str, place: Path, splits: Splits, size: int, channels: int | None = 3, oblong: str = "pad"
) -> Packed:
    """The packed copy of the image files in a folder.

    Args:
        name: name of the data set. splits: files in `place` by split and label.
        channels: 3 for colour, 1 for grey. None means grey if no image has colour, and else colour.
        oblong: see `images.squared`.
    Raises:
        DataError: a link to a target outside `place`, or an image that cannot be read.
    """

    def source() -> Source:
        paths = [path for classes in splits.values() for each in classes.values() for path in each]
        colour = channels == 3 or (channels is None and any(has_colour(Path(path)) for path in paths))
        square = Square(size, colour, oblong)
        counts = {split: {label: len(each) for label, each in classes.items()} for split, classes in splits.items()}
        blocks = partial(decoded, list(enumerate(map(Path, paths))), partial(_read_file, square), len(paths), name)
        return Source(counts, (size, size, 3) if colour else (size, size), blocks)

    return copy(name, f"{tree_key(place, splits)}-{size}-{channels or 'any'}-{oblong}", source)


def _read_file(square: Square, path: Path) -> tuple[np.ndarray, bool, bool, bool]:
    made, several = read_as(square, path)
    return *made, several


def tree_key(place: Path, splits: Splits) -> str:
    """A hash of the names, sizes and times of the files in `place`, and of splits and labels. Reads no file.

    Raises DataError for a missing file, or a link to a target outside `place`.
    """
    start, inner, states = len(os.fspath(place)), {os.fspath(place)}, []
    try:
        for split, classes in splits.items():
            for label, paths in classes.items():
                states.append(f"{split}\0{label}\0")
                for folder in {path.rpartition(os.sep)[0] for path in paths} - inner:
                    _check_inside(place, folder)
                    inner.add(folder)
                for path in paths:
                    state = os.lstat(path)
                    if stat.S_ISLNK(state.st_mode):
                        _check_inside(place, path)
                        state = os.stat(path)
                    states.append(f"{path[start:]}\0{state.st_size}\0{state.st_mtime_ns}\0")
    except OSError as error:
        raise DataError(
            f"Expected readable files in {place}. Got {error.filename}: {error.strerror}. Restore it, or remove it."
        ) from error
    return hashlib.sha256("".join(states).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def file_key(paths: Iterable[Path], *settings: object) -> str:
    """A hash of the settings, and of the names, sizes and times of those files that exist. Links are followed."""
    states = [(path.name, path.stat()) for path in paths if path.exists()]
    found = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    return hashlib.sha256(repr((found, settings)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _check_inside(place: Path, path: str) -> None:
    real, target = os.path.realpath(place), os.path.realpath(path)
    if target != real and not target.startswith(real.rstrip(os.sep) + os.sep):
        raise DataError(
            f"A link in {place} must lead to a place in that folder. Got {path}, which leads to {target}. Copy the "
            "files there, or remove the link."
        )


def decoded(
    items: Iterable[tuple[int, Item]], read: Callable[[Item], tuple[Any, ...]], total: int, name: str
) -> Iterator[Block]:
    """Reads images in threads on all cores, with a progress bar, and yields each image as a `Block`.

    Args:
        items: pairs (row, item).
        read: function from an item to a tuple: the image, and the fields of `Block` after the field `images`.
        total: number of items. name: name of the data set.
    """
    items = iter(items)
    with (
        warnings.catch_warnings(),  # restores the filters, which threads that read images may leave changed
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=total, desc=f"packing {name}", unit="image", disable=None, leave=False) as bar,
    ):
        while batch := list(islice(items, BATCH)):
            images = pool.map(read, [item for _, item in batch])
            for (row, _), (image, *counts) in zip(batch, images, strict=True):
                yield Block(row, image[None], *counts)
                bar.update()


def copy(name: str, key: str, source: Callable[[], Source]) -> Packed:
    """The packed copy of a source. If there is no copy, the function calls `source` and writes the copy.

    If the copy cannot be written, there is a warning, and the images stay in memory.
    """
    if found := stored(name, key):
        return found
    path = _path(name, key)
    with _alone(path):
        if found := stored(name, key):  # another process has written it meanwhile
            return found
        made = source()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(path.parent)
            _write(path, made)
        except OSError as error:
            warnings.warn(
                f"The packed copy {path} could not be written ({error}). Packing is repeated next time.", stacklevel=3
            )
        return stored(name, key) or _in_memory(made)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """A context with a lock: if several processes need this copy, one process packs it and the others wait.

    If the lock cannot be made, the context does nothing.
    """
    lock = FileLock(path.with_suffix(".lock"))
    with contextlib.suppress(OSError, NotImplementedError):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.with_suffix(".lock").unlink(missing_ok=True)
        lock.release()


def _remove_leftovers(folder: Path) -> None:
    """Removes incomplete files of killed processes. Keeps files of the last day: a process may still write them."""
    for left in folder.glob(files.LEFT):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > DAY:
                left.unlink()


def stored(name: str, key: str) -> Packed | None:
    """The complete packed copy of a source, memory-mapped; None if there is none.

    The function cannot compare the copy with its source. So it does not use a copy that another user could have
    written. The file is mapped copy-on-write, so changes of the images are not written to the file.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        with files.opened(_path(name, key)) as file:
            found, length = os.fstat(file.fileno()), int.from_bytes(file.read(8), "little")
            if not files.is_trusted(found) or length > files.JSON_BYTES:
                return None
            header = files.parse_json(file.read(length))
            notes, shape = files.parse_json(header["__metadata__"]["notes"]), tuple(header["images"]["shape"])
            splits = {split: dict(classes) for split, classes in notes["splits"].items()}
            total = sum(sum(classes.values()) for classes in splits.values())
            if shape[0] != total or found.st_size != 8 + length + math.prod(shape):
                return None
            images = np.memmap(file, np.uint8, "c", 8 + length, shape)
        if images.size > CHECKED or _checksum(0, np.asarray(images)) == notes["checksum"]:
            return Packed(images, splits, *(int(notes[name]) for name in COUNTS))
    return None


def _path(name: str, key: str) -> Path:
    return data_dirs.cache() / f"{name}-{key}-{FORMAT}.safetensors"


def _write(path: Path, source: Source) -> None:
    """Writes a packed copy. Each block is written to its own rows, so the order of the blocks does not matter."""
    total = sum(sum(classes.values()) for classes in source.splits.values())
    shape = (total, *source.shape)
    longest = _header(shape, source.splits, dict.fromkeys(COUNTS, total), total * 2**32)
    counts, checksum = dict.fromkeys(COUNTS, 0), 0
    with files.replacing(path) as file:
        file.write(longest)
        file.truncate(len(longest) + math.prod(shape))
        for block in source.read():
            images = np.ascontiguousarray(block.images)
            file.seek(len(longest) + block.row * math.prod(source.shape))
            file.write(images.data)
            counts = {name: count + getattr(block, name) for name, count in counts.items()}
            checksum += _checksum(block.row, images)
        file.seek(0)
        file.write(_header(shape, source.splits, counts, checksum, len(longest)))


def _header(
    shape: tuple[int, ...],
    splits: dict[str, dict[str, int]],
    counts: Mapping[str, int],
    checksum: int,
    length: int = 0,
) -> bytes:
    """The header of a safetensors file, padded with blanks to `length` bytes."""
    notes = json.dumps({"splits": splits, **counts, "checksum": checksum})
    entry = {"dtype": "U8", "shape": shape, "data_offsets": (0, math.prod(shape))}
    text = json.dumps({"__metadata__": {"notes": notes}, "images": entry}).encode().ljust(length - 8)
    return len(text).to_bytes(8, "little") + text


def _checksum(first: int, images: UInt8[np.ndarray, "k ..."]) -> int:
    """A checksum of the rows from `first` on. The checksum of several blocks is the sum of their checksums."""
    return sum(zlib.crc32(image, row) for row, image in enumerate(images, first))


def _in_memory(source: Source) -> Packed:
    images = np.empty((sum(sum(classes.values()) for classes in source.splits.values()), *source.shape), np.uint8)
    counts = dict.fromkeys(COUNTS, 0)
    for block in source.read():
        images[block.row : block.row + len(block.images)] = block.images
        counts = {name: count + getattr(block, name) for name, count in counts.items()}
    return Packed(images, source.splits, **counts)
