"""Which characters enter the glyph data set: Unicode's rules, the fonts' coverage, no look-alikes, no rotations.

Every image comparison is on integers, so that the choice is the same on every machine with the same fonts.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

from amfs_lab.errors import DataError
from amfs_lab.tasks.glyph_scripts import FEWEST_CHARACTERS, FIRST, MOST_CHARACTERS, SCRIPTS, Script

LOOK_ALIKE = 0.92  # cosine similarity of two normalised drawings, maximum over shifts; at or above it they are one shape
SIDE, SHIFT = 24, 1  # pixels of a normalised drawing, and how far one may be shifted to match
TURNED, COVERED = 0.20, 0.50  # a script is another's rotation if more of its letters than these match the other's: only
#                               after a quarter or half turn, and at all


def is_letter(codepoint: int, prefix: str) -> bool:
    """A letter (Lo, Ll, Lu) of the script whose letters' names begin with `prefix`, unchanged by NFKD."""
    char = chr(codepoint)
    return (
        unicodedata.category(char) in ("Lo", "Ll", "Lu")
        and unicodedata.normalize("NFKD", char) == char
        and unicodedata.name(char, "").startswith(prefix + " ")
    )


def letters(script: Script) -> list[int]:
    """All letters of the script's blocks, both cases."""
    return [c for low, high in script.blocks for c in range(low, high + 1) if is_letter(c, script.prefix)]


def one_case(codepoints: list[int]) -> list[int]:
    """Lower case where the script has one, else upper case, else all."""
    for category in ("Ll", "Lu"):
        chosen = [c for c in codepoints if unicodedata.category(chr(c)) == category]
        if len(chosen) >= FEWEST_CHARACTERS:
            return chosen
    return codepoints


def faces(script: Script, fonts: Path) -> list[Path]:
    """Every font file of the script's families, sorted by family and name. Raises DataError if a family is missing."""
    found = []
    for family in script.families:
        files = sorted(fonts.glob(f"{family}-*.ttf"))
        if not files:
            raise DataError(
                f"The glyphs of {script.name} need the fonts {family}-*.ttf. Found none in {fonts}. "
                "Install Debian's fonts-noto-core and fonts-noto-extra, or name the folder that holds them."
            )
        found += files
    return found


def covered(codepoints: list[int], files: list[Path]) -> list[int]:
    """The code points that every face maps to a glyph of its own (not .notdef)."""
    kept = codepoints
    for file in files:
        with TTFont(file, lazy=True) as font:
            cmap = font.getBestCmap()
            missing = font.getGlyphOrder()[0]
        kept = [c for c in kept if cmap.get(c, missing) != missing]
    return kept


def draw(char: str, face: Path, longest: int) -> np.ndarray:
    """The character in basic layout as grey ink (255 = ink), cropped, its longest side about `longest` pixels; empty array if no ink."""
    probe = 100
    font = ImageFont.truetype(str(face), probe, layout_engine=ImageFont.Layout.BASIC)
    left, top, right, bottom = font.getbbox(char)
    if right <= left or bottom <= top:
        return np.zeros((0, 0), np.uint8)
    size = max(8, round(probe * longest / max(right - left, bottom - top)))
    font = font.font_variant(size=size)
    left, top, right, bottom = font.getbbox(char)
    image = Image.new("L", (right - left + 4, bottom - top + 4))
    ImageDraw.Draw(image).text((2 - left, 2 - top), char, fill=255, font=font)
    ink = np.asarray(image)
    rows, columns = np.flatnonzero(ink.max(1) > 127), np.flatnonzero(ink.max(0) > 127)
    if not len(rows) or not len(columns):
        return np.zeros((0, 0), np.uint8)
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def normalised(char: str, face: Path) -> np.ndarray:
    """The character on a square of SIDE pixels, longest side filling it but for the margin, centred, blurred; integers."""
    scale = 4
    ink = draw(char, face, (SIDE - 4) * scale)
    canvas = np.zeros((SIDE * scale, SIDE * scale), np.int64)
    height, width = (min(n, SIDE * scale) for n in ink.shape)
    top, left = (SIDE * scale - height) // 2, (SIDE * scale - width) // 2
    canvas[top : top + height, left : left + width] = ink[:height, :width]
    small = canvas.reshape(SIDE, scale, SIDE, scale).sum((1, 3))
    for _ in range(2):  # binomial blur along each axis, exact in integers
        padded = np.pad(small, ((1, 1), (0, 0)))
        small = (padded[:-2] + 2 * padded[1:-1] + padded[2:]).T
    return small * 127 // (16 * scale * scale * 255)


def _shifted(images: np.ndarray) -> np.ndarray:
    """All shifts by up to SHIFT pixels: (m, side, side) -> (shifts, m, side * side)."""
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)))
    steps = range(2 * SHIFT + 1)
    views = [padded[:, i : i + SIDE, j : j + SIDE].reshape(len(images), -1) for i in steps for j in steps]
    return np.stack(views)


def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine similarity (n, m) of two stacks of normalised drawings, maximum over shifts of `a`. Sums are exact in float32."""
    flat = b.reshape(len(b), -1).astype(np.float32)
    norms = np.sqrt((flat.astype(np.float64) ** 2).sum(1))
    best = np.zeros((len(a), len(b)))
    for view in _shifted(a).astype(np.float32):
        own = np.sqrt((view.astype(np.float64) ** 2).sum(1))
        best = np.maximum(best, (view @ flat.T) / np.maximum(own[:, None] * norms, 1e-9))
    return best


def families_similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`similarity` of characters (n, families, side, side) and (m, families, side, side): the maximum over their faces."""
    best = similarity(a.reshape(-1, SIDE, SIDE), b.reshape(-1, SIDE, SIDE))
    return best.reshape(len(a), a.shape[1], len(b), b.shape[1]).max((1, 3))


def rotation_of(images: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """The shares of the drawings (n, side, side) that match one of `others` only after a turn, and that match one at all."""
    match = [(similarity(np.rot90(images, turns, (1, 2)), others) >= LOOK_ALIKE).any(1) for turns in range(4)]
    at_all = np.any(match, axis=0)
    return float((at_all & ~match[0]).mean()), float(at_all.mean())


@dataclass(frozen=True)
class Selection:
    """The characters kept, by script; and why a script was left out."""

    characters: dict[str, tuple[int, ...]]
    left_out: dict[str, str]


def select(fonts: Path, scripts: tuple[Script, ...] = SCRIPTS, progress: Callable[[str], None] = lambda _: None) -> Selection:
    """Every script's characters. Which ones depends on all `scripts`: whoever comes first keeps a shared shape.

    Order: FIRST, then the smaller script first. Within a script by code point; from more than MOST_CHARACTERS, evenly spaced ones.
    """
    drawings: dict[str, tuple[list[int], np.ndarray]] = {}
    for script in scripts:
        progress(f"drawing {script.name}")
        reference = [fonts / f"{family}-Regular.ttf" for family in script.families]
        found = []
        for codepoint in covered(letters(script), faces(script, fonts)):
            images = np.stack([normalised(chr(codepoint), face) for face in reference])
            if images.any((1, 2)).all():
                found.append((codepoint, images))
        drawings[script.name] = ([c for c, _ in found], np.stack([i for _, i in found]))

    left_out = {}
    for name, (_, images) in drawings.items():
        progress(f"turning {name}")
        for other, (_, others) in drawings.items():
            only_turned, at_all = rotation_of(images[:, 0], others[:, 0]) if other != name else (0.0, 0.0)
            if only_turned >= TURNED and at_all >= COVERED:
                left_out[name] = f"a rotation of {other}: {at_all:.0%} of its letters match, {only_turned:.0%} after a turn"

    names = sorted(
        drawings, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), len(drawings[name][0]), name)
    )
    kept: dict[str, tuple[int, ...]] = {}
    shapes: list[np.ndarray] = []  # of the characters kept so far, (families, side, side) each
    for name in (n for n in names if n not in left_out):
        progress(f"comparing {name}")
        codepoints, images = drawings[name]
        case = set(one_case(codepoints))
        rows = [i for i, c in enumerate(codepoints) if c in case]
        free = np.ones(len(rows), bool)
        for other in shapes:
            turns = [families_similarity(np.rot90(images[rows], k, (2, 3)), other) for k in range(4)]
            free &= (np.stack(turns) < LOOK_ALIKE).all((0, 2))
        rows = [i for i, ok in zip(rows, free, strict=True) if ok]
        alike = families_similarity(images[rows], images[rows]) >= LOOK_ALIKE if rows else np.zeros((0, 0), bool)
        alike |= alike.T
        chosen: list[int] = []
        for i in range(len(rows)):
            if not alike[i, chosen].any():
                chosen.append(i)
        if len(chosen) > MOST_CHARACTERS:
            chosen = [chosen[i * len(chosen) // MOST_CHARACTERS] for i in range(MOST_CHARACTERS)]
        if len(chosen) < FEWEST_CHARACTERS:
            left_out[name] = f"only {len(chosen)} characters that look like no other script's"
            continue
        kept[name] = tuple(codepoints[rows[i]] for i in chosen)
        shapes.append(images[[rows[i] for i in chosen]])
    return Selection({script.name: kept[script.name] for script in scripts if script.name in kept}, left_out)
