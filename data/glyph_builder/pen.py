"""Rendering of one sample of a character: a pure function of (script, code point, sample number).

The letter is drawn large and converted to its signed distance to the edge of the ink. It is distorted (affine and
elastic) and inked again at the width of the sample's pen. Then it is reduced to 28x28 pixels and 16 grey levels.
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
FINEST = 1.2  # pixels: the smallest stroke width of a sample
OPEN = 1.5  # pixels: the smallest width of a hole that is counted


@dataclass(frozen=True)
class Pen:
    """Strength of the distortion of samples: ranges of uniform random numbers.

    A single number r means the range from -r to r.
    """

    width: tuple[float, float] = (1.5, 2.9)  # stroke width, in pixels of the 28x28 image
    size: tuple[float, float] = (17.0, 24.0)  # longest side before bending, in pixels
    rotation: float = 12.5  # degrees
    shear: float = 0.22
    stretch: float = 0.18  # log of the ratio of the axes
    elastic: float = 1.9  # pixels, at the knots of a 4x4 grid
    shift: float = 2.3  # pixels off the centre


PEN = Pen()

# A matrix that interpolates values at 4 knots to a smooth curve along an edge of the board.
_SPLINE = np.stack([ndimage.zoom(k, BOARD / 4, order=3, mode="nearest", grid_mode=True) for k in np.eye(4)], axis=1)


@dataclass(frozen=True)
class Outline:
    """A letter on the board.

    `fine`: width of its finest stroke, in pixels. `pieces`, `holes`: numbers of connected pieces and of open holes.
    """

    drawn: Strokes
    fine: float
    pieces: int
    holes: int


def character(script: str, codepoint: int, faces: list[Path], pen: Pen = PEN) -> UInt8[np.ndarray, "samples 28 28"]:
    """All samples of a character, one sample for each face in `faces`."""
    return np.stack([sample(script, codepoint, index, face, pen) for index, face in enumerate(faces)])


def sample(script: str, codepoint: int, index: int, face: Path, pen: Pen = PEN) -> UInt8[np.ndarray, "28 28"]:
    """Sample `index` of a character in one face, with grey levels in multiples of 17.

    It is the first legible attempt. Raises DataError if no attempt is legible.
    """
    drawing = outline(chr(codepoint), face)
    for attempt in range(ATTEMPTS):
        key = f"{script}/{codepoint}/{index}/{attempt}".encode()
        seed = int.from_bytes(hashlib.sha256(key).digest()[:8], "big")
        strength = 1 - attempt / ATTEMPTS  # each attempt distorts less than the one before
        image = ink_again(drawing, np.random.Generator(np.random.PCG64(seed)), pen, strength)
        if image is not None and ink_is_right(image) and keeps_its_shape(image, drawing, strength > 0.5):
            return image
    raise DataError(
        f"Expected a legible sample {index} of {script}/U+{codepoint:04X} from {face.name}. Got none in {ATTEMPTS} "
        "attempts. Weaken the distortion in `Pen`, or leave the character out."
    )


def faces_in_turn(files: list[Path], rank: int) -> list[Path]:
    """The faces for the samples of character number `rank` of a script. The order continues from the character before.

    The step between two faces is about 0.618 of the number of faces, and it has no common divisor with this number. So
    every face is used before one repeats, and successive samples differ in family and weight.
    """
    count = len(files)
    step = next(s for s in range(max(1, round(count * 0.618)), 2 * count + 2) if math.gcd(s, count) == 1)
    return [files[(rank * SAMPLES + i) * step % count] for i in range(SAMPLES)]


def outline(char: str, face: Path) -> Outline:
    """The outline of a letter in one face. Raises DataError if the face draws nothing."""
    drawn = strokes(char, face)
    if drawn is None:
        raise DataError(f"{face.name} must draw U+{ord(char):04X}. Got an empty image. Leave the character out.")
    distance = drawn.distance[drawn.covers]
    ink = distance > 0
    pieces, _ = pieces_and_holes(ink)
    holes, count = ndimage.label(ndimage.binary_fill_holes(ink) & ~ink)
    depths = ndimage.maximum(-distance, holes, range(1, count + 1)) if count else []
    thin = 0.5  # points by which the ink can shrink before a stroke breaks or a dot disappears
    while thin < 4 * SCALE and pieces_and_holes(distance > thin + 0.5)[0] == pieces:
        thin += 0.5
    return Outline(drawn, 2 * thin / SCALE, pieces, sum(bool(depth >= OPEN / 2 * SCALE) for depth in depths))


def ink_again(
    drawing: Outline, rng: np.random.Generator, pen: Pen = PEN, strength: float = 1.0
) -> UInt8[np.ndarray, "28 28"] | None:
    """The drawing, distorted and inked again with random numbers from `rng`. None if it does not fit into the image."""

    def spread(most: float) -> float:
        return strength * most * (2 * rng.random() - 1)

    angle, shear, ratio = math.radians(spread(pen.rotation)), spread(pen.shear), math.exp(spread(pen.stretch) / 2)
    low, high = pen.size
    zoom = (low + (high - low) * rng.random()) / 20
    low, high = pen.width
    target = low + (high - low) * rng.random()
    knots = (2 * rng.random((2, 4, 4)) - 1) * strength * pen.elastic * SCALE
    shift = (spread(pen.shift), spread(pen.shift))

    # Maps a point of the distorted board to the drawing: rotation, shear, stretch, then elastic displacement.
    cos, sin = math.cos(angle), math.sin(angle)
    turn, slant = np.array([[cos, -sin], [sin, cos]]), np.array([[1.0, 0.0], [shear, 1.0]])
    matrix = turn @ slant @ np.diag([ratio, 1 / ratio]) / zoom
    axis = np.arange(BOARD) - (BOARD - 1) / 2
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"))
    bend = _SPLINE @ knots @ _SPLINE.T
    source = np.tensordot(matrix, grid, 1) + bend + (BOARD - 1) / 2
    bent = ndimage.map_coordinates(drawing.drawn.distance, source, order=1, mode="nearest") * zoom

    # The stroke width, limited so that gaps do not fill and fine strokes do not break.
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
        room = (SIDE - length) / 2 - 1  # one empty pixel on each side
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
    """True if the image has enough ink, is not a blob, and is not cut off at the border."""
    ink = image / 255
    border = max(ink[0].max(), ink[-1].max(), ink[:, 0].max(), ink[:, -1].max())
    thickest = ndimage.distance_transform_edt(np.pad(ink > 0.5, 1)).max()
    return bool(0.02 <= ink.mean() <= 0.35 and ink.max() >= 0.8 and border <= 0.5 and thickest <= 4.5)


def keeps_its_shape(image: UInt8[np.ndarray, "h w"], drawing: Outline, holes_too: bool = True) -> bool:
    """True if no stroke is broken (no more pieces than in the face) and at least half of the holes are still open."""
    pieces, holes = pieces_and_holes(image > 100)
    return 1 <= pieces <= drawing.pieces and (2 * holes >= drawing.holes or not holes_too)


def pieces_and_holes(ink: Bool[np.ndarray, "h w"]) -> tuple[int, int]:
    """Numbers of connected pieces of ink (8 neighbours) and of enclosed holes (4 neighbours)."""
    _, pieces = ndimage.label(ink, np.ones((3, 3)))
    _, papers = ndimage.label(~np.pad(ink, 1))
    return pieces, papers - 1  # the background around the letter is not a hole
