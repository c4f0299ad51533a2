"""The base class of backbones, and checks of networks that are used as backbones."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from amfs_lab.errors import ConfigError

SEED_OF_PROCESS = torch.initial_seed()  # a random number of 53 bits or more, until a seed is chosen


class Backbone(nn.Module):
    """A feature extractor: `net(x, reference)` maps the n images of a forward pass to features (n d).

    The support images come first, and `reference` is their number. None means that all images are the support set.

    The initial weights of a subclass come from torch's global random generator, as for any module. If the process never
    called `torch.manual_seed`, the seed is 0, so that a script gives the same result every time.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _repeatable(cls.__init__)  # type: ignore[method-assign]

    features: int  # d
    norm: str  # the normalisation of its activations, see `EpisodeNorm`


def _repeatable(init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that calls the constructor `init`, with seed 0 if the process has not chosen a seed."""

    @functools.wraps(init)
    def seeded(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        if torch.initial_seed() != SEED_OF_PROCESS or torch.initial_seed() < 2**32:  # a seed was chosen
            return init(self, *args, **kwargs)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            return init(self, *args, **kwargs)

    return seeded


def is_backbone(network: nn.Module) -> bool:
    """True if the network can be called as `network(x, reference)`."""
    return isinstance(network, Backbone) or "reference" in inspect.signature(network.forward).parameters


def features_of(backbone: nn.Module, reason: str) -> int:
    """The number of features of one image.

    Raises ConfigError if the number is unknown. The message begins with `reason`, which says why the number is needed.
    """
    features = getattr(backbone, "features", None)
    if isinstance(features, int) and features >= 1:
        return features
    raise ConfigError(
        f"{reason}, so the backbone's `features` must be the number of features of one image. Got {features!r}. "
        "Set it: backbones.Wrapped(network, features=512) for a network of another library, or `features` in your own "
        "class."
    )


def checked_features(returned: object, n: int) -> Float[Tensor, "n d"]:
    """The features that a backbone returned for n images, after a check.

    Raises ConfigError unless the argument `returned` is a floating-point matrix with one row for each image.
    """
    if isinstance(returned, Tensor) and returned.is_floating_point() and returned.shape[:1] == (n,):
        if returned.ndim == 2:
            return returned
        got, advice = f"shape {tuple(returned.shape)}", "Flatten the features: features.flatten(1)."
    elif isinstance(returned, Tensor):
        got, advice = f"shape {tuple(returned.shape)} in {returned.dtype}", "Keep the first axis for the images."
    else:
        got = f"a {type(returned).__name__}"
        advice = "Give a module whose `forward` returns one of its tensors, such as `.pooler_output` or `.logits`."
    raise ConfigError(f"A backbone must return one row of features for each image, ({n}, d). Got {got}. {advice}")
