"""Networks of other libraries as backbones."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from amfs_lab.backbones.base import Backbone
from amfs_lab.backbones.norm import EpisodeNorm
from amfs_lab.errors import ConfigError


class Wrapped(Backbone):
    """A backbone around a network of another library that takes images only.

    Feature maps (n c h w) and sequences are flattened. All layers keep their usual behaviour. For example, torch's
    BatchNorm uses the statistics of the current images in training, and its running averages in evaluation.

    Args:
        network: the network. Raises ConfigError if the network has an `EpisodeNorm` with `norm="support"`, because
            this layer needs `reference`.
        features: number of features of one image. Gradient-based inner loops need the number for their linear head.
            With None, the number is read from the network (`features`, `num_features`, or `config.hidden_size`).
    """

    norm = "own"

    def __init__(self, network: nn.Module, features: int | None = None) -> None:
        super().__init__()
        if any(isinstance(module, EpisodeNorm) and module.norm == "support" for module in network.modules()):
            raise ConfigError(
                'A network with `norm="support"` needs to know which images are the support set. Got a network that '
                f"takes only images ({type(network).__name__}). Give its `forward` an argument `reference`, and pass "
                "it to the norm layers."
            )
        self.network = network
        given = (features, *(getattr(network, name, None) for name in ("features", "num_features")))
        config = getattr(network, "config", None)
        known = [value for value in (*given, getattr(config, "hidden_size", None)) if isinstance(value, int)]
        if known:
            self.features = known[0]

    def forward(self, x: Float[Tensor, "n ..."], reference: int | None = None) -> Any:
        returned = self.network(x)
        return returned.flatten(1) if isinstance(returned, Tensor) and returned.ndim > 2 else returned
