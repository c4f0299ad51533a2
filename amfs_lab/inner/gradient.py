"""MAML, FO-MAML and ANIL: a task is learned by a few gradient steps from the meta-parameters."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import ClassVar

import torch
import torch.nn.attention
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from amfs_lab.arguments import check_count, is_number
from amfs_lab.backbones import checked_features
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError
from amfs_lab.kernels import Learned

Params = dict[str, Tensor]
HEAD = "head."
LR = Learned("lr", 1e-6, 1e3, "0.1 is a common start.")


class LearnedRates(nn.Module):
    """Meta-learned learning rates: one for each pair of a parameter tensor of a network and an inner step.

    Source: Antoniou et al. 2019 (LSLR). Meta-SGD (Li et al. 2017) has one rate for each entry of a tensor. Both methods
    allow negative rates. The rates here are positive, because their logarithms are learned.
    """

    def __init__(self, net: nn.Module, lr: float, steps: int) -> None:
        super().__init__()
        self.names = [name for name, _ in net.named_parameters()]
        self.log_lr = LR.log(lr, (len(self.names), steps))

    def forward(self) -> dict[str, Float[Tensor, " steps"]]:
        """The learning rates of each parameter tensor, one per step, by the name of the tensor."""
        return dict(zip(self.names, ordinary(LR.exp(self.log_lr)), strict=True))


@dataclass(frozen=True)
class GradientLoop(ABC):
    """An inner loop of gradient steps on the support set, for a network with a linear head.

    Args:
        lr: inner learning rate > 0. steps: inner steps >= 1.
    """

    lr: float = 0.1
    steps: int = 5
    rates: ClassVar[LearnedRates | None] = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not is_number(self.lr) or self.lr <= 0:
            raise ConfigError(f"{name}.lr must be a finite number > 0. Got {self.lr!r}.")
        check_count(f"{name}.steps", self.steps, 1, 10_000)

    def build(self) -> "GradientLoop":
        """Returns this loop itself. A learner calls `for_network`, which may add learnable numbers."""
        return self

    def for_network(self, net: nn.Module) -> "GradientLoop":
        """The loop for the network `net`, with learnable numbers if it has any. By default it has none."""
        return self

    @abstractmethod
    def adapt(self, net: nn.Module, support: Examples) -> Callable[[Tensor], Tensor]:
        """A predictor from queries to scores. Works under `torch.no_grad` as well.

        The parameters of `net` never change. Its buffers change if a forward pass writes to them (BatchNorm in training
        mode).
        """

    def loss(
        self, net: nn.Module, episode: Episode, label_smoothing: float = 0.0
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "q c"]]:
        """The loss of the queries (`Examples.loss`) and their scores."""
        scores = self.adapt(net, episode.support)(episode.query.x)
        return episode.query.loss(scores, label_smoothing), scores


@dataclass(frozen=True)
class Descent(GradientLoop):
    """A gradient loop on the network itself, not on its linearisation.

    The steps change the parameters that require a gradient. The steps never change frozen parameters or buffers.

    Args:
        first_order: leave out the second-order terms (FO-MAML): the gradients of the steps, or the alpha of a solve,
            count as constants.
        learn_lr: meta-learn an inner learning rate for each parameter tensor and step; all start at `lr`.
    """

    first_order: bool = False
    learn_lr: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.learn_lr:
            LR.check(self.lr)

    def for_network(self, net: nn.Module) -> "Descent":
        """The loop itself. With `learn_lr`, the result is a copy with new learnable `rates` for this network."""
        if not self.learn_lr:
            return self
        made = replace(self)
        object.__setattr__(made, "rates", LearnedRates(self.moving(net), self.lr, self.steps))
        return made

    def moving(self, net: nn.Module) -> nn.Module:
        """The part of the network whose parameters the steps change."""
        return net

    def _rate(self) -> Callable[[str, int], Tensor | float]:
        """The learning rate as a function of the name of a parameter and the index of a step, from 0.

        Learned rates exist only for the first steps (their number is `steps`). A later step uses the last learned rate.
        """
        if self.rates is None:
            return lambda name, step: self.lr
        learned = self.rates()
        return lambda name, step: learned[name][min(step, self.steps - 1)]

    def _descend(self, net: nn.Module, labelled: Examples) -> Iterator[Params]:
        """An endless iterator over the parameters of `net` after 0, 1, 2, ... gradient steps on the loss of `labelled`.

        Frozen parameters do not change. Parameters without effect on the loss do not change either. If gradients are
        enabled, the graph back to `net` is kept. Unless `first_order` is set, the graph also runs through each
        gradient. Raises ConfigError if all parameters are frozen.
        """
        second_order, rate = not self.first_order, self._rate()
        labelled = Examples.unchecked(ordinary(labelled.x), ordinary(labelled.y), labelled.ways)
        params: Params = {name: ordinary(p) for name, p in net.named_parameters()}
        meta_training = torch.is_grad_enabled()

        def loss(params: Params) -> Tensor:
            return labelled.loss(functional_call(net, params, (labelled.x,)))

        movable = [name for name, p in params.items() if not is_frozen(p)]
        if not movable:
            raise ConfigError(
                f"{type(self).__name__} needs a parameter that its steps may move. Got {len(params)} parameters, "
                "which are all frozen. Unfreeze some: requires_grad_(True). Evaluation does not need frozen parameters."
            )
        if meta_training and not any(params[name].requires_grad for name in movable):  # within `torch.func.vmap`
            yield from self._descend_transformed(loss, params, movable)
        for step in count():
            if not meta_training:  # no graph of earlier steps is kept
                with recording():
                    params = params | {name: params[name].detach().requires_grad_() for name in movable}
            yield params
            with recording():  # not around the yield, because it would change the caller's mode
                with twice_differentiable() if meta_training and second_order else contextlib.nullcontext():
                    value = loss(params)
                if not value.requires_grad:  # the loss depends on no movable parameter
                    continue
                starts = [params[name] for name in movable]
                grads = torch.autograd.grad(
                    value, starts, create_graph=meta_training and second_order, allow_unused=True
                )
                pairs = zip(movable, starts, grads, strict=True)
                params = params | {name: p if g is None else p - rate(name, step) * g for name, p, g in pairs}

    def _descend_transformed(
        self, loss: Callable[[Params], Tensor], params: Params, movable: list[str]
    ) -> Iterator[Params]:
        """The version of `_descend` for use within a transform of `torch.func`.

        Within such a transform, `torch.autograd.grad` finds no graph.
        """
        held, rate = {name: p for name, p in params.items() if name not in movable}, self._rate()
        for step in count():
            yield params
            moving = {name: params[name] for name in movable}
            with contextlib.nullcontext() if self.first_order else twice_differentiable():
                grads = torch.func.grad(lambda own: loss(held | own))(moving)
            if self.first_order:
                grads = {name: g.detach() for name, g in grads.items()}
            params = params | {name: p - rate(name, step) * grads[name] for name, p in moving.items()}


@contextlib.contextmanager
def recording() -> Iterator[None]:
    """A context that records operations for derivatives, also within `torch.no_grad` and `torch.inference_mode`."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def twice_differentiable() -> contextlib.AbstractContextManager[object]:
    """A context in which torch computes attention by matrix products and a softmax.

    The fast attention kernels of torch have no second derivative.
    """
    return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)


def ordinary(tensor: Tensor) -> Tensor:
    """A tensor that autograd accepts: the given tensor, or a copy of a tensor from `torch.inference_mode`."""
    if not tensor.is_inference():
        return tensor
    with torch.inference_mode(False):
        return tensor.clone()


def is_frozen(parameter: Tensor) -> bool:
    """True for an `nn.Parameter` with `requires_grad` False.

    The tensors that `functional_call` uses are plain tensors, not parameters. So they are never frozen.
    """
    return isinstance(parameter, nn.Parameter) and not parameter.requires_grad


@dataclass(frozen=True)
class Maml(Descent):
    """theta' = theta - lr * grad L_S(theta), repeated `steps` times; the meta-gradient runs through all steps.

    Source: Finn et al. 2017.
    """

    def adapt(self, net: nn.Module, support: Examples) -> "AdaptedNetwork":
        return next(islice(self.walk(net, support), self.steps, None))

    def walk(self, net: nn.Module, support: Examples) -> "Iterator[AdaptedNetwork]":
        """An endless iterator over the network after 0, 1, 2, ... inner steps.

        The setting `steps` is not used.
        """
        support_x = ordinary(support.x)
        for params in self._descend(net, support):
            yield AdaptedNetwork(net, params, support_x)


@dataclass(frozen=True)
class Anil(Descent):
    """MAML whose inner steps change only the linear head (Raghu et al. 2020). The outer loop changes all parameters.

    The support set passes through the body once. `net` must have the submodules `backbone` and `head`, as in
    `MetaLearner`.
    """

    def moving(self, net: nn.Module) -> nn.Module:
        return net.get_submodule("head")

    def adapt(self, net: nn.Module, support: Examples) -> "AdaptedNetwork":
        head = self.moving(net)
        features = checked_features(net.get_submodule("backbone")(support.x.clone()), len(support.x))
        features = features.to(next(head.parameters()).dtype)
        labelled = Examples.unchecked(features, support.y, support.ways)
        moved = next(islice(self._descend(head, labelled), self.steps, None))
        params = dict(net.named_parameters()) | {HEAD + name: p for name, p in moved.items()}
        return AdaptedNetwork(net, params, support.x)


@dataclass(frozen=True)
class AdaptedNetwork:
    """The network with the fast weights of one task.

    Queries pass through the network without the support set, as in the published MAML. With the norm "support", the
    queries and the support set pass together, because the support set supplies the statistics.
    """

    net: nn.Module
    params: Params
    support_x: Tensor

    def __call__(self, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q c"]:
        if getattr(self.net, "norm", None) != "support":
            return functional_call(self.net, self.params, (x,))
        n = len(self.support_x)
        return functional_call(self.net, self.params, (torch.cat([self.support_x, x]), n))[n:]
