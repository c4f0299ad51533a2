"""The table of methods and the table of aggregation rules: label, look in figures, parts and default learning rate.

Configuration, command line, benchmark, experiments and explorers read these tables. A new method or a new rule is one
row. The classes behind the rows have their own registries: `inner.INNER_LOOPS` and `outer.AGGREGATORS`.
"""

from dataclasses import dataclass

from amfs_lab import inner
from amfs_lab.arguments import check_choice
from amfs_lab.errors import ConfigError
from amfs_lab.inner import Anil, FeatureSpaceLoop, FunctionSpace, GradientLoop, Linearised, Maml, Prototypes
from amfs_lab.inner.function_space import check_settings
from amfs_lab.kernels import RBF, Cosine, Linear, check_learned_bandwidth
from amfs_lab.outer import Aggregator, Mean, MeanCosine, PairwiseCosine, PCGrad

KERNELS = ("rbf", "linear", "cosine")


@dataclass(frozen=True)
class FunctionSpaceConfig:
    """Settings of `FunctionSpace`, whose learnable numbers are new for each learner.

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

    def __post_init__(self) -> None:
        check_settings(self.lam, self.mu, self.gamma, self.scale, self.learn_lam)
        check_choice("`kernel`", self.kernel, KERNELS)
        if self.bandwidth is not None:
            if self.kernel != "rbf":
                raise ConfigError(f"The {self.kernel} kernel has no bandwidth. Got {self.bandwidth}. Leave it out.")
            check_learned_bandwidth(self.bandwidth)

    def build(self) -> FunctionSpace:
        """An inner loop with fresh learnable numbers."""
        kernels = {"linear": Linear, "cosine": Cosine}
        kernel = kernels[self.kernel]() if self.kernel in kernels else RBF(self.bandwidth, learn=self.learn_bandwidth)
        return FunctionSpace(kernel, self.lam, self.mu, self.gamma, self.scale, self.first_order, self.learn_lam)


# The inner loops that a configuration can hold, by their keys in `inner.INNER_LOOPS`. A loop without learnable numbers
# is a dataclass and holds its own settings. A loop with them has a dataclass of settings with `build()`.
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


@dataclass(frozen=True)
class Method:
    """A method of meta-training.

    Args:
        label: its name in figures and lessons.
        color, dash, marker: its look in every figure.
        inner, outer: its inner loop and its aggregation rule.
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
        """True for a network with a linear head, which has a fixed number of ways."""
        return isinstance(self.inner, GradientLoop)


# Learning rates were chosen on validation episodes, with the same number of tries for each inner loop.
METHODS: dict[str, Method] = {
    "i-amfs": Method("I-AMFS", BLUE, "solid", "circle", FunctionSpaceConfig(), Mean()),
    "maml": Method("MAML", VERMILLION, "dash", "square", Maml(), Mean()),
    "o-amfs": Method("O-AMFS", GREEN, "dot", "diamond", Maml(), PairwiseCosine()),
    "amfs": Method("AMFS", PURPLE, "dashdot", "triangle-up", FunctionSpaceConfig(), PairwiseCosine()),
    "fo-maml": Method("FO-MAML", ORANGE, "longdash", "x", Maml(first_order=True), Mean()),
    "anil": Method("ANIL", SKY, "longdashdot", "cross", Anil(), Mean()),
    "prototypes": Method("prototypes", BLACK, "12px,2px,2px,2px,2px,2px", "star", Prototypes(), Mean(), meta_lr=3e-3),
}


@dataclass(frozen=True)
class Rule:
    """An aggregation rule that the figures compare.

    Args:
        color, dash, marker, pattern: its look in every figure; `pattern` is the fill of a bar.
    """

    aggregator: Aggregator
    color: str
    dash: str
    marker: str
    pattern: str = ""


# By label, in the order of the figures. A figure that compares only some rules names them.
CLIPPED = f"{PairwiseCosine.label}, clip"
RULES: dict[str, Rule] = {
    Mean.label: Rule(Mean(), ORANGE, "solid", "square"),
    PairwiseCosine.label: Rule(PairwiseCosine(), GREEN, "dot", "diamond", "/"),
    CLIPPED: Rule(PairwiseCosine(negative="clip"), BLACK, "longdash", "cross", "-"),
    MeanCosine.label: Rule(MeanCosine(), SKY, "dash", "circle", "x"),
    PCGrad.label: Rule(PCGrad(), PURPLE, "dashdot", "triangle-up", "."),
}
