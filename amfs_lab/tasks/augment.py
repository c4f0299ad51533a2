"""Augmentations of the training images: rotated characters as new classes, and small affine distortions."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from amfs_lab.errors import ConfigError

AUGMENTATIONS = ("rotations", "affine")
QUARTERS = 4
# The largest value of each distortion: all are sampled uniformly, in both directions.
DEGREES, STRETCH, SHEAR, SHIFT = 10.0, 0.15, 0.15, 0.08


def check_augmentations(names: Sequence[str]) -> None:
    """Raises ConfigError for a name that is not in `AUGMENTATIONS`, or that occurs twice."""
    if isinstance(names, str) or not set(names) <= set(AUGMENTATIONS) or len(set(names)) < len(names):
        raise ConfigError(f"`augment` must hold each of {', '.join(AUGMENTATIONS)} at most once. Got {names!r}.")


def rotated(images: Float[Tensor, "n k 1 s s"], quarters: Int64[Tensor, " n"]) -> Float[Tensor, "n k 1 s s"]:
    """Each class of images, turned counter-clockwise by its own number of quarter turns. No pixel is interpolated."""
    return torch.stack([torch.rot90(image, int(q), (-2, -1)) for image, q in zip(images, quarters, strict=True)])


def bent(images: Float[Tensor, "n 1 s s"], generator: torch.Generator) -> Float[Tensor, "n 1 s s"]:
    """Each image under its own small affine map: turned, stretched, sheared and shifted; the outside is blank.

    The map takes the coordinates of the new image, from -1 to 1, to the coordinates of the old image:
    x -> R(angle) [[1 + a, shear], [0, 1 + b]] x + shift.
    """
    angle, wide, high, shear, right, down = (
        2 * torch.rand(6, len(images), generator=generator, dtype=torch.float32, device="cpu") - 1
    ).unbind()
    angle = angle * math.radians(DEGREES)
    cos, sin = angle.cos(), angle.sin()
    stretch = torch.stack([1 + STRETCH * wide, SHEAR * shear, torch.zeros_like(shear), 1 + STRETCH * high], -1)
    turn = torch.stack([cos, -sin, sin, cos], -1)
    linear = turn.view(-1, 2, 2) @ stretch.view(-1, 2, 2)
    maps = torch.cat([linear, SHIFT * torch.stack([right, down], -1)[..., None]], -1)
    places = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images, places, align_corners=False)
