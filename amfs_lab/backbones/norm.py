"""Normalisation of the channels of images, with three kinds of statistics: transductive, support and group."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from amfs_lab.arguments import check_choice

BATCH_NORMS = ("transductive", "support")  # both have the same parameters, but different statistics
NORMS = (*BATCH_NORMS, "group")
_ELEMENTARY = ContextVar("_ELEMENTARY", default=False)


@contextlib.contextmanager
def differentiable_batchnorm() -> Iterator[None]:
    """A context in which `EpisodeNorm` computes BatchNorm from elementary operations.

    It is needed for `torch.func.grad` inside `torch.func.vmap`. There, torch's own BatchNorm has wrong second
    derivatives, which change the gradient by 1e-3 of its length (torch 2.13).
    """
    token = _ELEMENTARY.set(True)
    try:
        yield
    finally:
        _ELEMENTARY.reset(token)


class EpisodeNorm(nn.Module):
    """Normalisation of channels with statistics of the images of the current forward pass.

    There are no running averages, and so no hidden state.

    Args:
        norm: `"transductive"` is BatchNorm over all images of the forward pass. A prediction then also depends on the
            other queries, as in published MAML results. `"support"` is BatchNorm with the statistics of the support
            set (inductive). The support images come first, and `reference` is their number. `"group"` is GroupNorm, for
            each image alone, in groups of 8 channels or more. Fewer than 8 channels are one group.
    """

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        check_choice("`norm`", norm, NORMS)
        self.norm = norm
        self.groups = next(n for n in range(max(1, channels // 8), 0, -1) if channels % n == 0)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "n c h w"], reference: int | None = None) -> Float[Tensor, "n c h w"]:
        if self.norm == "group":  # F.group_norm fails in `torch.func.vmap`
            grouped = x.flatten(1).unflatten(1, (self.groups, -1))
            normal = F.layer_norm(grouped, grouped.shape[-1:]).view(x.shape)
            return normal * self.weight[:, None, None] + self.bias[:, None, None]
        if self.norm == "transductive" or reference is None:
            reference = len(x)
        if reference == len(x) and not _ELEMENTARY.get():
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True)
        # Native batch_norm has no gradient through given statistics.
        seen = x[:reference].to(self.weight.dtype)  # a mean in bfloat16 has three digits
        variance, mean = torch.var_mean(seen, dim=(0, 2, 3), correction=0, keepdim=True)
        scale = self.weight[:, None, None] * (variance + 1e-5).rsqrt()
        return (x - mean) * scale + self.bias[:, None, None]
