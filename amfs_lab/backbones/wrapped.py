"""Networks of other libraries as backbones."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from amfs_lab.backbones.base import Backbone
from amfs_lab.backbones.norm import EpisodeNorm
from amfs_lab.errors import ConfigError


class Wrapped(Backbone):
    """A network of another library, which takes images only, as a backbone.

    Feature maps (n c h w) and sequences are flattened. The layers work as usual: torch's BatchNorm uses the statistics
    of the pass in training, and its running averages over training tasks in evaluation.

    Args:
        network: raises ConfigError if it has an `EpisodeNorm` of the support set, which needs `reference`.
        features: number of features an image, which gradient loops need for their head. None reads it from the
            network (`features`, `num_features`, or `config.hidden_size`).
    """

    norm = "own"

    def __init__(self, network: nn.Module, features: int | None = None) -> None:
        super().__init__()
        if any(isinstance(module, EpisodeNorm) and module.norm == "support" for module in network.modules()):
            raise ConfigError(
                'A network with `norm="support"` must be told which images are the support set. Got one that takes '
                f"images alone ({type(network).__name__}): give its `forward` a `reference`, and hand that on."
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
