"""MAML and FO-MAML: a task is learned by a few gradient steps from the meta-parameters (Finn et al. 2017)."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from amfs_lab.episode import Split
from amfs_lab.errors import ConfigError

Params = dict[str, Tensor]


@dataclass(frozen=True)
class Maml:
    """theta' = theta - lr * grad L_S(theta), repeated `steps` times; the meta-gradient runs through all steps.

    Args:
        lr: inner learning rate > 0. steps: inner steps >= 1.
        first_order: leave out the second-order terms (FO-MAML): the gradients count as constants.
    """

    lr: float = 0.1
    steps: int = 5
    first_order: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.lr < math.inf:
            raise ConfigError(f"Maml.lr must be a finite number > 0. Got {self.lr}.")
        if not isinstance(self.steps, int) or self.steps < 1:
            raise ConfigError(f"Maml.steps must be an integer >= 1. Got {self.steps!r}.")

    def adapt(self, net: nn.Module, support: Split) -> "AdaptedNetwork":
        """Fast weights as values: `net` itself is never changed. Works under `torch.no_grad` as well."""
        meta_training = torch.is_grad_enabled()
        params: Params = dict(net.named_parameters())
        with torch.enable_grad():
            if not meta_training:
                params = {name: p.detach().requires_grad_() for name, p in params.items()}
            for _ in range(self.steps):
                loss = F.cross_entropy(functional_call(net, params, (support.x,)), support.y)
                second_order = meta_training and not self.first_order
                grads = torch.autograd.grad(loss, list(params.values()), create_graph=second_order)
                params = {name: p - self.lr * g for (name, p), g in zip(params.items(), grads, strict=True)}
        return AdaptedNetwork(net, params, support.x)


@dataclass(frozen=True)
class AdaptedNetwork:
    """The network with a task's fast weights. Queries pass apart from the support set, as published, unless the
    network's `norm` is "support": then the support set comes along to supply its statistics."""

    net: nn.Module
    params: Params
    support_x: Tensor

    def __call__(self, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q c"]:
        if getattr(self.net, "norm", None) != "support":
            return functional_call(self.net, self.params, (x,))
        n = len(self.support_x)
        return functional_call(self.net, self.params, (torch.cat([self.support_x, x]), n))[n:]
