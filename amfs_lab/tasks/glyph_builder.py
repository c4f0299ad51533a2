"""Makes `data/glyphs.npz` and its card from Debian's Noto fonts (fonts-noto-core, fonts-noto-extra).

`select` decides the characters, `glyph_pen` draws them. A sample depends on its script, code point, number and font
file only, so any subset of scripts comes out as it stands in the whole.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import torch

from amfs_lab.errors import ConfigError, DataError
from amfs_lab.tasks import glyph_card, glyph_pen
from amfs_lab.tasks.glyph_scripts import MOST_CHARACTERS, SCRIPTS, Script, split_scripts
from amfs_lab.tasks.glyph_select import faces, is_letter, select
from amfs_lab.tasks.glyphs import FILE, SAMPLES, SIDE, Glyphs, images_sha256, labels_sha256

FONTS = Path("/usr/share/fonts/truetype/noto")
CARD = "GLYPHS.md"

Progress = Callable[[str, int, int], None]  # what is being done, steps done, steps in all


def build(folder: Path, fonts: Path = FONTS, progress: Progress = lambda *_: None) -> Glyphs:
    """Draw the whole data set and write `glyphs.npz` and `GLYPHS.md` into `folder`; both or, on any failure, neither.

    Raises:
        DataError: a font is missing, or a rule of the data set does not hold for what these fonts give.
    """
    folder = Path(folder)
    chosen = select(Path(fonts), progress=lambda what: progress(what, 0, 0))
    glyphs = render(chosen.characters, fonts, progress)
    check(glyphs)
    notes = {
        "splits": glyphs.splits,
        "left_out": chosen.left_out,
        "fonts": font_hashes(chosen.characters, fonts),
        "images_sha256": images_sha256(glyphs.images.numpy()),
        "labels_sha256": labels_sha256(glyphs),
    }
    contents = {FILE: pack(glyphs, notes), CARD: glyph_card.card(glyphs, notes, Path(fonts)).encode()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / f".{name}.part").write_bytes(data)
    for name in contents:
        os.replace(folder / f".{name}.part", folder / name)
    return glyphs


def render(characters: Mapping[str, Iterable[int]], fonts: Path = FONTS, progress: Progress = lambda *_: None) -> Glyphs:
    """All samples of the given characters, script by script."""
    table = {script.name: script for script in SCRIPTS}
    unknown = sorted(set(characters) - set(table))
    if unknown:
        raise ConfigError(f"Expected scripts of the table in glyph_scripts. Got {', '.join(unknown)}.")
    todo = [(name, codepoint) for name in sorted(characters) for codepoint in characters[name]]
    files = {name: faces(table[name], Path(fonts)) for name in characters}
    images = np.empty((len(todo), SAMPLES, SIDE, SIDE), np.uint8)
    for i, (name, codepoint) in enumerate(todo):
        progress(f"inking {name}", i, len(todo))
        images[i] = glyph_pen.character(name, codepoint, files[name])
    return Glyphs(
        torch.from_numpy(images), tuple(n for n, _ in todo), tuple(c for _, c in todo), split_scripts(characters)
    )


def check(glyphs: Glyphs) -> None:
    """The promises of the data set that can be read off it. Raises DataError at the first that is broken."""
    table = {script.name: script for script in SCRIPTS}
    images = glyphs.images.numpy()
    count = {name: glyphs.scripts.count(name) for name in glyphs.splits}
    problems = [
        (len(count) < 40, f"at least 40 scripts, got {len(count)}"),
        (len(images) < 1000, f"at least 1000 characters, got {len(images)}"),
        (images.shape[1:] != (SAMPLES, SIDE, SIDE), f"{SAMPLES} samples of {SIDE}x{SIDE}, got {images.shape[1:]}"),
        (max(count.values()) > MOST_CHARACTERS, f"at most {MOST_CHARACTERS} characters a script, got {count}"),
        *(
            (not is_letter(c, table[s].prefix), f"letters, unchanged by NFKD, of {s}; got U+{c:04X}")
            for s, c in zip(glyphs.scripts, glyphs.codepoints, strict=True)
        ),
        *(
            (not all(map(glyph_pen.ink_is_right, samples)), f"legible ink on every sample of {label}")
            for samples, label in zip(images, glyphs.labels, strict=True)
        ),
    ]
    for broken, expected in problems:
        if broken:
            raise DataError(f"Expected {expected}. Nothing was written; see the table in glyph_scripts.")


def pack(glyphs: Glyphs, notes: dict) -> bytes:
    """The file's bytes: an npz of two pixels a byte, without pickle; equal input gives equal bytes."""
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


def font_hashes(scripts: Iterable[str], fonts: Path = FONTS) -> dict[str, str]:
    """For each script, one SHA-256 over its font files' names and contents: equal if the faces are."""
    table: dict[str, Script] = {script.name: script for script in SCRIPTS}
    hashes = {}
    for name in scripts:
        digest = hashlib.sha256()
        for file in faces(table[name], Path(fonts)):
            digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
        hashes[name] = digest.hexdigest()
    return hashes
