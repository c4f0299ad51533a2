"""The base class of convolutional backbones: four blocks in sequence. Each block halves height and width."""

import contextlib
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from amfs_lab.arguments import check_choice
from amfs_lab.backbones.base import Backbone
from amfs_lab.errors import ConfigError

FLOAT32, BFLOAT16 = PRECISIONS = ("float32", "bfloat16")
PUBLISHED = 64  # the `width` that gives the published numbers of filters


class BlockBackbone(Backbone):
    """Four blocks that map square images (n channels size size) to features (n d).

    A subclass defines `block(inputs, outputs, norm)`, and `filters`, the published numbers of filters of the four
    blocks.

    Args:
        width: number of filters of the first block. The numbers of the other blocks change in the same ratio.
        precision: number format of the blocks. Parameters and features keep their own format. `"bfloat16"` is fast on
            devices with instructions for it, and slow elsewhere.
    """

    block: type[nn.Module]
    filters: tuple[int, int, int, int]
    averages = False  # the features are the mean of each of the last maps, instead of all their entries

    def __init__(
        self, width: int = 64, norm: str = "transductive", channels: int = 1, size: int = 28, precision: str = FLOAT32
    ) -> None:
        super().__init__()
        check_choice("`precision`", precision, PRECISIONS)
        if size < 16:
            name = type(self).__name__
            raise ConfigError(f"{name} halves images four times, so `size` must be >= 16. Got {size}. Use larger ones.")
        self.norm, self.precision = norm, precision
        widths = (channels, *(max(1, width * filters // PUBLISHED) for filters in self.filters))
        self.features = widths[-1] * (1 if self.averages else (size // 16) ** 2)
        self.blocks = nn.ModuleList(self.block(a, b, norm) for a, b in pairwise(widths))

    @classmethod
    def for_inputs(cls, shape: tuple[int, ...], width: int, norm: str, precision: str) -> "BlockBackbone":
        """The network for images of this shape (channels size size). Raises ConfigError unless they are square."""
        if len(shape) != 3 or shape[1] != shape[2]:
            name = cls.__name__.lower()
            raise ConfigError(f"{name} needs square images (channels, size, size). Got {shape}. Use another backbone.")
        return cls(width, norm, shape[0], shape[2], precision)

    def forward(self, x: Float[Tensor, "n c h w"], reference: int | None = None) -> Float[Tensor, "n d"]:
        own, short = x.dtype, self.precision == BFLOAT16
        with torch.autocast(x.device.type, torch.bfloat16) if short else contextlib.nullcontext():
            for block in self.blocks:
                x = block(x, reference)
        return x.to(own).mean((2, 3)) if self.averages else x.flatten(1).to(own)
