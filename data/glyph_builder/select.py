"""Selection of the characters: by Unicode category, by the fonts' coverage, and with one script for each shape."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from jaxtyping import Int64

from amfs_lab.errors import DataError
from data.glyph_builder.scripts import FEWEST_CHARACTERS, FIRST, MOST_CHARACTERS, SCRIPTS, Script
from data.glyph_builder.shapes import LOOK_ALIKE, families_similarity, is_plain, normalised, similarity

# Shares of the letters of a script. A script is a rotation of another script if a share > TURNED of its letters matches
# the other's letters only after a turn by 90, 180 or 270 degrees, and a share > COVERED matches in any rotation.
TURNED, COVERED = 0.10, 0.75
BOX = 0.98  # from this similarity on, a drawing counts as the font's sign for a missing glyph
UNASSIGNED = chr(0x10FFFF)  # not a character, so a font draws its sign for a missing glyph


@dataclass(frozen=True)
class Selection:
    """The selected characters of each script, and the reason for each script that was left out."""

    characters: dict[str, tuple[int, ...]]
    left_out: dict[str, str]


def is_letter(codepoint: int, prefix: str) -> bool:
    """True for a letter (Lo, Ll or Lu) whose name begins with `prefix` and which NFKD does not change."""
    char = chr(codepoint)
    return (
        unicodedata.category(char) in ("Lo", "Ll", "Lu")
        and unicodedata.normalize("NFKD", char) == char
        and unicodedata.name(char, "").startswith(prefix + " ")
    )


def letters(script: Script) -> list[int]:
    """All letters in the script's blocks, of both cases."""
    return [c for low, high in script.blocks for c in range(low, high + 1) if is_letter(c, script.prefix)]


def one_case(codepoints: list[int]) -> list[int]:
    """The lower-case letters if there are enough, else the upper-case letters if enough, else all letters."""
    for category in ("Ll", "Lu"):
        chosen = [c for c in codepoints if unicodedata.category(chr(c)) == category]
        if len(chosen) >= FEWEST_CHARACTERS:
            return chosen
    return codepoints


def faces(script: Script, fonts: Path) -> list[Path]:
    """All font files of the script's families, sorted by family and name. Raises DataError if a family is missing."""
    found = []
    for family in script.families:
        files = sorted(fonts.glob(f"{family}-*.ttf"))
        if not files:
            raise DataError(
                f"The glyphs of {script.name} need the fonts {family}-*.ttf. Got none in {fonts}. "
                "Install Debian's fonts-noto-core and fonts-noto-extra, or give the folder of the fonts with `--fonts`."
            )
        found += files
    return found


def covered(codepoints: list[int], files: list[Path]) -> list[int]:
    """The code points for which every face has a glyph that is not its sign for a missing glyph."""
    kept = codepoints
    for file in files:
        with TTFont(file, lazy=True) as font:
            cmap = font.getBestCmap()
            missing = font.getGlyphOrder()[0]
        kept = [c for c in kept if cmap.get(c, missing) != missing]
    return kept


def drawings(codepoints: list[int], references: list[Path]) -> dict[int, Int64[np.ndarray, "families 24 24"]]:
    """Normalised drawings of each code point that every reference face can draw.

    A drawing that is empty, or the font's sign for a missing glyph, does not count.
    """
    boxes = np.stack([normalised(UNASSIGNED, face) for face in references])
    found = {}
    for codepoint in codepoints:
        images = np.stack([normalised(chr(codepoint), face) for face in references])
        boxed = [similarity(a[None], b[None]).item() >= BOX for a, b in zip(images, boxes, strict=True)]
        if images.any((1, 2)).all() and not any(boxed):
            found[codepoint] = images
    return found


def rotations(shapes: dict[str, Int64[np.ndarray, "_ 24 24"]]) -> dict[str, str]:
    """The scripts that are rotations of another script, each with the reason. `shapes`: all letters of each script.

    Of two scripts that are rotations of each other, only the later one is in the result.
    """
    found: dict[str, str] = {}
    every = np.concatenate(list(shapes.values()))
    ends = dict(zip(shapes, np.cumsum([len(images) for images in shapes.values()]), strict=True))
    for name in reversed(shapes):
        turns = [np.rot90(shapes[name], quarters, (1, 2)) for quarters in range(4)]
        match = np.stack([similarity(images, every) >= LOOK_ALIKE for images in turns])
        for other in (other for other in shapes if other != name and other not in found):
            with_other = np.any(match[:, :, ends[other] - len(shapes[other]) : ends[other]], axis=2)
            at_all = with_other.any(0)
            turned = (at_all & ~with_other[0]).mean()
            if turned > TURNED and at_all.mean() > COVERED:
                shares = f"{at_all.mean():.0%} of its letters match, {turned:.0%} only after a turn".replace("%", " %")
                found[name] = f"a rotation of {other}: {shares}"
    return found


def distinct(images: Int64[np.ndarray, "n f 24 24"], taken: list[Int64[np.ndarray, "_ _ 24 24"]]) -> list[int]:
    """The rows of `images` to keep, in order. An image has one drawing for each of f families.

    A kept row is not a bare bar or dot. It does not look like a row kept before it. In no rotation does it look like a
    drawing in `taken`.
    """
    free = ~np.array([any(map(is_plain, drawing)) for drawing in images])
    for other in taken:
        for turns in range(4):
            free &= (families_similarity(np.rot90(images, turns, (2, 3)), other) < LOOK_ALIKE).all(1)
    alike = families_similarity(images, images) >= LOOK_ALIKE
    kept: list[int] = []
    for row in np.flatnonzero(free):
        if not (alike[row, kept] | alike[kept, row]).any():
            kept.append(int(row))
    return kept


def select(
    fonts: Path, scripts: tuple[Script, ...] = SCRIPTS, progress: Callable[[str], None] = lambda _: None
) -> Selection:
    """The characters of every script.

    If several scripts have the same shape, only one keeps it. The scripts in FIRST have priority, then smaller scripts.
    Within a script, smaller code points have priority. If more than MOST_CHARACTERS remain, evenly spaced characters
    are taken.
    """
    drawn: dict[str, dict[int, np.ndarray]] = {}
    for script in scripts:
        progress(f"drawing {script.name}")
        references = [fonts / f"{family}-Regular.ttf" for family in script.families]
        drawn[script.name] = drawings(covered(letters(script), faces(script, fonts)), references)

    rank = {name: i for i, name in enumerate(FIRST)}
    ordered = sorted(drawn, key=lambda name: (rank.get(name, len(rank)), len(drawn[name]), name))
    progress("turning scripts")
    left_out = rotations({name: np.stack([images[0] for images in drawn[name].values()]) for name in ordered})

    kept: dict[str, tuple[int, ...]] = {}
    taken: list[np.ndarray] = []
    for name in (name for name in ordered if name not in left_out):
        progress(f"comparing {name}")
        codepoints = one_case(list(drawn[name]))
        images = np.stack([drawn[name][c] for c in codepoints])
        rows = distinct(images, taken)
        if len(rows) > MOST_CHARACTERS:
            rows = [rows[i * len(rows) // MOST_CHARACTERS] for i in range(MOST_CHARACTERS)]
        if len(rows) < FEWEST_CHARACTERS:
            left_out[name] = f"only {len(rows)} letters look like no other script's"
            continue
        kept[name] = tuple(codepoints[row] for row in rows)
        taken.append(images[rows])
    return Selection({script.name: kept[script.name] for script in scripts if script.name in kept}, left_out)
