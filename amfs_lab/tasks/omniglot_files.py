"""The files of Omniglot, images_background/ALPHABET/characterNN/IIII_DD.png, in a zip or an extracted folder.

The module checks the structure of the files, but no checksum. So it also accepts a repacked zip and an extracted
folder. Repacking and extracting may change path separators, put `./` before names, add outer folders, write file
endings in capitals, and add files of the operating system. In all these cases, the labels are the official labels. No
file of a zip is written to disk.
"""

import contextlib
import hashlib
import io
import os
import re
import zipfile
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
from amfs_lab.errors import DataError, printable
from amfs_lab.tasks.images import open_image, squared
from amfs_lab.tasks.junk_files import is_leftover

DRAWERS, OFFICIAL_SIDE, SIDE = 20, 105, 28
LARGEST, MOST = 2**20, 2**28  # bytes of one PNG, and of all; an official PNG has some hundred
FILES = 500_000  # in a folder; the official files are 32,460
PARTS = ("images_background", "images_evaluation")
CHARACTER, DRAWING = re.compile(r"character(\d\d)", re.IGNORECASE), re.compile(r"\d+_(\d\d)\.png", re.IGNORECASE)
REMEDY = "Restore it, or fetch it with `amfs-lab data fetch omniglot`."


@dataclass(frozen=True)
class Drawings:
    """The images of characters, with bright ink, and their labels, such as "Greek/character01".

    `converted` is the number of images that did not have the official size and mode.
    """

    images: UInt8[Tensor, "characters 20 28 28"]
    labels: tuple[str, ...]
    converted: int = 0


@dataclass(frozen=True)
class Tree:
    """The files of a zip or folder.

    `names` are the paths of all files and folders, with "/" between the parts and "/" at the end of a folder. `key` is
    a hash of the content, and `read` returns the content of a file.
    """

    place: Path
    names: tuple[str, ...]
    key: str
    read: Callable[[str], bytes]


@contextlib.contextmanager
def opened(place: Path) -> Iterator[Tree]:
    """A context with the `Tree` of a zip or folder.

    The key of a zip is the SHA-256 of the file. The key of a folder is the SHA-256 of all names in the folder and of
    the contents of the drawings. Raises DataError for an incomplete zip, or a path that cannot be read.
    """
    with contextlib.ExitStack() as held:
        try:
            if place.is_dir():
                tree = _folder(place)
            else:
                file = held.enter_context(files.opened(place))
                if (size := os.fstat(file.fileno()).st_size) > MOST:
                    raise ValueError(f"a file of {size:,} bytes, more than the limit of {MOST:,}")
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                tree = _zip(held.enter_context(files.archive(file)), place, digest)
        except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
            raise DataError(f"Expected a complete zip or folder at {place}. Got: {error}. {REMEDY}") from error
        yield tree


def _folder(place: Path) -> Tree:
    paths = {_plain(name): path for name, path in sorted(_walk(place))}
    digest, total = hashlib.sha256(), 0
    for name, path in paths.items():
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
        if DRAWING.fullmatch(path.name):
            with contextlib.suppress(OSError, ValueError):  # `read` raises the error again if the file is a drawing
                drawing = files.content(path, LARGEST)
                total += len(drawing)
                digest.update(hashlib.sha256(drawing).digest())
        if total > MOST:
            raise ValueError(f"more than {MOST:,} bytes in files with names of drawings")
    return Tree(place, tuple(paths), digest.hexdigest(), lambda name: files.content(paths[name], LARGEST))


def _zip(archive: zipfile.ZipFile, place: Path, digest: str) -> Tree:
    members = sorted(archive.infolist(), key=lambda member: member.filename)
    if (total := sum(member.file_size for member in members)) > MOST:
        raise ValueError(f"{total:,} bytes when unpacked, more than the limit of {MOST:,}")
    named: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        other = named.setdefault(_plain(member.filename), member)
        if other.CRC != member.CRC:
            raise ValueError(f"two members with the same name, {other.filename!r} and {member.filename!r}")
    return Tree(place, tuple(named), digest, lambda name: files.member(archive, named[name], LARGEST))


def read(tree: Tree, top: str) -> Drawings:
    """All drawings below the folder `top`, as 28x28 grey levels.

    Raises DataError for another layout or a damaged image. The message names the first missing path, or the
    damaged image.
    """
    characters = arrange(tree, top)
    images, converted = np.empty((len(characters), DRAWERS, SIDE, SIDE), np.uint8), 0
    bar = tqdm(characters.values(), f"packing {top}", unit="character", disable=None, leave=False)
    for row, names in zip(images, bar, strict=True):
        for drawing, name in enumerate(names):
            try:
                image = open_image(io.BytesIO(tree.read(name)), ("PNG",))
                image.load()
                converted += (image.mode, image.size) != ("1", (OFFICIAL_SIDE, OFFICIAL_SIDE))
                row[drawing] = squared(image, SIDE, ink=True)
            except Exception as error:  # Pillow may raise nearly any type for a damaged file
                raise DataError(
                    f"Expected an intact image {name} in {tree.place}. Got: {type(error).__name__}: {error}. {REMEDY}"
                ) from error
    return Drawings(torch.from_numpy(images), tuple(characters), converted)


def arrange(tree: Tree, top: str) -> dict[str, list[str]]:
    """The names of the 20 drawings of each character, by label. Raises DataError for the first missing drawing."""
    start, others = _start(tree, top)
    alphabets: dict[str, dict[str, dict[int, str]]] = {}
    for name in tree.names:
        parts = name.split("/")
        rest = parts[len(start) :]
        other_part = any(parts[: len(other)] == other for other in others)
        if parts[: len(start)] != start or len(rest) < 2 or other_part or any(map(is_leftover, rest)):
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
        for character in (f"character{number:02d}" for number in range(1, count + 1)):
            label, drawings = f"{alphabet}/{character}", characters.get(character)
            if drawings is None:
                raise _missing(tree, f"{above}{label}/")
            missing = [number for number in range(1, DRAWERS + 1) if number not in drawings]
            if missing:
                stem = next(iter(drawings.values())).rpartition("_")[0] if drawings else f"{above}{label}/IIII"
                have = f"({label} has {DRAWERS - len(missing)} of {DRAWERS} drawings)"
                raise _missing(tree, f"{stem}_{missing[0]:02d}.png {have}")
            found[label] = [drawings[number] for number in range(1, DRAWERS + 1)]
    return found


def _start(tree: Tree, top: str) -> tuple[list[str], list[list[str]]]:
    """The folder with the alphabets of this part, and the folders inside this folder that also contain alphabets.

    These inner folders belong to the other part, or to copies. The path of the first folder ends in `top`. If there is
    no such path, the function takes a path without the name of a part. Of several possible paths, it takes the path
    with the most drawings. If paths have equally many drawings, it takes the shortest path.
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
    """Names and paths of the folder and of all files and folders below it. Links are followed.

    Raises OSError for an unreadable folder. Raises ValueError for too many files, for example because a link leads to a
    parent folder.
    """

    def refuse(error: OSError) -> None:
        raise error

    count = 0
    for root, _, names in os.walk(place, followlinks=True, onerror=refuse):
        above = "/".join((place.name, *Path(root).relative_to(place).parts, ""))
        count += 1 + len(names)
        if count > FILES:
            raise ValueError(f"more than {FILES:,} files. Does a link in it lead to a folder above?")
        yield above, Path(root)
        yield from ((above + name, Path(root, name)) for name in names)


def _plain(name: str) -> str:
    """The official form of a name: "/" replaces the backslashes of PowerShell 5, and "./" is removed."""
    *folders, last = name.replace("\\", "/").split("/")
    return "/".join([*(part for part in folders if part not in ("", ".")), last])


def _missing(tree: Tree, path: str) -> DataError:
    return DataError(
        f"Expected ALPHABET/characterNN/IIII_DD.png, {DRAWERS} drawings of each character, in {tree.place}. "
        f"Got no {path}. {REMEDY}"
    )
