"""A support set of one's own: a folder with one folder of images a class, and single images to be named."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.errors import ConfigError, DataError
from amfs_lab.tasks.ink import extract_ink, has_black_paper
from amfs_lab.tasks.pictures import ENDINGS, squared

NOT_BLACK = "has no black background, but the network expects bright ink on black: read it with `ink` (--ink)"
LIGHT_ON_DARK = "looks light on dark already and was not inverted"
AT_EDGE = "has ink at its edge, which may be no part of the drawing: cut the photograph to the paper around it"


class Picture(NamedTuple):
    """An image as a network reads it, grey levels in [0, 1], and what looks wrong about it."""

    x: Float[Tensor, "..."]
    remarks: tuple[str, ...] = ()


def read_picture(path: Path | str, size: int = 28, ink: bool = False, black: bool = True) -> Picture:
    """The image in a file as (1, size, size).

    Args:
        ink: a drawing on paper, photographed or scanned (see `amfs_lab.tasks.ink`). Without it the image is only made
            grey and square.
        black: remark on an image without a black background, because the training images have one.
    Raises:
        DataError: no file, a file that cannot be read as an image, or with `ink` one without any ink.
        ConfigError: Pillow is not installed.
    """
    grey = _grey(Path(path))
    if ink:
        found = extract_ink(grey, size)
        if found.blank:
            raise DataError(f"Expected a drawing. Got {path}, in which no ink was found: draw it darker, or remove it.")
        pixels, remarks = found.pixels, [LIGHT_ON_DARK] * found.light_on_dark + [AT_EDGE] * found.at_edge
    else:
        pixels = squared(grey, size, ink=False)
        remarks = [NOT_BLACK] * (black and not has_black_paper(pixels))
    return Picture(torch.from_numpy(np.array(pixels)).float()[None] / 255, tuple(remarks))


def support_files(folder: Path | str) -> dict[str, list[Path]]:
    """The images of each class, both by name. Classes may have different numbers of images.

    Raises:
        DataError: no folder, fewer than two classes, or a class without an image.
    """
    place = Path(folder)
    if not place.is_dir():
        raise DataError(f"Expected a support folder {place} with one folder of images a class. Got none.")
    classes = {
        each.name: sorted(path for path in each.iterdir() if path.suffix.lower() in ENDINGS and path.name[0] != ".")
        for each in sorted(place.iterdir())
        if each.is_dir() and each.name[0] != "."
    }
    if len(classes) < 2:
        got = f"one, {next(iter(classes))!r}" if classes else "none"
        raise DataError(f"Expected a folder of images for each of two classes or more in {place}. Got {got}.")
    for label, files in classes.items():
        if not files:
            raise DataError(f"Expected images ({', '.join(ENDINGS)}) in {place / label}. Got none: add some.")
    return classes


def _grey(path: Path):
    """The image in mode L. Raises DataError."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigError("Reading images needs the extra `data`: pip install 'amfs-lab[data]'.") from error
    if path.is_dir():
        raise DataError(f"Expected an image file. Got the folder {path}: name an image in it.")
    if not path.exists():
        raise DataError(f"Expected an image file. Got {path}, which does not exist. Check its name.")
    try:
        with Image.open(path) as image:
            if image.mode != "1" and image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return image.convert("L")
    except Exception as error:  # Pillow raises nearly anything at a damaged file
        raise DataError(f"Expected an image that can be read. Got {path}: {error}. Remove it.") from error
