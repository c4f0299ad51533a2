"""What adapts to one task: an inner loop is a value with `adapt(net, support) -> predictor`."""

from amfs_lab.inner.features import FeatureSpaceLoop
from amfs_lab.inner.function_space import FunctionSpace
from amfs_lab.inner.gradient import Maml
from amfs_lab.inner.prototypes import Prototypes

__all__ = ["FeatureSpaceLoop", "FunctionSpace", "Maml", "Prototypes"]
