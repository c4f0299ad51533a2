"""Conv-4, the backbone of most few-shot papers."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from amfs_lab.backbones.blocks import BlockBackbone
from amfs_lab.backbones.norm import EpisodeNorm


class ConvBlock(nn.Module):
    """3x3 convolution, normalisation, 2x2 max-pooling, ReLU.

    Most other code applies ReLU before the pooling. Both orders give the same values and gradients, because the maximum
    of ReLU(x) is ReLU of the maximum of x. ReLU after the pooling needs only a quarter of the work.
    """

    def __init__(self, inputs: int, outputs: int, norm: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = EpisodeNorm(outputs, norm)

    def forward(self, x: Float[Tensor, "n i h w"], reference: int | None = None) -> Float[Tensor, "n o h2 w2"]:
        return F.relu(F.max_pool2d(self.norm(self.conv(x), reference), 2))


class Conv4(BlockBackbone):
    """Four `ConvBlock`s (Vinyals et al. 2016).

    The network maps images (n channels size size) to features (n, width (size // 16)^2). With 64 filters it has 111,680
    parameters for grey images, and 112,832 parameters for colour images.
    """

    block, filters = ConvBlock, (64, 64, 64, 64)
