"""A backbone that first normalises the pixels with constants."""

import math
from typing import Any

from jaxtyping import Float
from torch import Tensor

from amfs_lab.arguments import is_number
from amfs_lab.backbones.base import Backbone
from amfs_lab.errors import ConfigError

CHANNELS = (1, 3)


class Standardized(Backbone):
    """A backbone that computes (x - mean) / std of images (n c h w), and then applies another backbone.

    Args:
        mean, std: one number for each channel, or one for all channels.
    Raises:
        ConfigError: `mean` or `std` is wrong, see `check_constants`.
    """

    def __init__(self, backbone: Backbone, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        check_constants(mean, std)
        self.backbone, self.mean, self.std = backbone, mean, std
        self.features, self.norm = backbone.features, backbone.norm

    def forward(self, x: Float[Tensor, "n c h w"], reference: int | None = None) -> Float[Tensor, "n d"]:
        mean, std = (x.new_tensor(constants)[:, None, None] for constants in (self.mean, self.std))
        return self.backbone((x - mean) / std, reference)


def check_constants(mean: Any, std: Any) -> None:
    """Raises ConfigError unless `mean` and `std` are valid constants for `Standardized`.

    Both must have one finite number for each channel, or one for all channels. Each number of `std` must be > 0.
    """
    for name, constants in (("mean", mean), ("std", std)):
        sound = isinstance(constants, tuple | list) and len(constants) in CHANNELS and all(map(is_number, constants))
        if not sound:
            raise ConfigError(
                f"`{name}` must have one finite number for each channel, or one for all. Got {constants!r}."
            )
    if not all(number > 0 and math.isfinite(1 / number) for number in std):
        raise ConfigError(f"Each number of `std` must be > 0. Got {std!r}.")
