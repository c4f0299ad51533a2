"""Prototypes (Snell et al. 2017): a baseline that represents each class by its mean feature."""

from dataclasses import dataclass

from jaxtyping import Float, Real
from torch import Tensor, nn

from amfs_lab.episode import Examples
from amfs_lab.errors import ConfigError
from amfs_lab.inner.features import FeatureSpaceLoop, Predictor, checked_task
from amfs_lab.kernels import squared_distances


@dataclass(init=False, repr=False, unsafe_hash=True)  # without settings, all instances are equal
class Prototypes(FeatureSpaceLoop):
    """score_c(z) = -|z - m_c|^2 where m_c is the mean feature of class c in the support set. Labels must be classes."""

    def predict(
        self, net: nn.Module, support: Examples, x: Float[Tensor, "q ..."]
    ) -> tuple[Float[Tensor, "q c"], Predictor]:
        if support.real:
            raise ConfigError("Prototypes need classes. Got real labels. Use FunctionSpace, Maml or Anil.")
        return super().predict(net, support, x)

    def fit(self, features: Real[Tensor, "*b n d"], targets: Real[Tensor, "*b n c"]) -> "PrototypePredictor":
        features, targets = checked_task(features, targets)
        return PrototypePredictor(targets.mT @ features / targets.sum(-2)[..., None])


@dataclass(frozen=True)
class PrototypePredictor:
    prototypes: Float[Tensor, "*b c d"]

    def __call__(self, features: Real[Tensor, "*b q d"]) -> Float[Tensor, "*b q c"]:
        return -squared_distances(features, self.prototypes)
