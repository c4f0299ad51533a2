"""A drawing as strokes, and its image in the format of the glyphs: 28x28 pixels, bright ink."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.errors import ConfigError

SIDE, LEVELS = 28, 16  # pixels per side and grey levels; the same as the glyphs (tested)
# Middle of the glyphs' ranges: pen width 1.5 to 2.9 pixels, longest side 17 to 24 (`data/glyph_builder/pen.py`).
PEN, SIZE = 2.2, 20.0
MAGNIFIED = 3.0  # largest enlargement: a drawing smaller than a third of the sheet stays small, so a dot stays a dot
STEP = 0.25  # pixels between the samples of a stroke; the error of a distance at the edge of the ink is at most 0.03
REACH = 2  # pixels: the largest offset between the pixel of a sample and a pixel that its ink reaches
MOST = 20_000  # points of one drawing

Point = tuple[float, float]
Strokes = tuple[tuple[Point, ...], ...]


def checked(value: Any) -> Strokes:
    """The strokes as tuples. A stroke is a tuple of points (x, y) in [0, 1]. x points to the right and y down.

    Raises:
        ConfigError: any other value, or too many points for a drawing by hand.
    """
    try:
        strokes = tuple(tuple((float(x), float(y)) for x, y in stroke) for stroke in value)
    except (TypeError, ValueError):
        strokes = ((),)
    if not all(stroke and all(0 <= z <= 1 for point in stroke for z in point) for stroke in strokes):
        raise ConfigError(
            "A drawing must be a list of strokes. A stroke is a list of points (x, y) between 0 and 1. "
            f"Got {_shown(value)}. An empty list is blank paper."
        )
    if (points := sum(map(len, strokes))) > MOST:
        raise ConfigError(f"A drawing must have at most {MOST} points. Got {points}. Press Clear and draw less.")
    return strokes


@lru_cache(maxsize=64)
def render(strokes: Strokes) -> Float[Tensor, "28 28"]:
    """The image of a drawing: centred, at the size of a glyph, with a round pen. Its grey levels are 0, 1/15, ..., 1.

    The ink of a pixel is clip(1/2 + PEN/2 - d, 0, 1), where d is the distance in pixels from the centre of the pixel to
    the nearest stroke. The position of the letter on the sheet does not matter. Its size does not matter either, except
    for very small drawings (see `placed`). Without strokes, the image has no ink.
    """
    if not strokes:
        return torch.zeros(SIDE, SIDE)
    d = distances(np.concatenate([along(line) for line in placed(strokes)]))
    ink = np.clip(0.5 + PEN / 2 - d, 0, 1).astype(np.float32)
    return torch.from_numpy(np.floor(ink * (LEVELS - 1) + 0.5) / (LEVELS - 1))


def placed(strokes: Strokes) -> list[Float[np.ndarray, "p 2"]]:
    """The strokes in pixels of the image, centred, and scaled so that the longest side of the ink is `SIZE`.

    The enlargement is limited by `MAGNIFIED`, so a very small drawing stays smaller.
    """
    lines = [np.array(stroke) for stroke in strokes]
    points = np.concatenate(lines)
    low, high = points.min(0), points.max(0)
    zoom = min((SIZE - PEN) / max((high - low).max(), 1e-9), MAGNIFIED * SIZE)
    return [(line - (low + high) / 2) * zoom + SIDE / 2 for line in lines]


def along(line: Float[np.ndarray, "p 2"]) -> Float[np.ndarray, "s 2"]:
    """Samples along a line, at most `STEP` apart, including both ends of the line."""
    way = np.concatenate([[0.0], np.hypot(*np.diff(line, axis=0).T).cumsum()])
    at = np.linspace(0, way[-1], 1 + int(np.ceil(way[-1] / STEP)))
    return np.stack([np.interp(at, way, line[:, axis]) for axis in (0, 1)], -1)


def distances(places: Float[np.ndarray, "s 2"]) -> Float[np.ndarray, "28 28"]:
    """The distance from the centre of each pixel to the nearest sample; may be infinite above `REACH` + 1/2."""
    offsets = np.stack(np.meshgrid(*[np.arange(-REACH, REACH + 1)] * 2), -1).reshape(1, -1, 2)
    pixels = np.floor(places).astype(int)[:, None] + offsets  # all pixels that a sample can ink
    squared = ((pixels + 0.5 - places[:, None]) ** 2).sum(-1)
    nearest = np.full((SIDE, SIDE), np.inf)
    np.minimum.at(nearest, (pixels[..., 1], pixels[..., 0]), squared)
    return np.sqrt(nearest)


def _shown(value: Any, most: int = 60) -> str:
    words = repr(value)
    return words if len(words) <= most else words[:most] + "..."
