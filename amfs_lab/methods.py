"""The tables of methods and of aggregation rules, with their labels and their look in figures.

A method also has an inner loop, an aggregation rule and a default learning rate. Configuration, command line,
benchmark, experiments and explorers read these tables. To add a method or a rule, add one row to its table. The classes
of inner loops and rules are in two other registries: `inner.INNER_LOOPS` and `outer.AGGREGATORS`.
"""

from dataclasses import dataclass
from functools import partial

from amfs_lab import inner
from amfs_lab.arguments import check_choice
from amfs_lab.errors import ConfigError
from amfs_lab.inner import Anil, FeatureSpaceLoop, FunctionSpace, GradientLoop, Linearised, Maml, Prototypes
from amfs_lab.inner.function_space import EVIDENCE, QUERY_LOSS, check_settings
from amfs_lab.kernels import RBF, Cosine, Linear, check_learned_bandwidth
from amfs_lab.outer import Aggregator, Mean, MeanCosine, PairwiseCosine, PCGrad

KERNELS = ("rbf", "linear", "cosine")


@dataclass(frozen=True)
class FunctionSpaceConfig:
    """Settings of `FunctionSpace`. Each learner gets new learnable numbers.

    Args:
        lam: ridge strength > 0.
        mu: weight of the gradient-norm term, >= 0.
        gamma: weight of the information term, >= 0.
        scale: start of the learned output scale, > 0.
        bandwidth: start of the RBF kernel's bandwidth, in units of feature distance; None: the median distance.
        learn_bandwidth: meta-learn the RBF kernel's bandwidth.
        first_order: the query loss does not differentiate through the solve.
        kernel: similarity of features.
        learn_lam: meta-learn the ridge strength.
        bandwidth_per_dimension: meta-learn one bandwidth of the RBF kernel for each feature; all start equal.
        objective: what meta-training minimises: the loss of the queries, or minus the log evidence of all labels (DKT).
    """

    lam: float = 0.1
    mu: float = 0.0
    gamma: float = 0.0
    scale: float = 5.0
    bandwidth: float | None = None
    learn_bandwidth: bool = True
    first_order: bool = False
    kernel: str = "rbf"
    learn_lam: bool = False
    bandwidth_per_dimension: bool = False
    objective: str = QUERY_LOSS

    def __post_init__(self) -> None:
        check_settings(self.lam, self.mu, self.gamma, self.scale, self.first_order, self.learn_lam, self.objective)
        check_choice("`kernel`", self.kernel, KERNELS)
        if self.kernel != "rbf" and (self.bandwidth is not None or self.bandwidth_per_dimension):
            got = "one for each dimension" if self.bandwidth is None else self.bandwidth
            raise ConfigError(f"The {self.kernel} kernel has no bandwidth. Got {got}. Leave it out.")
        if self.bandwidth is not None:
            check_learned_bandwidth(self.bandwidth)

    def build(self) -> FunctionSpace:
        """A new inner loop with new learnable numbers."""
        kernels = {"linear": Linear, "cosine": Cosine}
        dimensions = 0 if self.bandwidth_per_dimension else None
        rbf = partial(RBF, self.bandwidth, self.learn_bandwidth, dimensions)
        return FunctionSpace(
            kernels.get(self.kernel, rbf)(),
            self.lam,
            self.mu,
            self.gamma,
            self.scale,
            self.first_order,
            self.learn_lam,
            self.objective,
        )


# The inner loops that a configuration can hold, by their keys in `inner.INNER_LOOPS`. `FunctionSpace` has learnable
# numbers, so a configuration holds a separate dataclass of its settings, with `build()`. The other loops have only
# settings, so a configuration holds the loop itself.
SETTINGS: dict[type, type] = {FunctionSpace: FunctionSpaceConfig}
INNER_LOOPS: dict[str, type] = {
    key: SETTINGS.get(kind, kind)
    for key, kind in inner.INNER_LOOPS.items()
    if kind is not Linearised  # its predictor has no meta-gradient
}
InnerConfig = GradientLoop | FeatureSpaceLoop | FunctionSpaceConfig


# Okabe and Ito (2008), with darker orange and sky blue: the palette of `widgets.style`, which needs plotly.
BLACK, ORANGE, SKY, GREEN = "#000000", "#C98500", "#3E9BD6", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
FAINT, WINE = "#6E7781", "#882255"


@dataclass(frozen=True)
class Method:
    """A method of meta-training.

    Args:
        label: name of the method in figures and lessons.
        color, dash, marker: look of the method in every figure.
        inner, outer: inner loop and aggregation rule of the method.
        meta_lr: default outer learning rate.
    """

    label: str
    color: str
    dash: str
    marker: str
    inner: InnerConfig
    outer: Aggregator
    meta_lr: float = 1e-3

    @property
    def has_head(self) -> bool:
        """True if the network of the method has a linear head. Such a network has a fixed number of ways."""
        return isinstance(self.inner, GradientLoop)


# The two methods that are most similar to I-AMFS. R2-D2 (Bertinetto et al. 2019) has the ridge n lambda, where lambda
# starts at 1. So lam is 5 for 5 images. DKT is by Patacchiola et al. 2020.
R2D2 = FunctionSpaceConfig(lam=5.0, kernel="linear", learn_lam=True)
DKT = FunctionSpaceConfig(scale=1.0, learn_lam=True, objective=EVIDENCE)

# Learning rates were chosen on validation episodes, with the same number of tries for each inner loop. R2-D2 and DKT
# use the learning rate of I-AMFS. The explorers and lessons have only the methods of `LESSONS`.
METHODS: dict[str, Method] = {
    "i-amfs": Method("I-AMFS", BLUE, "solid", "circle", FunctionSpaceConfig(), Mean()),
    "maml": Method("MAML", VERMILLION, "dash", "square", Maml(), Mean()),
    "o-amfs": Method("O-AMFS", GREEN, "dot", "diamond", Maml(), PairwiseCosine()),
    "amfs": Method("AMFS", PURPLE, "dashdot", "triangle-up", FunctionSpaceConfig(), PairwiseCosine()),
    "fo-maml": Method("FO-MAML", ORANGE, "longdash", "x", Maml(first_order=True), Mean()),
    "anil": Method("ANIL", SKY, "longdashdot", "cross", Anil(), Mean()),
    "prototypes": Method("prototypes", BLACK, "12px,2px,2px,2px,2px,2px", "star", Prototypes(), Mean(), meta_lr=3e-3),
    "r2d2": Method("R2-D2", FAINT, "6px,2px", "triangle-down", R2D2, Mean()),
    "dkt": Method("DKT", WINE, "8px,2px,2px,2px", "hexagon", DKT, Mean()),
}
LESSONS = ("i-amfs", "maml", "o-amfs", "amfs", "fo-maml", "anil", "prototypes")


@dataclass(frozen=True)
class Rule:
    """An aggregation rule that the figures compare.

    Args:
        color, dash, marker, pattern: look of the rule in every figure; `pattern` is the fill of a bar.
    """

    aggregator: Aggregator
    color: str
    dash: str
    marker: str
    pattern: str = ""


# The rules by label, in the order of the figures. A figure that compares only some rules lists them.
CLIPPED = f"{PairwiseCosine.label}, clip"
RULES: dict[str, Rule] = {
    Mean.label: Rule(Mean(), ORANGE, "solid", "square"),
    PairwiseCosine.label: Rule(PairwiseCosine(), GREEN, "dot", "diamond", "/"),
    CLIPPED: Rule(PairwiseCosine(negative="clip"), BLACK, "longdash", "cross", "-"),
    MeanCosine.label: Rule(MeanCosine(), SKY, "dash", "circle", "x"),
    PCGrad.label: Rule(PCGrad(), PURPLE, "dashdot", "triangle-up", "."),
}
