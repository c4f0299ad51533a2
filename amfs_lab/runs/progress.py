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
    """The progress of a run after one meta-step.

    `loss` is the mean meta-objective of the tasks of this meta-step (see `MetaLearner.loss`).
    `accuracy` is the mean query accuracy of these tasks. `seconds` is the training time so far.
    `validation` is the validation accuracy with its interval, if there was a validation after this meta-step.
    `trajectory` has position, cosine and weights (see `amfs_lab.trajectory`), if the trainer records them.
    `left` is the estimated number of seconds until the end of the training.
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
        """The progress as plain data for JSON. `from_dict` is the inverse."""
        fields = asdict(replace(self, trajectory=None))
        fields["accuracy"] = self.accuracy if math.isfinite(self.accuracy) else None  # JSON has no NaN
        return fields if self.trajectory is None else fields | {"trajectory": self.trajectory.to_dict()}

    @classmethod
    def from_dict(cls, plain: object, where: Path | str) -> "Progress":
        """The progress from the result of `to_dict`. Raises DataError for other data.

        The error message names `where`, the folder or file of the run.
        """
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
