"""The data set "glyphs" of the package: printed characters that are as hard to classify as those of Omniglot.

There are about forty living scripts from Adlam to Yezidi, with at most 36 letters each and 20 samples of each letter.
The samples of a letter differ in the face, weight or width of the font. The fonts are Google's Noto fonts (SIL Open
Font License 1.1). Each sample has its own pen width. A seeded distortion bends and slants the letter. Samples are 28x28
grey images with bright ink. Each script is in one split only, so test letters are from scripts that are not used in
training. `data/GLYPHS.md` lists the scripts, the font faces and the difficulty. `glyph_builder` makes the data file.
"""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from amfs_lab import files
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.tasks import data_dirs

FILE = "glyphs.npz"
SAMPLES, SIDE = 20, 28
LEVELS = 16  # grey levels stored, as multiples of 17
# Hashes of the decoded array, uint8 (characters, 20, 28, 28) in C order, and of the lines "SPLIT SCRIPT/U+XXXX".
IMAGES_SHA256 = "e58c5a3212bcd30a920835bfa4ead75ee64e0adaec8258d8910641fe31a714b4"
LABELS_SHA256 = "b82858db141d7cb79613d4e7dd5b83a587b2fa8fe37565e7630a9e59605a9b04"


@dataclass(frozen=True)
class Glyphs:
    """All characters of the data set: their images, scripts and code points, and the split of each script.

    The pixels are 0..255, with bright ink.
    """

    images: UInt8[Tensor, "characters samples 28 28"]
    scripts: tuple[str, ...]
    codepoints: tuple[int, ...]
    splits: dict[str, str]

    @property
    def labels(self) -> tuple[str, ...]:
        """A name for each character, such as `"Georgian/U+10D0"`."""
        return tuple(f"{script}/U+{code:04X}" for script, code in zip(self.scripts, self.codepoints, strict=True))

    def split(self, name: str) -> tuple[UInt8[Tensor, "classes samples 28 28"], tuple[str, ...]]:
        """The images and labels of `"train"`, `"validation"` or `"test"`; no script is in two splits."""
        if name not in self.splits.values():
            raise ConfigError(f"The split must be one of {', '.join(sorted(set(self.splits.values())))}. Got {name!r}.")
        rows = [i for i, script in enumerate(self.scripts) if self.splits[script] == name]
        labels = self.labels
        return self.images.index_select(0, torch.tensor(rows)), tuple(labels[i] for i in rows)


def split(name: str, root: Path | None = None) -> tuple[UInt8[Tensor, "classes samples 28 28"], tuple[str, ...]]:
    """The images and labels of `"train"`, `"validation"` or `"test"`.

    Raises ConfigError for another name, and the errors of `load`.
    """
    return load(root).split(name)


def load(root: Path | None = None) -> Glyphs:
    """The glyphs, checked against the hashes of this version of the package.

    A process reads the file only once, as long as the file does not change. All calls return the same images, so do not
    change them. Raises DataError for a missing file (see `find`), a truncated file, or a file with other contents than
    the released file.
    """
    path = find(root)
    there = path.stat()
    return released(path, (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns))


@functools.lru_cache(maxsize=1)
def released(path: Path, state: tuple[int, ...]) -> Glyphs:
    """The checked glyphs of a file, from a cache. `state` (size, times, inode) shows if the file has changed."""
    glyphs, _ = read(path)
    for what, expected, got in (
        ("images", IMAGES_SHA256, images_sha256(glyphs.images.numpy())),
        ("labels", LABELS_SHA256, labels_sha256(glyphs)),
    ):
        if got != expected:
            raise DataError(
                f"The {what} in {path} must be the ones of this version, SHA-256 {expected}. Got {got}. "
                "Restore that file from the package or repository, or remove it so that the packaged copy is used."
            )
    return glyphs


def find(root: Path | None = None) -> Path:
    """The path of the glyph file in the first data directory that has it (`data_dirs.folders`). Raises DataError."""
    folders = data_dirs.folders(root, FILE)
    if path := next((folder / FILE for folder in folders if (folder / FILE).is_file()), None):
        return path
    raise DataError(
        f"Expected {FILE} in one of {', '.join(map(str, folders))}. Got none there. "
        "Reinstall the package, or make it in a checkout: `python -m data.glyph_builder` (needs Debian's Noto fonts)."
    )


def read(path: Path) -> tuple[Glyphs, dict]:
    """The glyphs in a file of any version of the package, and the notes that the builder stored in the file.

    Raises DataError if the file is damaged.
    """
    try:
        file = files.arrays(files.content(path, files.ARRAY_BYTES))
        packed, scripts, codepoints = file["images"], file["scripts"], file["codepoints"]
        notes = files.parse_json(bytes(file["notes"]))
        expected = (len(scripts), SAMPLES, SIDE * SIDE // 2)
        if packed.shape != expected or packed.dtype != np.uint8 or codepoints.shape != scripts.shape:
            raise ValueError(f"images of shape {packed.shape} {packed.dtype}, not {expected} uint8")
        if lacks := set(map(str, scripts)) - set(notes["splits"]):
            raise ValueError(f"no split for {min(lacks)!r}")
        images = np.empty((*packed.shape, 2), np.uint8)
        images[..., 0], images[..., 1] = (packed >> 4) * 17, (packed & 15) * 17
        return Glyphs(
            torch.from_numpy(images.reshape(len(scripts), SAMPLES, SIDE, SIDE)),
            tuple(map(str, scripts)),
            tuple(map(int, codepoints)),
            dict(notes["splits"]),
        ), notes
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"Expected a complete glyph file at {path}. Got a truncated or damaged file "
            f"({type(error).__name__}: {error}). Restore it from the package or repository."
        ) from error


def images_sha256(images: UInt8[np.ndarray, "characters samples 28 28"]) -> str:
    """The SHA-256 of the images as a uint8 array in C order."""
    return hashlib.sha256(np.ascontiguousarray(images, np.uint8).data).hexdigest()


def labels_sha256(glyphs: Glyphs) -> str:
    """The SHA-256 of the lines "SPLIT SCRIPT/U+XXXX", one line for each character, in the order of the images."""
    lines = (f"{glyphs.splits[script]} {label}\n" for script, label in zip(glyphs.scripts, glyphs.labels, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
