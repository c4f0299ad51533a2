"""Omniglot as its authors publish it: images_background/ALPHABET/characterNN/IIII_DD.png, in a zip or extracted.

A file is judged by its structure, not by a checksum: a repacked zip or an extracted folder is as good as the official
one. Repacking and extracting may leave other separators, `./` in front, folders around, endings in capitals, and files
of the system; labels are the official ones all the same. Nothing of a zip is ever written to disk, and a member whose
name leads out of its folder is refused nevertheless.
"""

import contextlib
import hashlib
import io
import os
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from tqdm import tqdm

from amfs_lab import files
from amfs_lab.errors import AmfsError, ConfigError, DataError, printable
from amfs_lab.tasks.junk_files import is_leftover
from amfs_lab.tasks.pictures import open_image, squared

DRAWERS, OFFICIAL_SIDE, SIDE = 20, 105, 28
LARGEST, MOST = 2**20, 2**28  # bytes of one PNG, and of all; an official one has some hundred
FILES = 500_000  # in a folder; the official ones have 32,460
PARTS = ("images_background", "images_evaluation")
CHARACTER, DRAWING = re.compile(r"character(\d\d)", re.IGNORECASE), re.compile(r"\d+_(\d\d)\.png", re.IGNORECASE)
REMEDY = "Restore it, or fetch it with `amfs-lab data fetch omniglot`."


@dataclass(frozen=True)
class Drawings:
    """Characters by label, "Greek/character01", ink bright; and how many images were not 105x105 of 1 bit."""

    images: UInt8[Tensor, "characters 20 28 28"]
    labels: tuple[str, ...]
    converted: int = 0


@dataclass(frozen=True)
class Tree:
    """The files of a zip or folder, "/" between the parts and at the end of a folder, and a hash of their content."""

    place: Path
    names: tuple[str, ...]
    key: str
    read: Callable[[str], bytes]


@contextlib.contextmanager
def opened(place: Path) -> Iterator[Tree]:
    """A zip, or a folder of the same name. The key is a SHA-256 of the zip, or of a folder's names and drawings.

    Raises:
        DataError: no whole zip; a member that leads out of its folder; a place that may not be read.
    """
    with contextlib.ExitStack() as held:
        try:
            if place.is_dir():
                tree = _folder(place)
            else:
                file = held.enter_context(files.opened(place))
                if (size := os.fstat(file.fileno()).st_size) > MOST:
                    raise ValueError(f"a file of {size:,} bytes, more than the {MOST:,} that are read")
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                tree = _zip(held.enter_context(files.archive(file)), place, digest)
        except AmfsError:
            raise
        except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
            raise DataError(f"Expected a whole zip or folder at {place}. Got: {error}. {REMEDY}") from error
        yield tree


def _folder(place: Path) -> Tree:
    paths = {_plain(name): path for name, path in sorted(_walk(place))}
    digest, total = hashlib.sha256(), 0
    for name, path in paths.items():
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
        if DRAWING.fullmatch(path.name):
            with contextlib.suppress(OSError, ValueError):  # told by whoever reads it as a drawing
                drawing = files.content(path, LARGEST)
                total += len(drawing)
                digest.update(hashlib.sha256(drawing).digest())
        if total > MOST:
            raise ValueError(f"more than {MOST:,} bytes in files with names of drawings, which are no drawings")
    return Tree(place, tuple(paths), digest.hexdigest(), lambda name: files.content(paths[name], LARGEST))


def _zip(archive: zipfile.ZipFile, place: Path, digest: str) -> Tree:
    members = sorted(archive.infolist(), key=lambda member: member.filename)
    for member in members:
        _refuse_escape(member, place)
    if (total := sum(member.file_size for member in members)) > MOST:
        raise ValueError(f"{total:,} bytes when unpacked, which are no drawings")
    named: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        name, alike = _plain(member.filename), named.get(_plain(member.filename))
        if alike and alike.filename != member.filename and alike.CRC != member.CRC:
            raise DataError(
                f"Expected one file {name} in {place}. Got two of other contents, {alike.filename!r} and "
                f"{member.filename!r}. {REMEDY}"
            )
        named[name] = member
    return Tree(place, tuple(named), digest, lambda name: files.member(archive, named[name], LARGEST))


def read(tree: Tree, top: str) -> Drawings:
    """All drawings below the folder `top`, as 28x28 grey levels.

    Raises:
        DataError: another layout (naming the first missing path), or a damaged image (naming it).
        ConfigError: no Pillow to read images with.
    """
    try:
        import PIL.Image  # noqa: F401
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
                image = open_image(io.BytesIO(tree.read(name)), ("PNG",))
                image.load()
                converted += (image.mode, image.size) != ("1", (OFFICIAL_SIDE, OFFICIAL_SIDE))
                row[drawing] = squared(image, SIDE, ink=True)
            except broken as error:
                raise DataError(
                    f"Expected a whole image {name} in {tree.place}. Got: {type(error).__name__}: {error}. {REMEDY}"
                ) from error
    return Drawings(torch.from_numpy(images), tuple(characters), converted)


def arrange(tree: Tree, top: str) -> dict[str, list[str]]:
    """The names of each character's 20 drawings, by label and in order. Raises DataError for the first that lacks."""
    start, others = _start(tree, top)
    alphabets: dict[str, dict[str, dict[int, str]]] = {}
    for name in tree.names:
        parts = name.split("/")
        rest = parts[len(start) :]
        if parts[: len(start)] != start or len(rest) < 2 or any(parts[: len(other)] == other for other in others):
            continue
        if any(map(is_leftover, rest)):
            continue
        characters = alphabets.setdefault(printable(rest[0], line=True), {})
        if len(rest) > 2 and CHARACTER.fullmatch(rest[1]):
            drawings = characters.setdefault(rest[1].lower(), {})
            if len(rest) == 3 and (match := DRAWING.fullmatch(rest[2])):
                drawings.setdefault(int(match[1]), name)
    above = "".join(f"{part}/" for part in start)
    if not alphabets:
        raise _missing(tree, f"{above}ALPHABET/character01/")
    found: dict[str, list[str]] = {}
    for alphabet, characters in sorted(alphabets.items()):
        count = max([1, *(int(name[-2:]) for name in characters)])
        for label in (f"{alphabet}/character{number:02d}" for number in range(1, count + 1)):
            drawings = characters.get(label.partition("/")[2])
            if drawings is None:
                raise _missing(tree, f"{above}{label}/")
            lacks = [number for number in range(1, DRAWERS + 1) if number not in drawings]
            if lacks:
                stem = next(iter(drawings.values())).rpartition("_")[0] if drawings else f"{above}{label}/IIII"
                path, have = f"{stem}_{lacks[0]:02d}.png", DRAWERS - len(lacks)
                raise _missing(tree, f"{path} ({label} has {have} of {DRAWERS} drawings)")
            found[label] = [drawings[number] for number in range(1, DRAWERS + 1)]
    return found


def _start(tree: Tree, top: str) -> tuple[list[str], list[list[str]]]:
    """The folders above this part's alphabets, and the folders above other alphabets: of the other part, or copies.

    Its last is `top`, or none is a part's name. Of several, the one with the most drawings, then the nearest.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for parts in (name.split("/") for name in tree.names):
        if len(parts) >= 3 and CHARACTER.fullmatch(parts[-2]) and DRAWING.fullmatch(parts[-1]):
            counts[tuple(parts[:-3])] += not any(map(is_leftover, parts))
    lower = {above: [part.lower() for part in above] for above in +counts}
    fitting = [above for above in lower if lower[above][-1:] == [top]]
    fitting = fitting or [above for above in lower if not {*lower[above]} & {*PARTS}]
    if not fitting:
        return [top], []
    start = min(fitting, key=lambda above: (-counts[above], len(above), above))
    return [*start], [[*above] for above in lower if above != start and above[: len(start)] == start]


def _walk(place: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of the folder and of all below it, links included. An unreadable folder raises OSError; one that
    has too many files, as links to a folder above make it, ValueError."""
    folders, count = [(f"{place.name}/", place)], 0
    while folders:
        name, folder = folders.pop()
        yield name, folder
        with os.scandir(folder) as entries:
            for entry in entries:
                count += 1
                if count > FILES:
                    raise ValueError(f"more than {FILES:,} files: does a link in it lead to a folder above?")
                if entry.is_dir():
                    folders.append((f"{name}{entry.name}/", Path(entry.path)))
                else:
                    yield f"{name}{entry.name}", Path(entry.path)


def _plain(name: str) -> str:
    """A name in the official form: PowerShell 5 wrote backslashes, and some `tar` and `zip` put `./` before names."""
    *folders, last = name.replace("\\", "/").split("/")
    return "/".join([*(part for part in folders if part not in ("", ".")), last])


def _refuse_escape(member: zipfile.ZipInfo, place: Path) -> None:
    parts = member.filename.replace("\\", "/").split("/")
    why = None
    # Windows drops dots and blanks at the end of a name: ".. " is "..".
    up = any(part.startswith("..") and not part.rstrip(". ") for part in parts)
    if up or ":" in parts[0] or (parts[0] == "" and len(parts) > 1):
        why = "points outside its folder"
    elif stat.S_ISLNK(member.external_attr >> 16):
        why = "is a symbolic link, which may point outside its folder"
    elif member.filename.lower().endswith(".png") and member.file_size > LARGEST:
        why = f"has {member.file_size} bytes, which is no drawing"
    if why:
        raise DataError(
            f"Expected drawings only in {place}. Got the member {member.filename!r}, which {why}. Refused. {REMEDY}"
        )


def _missing(tree: Tree, path: str) -> DataError:
    return DataError(
        f"Expected ALPHABET/characterNN/IIII_DD.png, {DRAWERS} drawings of each character, in {tree.place}. "
        f"Got no {path}. {REMEDY}"
    )
