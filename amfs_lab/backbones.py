"""Feature extractors: an MLP and Conv-4, with the normalisations that few-shot papers leave unnamed, named.

A backbone is called as `net(x, reference)`: `x` holds all images of the pass, and `reference` says how many of them,
from the first, are the support set (None: all).
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from amfs_lab.errors import ConfigError

BATCH_NORMS = ("transductive", "support")  # the same parameters, other statistics
NORMS = (*BATCH_NORMS, "group")
FLOAT32, BFLOAT16 = PRECISIONS = ("float32", "bfloat16")

SEED_OF_PROCESS = torch.initial_seed()  # a random number of 53 bits or more, until somebody chooses one
WRITTEN_OUT = ContextVar("WRITTEN_OUT", default=False)


@contextlib.contextmanager
def differentiable_batchnorm() -> Iterator[None]:
    """BatchNorm in elementary operations: the native one's second derivatives are wrong, by 1e-3 of the gradient, where
    `torch.func.grad` takes them within `torch.func.vmap` (torch 2.13)."""
    token = WRITTEN_OUT.set(True)
    try:
        yield
    finally:
        WRITTEN_OUT.reset(token)


class Backbone(nn.Module):
    """Images to features, for one task at a time.

    The initial weights of a subclass come from torch's global generator, as for any module. In a process that never
    called `torch.manual_seed` (torch then begins with other numbers each time) they are those of seed 0, so that a
    script gives the same result twice.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _repeatable(cls.__init__)  # type: ignore[method-assign]

    features: int  # width of what it returns
    norm: str  # how its activations are normalised, see `EpisodeNorm`


def _repeatable(init: Callable[..., None]) -> Callable[..., None]:
    """The same constructor, under seed 0 where nobody chose one."""

    @functools.wraps(init)
    def seeded(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        if torch.initial_seed() != SEED_OF_PROCESS or torch.initial_seed() < 2**32:  # somebody chose it
            return init(self, *args, **kwargs)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            return init(self, *args, **kwargs)

    return seeded


class Wrapped(Backbone):
    """A network of another library as a backbone: one that takes images alone.

    Maps (n c h w) and sequences become rows. Its layers keep their own ways: torch's BatchNorm takes the statistics of
    the pass in training, and in evaluation its running averages over training tasks; the kit's norms have none.

    Args:
        features: numbers an image that it returns, which gradient loops need for their head. None takes what the
            network tells itself (`features`, `num_features`, or `config.hidden_size`).
    Raises:
        ConfigError: a network with an `EpisodeNorm` of the support set: a `forward` of images alone has none.
    """

    norm = "own"

    def __init__(self, network: nn.Module, features: int | None = None) -> None:
        super().__init__()
        if any(isinstance(module, EpisodeNorm) and module.norm == "support" for module in network.modules()):
            raise ConfigError(
                'A network with `norm="support"` must be told which images are the support set. Got one that takes '
                f"images alone ({type(network).__name__}): give its `forward` a `reference`, and hand that on."
            )
        self.network = network
        told = (features, *(getattr(network, name, None) for name in ("features", "num_features")))
        config = getattr(network, "config", None)
        known = [value for value in (*told, getattr(config, "hidden_size", None)) if isinstance(value, int)]
        if known:
            self.features = known[0]

    def forward(self, x: Float[Tensor, "n ..."], reference: int | None = None) -> Any:
        returned = self.network(x)
        return returned.flatten(1) if isinstance(returned, Tensor) and returned.ndim > 2 else returned


def is_backbone(network: nn.Module) -> bool:
    """True for a network that is called as `network(x, reference)`."""
    return isinstance(network, Backbone) or "reference" in inspect.signature(network.forward).parameters


def checked_features(returned: object, n: int) -> Float[Tensor, "n d"]:
    """The features, if they are one row for each of the n images. Raises ConfigError for anything else."""
    if isinstance(returned, Tensor) and returned.is_floating_point() and returned.shape[:1] == (n,):
        if returned.ndim == 2:
            return returned
        got, advice = f"shape {tuple(returned.shape)}", "Flatten it: features.flatten(1)."
    elif isinstance(returned, Tensor):
        got, advice = f"shape {tuple(returned.shape)} in {returned.dtype}", "Keep the first axis for the images."
    else:
        got = f"a {type(returned).__name__}"
        advice = "Give a module whose `forward` returns one tensor of it, for example `.pooler_output` or `.logits`."
    raise ConfigError(f"A backbone must return one row of features an image, ({n}, d). Got {got}. {advice}")


class EpisodeNorm(nn.Module):
    """Normalisation of channels with statistics of the pass itself; no running averages, so no hidden state.

    Args:
        norm: `"transductive"` BatchNorm over whatever images the pass holds (a prediction then depends on the other
            queries, as in published MAML numbers); `"support"` BatchNorm with the statistics of the first `reference`
            images, which are the support set (inductive); `"group"` GroupNorm, image by image.
    """

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ConfigError(f"`norm` must be one of {', '.join(NORMS)}. Got {norm!r}.")
        self.norm = norm
        self.groups = max(1, channels // 8)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "n c h w"], reference: int | None = None) -> Float[Tensor, "n c h w"]:
        if self.norm == "group":  # not by F.group_norm, which asks for a layout that `torch.func.vmap` does not know
            grouped = x.flatten(1).unflatten(1, (self.groups, -1))
            normal = F.layer_norm(grouped, grouped.shape[-1:]).view(x.shape)
            return normal * self.weight[:, None, None] + self.bias[:, None, None]
        if self.norm == "transductive" or reference is None:
            reference = len(x)
        if reference == len(x) and not WRITTEN_OUT.get():
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True)
        # Native batch_norm sends no gradient through statistics that it is handed.
        seen = x[:reference].to(self.weight.dtype)  # not in bfloat16, whose mean has three digits
        variance, mean = torch.var_mean(seen, dim=(0, 2, 3), correction=0, keepdim=True)
        scale = self.weight[:, None, None] * (variance + 1e-5).rsqrt()
        return (x - mean) * scale + self.bias[:, None, None]


class ConvBlock(nn.Module):
    """3x3 convolution, normalisation, 2x2 max-pooling, ReLU.

    It is usually written with the ReLU before the pooling, where that has four times the work: the largest of rectified
    numbers is the largest number, rectified, so neither values nor gradients differ.
    """

    def __init__(self, inputs: int, outputs: int, norm: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = EpisodeNorm(outputs, norm)

    def forward(self, x: Float[Tensor, "n i h w"], reference: int | None = None) -> Float[Tensor, "n o h2 w2"]:
        return F.relu(F.max_pool2d(self.norm(self.conv(x), reference), 2))


class Conv4(Backbone):
    """Four `ConvBlock`s (Vinyals et al. 2016): images (n channels size size) to (n, width (size // 16)^2).

    Args:
        precision: of the convolutions and what lies between them; parameters and features keep theirs. `"bfloat16"` is
            fast where the device multiplies such numbers itself, and slow elsewhere.
    """

    def __init__(
        self,
        width: int = 64,
        norm: str = "transductive",
        channels: int = 1,
        size: int = 28,
        precision: str = FLOAT32,
    ) -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise ConfigError(f"`precision` must be one of {', '.join(PRECISIONS)}. Got {precision!r}.")
        if size < 16:
            raise ConfigError(f"Conv4 halves an image four times: `size` must be >= 16. Got {size}.")
        self.norm, self.precision = norm, precision
        self.features = width * (size // 16) ** 2
        self.blocks = nn.ModuleList(ConvBlock(channels if i == 0 else width, width, norm) for i in range(4))

    def forward(self, x: Float[Tensor, "n c h w"], reference: int | None = None) -> Float[Tensor, "n d"]:
        own, short = x.dtype, self.precision == BFLOAT16
        with torch.autocast(x.device.type, torch.bfloat16) if short else contextlib.nullcontext():
            for block in self.blocks:
                x = block(x, reference)
        return x.flatten(1).to(own)


class MLP(Backbone):
    """Fully connected layers with ReLU between them: (n ...) flattened to (n inputs), then (n features).

    It has no normalisation layer, so nothing in it depends on which other images are in the pass.
    """

    norm = "none"

    def __init__(self, inputs: int, hidden: tuple[int, ...] = (64, 64), features: int = 64) -> None:
        super().__init__()
        self.features = features
        widths = (inputs, *hidden, features)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Float[Tensor, "n ..."], reference: int | None = None) -> Float[Tensor, "n d"]:
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)
