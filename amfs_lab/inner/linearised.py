"""Linearised MAML: gradient steps on the network's linearisation are kernel regression with a spectral filter.

The linearisation is f(x; theta + delta) ~ f(x; theta) + J(x) delta, where J is the Jacobian with respect to the
parameters. Gradient steps on this linear function stay in the span of the support set's Jacobians. So k steps equal
kernel regression of the residual y - f(x; theta). The kernel is the neural tangent kernel Theta(x, x') = J(x) J(x')^T,
and the filter is 1 - (1 - a s)^k.

Source: Jacot et al. 2018 (the kernel), Lee et al. 2019 (the linearised network).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, jacrev, jvp, vjp

from amfs_lab.arguments import check_columns, check_gram
from amfs_lab.episode import Examples
from amfs_lab.inner.gradient import GradientLoop, Params
from amfs_lab.ridge import Spectrum


def jacobian(net: nn.Module, x: Float[Tensor, "n ..."]) -> Float[Tensor, "rows p"]:
    """J: the derivative of every output with respect to every parameter.

    With c outputs, J has n * c rows, ordered by image, then by output. All images pass through `net` together, so that
    the derivative includes a normalisation over all images. For few-shot tasks J is small: 25 images, 5 outputs and
    10^5 parameters need 50 MB in float32.
    """
    params = _parameters(net)
    blocks = jacrev(lambda p: functional_call(net, p, (x,)).reshape(-1))(params)
    return torch.cat([block.flatten(1) for block in blocks.values()], 1)


def tangent_kernel(net: nn.Module, x1: Float[Tensor, "n ..."], x2: Float[Tensor, "m ..."]) -> Float[Tensor, "r1 r2"]:
    """Theta(x1, x2) = J(x1) J(x2)^T, with a c x c block for each pair of points, where c is the number of outputs."""
    J1 = jacobian(net, x1)
    return J1 @ (J1 if x2 is x1 else jacobian(net, x2)).T


def descent(K: Float[Tensor, "n n"], residual: Float[Tensor, "n c"], rate: float, steps: int) -> Float[Tensor, "n c"]:
    """The alpha of gradient descent from zero: sum_i u_i (1 - (1 - rate s_i)^steps) / s_i u_i^T residual.

    s_i and u_i are the eigenvalues and eigenvectors of K. One step is f <- f - rate * grad_f L, with
    L = 1/2 sum (f - y)^2. After `steps` steps, f is k^T alpha. Use `descent` for display and tests only, because the
    derivative of an eigendecomposition is NaN where eigenvalues repeat.
    """
    return _filtered(K, residual, lambda spectrum: spectrum.descent_filter(rate, steps), rate * steps)


def flow(K: Float[Tensor, "n n"], residual: Float[Tensor, "n c"], time: float) -> Float[Tensor, "n c"]:
    """The alpha of gradient flow: the limit of `descent` for rate -> 0 with rate * steps = time.

    The filter of gradient flow is 1 - exp(-s time).
    """
    return _filtered(K, residual, lambda spectrum: spectrum.flow_filter(time), time)


@dataclass(frozen=True)
class Linearised(GradientLoop):
    """The steps of `Maml` on the network linearised at theta: theta' = theta + J_S^T alpha.

    J_S is the Jacobian at the support set, and alpha comes from one eigendecomposition. `lr` and `steps` have the same
    meaning as for `Maml`. The loss of `Maml` is a mean over the n labels, so the rate a of the filter is lr / n. Here
    the loss is the squared loss with one-hot targets for classes; `Maml` uses the cross-entropy.
    """

    def adapt(self, net: nn.Module, support: Examples) -> "TangentPredictor":
        tangent = Tangent.at(net, support)
        return tangent.predictor(descent(tangent.K, tangent.residual, self.lr / len(support.x), self.steps))


@dataclass(frozen=True)
class Tangent:
    """The linear problem K alpha = residual for a support set and a network that is linearised at its parameters."""

    net: nn.Module
    support: Examples
    K: Float[Tensor, "r r"]  # Theta of the support set
    residual: Float[Tensor, "r 1"]  # y - f_0, in the order of K's rows

    @classmethod
    @torch.no_grad()
    def at(cls, net: nn.Module, support: Examples) -> "Tangent":
        residual = (support.targets - net(support.x)).reshape(-1, 1)
        return cls(net, support, tangent_kernel(net, support.x, support.x), residual)

    @torch.no_grad()
    def predictor(self, alpha: Float[Tensor, "r 1"]) -> "TangentPredictor":
        """The predictor f_0(x) + Theta(x, S) alpha, for the alpha of any solver: `descent`, `flow`, `ridge.solve`."""
        params = _parameters(self.net)
        scores, pull = vjp(lambda p: functional_call(self.net, p, (self.support.x,)), params)[:2]
        (moved,) = pull(alpha.reshape(scores.shape))  # J_S^T alpha, without J
        return TangentPredictor(self.net, params, moved)


@dataclass(frozen=True)
class TangentPredictor:
    """f(x; theta) + J(x) delta: the linearised network after its parameters changed by the vector delta (`moved`)."""

    net: nn.Module
    params: Params
    moved: Params

    def __call__(self, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q c"]:
        scores, change = jvp(lambda p: functional_call(self.net, p, (x,)), (self.params,), (self.moved,))[:2]
        return scores + change


def _parameters(net: nn.Module) -> Params:
    return {name: p.detach() for name, p in net.named_parameters()}


def _filtered(
    K: Float[Tensor, "n n"], residual: Float[Tensor, "n c"], shares: Callable[[Spectrum], Tensor], slope: float
) -> Float[Tensor, "n c"]:
    """sum_i u_i h(s_i) / s_i u_i^T residual, for the eigenvalues s_i and eigenvectors u_i of K.

    `shares` computes h. If s_i is 0 up to rounding, h(s_i) / s_i is replaced by `slope`, its limit for s_i -> 0.
    """
    check_gram("K", K)
    check_columns("residual", residual, "K", len(K))
    spectrum = Spectrum.of(K)
    s, u = spectrum.eigenvalues, spectrum.eigenvectors
    alive = s > torch.finfo(K.dtype).eps * len(K) * s.abs().max()
    per_s = torch.where(alive, shares(spectrum) / torch.where(alive, s, 1.0), slope)
    return u @ (per_s[:, None] * (u.T @ residual))
