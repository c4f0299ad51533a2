"""Many cells as one small picture: a string instead of ten thousand numbers on every move of a slider."""

import base64
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from amfs_lab.widgets.style import INK


def picture(cells: UInt8[np.ndarray, "rows columns"], palette: Sequence[str]) -> str:
    """A PNG as a data URI: cell (row, column) in the colour `palette[cells[row, column]]`, "#RRGGBB", row 0 on top."""
    rows, columns = cells.shape
    lines = np.zeros((rows, columns + 1), np.uint8)  # each line begins with its filter, 0 for none
    lines[:, 1:] = cells
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),  # 8 bits, by palette
        (b"PLTE", b"".join(bytes.fromhex(color[1:]) for color in palette)),
        (b"IDAT", zlib.compress(lines.tobytes(), 1)),
        (b"IEND", b""),
    )
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return "data:image/png;base64," + base64.b64encode(png).decode()


def blend(stops: Sequence[Sequence[Any]], n: int) -> tuple[str, ...]:
    """A palette of `n` colours, from the first stop (share, "#RRGGBB") to the last, straight between neighbours."""
    rgb = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for _, color in stops])
    mixed = [np.interp(np.linspace(0, 1, n), [share for share, _ in stops], channel) for channel in rgb.T]
    return tuple("#{:02X}{:02X}{:02X}".format(*color) for color in np.stack(mixed, 1).round().astype(int))


PAPER = blend([[0.0, "#FFFFFF"], [1.0, INK]], 16)


def greys(image: Float[Tensor, "rows columns"]) -> UInt8[np.ndarray, "rows columns"]:
    """An image of a character, 0 for paper and 1 for ink, as cells of PAPER: the glyphs have no more levels."""
    cells: np.ndarray = (15 * image).round().to(torch.uint8).numpy()
    return cells


def print_of(image: Float[Tensor, "rows columns"]) -> str:
    """An image of a character as a picture."""
    return picture(greys(image), PAPER)
