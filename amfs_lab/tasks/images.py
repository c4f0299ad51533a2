"""Reads an image of any size and mode as a square of grey levels or colours. Pillow is imported at the first image."""

import contextlib
import io
import os
import re
import warnings
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from amfs_lab.errors import ConfigError, DataError
from amfs_lab.files import opened

HEIC_BRANDS = (b"heic", b"heim", b"heis", b"heix", b"hevc", b"hevx", b"mif1", b"msf1")  # bytes 8 to 12 of such a file
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # other formats, such as EPS, start programs
LONGEST, MOST_PIXELS = 30_000, 2**26  # limits of a side and of all pixels (8192 x 8192)
MOST_BYTES = 2**29
GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")  # modes without colour
SCANS = 200  # of a progressive JPEG; each goes over all its pixels, and ten scans are usual
PADDED = 1024  # largest side in pixels before padding
_MARKER = re.compile(b"\xff[^\x00\x01\xff\xd0-\xd8]")  # of a JPEG, where a segment begins or the image ends
Made = TypeVar("Made")


def read_image(path: Path | str, size: int = 28, ink: bool = False) -> UInt8[Tensor, "size size"]:
    """The image in a file as a square of grey levels. The arguments `size` and `ink` are those of `read_folder`.

    Raises DataError for a missing file, a folder, or a file that is not a readable image. Raises ConfigError for
    `size` < 1.
    """
    check_positive("size", size)
    return torch.from_numpy(read_square(Path(os.path.expanduser(path)), size, ink)[0].copy())


def read_square(path: Path, size: int, ink: bool) -> tuple[UInt8[np.ndarray, "size size"], bool]:
    """The image as a square of grey levels, and True if the file has further pages or frames. Raises DataError."""
    return _read(path, lambda image: squared(image, size, ink))


class Square(NamedTuple):
    """The function `squared` with fixed arguments. Call it with an open image.

    A call returns the square and two flags. The first flag is True for an unexpected mode. The second flag is True for
    an unexpected size, but always False with `oblong="crop"`.
    """

    size: int
    colour: bool = False
    oblong: str = "pad"

    def __call__(self, image: Any) -> tuple[UInt8[np.ndarray, "size size ..."], bool, bool]:
        modes = ("RGB",) if self.colour else ("1", "L")
        mode, size = image.mode not in modes, image.size != (self.size, self.size)
        # Cropped images usually have other sizes, so their size is not reported.
        return squared(image, self.size, False, self.colour, self.oblong), mode, size and self.oblong != "crop"


def read_as(make: Callable[[Any], Made], path: Path) -> tuple[Made, bool]:
    """The result of `make(image)` for the image in a file, and True if the file has further pages. Raises DataError.

    For example, `make` is a `Square`.
    """
    return _read(path, make)


def has_colour(path: Path) -> bool:
    """True if any pixel of the image in a file is not grey. Raises DataError."""
    return _read(path, lambda image: image.mode not in GREY and bool(np.ptp(_upright_rgb(image), axis=2).any()))[0]


def read_grey(path: Path | str) -> Any:
    """The image in a file, upright, in mode L and in its original size. Raises DataError, as `read_image` does."""
    return _read(Path(os.path.expanduser(path)), upright_grey)[0]


def squared(
    image: Any, size: int, ink: bool = False, colour: bool = False, oblong: str = "pad"
) -> UInt8[np.ndarray, "size size ..."]:
    """The upright image as a square: its grey levels (size size), or its colours (size size 3).

    Transparent pixels and the padding of an oblong image are white, or black with `ink`. A large oblong image is
    reduced before it is padded, because the padding would make a huge square from a thin image. The image is scaled
    with the Lanczos filter. An area average makes thin strokes between two pixels too weak.

    Args:
        ink: True inverts the image.
        oblong: for images that are not square: "pad" adds a border, "crop" takes the centre square, and "stretch"
            changes the aspect ratio.
    """
    from PIL import Image, ImageChops, ImageOps

    image = _upright_rgb(image) if colour else upright_grey(image)
    if ink:
        image = ImageChops.invert(image)
    if image.width != image.height and oblong == "pad":
        image.thumbnail((PADDED, PADDED), Image.Resampling.LANCZOS)
        side = max(image.size)
        image = ImageOps.pad(image, (side, side), color="black" if ink else "white")
    elif oblong == "crop":
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


def upright_grey(image: Any) -> Any:
    """The upright version of an open image in mode L (0 is black, 255 is white). Transparent pixels are white."""
    return _opaque(image).convert("L")


def _upright_rgb(image: Any) -> Any:
    """The upright version of an open image in mode RGB. Transparent pixels are white."""
    return _opaque(image).convert("RGB")


def _opaque(image: Any) -> Any:
    from PIL import Image

    image = _eight_bits(_upright(image))
    if not image.has_transparency_data:
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))


def open_image(file: io.BufferedReader | io.BytesIO, formats: tuple[str, ...] = FORMATS) -> Any:
    """Opens an image of one of the `formats`, and checks its size before its pixels are read.

    Raises ValueError for too many pixels. Pillow raises other errors for a damaged file.
    """
    from PIL import Image

    limit = f"it has too many pixels: the limit is {LONGEST:,} on each side and {MOST_PIXELS:,} in all. Make it smaller"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our limit is lower
            image = Image.open(file, formats=formats)
    except Image.DecompressionBombError as error:
        raise ValueError(limit) from error
    tags = getattr(image, "tag_v2", {})
    tile = tags.get(322, 1), tags.get(323, 1)  # of a TIFF; memory is allocated for whole tiles
    for width, height in (image.size, tile):
        if max(width, height) > LONGEST or width * height > MOST_PIXELS:
            raise ValueError(limit)
    return image


def _upright(image: Any) -> Any:
    """The upright image: it is rotated or mirrored by its EXIF orientation.

    This is needed because cameras store photographs in the orientation of the sensor. `ImageOps.exif_transpose` is not
    used, because it also rewrites the other tags, and fails if a tag is damaged.
    """
    from PIL import Image

    T = Image.Transpose
    turns = (T.FLIP_LEFT_RIGHT, T.ROTATE_180, T.FLIP_TOP_BOTTOM, T.TRANSPOSE, T.ROTATE_270, T.TRANSVERSE, T.ROTATE_90)
    image.load()  # this turns a TIFF, which then has no orientation tag
    with contextlib.suppress(Exception):  # an image with damaged tags is not turned, as in a browser
        turn = dict(enumerate(turns, start=2)).get(image.getexif().get(0x0112))
        return image if turn is None else image.transpose(turn)
    return image


def _eight_bits(image: Any) -> Any:
    """The image, after a conversion of grey levels with more than 8 bits to 8 bits (0..255).

    The levels are scaled by the range of their type, not by the levels in the image. White is 4095 for 12 bits, 65535
    for 16 bits, and 1 for floating point. Pillow would clip all levels above 255. Images of other modes are returned
    unchanged. Raises ValueError if a level is not finite, or if the level of white is unknown. White is unknown for
    integers of 32 bits or with a sign, and for floating point outside [0, 1].
    """
    from PIL import Image

    if image.mode[0] not in "IF":
        return image
    tags = getattr(image, "tag_v2", {})
    bits, white_is_zero = (tags.get(258) or (16,))[0], tags.get(262) == 0  # of a TIFF; a PNG has 16 bits
    levels = np.asarray(image)
    low, high = levels.min(), levels.max()  # NaN if any level is NaN
    white = 1 if image.mode == "F" else 2 ** min(bits, 16) - 1
    if not (0 <= low <= high <= white) or (image.mode == "I" and tags):
        raise ValueError(f"the white of grey levels from {low:g} to {high:g} in {levels.dtype} is not known")
    grey = np.rint(levels * np.float32(255 / white)).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[levels == transparent] = 255
    return Image.fromarray(255 - grey if white_is_zero else grey)


def _read(path: Path, make: Callable[[Any], Made]) -> tuple[Made, bool]:
    """The result of `make` for an image file, and True if the file has further pages or frames. Raises DataError."""
    if os.path.isdir(path):
        raise DataError(f"Expected an image file. Got the folder {path}. Name an image in it.")
    if not os.path.lexists(path):
        raise DataError(f"Expected an image file. Got {path}, which does not exist. Check its name.")
    try:
        with opened(path) as file:
            return read_open(file, make)
    except Exception as error:  # Pillow may raise nearly any type for a damaged file
        raise DataError(f"Expected an image that can be read. Got {path}: {_reason(path, error)}.") from error


def read_open(file: io.BufferedReader | io.BytesIO, make: Callable[[Any], Made]) -> tuple[Made, bool]:
    """The result of `make` for an open file, and True for further pages or frames. May raise nearly any error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Corrupt EXIF data")
        with open_image(_checked(file)) as image:
            made, several = make(image), False
            if image.format in ("GIF", "TIFF", "WEBP"):
                with contextlib.suppress(Exception):  # a damaged second frame does not affect the first
                    several = getattr(image, "is_animated", False)
            return made, several


def _checked(file: io.BufferedReader | io.BytesIO) -> io.BufferedReader | io.BytesIO:
    """Checks the open file, and returns it.

    Raises ValueError if the file has too many bytes or JPEG scans. Pillow would need minutes for such a file.
    """
    if (size := file.seek(0, os.SEEK_END)) > MOST_BYTES:
        raise ValueError(f"it has {size:,} bytes, more than the limit of {MOST_BYTES:,}")
    file.seek(0)
    data = file.read() if file.read(2) == b"\xff\xd8" else b""
    at, scans = 0, 0
    while (found := _MARKER.search(data, at)) and found[0] != b"\xff\xd9":  # to the end of the first image
        at = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))
        scans += found[0] == b"\xff\xda"
        if scans > SCANS:
            raise ValueError(f"it is a JPEG of more than {SCANS} scans")
    file.seek(0)
    return file


def _reason(path: Path, error: Exception) -> str:
    """A text with the reason why a file cannot be read as an image, and with advice."""
    from PIL import UnidentifiedImageError

    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    if isinstance(error, UnidentifiedImageError):
        with opened(path) as file:
            start = file.read(12)
        if start[4:8] == b"ftyp" and start[8:] in HEIC_BRANDS:
            return "it is a HEIC image. Convert it to JPEG"
        reason = "its content is not an image that Pillow knows" if start else "it is empty"
    return f"{reason}. Remove it, or save it again"


def check_positive(name: str, value: int) -> None:
    """Raises ConfigError if the value of the argument `name` is not an integer >= 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"`{name}` must be an integer >= 1. Got {value!r}.")
