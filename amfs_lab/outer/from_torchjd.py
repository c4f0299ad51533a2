"""Adapter for the aggregators of TorchJD (UPGrad, CAGrad and more), which is an optional dependency."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.errors import ConfigError, NumericalError
from amfs_lab.outer.aggregation import AGGREGATORS, Aggregator, check_rows

# The weights of these rules do not depend on a common scale of the gradients. But the rules treat sum|g_j|^2 < 1e-4 as
# zero, and real gradients can be that small. So the gradients are scaled first.
SCALED = ("CAGrad", "DualProj", "UPGrad")
STATEFUL = ("ExcessMTL", "GradVac", "NashMTL", "PCD")
BASES = ("Aggregator", "GramianWeightedAggregator", "WeightedAggregator")


@dataclass(frozen=True)
class TorchJD(Aggregator):
    """The TorchJD aggregator `torchjd.aggregation.NAME(**settings)`, where NAME is `aggregator`.

    The aggregator runs on the CPU in float64, because Gram matrices in float32 could overflow or underflow.

    For equal gradients, CAGrad with radius c returns (1 + c) times their mean. So at the same learning rate its steps
    are longer than those of the mean. TorchJD's own PCGrad returns the sum of the projected gradients. UPGrad returns a
    step d with <d, g_j> >= 0, up to the ridge that its solver adds to the Gram matrix. This ridge is 1e-4 of the trace.
    The setting `{"projector": torchjd.linalg.QuadprogProjector(reg_eps=1e-12)}` makes the ridge smaller.

    Some aggregators keep a state between calls (`stateful`). The state belongs to this object. The state is neither
    saved nor compared. A copy of this object and a new run of a trainer start without a state.

    Args:
        aggregator: name of the aggregator in TorchJD.
        settings: arguments of its constructor. A list becomes a tensor. Use plain values if the rule is saved.
        seed: seed of its random numbers, which are the same at every call.
    Raises:
        ConfigError: at the first use, if torchjd is not installed, or has no such aggregator or settings.
    """

    label = "TorchJD"
    aggregator: str = "UPGrad"
    settings: dict[str, Any] = field(default_factory=dict, hash=False)
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", dict(self.settings))  # a copy, because the caller may change the original

    def __reduce__(self) -> tuple[type, tuple[str, dict[str, Any], int]]:
        return type(self), (self.aggregator, self.settings, self.seed)

    @property
    def stateful(self) -> bool:
        return self.aggregator in STATEFUL

    @cached_property
    def made(self) -> Any:
        """The aggregator object of TorchJD, made at the first use."""
        kinds = aggregators()
        if self.aggregator not in kinds:
            raise ConfigError(f"TorchJD's aggregator must be one of {', '.join(kinds)}. Got {self.aggregator!r}.")
        kind, given = kinds[self.aggregator], self.settings.items()
        try:
            return kind(**{k: torch.tensor(v, dtype=torch.float64) if isinstance(v, list) else v for k, v in given})
        except ImportError as error:
            raise ConfigError(
                f"TorchJD's {self.aggregator} must find the packages that it is built on. Got: {error}"
            ) from error
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigError(
                f"TorchJD's {self.aggregator} takes {inspect.signature(kind)}. Got {self.settings}. {error}"
            ) from error

    @property
    def is_weighted(self) -> bool:
        """True for an aggregator that computes one weight per gradient. Most aggregators do."""
        made = self.made  # first, because this raises the error if torchjd is missing
        from torchjd.aggregation import WeightedAggregator

        return isinstance(made, WeightedAggregator)

    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        """The weights. Raises ConfigError for an aggregator that returns no weights (ConFIG, GradDrop, TrimmedMean)."""
        if not self.is_weighted:
            raise ConfigError(
                f"TorchJD's {self.aggregator} combines gradients without weights. Call the rule to get its direction."
            )
        return self._call(self.made.weighting, grads, len(grads))

    def combine(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " p"]:
        if self.is_weighted:
            return super().combine(grads)
        return self._call(self.made, grads, grads.shape[1])

    def _call(self, rule: Callable[[Tensor], Tensor], grads: Tensor, size: int) -> Tensor:
        check_rows(grads)
        matrix = grads.detach().cpu().double()  # the solvers work on the CPU, and Apple's MPS has no float64
        largest = matrix.abs().max()
        if not bool(torch.isfinite(largest)):
            return grads.new_full((size,), torch.nan)  # the caller reports the task
        if self.aggregator in SCALED and largest > 0:
            matrix = matrix / largest
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            try:
                return rule(matrix).to(grads)
            except ValueError as error:
                raise NumericalError(
                    f"TorchJD's {self.aggregator} must accept {len(grads)} gradients. Got: {error} "
                    "Use another aggregator or other settings."
                ) from error


AGGREGATORS["torchjd"] = TorchJD


def aggregators() -> dict[str, type]:
    """The aggregators of the TorchJD that is installed, by name."""
    try:
        from torchjd import aggregation
    except ImportError as error:
        raise ConfigError(
            'TorchJD\'s aggregators need the package torchjd. Got none. Install it: pip install "amfs-lab[torchjd]".'
        ) from error
    kinds = {name: getattr(aggregation, name) for name in sorted(aggregation.__all__) if name not in BASES}
    return {name: kind for name, kind in kinds.items() if issubclass(kind, aggregation.Aggregator)}
