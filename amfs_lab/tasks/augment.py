"""Augmentations of the training images: rotated characters as new classes, and random changes of every image.

"rotations" makes four classes from each class. "affine" and "elastic" distort the images, "flip" mirrors them, "crop"
shifts them, and "color" changes their brightness, contrast and saturation.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from amfs_lab.errors import ConfigError

QUARTERS = 4
# The largest value of each distortion. All distortions are sampled uniformly, in both directions.
DEGREES, STRETCH, SHEAR, SHIFT = 10.0, 0.15, 0.15, 0.08
BEND, GRID = 0.06, 5  # elastic: standard deviation of a shift, as a share of the image; nodes of the field on each side
MARGIN = 8  # crop: the padding is 1 / MARGIN of the image, 4 pixels of 32
JITTER = 0.4  # color: brightness, contrast and saturation are multiplied by 1 - JITTER .. 1 + JITTER
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)


def check_augmentations(names: Sequence[str]) -> None:
    """Raises ConfigError for a name that is not in `AUGMENTATIONS`, or that occurs twice."""
    if isinstance(names, str) or not set(names) <= set(AUGMENTATIONS) or len(set(names)) < len(names):
        raise ConfigError(f"`augment` must hold each of {', '.join(AUGMENTATIONS)} at most once. Got {names!r}.")


def rotated(images: Float[Tensor, "n k c s s"], quarters: Int64[Tensor, " n"]) -> Float[Tensor, "n k c s s"]:
    """The images, with class i rotated counter-clockwise by `quarters[i]` times 90 degrees, without interpolation."""
    return torch.stack([torch.rot90(image, int(q), (-2, -1)) for image, q in zip(images, quarters, strict=True)])


def bent(images: Float[Tensor, "n c s s"], generator: torch.Generator) -> Float[Tensor, "n c s s"]:
    """The images after small random affine maps: each image is rotated, stretched, sheared and shifted.

    Pixels from outside the old image are 0. The map takes the coordinates of the new image, from -1 to 1, to the
    coordinates of the old image: x -> R(angle) [[1 + a, shear], [0, 1 + b]] x + shift.
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


def elastic(images: Float[Tensor, "n c h w"], generator: torch.Generator) -> Float[Tensor, "n c h w"]:
    """The images after elastic distortions (Simard, Steinkraus and Platt 2003).

    For each image, a smooth random field shifts the pixels. The shifts are Gaussian at the nodes of a coarse grid, and
    interpolated between the nodes.
    """
    n, _, h, w = images.shape
    nodes = torch.randn(n, 2, GRID, GRID, generator=generator, dtype=torch.float32, device="cpu")
    field = F.interpolate(2 * BEND * nodes, (h, w), mode="bicubic", align_corners=True)  # an image is 2 units wide
    same = torch.eye(2, 3, device="cpu").expand(n, 2, 3)
    places = F.affine_grid(same, list(images.shape), align_corners=False) + field.permute(0, 2, 3, 1)
    return F.grid_sample(images, places, align_corners=False)


def flipped(images: Float[Tensor, "n c h w"], generator: torch.Generator) -> Float[Tensor, "n c h w"]:
    """The images, each mirrored left to right with probability 1/2."""
    mirrored = torch.rand(len(images), generator=generator, dtype=torch.float32, device="cpu") < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


def cropped(images: Float[Tensor, "n c h w"], generator: torch.Generator) -> Float[Tensor, "n c h w"]:
    """The images after random crops.

    Each image is padded with black by h // `MARGIN` pixels on each side. Then a part of the original size is cut out at
    a random position.
    """
    n, c, h, w = images.shape
    pad = h // MARGIN
    top, left = torch.randint(2 * pad + 1, (2, n, 1), generator=generator, device="cpu")
    rows, columns = top + torch.arange(h, device="cpu"), left + torch.arange(w, device="cpu")
    image, channel = torch.arange(n, device="cpu"), torch.arange(c, device="cpu")
    return F.pad(images, (pad,) * 4)[
        image[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
    ]


def jittered(images: Float[Tensor, "n c h w"], generator: torch.Generator) -> Float[Tensor, "n c h w"]:
    """The images after random changes of brightness, contrast and, for colour images, saturation.

    The changes are different for each image.
    """
    factors = 1 + JITTER * (2 * torch.rand(3, len(images), generator=generator, dtype=torch.float32, device="cpu") - 1)
    bright, contrast, saturation = factors[:, :, None, None, None].unbind()
    images = images * bright
    if images.shape[1] == len(LUMA):
        grey = (images * images.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
        images = grey + saturation * (images - grey)
    mean = images.mean((1, 2, 3), keepdim=True)
    return (mean + contrast * (images - mean)).clamp(0, 1)


# In the order in which they are applied, after the rotations.
Change = Callable[[Tensor, torch.Generator], Tensor]
CHANGES: Mapping[str, Change] = {
    "affine": bent,
    "elastic": elastic,
    "flip": flipped,
    "crop": cropped,
    "color": jittered,
}
AUGMENTATIONS = ("rotations", *CHANGES)
