"""Omniglot as its authors publish it: images_background/ALPHABET/characterNN/IIII_DD.png, in a zip or extracted.

A file is judged by its structure, not by a checksum: a repacked zip or an extracted folder is as good as the official
one. Nothing of a zip is ever written to disk, and a member whose name leads out of its folder is refused all the same.
"""

import contextlib
import hashlib
import io
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from tqdm import tqdm

from amfs_lab.errors import ConfigError, DataError
from amfs_lab.tasks.pictures import squared

DRAWERS, OFFICIAL_SIDE, SIDE = 20, 105, 28
LARGEST = 2**20  # bytes of one PNG; an official one has some hundred
REMEDY = "Restore it, or fetch it with `amfs-lab data fetch omniglot`."


@dataclass(frozen=True)
class Drawings:
    """Characters by label, "Greek/character01", ink bright; and how many images were not 105x105 of 1 bit."""

    images: UInt8[Tensor, "characters 20 28 28"]
    labels: tuple[str, ...]
    converted: int = 0


@dataclass(frozen=True)
class Tree:
    """The files of a zip or folder, "/" between the parts and at the end of a folder, and a key of their content."""

    place: Path
    names: tuple[str, ...]
    key: str
    read: Callable[[str], bytes]


@contextlib.contextmanager
def opened(place: Path) -> Iterator[Tree]:
    """A zip, or a folder of the same name. The key comes from a zip's list of contents, or from sizes and times.

    Raises:
        DataError: no whole zip; a member that leads out of its folder; a place that may not be read.
    """
    try:
        if place.is_dir():
            tree, archive = _folder(place), None
        else:
            archive = zipfile.ZipFile(place)
            tree = _zip(archive, place)
    except (OSError, zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise DataError(f"Expected a whole zip or folder at {place}. Got: {error}. {REMEDY}") from error
    with archive or contextlib.nullcontext():
        yield tree


def _folder(place: Path) -> Tree:
    files = sorted(_walk(place, place.name))
    paths = {name: path for name, path, _ in files}
    key = _key(f"{name} {mark}" for name, _, mark in files)
    return Tree(place, tuple(paths), key, lambda name: _bytes(paths[name]))


def _zip(archive: zipfile.ZipFile, place: Path) -> Tree:
    members = sorted(archive.infolist(), key=lambda member: member.filename)
    for member in members:
        _refuse_escape(member, place)
    key = _key(f"{member.filename} {member.file_size} {member.CRC}" for member in members)
    return Tree(place, tuple(member.filename for member in members), key, archive.read)


def read(tree: Tree, top: str) -> Drawings:
    """All drawings below the folder `top`, as 28x28 grey levels.

    Raises:
        DataError: another layout (naming the first missing path), or a damaged image (naming it).
        ConfigError: no Pillow to read images with.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Reading Omniglot's images needs the extra `data`. Got no {error.name}: pip install 'amfs-lab[data]'."
        ) from error
    characters = arrange(tree, top)
    images, converted = np.empty((len(characters), DRAWERS, SIDE, SIDE), np.uint8), 0
    broken = (OSError, SyntaxError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
    bar = tqdm(characters.values(), f"packing {top}", unit="character", disable=None, leave=False)
    for row, names in zip(images, bar, strict=True):
        for drawing, name in enumerate(names):
            try:
                image = Image.open(io.BytesIO(tree.read(name)))
                image.load()
                converted += (image.mode, image.size) != ("1", (OFFICIAL_SIDE, OFFICIAL_SIDE))
                row[drawing] = squared(image, SIDE, ink=True)
            except (*broken, Image.DecompressionBombError) as error:
                raise DataError(
                    f"Expected a whole image {name} in {tree.place}. Got: {type(error).__name__}: {error}. {REMEDY}"
                ) from error
    return Drawings(torch.from_numpy(images), tuple(characters), converted)


def arrange(tree: Tree, top: str) -> dict[str, list[str]]:
    """The names of each character's 20 drawings, by label and in order. Raises DataError for the first that lacks."""
    folder, drawing = re.compile(r"character(\d\d)"), re.compile(r"\d+_(\d\d)\.png")
    alphabets: dict[str, dict[str, dict[int, str]]] = {}
    for name in tree.names:
        parts = name.split("/")
        if parts[0] != top or len(parts) < 3 or any(part.startswith(".") for part in parts):
            continue
        characters = alphabets.setdefault(parts[1], {})
        if len(parts) > 3 and folder.fullmatch(parts[2]):
            drawings = characters.setdefault(parts[2], {})
            if len(parts) == 4 and (match := drawing.fullmatch(parts[3])):
                drawings.setdefault(int(match[1]), name)
    if not alphabets:
        raise _missing(tree, f"{top}/ALPHABET/character01/")
    found: dict[str, list[str]] = {}
    for alphabet, characters in sorted(alphabets.items()):
        count = max([1, *(int(name[-2:]) for name in characters)])
        for label in (f"{alphabet}/character{number:02d}" for number in range(1, count + 1)):
            drawings = characters.get(label.partition("/")[2])
            if drawings is None:
                raise _missing(tree, f"{top}/{label}/")
            lacks = [number for number in range(1, DRAWERS + 1) if number not in drawings]
            if lacks:
                stem = next(iter(drawings.values())).rpartition("_")[0] if drawings else f"{top}/{label}/IIII"
                path, have = f"{stem}_{lacks[0]:02d}.png", DRAWERS - len(lacks)
                raise _missing(tree, f"{path} ({label} has {have} of {DRAWERS} drawings)")
            found[label] = [drawings[number] for number in range(1, DRAWERS + 1)]
    return found


def _walk(folder: Path, name: str) -> Iterator[tuple[str, Path, str]]:
    """(name, path, size and time) of the folder and of all below it; an unreadable folder raises OSError."""
    yield f"{name}/", folder, ""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _walk(Path(entry.path), f"{name}/{entry.name}")
            else:
                info = entry.stat()
                yield f"{name}/{entry.name}", Path(entry.path), f"{info.st_size} {info.st_mtime_ns}"


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.stat().st_size} bytes, which is no drawing")
    return path.read_bytes()


def _refuse_escape(member: zipfile.ZipInfo, place: Path) -> None:
    name = member.filename
    why = None
    if name.startswith("/") or "\\" in name or ":" in name.split("/")[0] or ".." in name.split("/"):
        why = "points outside its folder"
    elif stat.S_ISLNK(member.external_attr >> 16):
        why = "is a symbolic link, which may point outside its folder"
    elif name.endswith(".png") and member.file_size > LARGEST:
        why = f"has {member.file_size} bytes, which is no drawing"
    if why:
        raise DataError(f"Expected drawings only in {place}. Got the member {name!r}, which {why}. Refused. {REMEDY}")


def _key(lines: Iterator[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _missing(tree: Tree, path: str) -> DataError:
    return DataError(
        f"Expected ALPHABET/characterNN/IIII_DD.png, {DRAWERS} drawings of each character, in {tree.place}. "
        f"Got no {path}. {REMEDY}"
    )
