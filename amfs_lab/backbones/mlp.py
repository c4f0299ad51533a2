"""A fully connected backbone."""

import math
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from amfs_lab.backbones.base import Backbone


class MLP(Backbone):
    """Fully connected layers with ReLU between them.

    The network flattens its inputs (n ...) to (n inputs), and maps them to features (n features). It has no
    normalisation layer, so the features of an image do not depend on the other images of the forward pass.
    """

    norm = "none"

    def __init__(self, inputs: int, hidden: tuple[int, ...] = (64, 64), features: int = 64) -> None:
        super().__init__()
        self.features = features
        widths = (inputs, *hidden, features)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    @classmethod
    def for_inputs(cls, shape: tuple[int, ...], width: int, norm: str, precision: str) -> "MLP":
        """The network for inputs of any shape. The arguments `norm` and `precision` are ignored."""
        return cls(math.prod(shape), (width, width), width)

    def forward(self, x: Float[Tensor, "n ..."], reference: int | None = None) -> Float[Tensor, "n d"]:
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)
