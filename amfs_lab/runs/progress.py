"""The progress of a run: step, time, loss and accuracy after a meta-step."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from amfs_lab.errors import DataError
from amfs_lab.plain import shown, wrong_field
from amfs_lab.stats import Interval
from amfs_lab.trajectory import TrajectoryPoint


@dataclass(frozen=True)
class Progress:
    """One meta-step of a run: mean query loss and accuracy of its tasks, and the training seconds so far.

    `trajectory`: position, cosine and weights (see `amfs_lab.trajectory`), if the trainer records them.
    `left`: estimated seconds until the end of training.
    """

    method: str
    step: int
    seconds: float
    loss: float
    accuracy: float
    validation: Interval | None = None
    trajectory: TrajectoryPoint | None = None
    left: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` is the inverse."""
        fields = asdict(replace(self, trajectory=None))
        fields["accuracy"] = self.accuracy if math.isfinite(self.accuracy) else None  # JSON has no NaN
        return fields if self.trajectory is None else fields | {"trajectory": self.trajectory.to_dict()}

    @classmethod
    def from_dict(cls, plain: object, where: Path | str) -> "Progress":
        """The progress that `to_dict` wrote, read from the run in `where`. Raises DataError for anything else."""
        wrong = None
        if isinstance(plain, Mapping):
            plain = {"trajectory" if name == "followed" else name: value for name, value in plain.items()}  # older runs
            if plain.get("accuracy", 0.0) is None:
                plain["accuracy"] = math.nan
        try:
            if not (wrong := wrong_field(cls, plain)) and isinstance(plain, dict):
                kinds = {"validation": lambda fields: Interval(**fields), "trajectory": TrajectoryPoint.from_dict}
                return cls(**plain | {name: make(plain[name]) for name, make in kinds.items() if plain.get(name)})
        except (TypeError, ValueError, RuntimeError):
            wrong = shown(plain)
        raise DataError(f"Expected the progress of a run in {where}. Got {wrong}. Start the training again.")
