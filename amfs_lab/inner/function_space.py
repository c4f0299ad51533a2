"""I-AMFS: the inner loop is one closed-form solve in the kernel's function space, instead of gradient steps."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from amfs_lab import ridge
from amfs_lab.arguments import check_choice, check_positive
from amfs_lab.backbones import features_of
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError
from amfs_lab.inner.features import FeatureSpaceLoop, checked_task, joint_features, no_autocast
from amfs_lab.kernels import RBF, Kernel, Learned

QUERY_LOSS, EVIDENCE = OBJECTIVES = ("query-loss", "evidence")
LAM = Learned("lam", 1e-6, 1e3, "0.1 is a common start.")
NOISE = Learned("lam", 1e-4, 1e3, LAM.advice)  # the evidence lowers lam in training, and K of all examples is larger
SCALE = Learned("scale", 1e-30, 1e30, "5 is a common start.")


class FunctionSpace(FeatureSpaceLoop):
    """I-AMFS: f(z) = scale * sum_i alpha_i k(z, z_i) with alpha = (K + N)^-1 y and N = lam (I + mu K)^-1.

    Source: Park and Kang 2024. With `Linear()` and cross-entropy this method is R2-D2 (Bertinetto et al. 2019). In
    R2-D2, lam is n times a learned number lambda.

    With the objective "evidence" this method is DKT (Patacchiola et al. 2020). The meta-objective is then minus the log
    evidence of all labels, `evidence_loss`. The model is a Gaussian process for each class, with covariance scale^2 k,
    noise of variance scale^2 lam, and targets of +1 and -1. The scores are posterior means. Here all classes share the
    parameters of the Gaussian process. In the code of the DKT authors, each class has its own parameters.

    The bandwidth of the kernel and the output scale are meta-learned through the solve. The scale is necessary, because
    scores that are exactly one-hot still have a cross-entropy of log(1 + 4/e) = 0.905 with 5 classes.

    Args:
        kernel: similarity of features; by default a new `RBF`, which starts at the median distance.
        lam: ridge strength > 0. mu: weight of the gradient-norm term, >= 0.
        gamma: weight of the information term I/n in the task's meta-objective, >= 0 (our interpretation).
        scale: start of the learned output scale, > 0.
        first_order: treat alpha as a constant in the query loss, as FO-MAML treats gradients. Meta-training then learns
            nothing about lam and mu, and little about the bandwidth. This option saves almost no time, because nearly
            all of the cost is the backbone.
        learn_lam: meta-learn `lam`, with the given value as the start. The learned value stays between 1e-6 and 1e3;
            for the evidence, between 1e-4 and 1e3.
        objective: "query-loss" or "evidence". The evidence has no gamma and no first-order version.
    """

    def __init__(
        self,
        kernel: Kernel | None = None,
        lam: float = 0.1,
        mu: float = 0.0,
        gamma: float = 0.0,
        scale: float = 5.0,
        first_order: bool = False,
        learn_lam: bool = False,
        objective: str = QUERY_LOSS,
    ) -> None:
        super().__init__()
        check_settings(lam, mu, gamma, scale, first_order, learn_lam, objective)
        self.kernel = RBF() if kernel is None else kernel
        self._lam, self.mu, self.gamma, self.first_order, self.objective = lam, mu, gamma, first_order, objective
        self.log_lam = bounds_of_lam(objective).log(lam) if learn_lam else None
        self.log_scale = SCALE.log(scale)

    @property
    def lam(self) -> Float[Tensor, ""] | float:
        """The ridge strength: the given number, or the learned number with `learn_lam`."""
        return self._lam if self.log_lam is None else bounds_of_lam(self.objective).exp(self.log_lam)

    @property
    def scale(self) -> Float[Tensor, ""]:
        return SCALE.exp(self.log_scale)

    def for_network(self, net: nn.Module) -> "FunctionSpace":
        if self.kernel.needs_features:
            self.kernel.for_features(features_of(net, "Each feature has its own bandwidth"))
        return self

    def start(self, features: Real[Tensor, "n d"]) -> None:
        self.kernel.start(features)

    def fit(self, features: Real[Tensor, "*b n d"], targets: Real[Tensor, "*b n c"]) -> "KernelPredictor":
        """Learns one task, or a batch of tasks with equal shapes."""
        features, targets = checked_task(features, targets)
        if self.objective == EVIDENCE:
            targets = targets / self.scale  # of f / scale, whose covariance is k
        K_ss = self.kernel(features, features)
        alpha = ridge.solve(K_ss, targets, self.lam, self.mu, check=False)  # alpha = (K + N)^-1 y
        if self.first_order:
            alpha = alpha.detach()
        return KernelPredictor(features, alpha, K_ss, self)

    def targets_of(self, examples: Examples) -> Float[Tensor, "n ways"]:
        """The targets for `fit`: real labels unchanged, and classes as one-hot rows.

        With the objective "evidence", classes have targets +1 and -1 instead, because the Gaussian process has mean 0.
        """
        signs = self.objective == EVIDENCE and not examples.real
        return 2 * examples.targets - 1 if signs else examples.targets

    def loss(
        self, net: nn.Module, episode: Episode, label_smoothing: float = 0.0
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "q c"]]:
        """The meta-objective of the task, as set by `objective`, and the scores of the queries.

        Raises ConfigError for label smoothing with the evidence, because the evidence models labels as Gaussian
        variables.
        """
        if self.objective == QUERY_LOSS:
            return super().loss(net, episode, label_smoothing)
        if label_smoothing:
            raise ConfigError(f"The evidence has no label smoothing. Got {label_smoothing}. Leave it out.")
        n, features = len(episode.support.x), joint_features(net, episode.support, episode.query.x)
        with no_autocast(features.device):
            targets = torch.cat([self.targets_of(half) for half in (episode.support, episode.query)])
            return self.evidence_loss(features, targets), self.fit(features[:n], targets[:n])(features[n:])

    def evidence_loss(self, features: Real[Tensor, "*b n d"], targets: Real[Tensor, "*b n c"]) -> Float[Tensor, "*b"]:
        """-1/n sum_c log p(y_c) for y_c ~ Normal(0, scale^2 (K + N)), in nats per example.

        n is the number of examples, and the sum is over the classes c.
        """
        features, targets = checked_task(features, targets)
        n, columns = targets.shape[-2:]
        factor = ridge.RidgeFactor.of(self.kernel(features, features), self.lam, self.mu, check=False)
        return columns * self.scale.log() - factor.log_evidence(targets / self.scale) / n

    def extra_repr(self) -> str:
        lam = self.lam.item() if isinstance(self.lam, Tensor) else self.lam
        return f"lam={lam:.4g}, mu={self.mu}, gamma={self.gamma}, first_order={self.first_order}"


@dataclass(frozen=True)
class KernelPredictor:
    """The function learned for one task, its posterior variance, and the information term of its meta-objective."""

    support: Float[Tensor, "*b n d"]
    alpha: Float[Tensor, "*b n c"]
    K_ss: Float[Tensor, "*b n n"]
    space: FunctionSpace

    def __call__(self, features: Real[Tensor, "*b q d"]) -> Float[Tensor, "*b q c"]:
        return self.space.scale * self.space.kernel(features, self.support) @ self.alpha

    def variance(self, features: Real[Tensor, "*b q d"]) -> Float[Tensor, "*b q"]:
        """The posterior variance of f / scale at the features (see `ridge.variance`).

        Here f / scale is a Gaussian process with covariance k and noise covariance N.
        """
        kernel = self.space.kernel
        K_qs = kernel(features, self.support)
        return ridge.variance(kernel.diagonal(features), K_qs, self.K_ss, self.space.lam, self.space.mu)

    @property
    def penalty(self) -> Float[Tensor, "*b"] | float:
        """The information term gamma * I / n, differentiable in K.

        A learned lam is detached. Otherwise, training would increase lam to infinity, where I is zero.
        """
        if self.space.gamma == 0:
            return 0.0
        lam = self.space.lam
        lam = lam.detach() if isinstance(lam, Tensor) else lam
        return self.space.gamma * ridge.information(self.K_ss, lam, self.space.mu) / self.K_ss.shape[-1]


def bounds_of_lam(objective: str) -> Learned:
    """The bounds of a learned ridge strength lam for this objective."""
    return NOISE if objective == EVIDENCE else LAM


def check_settings(
    lam: float, mu: float, gamma: float, scale: float, first_order: bool, learn_lam: bool, objective: str
) -> None:
    """Raises ConfigError for an invalid setting.

    The numbers lam > 0, mu >= 0, gamma >= 0 and scale > 0 must be finite and within their bounds. The evidence has no
    gamma and no first-order version.
    """
    for name, value in (("lam", lam), ("mu", mu), ("gamma", gamma), ("scale", scale)):
        if isinstance(value, Tensor):
            raise ConfigError(f"`{name}` must be a number. Got a tensor. Take its value: .item().")
    check_positive("mu", mu, "0 leaves the term out.", zero=True)
    check_positive("gamma", gamma, "0 leaves the term out.", zero=True)
    check_positive("lam", lam, LAM.advice)
    SCALE.check(scale)
    check_choice("`objective`", objective, OBJECTIVES)
    if learn_lam:
        bounds_of_lam(objective).check(lam)
    if objective == EVIDENCE and (first_order or gamma):
        raise ConfigError(
            "The evidence has no solution to detach and no information term. Got "
            f"first_order={first_order} and gamma={gamma}. Leave both out, or use the query loss."
        )
