"""Builds `data/glyphs.npz` and its data card from Debian's Noto fonts (fonts-noto-core, fonts-noto-extra).

`select` chooses the characters, and `pen` draws the samples. A sample depends only on its script, code point, number
and font file. So a subset of the scripts has the same samples as the whole data set.
"""

import contextlib
import hashlib
import io
import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import PIL
import scipy
import torch
from fontTools.ttLib import TTFont
from PIL import features

from amfs_lab import files
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.tasks.glyphs import FILE, SAMPLES, SIDE, Glyphs, images_sha256, labels_sha256
from data.glyph_builder import card, pen
from data.glyph_builder.scripts import MOST_CHARACTERS, SCRIPTS, split_scripts
from data.glyph_builder.select import faces, is_letter, select

FONTS = Path("/usr/share/fonts/truetype/noto")
CARD = "GLYPHS.md"

Progress = Callable[[str, int, int], None]  # name of the stage, steps done, steps in total


def build(folder: Path, fonts: Path = FONTS, progress: Progress = lambda *_: None) -> Glyphs:
    """Renders the data set and writes `glyphs.npz` and `GLYPHS.md` into `folder`. After an error, it writes neither.

    Raises:
        DataError: a font is missing, or the glyphs of these fonts break a rule of the data set.
    """
    folder = Path(folder)
    chosen = select(Path(fonts), progress=lambda what: progress(what, 0, 0))
    glyphs = render(chosen.characters, fonts, progress)
    check(glyphs)
    progress("measuring", 0, 0)
    notes = take_notes(glyphs, chosen.left_out, Path(fonts))
    contents = {FILE: pack(glyphs, notes), CARD: card.card(glyphs, notes).encode()}
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as written:  # both temporary files are written before the first one is moved
        for name, data in contents.items():
            written.enter_context(files.replacing(folder / name)).write(data)
    return glyphs


def render(
    characters: Mapping[str, Iterable[int]], fonts: Path = FONTS, progress: Progress = lambda *_: None
) -> Glyphs:
    """All samples of the given characters, sorted by script."""
    table = {script.name: script for script in SCRIPTS}
    unknown = sorted(set(characters) - set(table))
    if unknown:
        raise ConfigError(f"Every script must be in the table of `scripts`. Got {', '.join(unknown)}. Add it there.")
    todo = [(name, rank, code) for name in sorted(characters) for rank, code in enumerate(characters[name])]
    files = {name: faces(table[name], Path(fonts)) for name in characters}
    images = np.empty((len(todo), SAMPLES, SIDE, SIDE), np.uint8)
    for i, (name, rank, codepoint) in enumerate(todo):
        progress(f"drawing samples of {name}", i, len(todo))
        images[i] = pen.character(name, codepoint, pen.faces_in_turn(files[name], rank))
    return Glyphs(
        torch.from_numpy(images), tuple(n for n, _, _ in todo), tuple(c for _, _, c in todo), split_scripts(characters)
    )


def check(glyphs: Glyphs) -> None:
    """Checks the images and labels of the data set. Raises DataError at the first broken rule."""
    for kept, problem in _rules(glyphs):
        if not kept:
            raise DataError(f"{problem}. Nothing was written. Change the table in `scripts`.")


def _rules(glyphs: Glyphs) -> Iterator[tuple[bool, str]]:
    """Each rule of the data set: (True if it holds, the error message)."""
    images, count = glyphs.images.numpy(), Counter(glyphs.scripts)
    yield len(count) >= 40, f"The data set must have at least 40 scripts. Got {len(count)}"
    yield len(images) >= 1000, f"The data set must have at least 1000 characters. Got {len(images)}"
    size = f"{SAMPLES} samples of {SIDE}x{SIDE} pixels"
    yield images.shape[1:] == (SAMPLES, SIDE, SIDE), f"A character must have {size}. Got {images.shape[1:]}"
    most, got = MOST_CHARACTERS, max(count.values())
    yield got <= most, f"A script must have at most {most} characters. Got {got}"
    prefixes = {script.name: script.prefix for script in SCRIPTS}
    for script, codepoint in zip(glyphs.scripts, glyphs.codepoints, strict=True):
        letter = is_letter(codepoint, prefixes[script])
        yield letter, f"A character must be a letter of {script} that NFKD does not change. Got U+{codepoint:04X}"
    for label, samples in zip(glyphs.labels, images, strict=True):
        yield all(map(pen.ink_is_right, samples)), f"Every sample of {label} must be legible. Got one that is not"


def pack(glyphs: Glyphs, notes: dict) -> bytes:
    """The bytes of the npz file, with two pixels in each byte and without pickle. Equal input gives equal bytes."""
    levels = glyphs.images.numpy() // 17
    pairs = levels.reshape(len(levels), SAMPLES, -1, 2)
    file = io.BytesIO()
    np.savez_compressed(
        file,
        images=(pairs[..., 0] << 4 | pairs[..., 1]).astype(np.uint8),
        scripts=np.array(glyphs.scripts),
        codepoints=np.array(glyphs.codepoints, np.int64),
        notes=np.frombuffer(json.dumps(notes, sort_keys=True).encode(), np.uint8),
    )
    return file.getvalue()


def take_notes(glyphs: Glyphs, left_out: dict[str, str], fonts: Path) -> dict:
    """The notes of the file: splits, fonts, versions of the tools, difficulty, hashes."""
    files = {script.name: faces(script, fonts) for script in SCRIPTS if script.name in glyphs.splits}
    families = {file.name.split("-")[0]: file for name in files for file in files[name] if "-Regular" in file.name}
    return {
        "splits": glyphs.splits,
        "left_out": left_out,
        "faces": {name: len(found) for name, found in files.items()},
        "fonts_sha256": {name: font_hash(found) for name, found in files.items()},
        "families": {family: font_version(file) for family, file in families.items()},
        "made_with": tools(),
        "raw_pixels": card.difficulty(glyphs),
        "images_sha256": images_sha256(glyphs.images.numpy()),
        "labels_sha256": labels_sha256(glyphs),
    }


def font_hash(files: Iterable[Path]) -> str:
    """One SHA-256 of the names and contents of several font files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def font_version(file: Path) -> str:
    """The version from the font's name table, such as `"2.002"`."""
    with TTFont(file, lazy=True) as font:
        return str(font["name"].getDebugName(5)).removeprefix("Version ").split(";")[0]


def tools() -> dict[str, str]:
    """The versions of all software that can change a pixel or the choice of a character."""
    return {
        "FreeType": str(features.version("freetype2")),
        "NumPy": np.__version__,
        "Pillow": PIL.__version__,
        "SciPy": scipy.__version__,
        "Unicode": unicodedata.unidata_version,
    }
