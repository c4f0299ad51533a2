"""Your own support set (a folder with one folder of images for each class), and single images to classify."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.errors import DataError
from amfs_lab.tasks.image_folder import image_files
from amfs_lab.tasks.images import read_grey, squared
from amfs_lab.tasks.ink import extract_ink, has_black_paper

NOT_BLACK = "has no black background, but the network expects bright ink on black. Read it with `ink` (--ink)"
LIGHT_ON_DARK = "looks light on dark already and was not inverted"
AT_EDGE = "has ink at its edge, which may not belong to the drawing. Crop the photograph to the paper around it"


class Picture(NamedTuple):
    """An image as input of a network, with grey levels in [0, 1], and remarks on possible problems."""

    x: Float[Tensor, "..."]
    remarks: tuple[str, ...] = ()


def read_picture(path: Path | str, size: int = 28, ink: bool = False, black: bool = True) -> Picture:
    """The image in a file as a tensor (1, size, size), with remarks.

    Args:
        ink: True for a photograph or scan of a drawing on paper (see `amfs_lab.tasks.ink`). Otherwise the image is
            only converted to grey and made square.
        black: True adds a remark if the background is not black, because training images have a black background.
            It has no effect with `ink`.
    Raises:
        DataError: a missing file, a file that cannot be read as an image, or, with `ink`, an image without ink.
    """
    grey = read_grey(path)
    if ink:
        found = extract_ink(grey, size)
        if found.blank:
            raise DataError(f"Expected a drawing. Got {path}, in which no ink was found. Draw it darker, or remove it.")
        pixels, remarks = found.pixels, [LIGHT_ON_DARK] * found.light_on_dark + [AT_EDGE] * found.at_edge
    else:
        pixels = squared(grey, size, ink=False)
        remarks = [NOT_BLACK] * (black and not has_black_paper(pixels))
    return Picture(torch.from_numpy(np.array(pixels)).float()[None] / 255, tuple(remarks))


def support_files(folder: Path | str) -> dict[str, list[Path]]:
    """The image files of each class in a folder.

    Raises the errors of `image_files`. Raises DataError if there is only one class.
    """
    classes = image_files(folder)
    if len(classes) < 2:
        raise DataError(f"Expected folders of at least two classes in {folder}. Got one, {str(*classes)!r}. Add one.")
    return classes
