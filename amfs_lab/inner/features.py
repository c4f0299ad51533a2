"""Inner loops that live on features: the backbone stays as it is, and the task is learned in the space it maps to."""

from abc import abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from amfs_lab.episode import Split

Predictor = Callable[[Tensor], Tensor]


class FeatureSpaceLoop(nn.Module):
    """An inner loop that needs the support set's features and targets only."""

    @abstractmethod
    def fit(self, features: Float[Tensor, "*b n d"], targets: Float[Tensor, "*b n c"]) -> Predictor:
        """Learns the task from features; the predictor maps features (q d) to scores (q c)."""

    def start(self, features: Float[Tensor, "n d"]) -> None:
        """Sets what has a data-dependent start, from the features of the first task; nothing by default."""

    def adapt(self, net: nn.Module, support: Split) -> Predictor:
        """A predictor on images. Support and query pass through `net` together, as at meta-training."""
        return lambda x: self.predict(net, support, x)[0]

    def predict(
        self, net: nn.Module, support: Split, x: Float[Tensor, "q ..."]
    ) -> tuple[Float[Tensor, "q c"], Predictor]:
        """Scores of the queries, and the feature predictor that gave them, from one pass through `net`."""
        n = len(support.x)
        features = net(torch.cat([support.x, x]), n)
        predictor = self.fit(features[:n], support.targets)
        return predictor(features[n:]), predictor
