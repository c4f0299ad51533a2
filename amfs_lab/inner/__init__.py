"""The inner loop: `adapt(net, support) -> predictor` learns one task. `INNER_LOOPS` has every inner loop by its key."""

from amfs_lab.inner.features import FeatureSpaceLoop
from amfs_lab.inner.function_space import FunctionSpace
from amfs_lab.inner.gradient import Anil, GradientLoop, Maml
from amfs_lab.inner.linearised import Linearised
from amfs_lab.inner.prototypes import Prototypes

INNER_LOOPS: dict[str, type[FeatureSpaceLoop] | type[GradientLoop]] = {
    "anil": Anil,
    "function-space": FunctionSpace,
    "linearised": Linearised,
    "maml": Maml,
    "prototypes": Prototypes,
}

__all__ = [
    "INNER_LOOPS",
    "Anil",
    "FeatureSpaceLoop",
    "FunctionSpace",
    "GradientLoop",
    "Linearised",
    "Maml",
    "Prototypes",
]
