"""MAML, FO-MAML and ANIL: a task is learned by a few gradient steps from the meta-parameters."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from amfs_lab.episode import Split
from amfs_lab.errors import ConfigError

Params = dict[str, Tensor]
HEAD = "head."


@dataclass(frozen=True)
class GradientLoop(ABC):
    """An inner loop on a network that ends in a linear head: `steps` gradient steps of length `lr` on the support set.

    Args:
        lr: inner learning rate > 0. steps: inner steps >= 1.
    """

    lr: float = 0.1
    steps: int = 5

    def __post_init__(self) -> None:
        name = type(self).__name__.removesuffix("Config")
        if not 0 < self.lr < math.inf:
            raise ConfigError(f"{name}.lr must be a finite number > 0. Got {self.lr}.")
        if not isinstance(self.steps, int) or self.steps < 1:
            raise ConfigError(f"{name}.steps must be an integer >= 1. Got {self.steps!r}.")

    @abstractmethod
    def adapt(self, net: nn.Module, support: Split) -> Callable[[Tensor], Tensor]:
        """A predictor from queries to scores; `net` itself is never changed. Works under `torch.no_grad` as well."""

    def _descend(
        self, loss: Callable[[Params], Tensor], params: Params, meta_training: bool, second_order: bool = True
    ) -> Iterator[Params]:
        """params, and what they become after 1, 2, ... steps down the loss, without end.

        Args:
            meta_training: keep the graph back to `params`. second_order: and through each gradient.
        """
        if meta_training and not any(p.requires_grad for p in params.values()):  # within `torch.func.vmap`
            yield from self._descend_transformed(loss, params, second_order)
        if not meta_training:
            params = {name: p.detach().requires_grad_() for name, p in params.items()}
        while True:
            yield params
            with torch.enable_grad():  # not around the yield: it would reach into the caller
                create = meta_training and second_order
                grads = torch.autograd.grad(loss(params), list(params.values()), create_graph=create)
                params = {name: p - self.lr * g for (name, p), g in zip(params.items(), grads, strict=True)}
                if not meta_training:  # nothing keeps the graph of the steps before
                    params = {name: p.detach().requires_grad_() for name, p in params.items()}

    def _descend_transformed(
        self, loss: Callable[[Params], Tensor], params: Params, second_order: bool
    ) -> Iterator[Params]:
        """The same where `torch.autograd.grad` finds no graph, because a transform of `torch.func` holds it."""
        while True:
            yield params
            grads = torch.func.grad(loss)(params)
            if not second_order:
                grads = {name: g.detach() for name, g in grads.items()}
            params = {name: p - self.lr * grads[name] for name, p in params.items()}


@dataclass(frozen=True)
class Maml(GradientLoop):
    """theta' = theta - lr * grad L_S(theta), repeated `steps` times; the meta-gradient runs through all steps.

    Source: Finn et al. 2017.

    Args:
        first_order: leave out the second-order terms (FO-MAML): the gradients count as constants.
    """

    first_order: bool = False

    def adapt(self, net: nn.Module, support: Split) -> "AdaptedNetwork":
        return next(islice(self.walk(net, support), self.steps, None))

    def walk(self, net: nn.Module, support: Split) -> "Iterator[AdaptedNetwork]":
        """The network after 0, 1, 2, ... inner steps, without end; `steps` plays no part."""

        def loss(params: Params) -> Tensor:
            return support.loss(functional_call(net, params, (support.x,)))

        start: Params = dict(net.named_parameters())
        for params in self._descend(loss, start, torch.is_grad_enabled(), not self.first_order):
            yield AdaptedNetwork(net, params, support.x)


@dataclass(frozen=True)
class Anil(GradientLoop):
    """MAML whose inner steps move the linear head only; the outer loop moves everything, through all steps.

    Source: Raghu et al. 2020 ("almost no inner loop"). The support set passes through the body once, whatever `steps`.
    `net` must be a `backbone` under a `head`, as `MetaLearner` makes it.
    """

    def adapt(self, net: nn.Module, support: Split) -> "AdaptedNetwork":
        features = net.get_submodule("backbone")(support.x)
        head = net.get_submodule("head")

        def loss(params: Params) -> Tensor:
            return support.loss(functional_call(head, params, (features,)))

        start: Params = dict(head.named_parameters())
        moved = next(islice(self._descend(loss, start, torch.is_grad_enabled()), self.steps, None))
        params = dict(net.named_parameters()) | {HEAD + name: p for name, p in moved.items()}
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
