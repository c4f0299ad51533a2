"""Comparison of characters by shape: similar letters, rotations and bare bars.

Drawings are normalised (one size, one stroke width, centred, slightly blurred), and their pixels are integers. All sums
below are exact. So a comparison has the same result on every machine with the same fonts.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

LOOK_ALIKE = 0.90  # from this cosine similarity (maximum over shifts) on, two drawings have the same shape
BAR = 0.20  # largest width / length (by second moments) of a bare bar
DOT = 6  # pixels: a drawing that contains a solid square with sides of this length is a dot
STROKE = 2.0  # pixels: stroke width of a normalised drawing
SIDE, SHIFT = 24, 1  # pixels: width and height of a normalised drawing, and largest shift in a comparison
SCALE = 4  # points of the board for each pixel, along each axis; letters are drawn on the board
BOARD = 36 * SCALE


def draw(char: str, face: Path, longest: int) -> UInt8[np.ndarray, "h w"]:
    """The cropped character in basic layout (255 = ink), about `longest` pixels along its longest side, or empty."""
    font = ImageFont.truetype(str(face), 100, layout_engine=ImageFont.Layout.BASIC)
    probe = _ink(char, font)
    return _ink(char, font.font_variant(size=max(8, round(100 * longest / max(probe.shape))))) if probe.size else probe


def _ink(char: str, font: ImageFont.FreeTypeFont) -> np.ndarray:
    left, top, right, bottom = font.getbbox(char)  # of ink and advance width together
    image = Image.new("L", (int(right - left) + 8, int(bottom - top) + 8))
    ImageDraw.Draw(image).text((4 - left, 4 - top), char, fill=255, font=font)
    ink = np.asarray(image)
    rows, columns = np.flatnonzero(ink.max(1) > 64), np.flatnonzero(ink.max(0) > 64)
    if not len(rows):
        return np.zeros((0, 0), np.uint8)
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@dataclass(frozen=True)
class Strokes:
    """A letter on a board, which is an image of high resolution.

    `distance`: signed distance to the edge of the ink, in points, positive inside. `covers`: rows and columns of the
    board that the letter covers. `stroke`, `gap`: widths in pixels of its usual strokes and of its narrow gaps.
    """

    distance: Float64[np.ndarray, "board board"]
    covers: tuple[slice, slice]
    stroke: float
    gap: float


def strokes(char: str, face: Path) -> Strokes | None:
    """The letter in one face, centred on the board, longest side 20 pixels. None if the face draws nothing."""
    ink = draw(char, face, 20 * SCALE) > 64  # a low threshold, for hairlines
    if not ink.any():
        return None
    height, width = ink.shape
    top, left = (BOARD - height) // 2, (BOARD - width) // 2
    covers = (slice(top, top + height), slice(left, left + width))
    board = np.zeros((BOARD, BOARD), bool)
    board[covers] = ink
    inside, outside = ndimage.distance_transform_edt(board), ndimage.distance_transform_edt(~board)
    ridges = 2 * inside[board & (inside == ndimage.maximum_filter(inside, 5))] / SCALE
    valleys = (outside > 1) & (outside == ndimage.maximum_filter(outside, 5))
    gaps = 2 * outside[covers][valleys[covers]] / SCALE
    return Strokes(
        inside - outside,
        covers,
        float(np.median(ridges)),
        float(np.quantile(gaps, 0.15)) if len(gaps) else float(SIDE),
    )


def normalised(char: str, face: Path) -> Int64[np.ndarray, "24 24"]:
    """The blurred letter at one size and, if its gaps allow, one stroke width. Zeros if the face draws nothing."""
    drawn = strokes(char, face)
    if drawn is None:
        return np.zeros((SIDE, SIDE), np.int64)
    grow = max(min((STROKE - drawn.stroke) / 2, (drawn.gap - 1) / 2), -0.25 * drawn.stroke)
    edge = (BOARD - SIDE * SCALE) // 2
    ink = (drawn.distance > -grow * SCALE)[edge : BOARD - edge, edge : BOARD - edge]
    small = ink.reshape(SIDE, SCALE, SIDE, SCALE).sum((1, 3))
    for _ in range(2):  # binomial blur along each axis, exact in integers
        padded = np.pad(small, ((1, 1), (0, 0)))
        small = (padded[:-2] + 2 * padded[1:-1] + padded[2:]).T
    return small * 127 // (16 * SCALE * SCALE)


def is_plain(image: Int64[np.ndarray, "24 24"]) -> bool:
    """True for a dot or a bar. A bar's standard deviation across is below BAR times its standard deviation along."""
    if ndimage.minimum_filter(image, DOT).max() > 100:
        return True
    y, x = np.nonzero(image)
    weight = image[y, x]
    total = weight.sum()
    if not total:
        return False
    sy, sx = (weight * y).sum(), (weight * x).sum()  # integers: second moments times total^2
    yy = total * (weight * y * y).sum() - sy * sy
    xx = total * (weight * x * x).sum() - sx * sx
    xy = total * (weight * x * y).sum() - sx * sy
    mean, spread = (xx + yy) / 2, (((xx - yy) / 2) ** 2 + float(xy) ** 2) ** 0.5
    return bool(mean - spread < BAR**2 * (mean + spread))


def similarity(a: Int64[np.ndarray, "n 24 24"], b: Int64[np.ndarray, "m 24 24"]) -> Float64[np.ndarray, "n m"]:
    """Cosine similarity of normalised drawings, maximum over shifts. All sums are exact in float32."""

    def flat(images: np.ndarray, down: int, right: int) -> np.ndarray:
        margins = ((0, 0), (down, 2 * SHIFT - down), (right, 2 * SHIFT - right))
        return np.pad(images, margins).reshape(len(images), -1).astype(np.float32)

    fixed = flat(b, SHIFT, SHIFT).T
    steps = range(2 * SHIFT + 1)
    products = np.max([flat(a, down, right) @ fixed for down in steps for right in steps], axis=0)
    norms = [np.sqrt((images.astype(np.int64) ** 2).sum((1, 2))) for images in (a, b)]
    return products / np.maximum(norms[0][:, None] * norms[1], 1e-9)


def families_similarity(
    a: Int64[np.ndarray, "n f 24 24"], b: Int64[np.ndarray, "m g 24 24"]
) -> Float64[np.ndarray, "n m"]:
    """The largest `similarity` over all pairs of families, for characters drawn in f and in g families."""
    best = similarity(a.reshape(-1, SIDE, SIDE), b.reshape(-1, SIDE, SIDE))
    return best.reshape(len(a), a.shape[1], len(b), b.shape[1]).max((1, 3))
