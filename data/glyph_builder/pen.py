"""One sample of one character: a face, a pen, a bend. A pure function of (script, code point, sample).

The letter is drawn large, turned into its signed distance to the ink's edge, bent (affine and elastic), and inked again
at the width of the sample's pen; then it is reduced to 28x28 and to 16 grey levels.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from scipy import ndimage

from amfs_lab.errors import DataError
from amfs_lab.tasks.glyphs import LEVELS, SAMPLES, SIDE
from data.glyph_builder.shapes import BOARD, SCALE, Strokes, strokes

ATTEMPTS = 100
FINEST = 1.2  # pixels: no stroke of a sample is drawn finer
OPEN = 1.5  # pixels: how wide a hole has to be to count


@dataclass(frozen=True)
class Pen:
    """How strongly samples are distorted: ranges of uniform draws; a single number is the largest, of either sign."""

    width: tuple[float, float] = (1.5, 2.9)  # stroke, in pixels of 28
    size: tuple[float, float] = (17.0, 24.0)  # longest side before bending, in pixels
    rotation: float = 12.5  # degrees
    shear: float = 0.22
    stretch: float = 0.18  # log of the ratio of the axes
    elastic: float = 1.9  # pixels, at the knots of a 4x4 grid
    shift: float = 2.3  # pixels off the centre


PEN = Pen()

# From values at 4 knots to a smooth curve along an edge of the board.
_SPLINE = np.stack([ndimage.zoom(k, BOARD / 4, order=3, mode="nearest", grid_mode=True) for k in np.eye(4)], axis=1)


@dataclass(frozen=True)
class Outline:
    """A letter on the board, the width in pixels of its finest stroke, and how many pieces and open holes it has."""

    drawn: Strokes
    fine: float
    pieces: int
    holes: int


def character(script: str, codepoint: int, faces: list[Path], pen: Pen = PEN) -> UInt8[np.ndarray, "samples 28 28"]:
    """All samples of a character, one a face."""
    return np.stack([sample(script, codepoint, index, face, pen) for index, face in enumerate(faces)])


def sample(script: str, codepoint: int, index: int, face: Path, pen: Pen = PEN) -> UInt8[np.ndarray, "28 28"]:
    """Sample `index` of a character in one face, in multiples of 17: the first attempt whose ink is right.

    Raises DataError if there is none.
    """
    drawing = outline(chr(codepoint), face)
    for attempt in range(ATTEMPTS):
        key = f"{script}/{codepoint}/{index}/{attempt}".encode()
        seed = int.from_bytes(hashlib.sha256(key).digest()[:8], "big")
        strength = 1 - attempt / ATTEMPTS  # what is hard to draw is bent less and less
        image = ink_again(drawing, np.random.Generator(np.random.PCG64(seed)), pen, strength)
        if image is not None and ink_is_right(image) and keeps_its_shape(image, drawing, strength > 0.5):
            return image
    raise DataError(
        f"Expected a legible sample {index} of {script}/U+{codepoint:04X} from {face.name}. Got none in {ATTEMPTS} "
        "attempts. Weaken the pen's distortion, or leave the character out."
    )


def faces_in_turn(files: list[Path], rank: int) -> list[Path]:
    """The faces of the samples of a script's character number `rank`: it goes on where the character before it stopped.

    Steps of about 0.618 of the list, without a common divisor, visit every face before one comes again, and
    neighbours differ in family and weight.
    """
    count = len(files)
    step = next(s for s in range(max(1, round(count * 0.618)), 2 * count + 2) if math.gcd(s, count) == 1)
    return [files[(rank * SAMPLES + i) * step % count] for i in range(SAMPLES)]


def outline(char: str, face: Path) -> Outline:
    """The letter in one face, and what a pen has to respect in it. Raises DataError if the face draws nothing."""
    drawn = strokes(char, face)
    if drawn is None:
        raise DataError(f"{face.name} draws nothing for U+{ord(char):04X}. Expected a letter; leave the character out.")
    distance = drawn.distance[drawn.covers]
    ink = distance > 0
    pieces, _ = pieces_and_holes(ink)
    holes, count = ndimage.label(ndimage.binary_fill_holes(ink) & ~ink)
    depths = ndimage.maximum(-distance, holes, range(1, count + 1)) if count else []
    thin = 0.5  # how far the ink can shrink before it falls apart or loses a dot
    while thin < 4 * SCALE and pieces_and_holes(distance > thin + 0.5)[0] == pieces:
        thin += 0.5
    return Outline(drawn, 2 * thin / SCALE, pieces, sum(bool(depth >= OPEN / 2 * SCALE) for depth in depths))


def ink_again(
    drawing: Outline, rng: np.random.Generator, pen: Pen = PEN, strength: float = 1.0
) -> UInt8[np.ndarray, "28 28"] | None:
    """The drawing bent and inked by a pen, both as `rng` decides; None where it would not fit."""

    def spread(most: float) -> float:
        return strength * most * (2 * rng.random() - 1)

    angle, shear, ratio = math.radians(spread(pen.rotation)), spread(pen.shear), math.exp(spread(pen.stretch) / 2)
    low, high = pen.size
    zoom = (low + (high - low) * rng.random()) / 20
    low, high = pen.width
    target = low + (high - low) * rng.random()
    knots = (2 * rng.random((2, 4, 4)) - 1) * strength * pen.elastic * SCALE
    shift = (spread(pen.shift), spread(pen.shift))

    # From a point of the bent board back to the drawing: turn, shear, stretch, then the elastic bend.
    cos, sin = math.cos(angle), math.sin(angle)
    turn, slant = np.array([[cos, -sin], [sin, cos]]), np.array([[1.0, 0.0], [shear, 1.0]])
    matrix = turn @ slant @ np.diag([ratio, 1 / ratio]) / zoom
    axis = np.arange(BOARD) - (BOARD - 1) / 2
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"))
    bend = _SPLINE @ knots @ _SPLINE.T
    source = np.tensordot(matrix, grid, 1) + bend + (BOARD - 1) / 2
    bent = ndimage.map_coordinates(drawing.drawn.distance, source, order=1, mode="nearest") * zoom

    # The pen: its width, but not so broad that the letter's gaps fill, nor so thin that fine strokes break.
    broadest = (drawing.drawn.gap * zoom - 1.0) / 2
    thinnest = (FINEST - drawing.fine * zoom) / 2
    grow = max(min((target - drawing.drawn.stroke * zoom) / 2, broadest), thinnest)
    ink = np.clip(bent + grow * SCALE + 0.5, 0, 1)

    rows, columns = np.flatnonzero(ink.max(1) > 0.5), np.flatnonzero(ink.max(0) > 0.5)
    if not len(rows) or not len(columns):
        return None
    edges = []
    for span, off in ((rows, shift[0]), (columns, shift[1])):
        length = (span[-1] - span[0] + 1) / SCALE
        room = (SIDE - length) / 2 - 1  # one clear pixel to each side
        if room < 0:
            return None
        centre = (span[0] + span[-1] + 1) / 2
        edges.append(round(centre + max(-room, min(room, off)) * SCALE - SIDE * SCALE / 2))
    window = SIDE * SCALE
    top, left = edges
    if min(edges) < 0 or max(edges) + window > BOARD:
        return None
    small = ink[top : top + window, left : left + window].reshape(SIDE, SCALE, SIDE, SCALE).mean((1, 3))
    return (np.floor(small * (LEVELS - 1) + 0.5) * 17).astype(np.uint8)


def ink_is_right(image: UInt8[np.ndarray, "28 28"]) -> bool:
    """Enough ink to read, not a blob, nothing cut off at the border."""
    ink = image / 255
    border = max(ink[0].max(), ink[-1].max(), ink[:, 0].max(), ink[:, -1].max())
    thickest = ndimage.distance_transform_edt(np.pad(ink > 0.5, 1)).max()
    return bool(0.02 <= ink.mean() <= 0.35 and ink.max() >= 0.8 and border <= 0.5 and thickest <= 4.5)


def keeps_its_shape(image: UInt8[np.ndarray, "h w"], drawing: Outline, holes_too: bool = True) -> bool:
    """No stroke broken (not more pieces than the face draws), and at least half of its open holes still open."""
    pieces, holes = pieces_and_holes(image > 100)
    return 1 <= pieces <= drawing.pieces and (2 * holes >= drawing.holes or not holes_too)


def pieces_and_holes(ink: Bool[np.ndarray, "h w"]) -> tuple[int, int]:
    """Connected pieces of ink (8 neighbours), and of paper that it encloses (4 neighbours)."""
    _, pieces = ndimage.label(ink, np.ones((3, 3)))
    _, papers = ndimage.label(~np.pad(ink, 1))
    return pieces, papers - 1  # the paper around the letter is no hole
