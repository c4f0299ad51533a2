"""I-AMFS: a task is learned by one closed-form solve in the kernel's function space, instead of gradient steps."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from amfs_lab import ridge
from amfs_lab.errors import ConfigError
from amfs_lab.inner.features import FeatureSpaceLoop
from amfs_lab.kernels import RBF, median_bandwidth


class FunctionSpace(FeatureSpaceLoop):
    """f(z) = scale * sum_i alpha_i k(z, z_i) with alpha = (K + N)^-1 y and N = lam (I + mu K)^-1.

    Source: Park and Kang 2024, the inner loop.

    The kernel's bandwidth and the output scale are meta-learned through the solve. The scale is not optional: one-hot
    scores at scale 1 leave the cross-entropy of 5 classes above 0.9 whatever the features are.

    Args:
        kernel: similarity of features; a fresh `RBF` by default.
        lam: ridge strength > 0. mu: weight of the gradient-norm term, >= 0.
        gamma: weight of the information term I/n that the task adds to its meta-objective, >= 0 (our reading).
        scale: where the learned output scale starts, > 0.
        first_order: the query loss does not see alpha, the analogue of FO-MAML: it then learns nothing about lam and
            mu, and little about the bandwidth. It saves almost no time, the backbone being nearly all of the cost.
    Raises:
        ConfigError: a value outside its range.
    """

    def __init__(
        self,
        kernel: RBF | None = None,
        lam: float = 0.1,
        mu: float = 0.0,
        gamma: float = 0.0,
        scale: float = 5.0,
        first_order: bool = False,
    ) -> None:
        super().__init__()
        check_settings(lam, mu, gamma, scale)
        self.kernel = RBF() if kernel is None else kernel
        self.lam, self.mu, self.gamma, self.first_order = lam, mu, gamma, first_order
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    @property
    def scale(self) -> Float[Tensor, ""]:
        return self.log_scale.exp()

    def start(self, features: Float[Tensor, "n d"]) -> None:
        """Puts the bandwidth at the median distance of these features: else Conv-4 may begin with K = I, K_QS = 0."""
        self.kernel.start_at(median_bandwidth(features))

    def fit(self, features: Float[Tensor, "n d"], targets: Float[Tensor, "n c"]) -> "KernelPredictor":
        K_ss = self.kernel(features, features)
        alpha = ridge.solve(K_ss, targets, self.lam, self.mu, check=False)  # Section 4.1: alpha = (K + N)^-1 y
        if self.first_order:
            alpha = alpha.detach()
        penalty = features.new_zeros(())
        if self.gamma > 0:
            # Section 4.1: gamma * I / n on the live K; lam is a number here, so it cannot be traded away
            penalty = self.gamma * ridge.information(K_ss, self.lam, self.mu) / len(features)
        return KernelPredictor(features, alpha, self.kernel, self.scale, penalty)

    def extra_repr(self) -> str:
        return f"lam={self.lam}, mu={self.mu}, gamma={self.gamma}, first_order={self.first_order}"


@dataclass(frozen=True)
class KernelPredictor:
    """The task's function, and what its information term adds to the meta-objective (`penalty`)."""

    support: Float[Tensor, "n d"]
    alpha: Float[Tensor, "n c"]
    kernel: RBF
    scale: Float[Tensor, ""]
    penalty: Float[Tensor, ""]

    def __call__(self, features: Float[Tensor, "q d"]) -> Float[Tensor, "q c"]:
        return self.scale * self.kernel(features, self.support) @ self.alpha


def check_settings(lam: float, mu: float, gamma: float, scale: float) -> None:
    """Raises ConfigError unless lam > 0, mu >= 0, gamma >= 0, scale > 0, all finite."""
    for name, value, advice in (("lam", lam, "0.1 is a fair start"), ("scale", scale, "5 is a fair start")):
        if not 0 < value < math.inf:
            raise ConfigError(f"`{name}` must be a finite number > 0. Got {value}. {advice}.")
    for name, value in (("mu", mu), ("gamma", gamma)):
        if not 0 <= value < math.inf:
            raise ConfigError(f"`{name}` must be a finite number >= 0. Got {value}. 0 leaves the term out.")
