"""Conv-4, the backbone of most few-shot papers."""

import contextlib

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from amfs_lab.arguments import check_choice
from amfs_lab.backbones.base import Backbone
from amfs_lab.backbones.norm import EpisodeNorm
from amfs_lab.errors import ConfigError

FLOAT32, BFLOAT16 = PRECISIONS = ("float32", "bfloat16")


class ConvBlock(nn.Module):
    """3x3 convolution, normalisation, 2x2 max-pooling, ReLU.

    Most code applies the ReLU before the pooling. That gives the same values and gradients with four times the work,
    because the maximum of rectified numbers is the rectified maximum.
    """

    def __init__(self, inputs: int, outputs: int, norm: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = EpisodeNorm(outputs, norm)

    def forward(self, x: Float[Tensor, "n i h w"], reference: int | None = None) -> Float[Tensor, "n o h2 w2"]:
        return F.relu(F.max_pool2d(self.norm(self.conv(x), reference), 2))


class Conv4(Backbone):
    """Four `ConvBlock`s (Vinyals et al. 2016): images (n channels size size) to (n, width (size // 16)^2).

    Args:
        precision: number format of the blocks; parameters and features keep their own format. `"bfloat16"` is
            fast on devices with instructions for it, and slow elsewhere.
    """

    def __init__(
        self, width: int = 64, norm: str = "transductive", channels: int = 1, size: int = 28, precision: str = FLOAT32
    ) -> None:
        super().__init__()
        check_choice("`precision`", precision, PRECISIONS)
        if size < 16:
            raise ConfigError(f"Conv4 halves images four times, so `size` must be >= 16. Got {size}. Use larger ones.")
        self.norm, self.precision = norm, precision
        self.features = width * (size // 16) ** 2
        self.blocks = nn.ModuleList(ConvBlock(channels if i == 0 else width, width, norm) for i in range(4))

    @classmethod
    def for_inputs(cls, shape: tuple[int, ...], width: int, norm: str, precision: str) -> "Conv4":
        """The network for images of a shape (channels size size)."""
        if len(shape) != 3 or shape[1] != shape[2]:
            raise ConfigError(f"conv4 needs square images (channels, size, size). Got {shape}. Use another backbone.")
        return cls(width, norm, shape[0], shape[2], precision)

    def forward(self, x: Float[Tensor, "n c h w"], reference: int | None = None) -> Float[Tensor, "n d"]:
        own, short = x.dtype, self.precision == BFLOAT16
        with torch.autocast(x.device.type, torch.bfloat16) if short else contextlib.nullcontext():
            for block in self.blocks:
                x = block(x, reference)
        return x.flatten(1).to(own)
