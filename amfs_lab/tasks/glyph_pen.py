"""One sample of one character: a face, a pen, a bend. A pure function of (script, code point, sample).

The letter is drawn large, turned into its signed distance to the ink's edge, bent (affine and elastic), and inked again
at the width of the sample's pen; then it is reduced to 28x28 and to 16 grey levels.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from amfs_lab.errors import DataError
from amfs_lab.tasks.glyph_select import draw
from amfs_lab.tasks.glyphs import LEVELS, SAMPLES, SIDE

SCALE = 4  # the drawing board has 4x4 points a pixel
BOARD = 44 * SCALE
ATTEMPTS = 60


@dataclass(frozen=True)
class Pen:
    """How strongly samples are distorted; every number is the largest of a uniform draw (`width` and `size` are ranges)."""

    width: tuple[float, float] = (1.5, 2.9)  # stroke, in pixels of 28
    size: tuple[float, float] = (17.0, 24.0)  # longest side before bending, in pixels
    rotation: float = 12.0  # degrees
    shear: float = 0.22
    stretch: float = 0.18  # log of the ratio of the axes
    elastic: float = 1.8  # pixels, at the knots of a 4x4 grid
    shift: float = 2.2  # pixels off the centre


PEN = Pen()


@dataclass(frozen=True)
class Outline:
    """Signed distance to the edge of the ink (board points, positive inside); widths in pixels: usual and fine strokes, narrow gaps."""

    distance: np.ndarray
    stroke: float
    fine: float
    gap: float


def sample(
    script: str, codepoint: int, index: int, files: list[Path], pen: Pen = PEN
) -> np.ndarray:
    """Sample `index` of a character, uint8 (28, 28) in multiples of 17; faces are taken in turn from a start that the character decides.

    Raises DataError if no attempt gives a sample whose ink is right.
    """
    start = int.from_bytes(_digest(script, codepoint, "faces")[:4], "big")
    face = files[order(len(files))[(start + index) % len(files)]]
    drawing = outline(chr(codepoint), face)
    for attempt in range(ATTEMPTS):
        rng = np.random.Generator(np.random.PCG64(_seed(script, codepoint, index, attempt)))
        image = ink_again(drawing, rng, pen)
        if image is not None and ink_is_right(image):
            return image
    raise DataError(
        f"Expected a legible sample {index} of {script}/U+{codepoint:04X} from {face.name}. Got none in {ATTEMPTS} attempts. "
        "Weaken the pen's distortion, or leave the character out."
    )


def order(count: int) -> list[int]:
    """The order in which `count` faces are taken: steps of about 0.618 of the list, so that neighbours differ in family and weight."""
    step = next(s for s in range(max(1, round(count * 0.618)), 2 * count + 2) if math.gcd(s, count) == 1)
    return [i * step % count for i in range(count)]


def outline(char: str, face: Path) -> Outline:
    """The letter in one face, longest side 20 pixels, in the middle of the board."""
    ink = draw(char, face, 20 * SCALE) > 127
    height, width = ink.shape
    board = np.zeros((BOARD, BOARD), bool)
    top, left = (BOARD - height) // 2, (BOARD - width) // 2
    board[top : top + height, left : left + width] = ink
    inside, outside = ndimage.distance_transform_edt(board), ndimage.distance_transform_edt(~board)
    strokes = 2 * inside[(inside > 1) & (inside == ndimage.maximum_filter(inside, 5))] / SCALE
    within = (slice(top, top + height), slice(left, left + width))
    ridge = (outside > 1) & (outside == ndimage.maximum_filter(outside, 5))
    gaps = 2 * outside[within][ridge[within]] / SCALE
    return Outline(
        inside - outside,
        float(np.median(strokes)) if len(strokes) else 1.0,
        float(np.quantile(strokes, 0.15)) if len(strokes) else 1.0,
        float(np.quantile(gaps, 0.15)) if len(gaps) else SIDE,
    )


def ink_again(drawing: Outline, rng: np.random.Generator, pen: Pen = PEN) -> np.ndarray | None:
    """The drawing bent and inked by a pen, both as `rng` decides: uint8 (28, 28), or None where it would not fit."""

    def spread(most: float) -> float:
        return most * (2 * rng.random() - 1)

    angle, shear, ratio = math.radians(spread(pen.rotation)), spread(pen.shear), math.exp(spread(pen.stretch) / 2)
    low, high = pen.size
    zoom = (low + (high - low) * rng.random()) / 20
    low, high = pen.width
    target = low + (high - low) * rng.random()
    knots = (2 * rng.random((2, 4, 4)) - 1) * pen.elastic * SCALE
    shift = (spread(pen.shift), spread(pen.shift))

    # From a point of the bent board back to the drawing: turn, shear, stretch, then the elastic bend.
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1.0, 0.0], [shear, 1.0]]) @ np.diag([ratio, 1 / ratio]) / zoom
    axis = np.arange(BOARD) - (BOARD - 1) / 2
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"))
    bend = np.stack([ndimage.zoom(k, BOARD / 4, order=3, mode="nearest", grid_mode=True) for k in knots])
    source = np.tensordot(matrix, grid, 1) + bend + (BOARD - 1) / 2
    bent = ndimage.map_coordinates(drawing.distance, source, order=1, mode="nearest") * zoom

    # The pen: its width, but never so thin that fine strokes break, nor so broad that the letter's gaps fill.
    most = (drawing.gap * zoom - 1.0) / 2
    grow = max(min((target - drawing.stroke * zoom) / 2, most), -0.3 * drawing.fine * zoom)
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


def ink_is_right(image: np.ndarray) -> bool:
    """Enough ink to read, not a blob, nothing cut off at the border."""
    ink = image / 255
    border = np.concatenate([ink[0], ink[-1], ink[1:-1, 0], ink[1:-1, -1]])
    return 0.02 <= ink.mean() <= 0.35 and border.max() <= 0.5 and ink.max() >= 0.8 and not _blob(ink)


def _blob(ink: np.ndarray) -> bool:
    """Ink so thick that a disc of 7 pixels across fits into it in many places."""
    return bool((ndimage.distance_transform_edt(ink > 0.5) > 4.5).any())


def _digest(*key: object) -> bytes:
    return hashlib.sha256("/".join(map(str, key)).encode()).digest()


def _seed(script: str, codepoint: int, index: int, attempt: int) -> int:
    return int.from_bytes(_digest(script, codepoint, index, attempt)[:8], "big")


def character(script: str, codepoint: int, files: list[Path], pen: Pen = PEN) -> np.ndarray:
    """All samples of a character, uint8 (20, 28, 28)."""
    return np.stack([sample(script, codepoint, index, files, pen) for index in range(SAMPLES)])
