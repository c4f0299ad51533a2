"""Pictures of any size and mode as squares of grey, and a folder of your own as classes."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from amfs_lab.errors import ConfigError, DataError

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def read_folder(
    folder: Path | str, size: int = 28, ink: bool = False
) -> tuple[UInt8[Tensor, "c s size size"], tuple[str, ...]]:
    """Images of your own, one folder a class: `(images, labels)` for `EpisodeSource`, classes and samples by name.

    Every class keeps as many samples as the smallest one has: the first, in the order of their names.

    Args:
        size: pixels a side. ink: dark drawings on light paper become bright ink on black, as Omniglot's do.
    Raises:
        DataError: no folder, no class in it, a class without an image, or an image that cannot be read.
        ConfigError: Pillow is not installed, or `size` < 1.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigError("Reading images needs the extra `data`: pip install 'amfs-lab[data]'.") from error
    if size < 1:
        raise ConfigError(f"`size` must be >= 1. Got {size}.")
    place = Path(folder)
    if not place.is_dir():
        raise DataError(f"Expected a folder {place} with one folder of images a class. Got none.")
    classes = {each.name: _images_in(each) for each in sorted(place.iterdir()) if each.is_dir() and each.name[0] != "."}
    if not classes:
        raise DataError(f"Expected one folder of images a class in {place}. Got no folder in it.")
    for label, files in classes.items():
        if not files:
            raise DataError(f"Expected images ({', '.join(ENDINGS)}) in {place / label}. Got none: add some.")
    samples = min(map(len, classes.values()))
    images = np.empty((len(classes), samples, size, size), np.uint8)
    for row, files in zip(images, classes.values(), strict=True):
        for sample, path in enumerate(files[:samples]):
            try:
                with Image.open(path) as image:
                    row[sample] = squared(image, size, ink)
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                raise DataError(f"Expected an image that can be read. Got {path}: {error}. Remove it.") from error
    return torch.from_numpy(images), tuple(classes)


def squared(image, size: int, ink: bool) -> UInt8[np.ndarray, "size size"]:
    """Grey levels. Transparent is white paper, and what is not square gets paper at its sides (black with `ink`).

    Lanczos, because strokes are thin: an area average dims those that fall between two pixels.
    """
    from PIL import Image, ImageChops, ImageOps

    if image.mode != "1" and image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L")
    if ink:
        image = ImageChops.invert(image)
    if image.width != image.height:
        side = max(image.size)
        image = ImageOps.pad(image, (side, side), color=0 if ink else 255)
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


def _images_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.name[0] != ".")
