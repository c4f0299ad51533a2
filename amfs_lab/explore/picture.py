"""A map of classes as one small picture: a string instead of ten thousand numbers on every move of a slider."""

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8


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
