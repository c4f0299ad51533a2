"""Inner loops in feature space: they learn a task from the features of a backbone and do not adapt the backbone."""

import contextlib
from abc import abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from amfs_lab.arguments import check_columns, check_tensor, in_working_precision
from amfs_lab.backbones import checked_features
from amfs_lab.episode import Episode, Examples

Predictor = Callable[[Tensor], Tensor]


class FeatureSpaceLoop(nn.Module):
    """An inner loop that needs only the features and the targets of the support set."""

    def build(self) -> "FeatureSpaceLoop":
        """Returns this loop itself, which is correct for a loop without learnable numbers.

        A loop with learnable numbers has a separate dataclass of settings. The `build()` of this dataclass makes a new
        loop.
        """
        return self

    def for_network(self, net: nn.Module) -> "FeatureSpaceLoop":
        """The loop for the network `net`.

        A loop may make learnable numbers here, with shapes that depend on `net`. By default the method makes none.
        """
        return self

    @abstractmethod
    def fit(self, features: Real[Tensor, "*b n d"], targets: Real[Tensor, "*b n c"]) -> Predictor:
        """Learns a task from features and targets. Returns a predictor that maps features (q d) to scores (q c).

        Raises DataError for features that are not rows, or targets with another number of rows than the features.
        """

    def start(self, features: Real[Tensor, "n d"]) -> None:
        """Initialises learnable numbers from the features of the first task. By default the method does nothing."""

    def targets_of(self, examples: Examples) -> Float[Tensor, "n ways"]:
        """The targets for `fit`: real labels unchanged, and classes as one-hot rows."""
        return examples.targets

    def adapt(self, net: nn.Module, support: Examples) -> Predictor:
        """A predictor from images to scores.

        The support set and the queries pass through `net` together, as in meta-training.
        """
        return lambda x: self.predict(net, support, x)[0]

    def predict(
        self, net: nn.Module, support: Examples, x: Float[Tensor, "q ..."]
    ) -> tuple[Float[Tensor, "q c"], Predictor]:
        """The scores of the query images `x`, and the predictor from features to scores that computed them.

        The support set and the queries pass through `net` together, once.
        """
        n, features = len(support.x), joint_features(net, support, x)
        with no_autocast(features.device):
            predictor = self.fit(features[:n], self.targets_of(support))
            return predictor(features[n:]), predictor

    def loss(
        self, net: nn.Module, episode: Episode, label_smoothing: float = 0.0
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "q c"]]:
        """The meta-objective of the task, and the scores of the queries.

        By default the meta-objective is the loss of the queries (`Examples.loss`). If the predictor has a `penalty`,
        the penalty is added.
        """
        scores, predictor = self.predict(net, episode.support, episode.query.x)
        return episode.query.loss(scores, label_smoothing) + getattr(predictor, "penalty", 0.0), scores


def joint_features(net: nn.Module, support: Examples, x: Float[Tensor, "q ..."]) -> Float[Tensor, "m d"]:
    """The features of the support set, then the features of the queries, from one pass through `net`."""
    n = len(support.x)
    return checked_features(net(torch.cat([support.x, x]), n), n + len(x))


def checked_task(features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Features and targets in a common floating-point type of 32 bits or more.

    Raises DataError unless both have the same number of rows.
    """
    check_tensor("features", features, "n d")
    check_columns("targets", targets, "features", features.shape[-2])
    features, targets = in_working_precision(features, targets)
    return features, targets


def no_autocast(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """A context without autocast, because a solve needs more than the 8 significant bits of bfloat16."""
    on = torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)
    return torch.autocast(device.type, enabled=False) if on else contextlib.nullcontext()
