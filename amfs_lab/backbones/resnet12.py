"""ResNet-12, the larger backbone of few-shot papers on photographs."""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from amfs_lab.backbones.blocks import BlockBackbone
from amfs_lab.backbones.norm import EpisodeNorm

SLOPE = 0.1  # of LeakyReLU, for negative numbers


class ResidualBlock(nn.Module):
    """Three 3x3 convolutions plus a 1x1 shortcut, then 2x2 max-pooling and LeakyReLU.

    Each convolution is followed by normalisation. The last LeakyReLU comes after the pooling. This order gives the same
    values with less work (see `ConvBlock`).
    """

    def __init__(self, inputs: int, outputs: int, norm: str) -> None:
        super().__init__()
        widths = (inputs, outputs, outputs, outputs)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(EpisodeNorm(outputs, norm) for _ in self.convs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.shortcut_norm = EpisodeNorm(outputs, norm)

    def forward(self, x: Float[Tensor, "n i h w"], reference: int | None = None) -> Float[Tensor, "n o h2 w2"]:
        shortcut = self.shortcut_norm(self.shortcut(x), reference)
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(F.leaky_relu(x, SLOPE) if number else x), reference)
        return F.leaky_relu(F.max_pool2d(x + shortcut, 2), SLOPE)


class ResNet12(BlockBackbone):
    """Four `ResidualBlock`s, then the mean of each feature map.

    The network maps images (n channels size size) to features (n, 10 width). It is the network of Lee et al. 2019 (64,
    160, 320 and 640 filters), without DropBlock. It has 12,424,320 parameters for colour images. Lee et al. use all
    entries of the last feature maps as features. The mean of each map has been usual since Tian et al. 2020.
    """

    block, filters, averages = ResidualBlock, (64, 160, 320, 640), True
