"""The aggregators of TorchJD, UPGrad, CAGrad and more, as rules of this library."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.errors import ConfigError, NumericalError
from amfs_lab.outer.aggregation import Aggregator, check_rows

# Their weights do not depend on a common scale, but they take sum|g_j|^2 < 1e-4 for zero, and ours get that small.
SCALED = ("CAGrad", "DualProj", "UPGrad")
REMEMBERING = ("ExcessMTL", "GradVac", "NashMTL", "PCD")
BASES = ("Aggregator", "GramianWeightedAggregator", "WeightedAggregator")


@dataclass(frozen=True)
class TorchJD(Aggregator):
    """`torchjd.aggregation.NAME(**settings)`, on the CPU in float64: float32 Gram matrices over- and underflow.

    CAGrad with radius c gives equal gradients (1 + c) times their mean, at equal learning rates another experiment, and
    TorchJD's own PCGrad sums. UPGrad keeps <d, g_j> >= 0 up to the ridge that its solver adds to the Gram matrix, 1e-4
    of the trace; `{"projector": torchjd.linalg.QuadprogProjector(reg_eps=1e-12)}` makes it smaller.

    Some remember earlier calls (`remembers`); the memory belongs to this one object. Copies start
    without it, and so does each run of a trainer; it is no part of what is saved or compared.

    Args:
        aggregator: its name there.
        settings: what its constructor takes. A list becomes a tensor; keep to plain values where the rule is saved.
        seed: of what it draws, the same at every call.
    Raises:
        ConfigError: at the first use, which is what imports torchjd: it is not installed, or knows no such aggregator
            or settings.
    """

    aggregator: str = "UPGrad"
    settings: dict[str, Any] = field(default_factory=dict, hash=False)
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", dict(self.settings))  # the caller's may change later

    def __reduce__(self) -> tuple[type, tuple[str, dict[str, Any], int]]:
        return type(self), (self.aggregator, self.settings, self.seed)

    @property
    def stateful(self) -> bool:
        return self.aggregator in REMEMBERING

    @cached_property
    def made(self) -> Any:
        """TorchJD's aggregator."""
        kinds = aggregators()
        if self.aggregator not in kinds:
            raise ConfigError(f"TorchJD's aggregator must be one of {', '.join(kinds)}. Got {self.aggregator!r}.")
        kind = kinds[self.aggregator]
        try:
            given = self.settings.items()
            return kind(**{k: torch.tensor(v, dtype=torch.float64) if isinstance(v, list) else v for k, v in given})
        except ImportError as error:
            raise ConfigError(f"Expected what TorchJD's {self.aggregator} is built on. Got: {error}") from error
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigError(
                f"TorchJD's {self.aggregator} takes {inspect.signature(kind)}. Got {self.settings}: {error}"
            ) from error

    @property
    def is_weighted(self) -> bool:
        """Whether it is weights on gradients, as most are."""
        made = self.made  # first: this is what says that torchjd is missing
        from torchjd.aggregation import WeightedAggregator

        return isinstance(made, WeightedAggregator)

    def weights(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " t"]:
        """Raises ConfigError for an aggregator that is not weights on gradients (ConFIG, GradDrop, TrimmedMean)."""
        if not self.is_weighted:
            raise ConfigError(
                f"TorchJD's {self.aggregator} combines gradients without weights. Use the direction: call the rule."
            )
        return self._answer(self.made.weighting, grads, len(grads))

    def combine(self, grads: Float[Tensor, "t p"]) -> Float[Tensor, " p"]:
        if self.is_weighted:
            return super().combine(grads)
        return self._answer(self.made, grads, grads.shape[1])

    def _answer(self, question: Callable[[Tensor], Tensor], grads: Tensor, size: int) -> Tensor:
        check_rows(grads)
        matrix = grads.detach().cpu().double()  # the solvers work there, and Apple's MPS has no float64
        largest = matrix.abs().max()
        if not bool(torch.isfinite(largest)):
            return grads.new_full((size,), torch.nan)  # the solvers have other words for it; the caller names the task
        if self.aggregator in SCALED and largest > 0:
            matrix = matrix / largest
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            try:
                return question(matrix).to(grads)
            except ValueError as error:
                raise NumericalError(
                    f"TorchJD's {self.aggregator} must have an answer to {len(grads)} gradients. Got: {error} "
                    "Use another aggregator or other settings."
                ) from error


def aggregators() -> dict[str, type]:
    """The aggregators of the TorchJD that is installed, by name."""
    try:
        from torchjd import aggregation
    except ImportError as error:
        raise ConfigError(
            'TorchJD\'s aggregators need the package torchjd. Got none: pip install "amfs-lab[torchjd]".'
        ) from error
    kinds = {name: getattr(aggregation, name) for name in sorted(aggregation.__all__) if name not in BASES}
    return {name: kind for name, kind in kinds.items() if issubclass(kind, aggregation.Aggregator)}
