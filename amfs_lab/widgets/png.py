"""Images of many cells as PNG. A move of a slider then sends a short string, and not ten thousand numbers."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from amfs_lab.widgets.style import INK


def picture(cells: UInt8[np.ndarray, "rows columns"], palette: Sequence[str]) -> str:
    """A PNG of the cells as a data URI. Row 0 is on top.

    The colour of the cell (row, column) is `palette[cells[row, column]]`. The palette has colours "#RRGGBB".
    """
    image, file = Image.fromarray(cells), io.BytesIO()
    image.putpalette(bytes.fromhex("".join(color[1:] for color in palette)))
    image.save(file, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def blend(stops: Sequence[Sequence[Any]], n: int) -> tuple[str, ...]:
    """A palette of `n` colours, by linear interpolation between neighbouring stops (share, "#RRGGBB")."""
    rgb = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for _, color in stops])
    mixed = [np.interp(np.linspace(0, 1, n), [share for share, _ in stops], channel) for channel in rgb.T]
    return tuple("#{:02X}{:02X}{:02X}".format(*color) for color in np.stack(mixed, 1).round().astype(int))


PAPER = blend([[0.0, "#FFFFFF"], [1.0, INK]], 16)


def greys(image: Float[Tensor, "rows columns"]) -> UInt8[np.ndarray, "rows columns"]:
    """An image of a character (0 is paper, 1 is ink) as indices into the palette PAPER.

    The palette has 16 levels, because the glyphs have 16 grey levels.
    """
    cells: np.ndarray = (15 * image).round().to(torch.uint8).numpy()
    return cells


def print_of(image: Float[Tensor, "rows columns"]) -> str:
    """A PNG data URI of the image of a character."""
    return picture(greys(image), PAPER)
