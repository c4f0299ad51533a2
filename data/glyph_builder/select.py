"""Selection of the data set's characters: by Unicode's rules, the fonts' coverage, and one script for each shape."""

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

# Shares of a script's letters. A script is a rotation of another if a share > TURNED matches the other's letters only
# after a quarter or half turn, and a share > COVERED matches in any rotation.
TURNED, COVERED = 0.10, 0.75
BOX = 0.98  # from this similarity on, a drawing is the font's sign for a missing glyph
UNASSIGNED = chr(0x10FFFF)  # not a character: a font draws its sign for a missing glyph


@dataclass(frozen=True)
class Selection:
    """The kept characters of each script, and the reason for each script that was left out."""

    characters: dict[str, tuple[int, ...]]
    left_out: dict[str, str]


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
                f"The glyphs of {script.name} need the fonts {family}-*.ttf. Got none in {fonts}. "
                "Install Debian's fonts-noto-core and fonts-noto-extra, or name the folder that holds them."
            )
        found += files
    return found


def covered(codepoints: list[int], files: list[Path]) -> list[int]:
    """The code points for which every face has a glyph other than its sign for a missing one."""
    kept = codepoints
    for file in files:
        with TTFont(file, lazy=True) as font:
            cmap = font.getBestCmap()
            missing = font.getGlyphOrder()[0]
        kept = [c for c in kept if cmap.get(c, missing) != missing]
    return kept


def drawings(codepoints: list[int], references: list[Path]) -> dict[int, Int64[np.ndarray, "families 24 24"]]:
    """Normalised drawings of the code points that every reference face draws: not empty, not a missing-glyph sign."""
    boxes = np.stack([normalised(UNASSIGNED, face) for face in references])
    found = {}
    for codepoint in codepoints:
        images = np.stack([normalised(chr(codepoint), face) for face in references])
        boxed = [similarity(a[None], b[None]).item() >= BOX for a, b in zip(images, boxes, strict=True)]
        if images.any((1, 2)).all() and not any(boxed):
            found[codepoint] = images
    return found


def rotations(shapes: dict[str, Int64[np.ndarray, "_ 24 24"]]) -> dict[str, str]:
    """The scripts that are a rotation of another, each with the reason. `shapes`: all letters of each script.

    Of two scripts that are rotations of each other, the later one is left out.
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
    """The rows of `images` (in f families) to keep, in order.

    A kept row is not a bare bar or dot. It is unlike every row kept before it, and unlike every drawing in `taken` in
    any rotation.
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

    If scripts share a shape, only one keeps it: the scripts of FIRST have priority, then smaller scripts. Within a
    script, code points are in order. If more than MOST_CHARACTERS remain, evenly spaced ones are taken.
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
