"""What adapts to one task: an inner loop is a value with `adapt(net, support) -> predictor`."""

from amfs_lab.inner.features import FeatureSpaceLoop
from amfs_lab.inner.function_space import FunctionSpace
from amfs_lab.inner.gradient import Anil, GradientLoop, Maml
from amfs_lab.inner.linearised import Linearised
from amfs_lab.inner.prototypes import Prototypes

__all__ = ["Anil", "FeatureSpaceLoop", "FunctionSpace", "GradientLoop", "Linearised", "Maml", "Prototypes"]
