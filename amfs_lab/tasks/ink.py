"""Converts images of drawings on paper to the form of the training images: bright ink on black.

In training images, the background is black and the character fills the image. A photograph of a sheet has grey paper,
shadows, and a small character at any position. So it is not enough to invert the photograph: this module also removes
the shadows, stretches the contrast, and crops and centres the drawing.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from scipy import ndimage

MARGIN = 0.1  # empty border, as a share of the drawing's longer side
LONGEST = 512  # pixels of the longer side: larger photographs are first reduced to this
COARSE = 64  # pixels on each side of the copy from which the paper's brightness is estimated
LEAST_CONTRAST = 0.12  # share of the paper's brightness: a smaller contrast is noise of the paper, not ink
SPECK = 0.01  # share of all ink: smaller connected parts count as dust
MIDDLE = 0.5
BLACK = 48  # of 255: the brightest median of a black background
DARKEST = 32  # of 255: the noise of darker paper would count as ink


class Ink(NamedTuple):
    """A drawing in the form of the training images, and flags for possible problems.

    `light_on_dark`: the image already had bright ink on dark paper. `at_edge`: ink touches the edge of the image.
    `blank`: there is no ink.
    """

    pixels: UInt8[np.ndarray, "size size"]
    light_on_dark: bool = False
    at_edge: bool = False
    blank: bool = False


def extract_ink(image: Any, size: int) -> Ink:
    """The ink of a Pillow image in mode L as a square of grey levels.

    The image may show dark ink on light paper, or chalk on a dark board. A pixel of brightness b becomes 1 - b / p,
    where p is the brightness of the paper around the pixel. Otsu's threshold (1979) separates ink from paper. Paper
    becomes 0, and the median of the ink becomes 255. The bounding box of the ink is centred with a `MARGIN`.
    """
    from PIL import Image, ImageOps

    if max(image.size) > LONGEST:
        image = image.copy()
        image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    coarse = np.asarray(image.resize((COARSE, COARSE), Image.Resampling.BOX), np.float32)
    light_on_dark = _light_on_dark(coarse)
    if light_on_dark:
        image, coarse = ImageOps.invert(image), 255 - coarse
    grey = np.asarray(image, np.float32)
    paper = _paper(coarse, image.size)
    darkness = ((paper - grey) / np.maximum(paper, DARKEST)).clip(0, 1)
    threshold = _otsu(darkness)
    dark = darkness > threshold
    blank = Ink(np.zeros((size, size), np.uint8), light_on_dark, blank=True)
    if not dark.any():
        return blank
    rest = darkness[~dark]
    low, high = float(np.median(rest) + 2 * rest.std()), float(np.median(darkness[dark]))
    if high - float(np.median(rest)) < LEAST_CONTRAST or high <= low:
        return blank
    ink = _without_specks(((darkness - low) / (high - low)).clip(0, 1))
    strong = ink > MIDDLE
    if not strong.any():  # only specks, as in a noisy photograph
        return blank
    at_edge = bool(strong[0].any() or strong[-1].any() or strong[:, 0].any() or strong[:, -1].any())
    whole = Image.fromarray((_centred(ink, strong) * 255).astype(np.uint8))
    pixels = np.asarray(whole.resize((size, size), Image.Resampling.LANCZOS))
    return Ink(pixels, light_on_dark, at_edge)


def has_black_paper(pixels: UInt8[np.ndarray, "h w"]) -> bool:
    """True if the background is black: the median grey level is nearly black."""
    return bool(np.median(pixels) <= BLACK)


def _light_on_dark(coarse: Float[np.ndarray, "c c"]) -> bool:
    """True if the strokes are brighter than the paper. The brightness of the paper is the median in a wide window."""
    around = ndimage.median_filter(coarse, size=COARSE // 2 + 1, mode="nearest")
    low, high = np.percentile(coarse - around, [1, 99])
    return bool(high > 1.5 * -low and high > LEAST_CONTRAST * 255)


def _paper(coarse: Float[np.ndarray, "c c"], size: tuple[int, int]) -> Float[np.ndarray, "h w"]:
    """The brightness of the paper at each pixel: a high percentile in a wide window, then smoothed."""
    from PIL import Image

    around = ndimage.percentile_filter(coarse, 80, size=COARSE // 2 + 1, mode="nearest")
    smooth = ndimage.gaussian_filter(around, COARSE / 8, mode="nearest").astype(np.float32)
    return np.asarray(Image.fromarray(smooth).resize(size, Image.Resampling.BILINEAR))


def _otsu(values: Float[np.ndarray, "h w"]) -> float:
    """Otsu's threshold: it maximises the variance between the values below and above the threshold."""
    counts, edges = np.histogram(values, 128, (0.0, 1.0))
    middles = (edges[:-1] + edges[1:]) / 2
    below, moment = counts.cumsum()[:-1], (counts * middles).cumsum()
    total, whole = counts.sum(), moment[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (whole * below / total - moment[:-1]) ** 2 / (below * (total - below))
    return float(edges[1:-1][int(np.nanargmax(np.nan_to_num(between, nan=-1.0)))])


def _without_specks(ink: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """The ink without small connected parts, which are dust."""
    parts, number = ndimage.label(ink > MIDDLE, structure=np.ones((3, 3)))
    if number < 2:
        return ink
    areas = np.bincount(parts.ravel())[1:]
    small = 1 + np.flatnonzero(areas < SPECK * areas.sum())
    return np.where(ndimage.binary_dilation(np.isin(parts, small), iterations=2), 0, ink) if len(small) else ink


def _centred(ink: Float[np.ndarray, "h w"], strong: np.ndarray) -> Float[np.ndarray, "s s"]:
    """The part of `ink` in the bounding box of the strong ink, centred in a square with a margin.

    The argument `strong` is True at the pixels with strong ink.
    """
    (box,) = ndimage.find_objects(strong.astype(int))
    cut = ink[box]
    side = max(cut.shape)
    side += 2 * max(1, round(MARGIN * side))
    spare = [(side - length) // 2 for length in cut.shape]
    return np.pad(cut, [(half, side - length - half) for half, length in zip(spare, cut.shape, strict=True)])
