"""The progress of a run: step, time, loss and accuracy after a meta-step."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from amfs_lab.stats import Interval
from amfs_lab.trajectory import TrajectoryPoint


@dataclass(frozen=True)
class Progress:
    """Where a run is after a meta-step: mean query loss and accuracy of its tasks, and training seconds so far.

    `followed`: position, cosine and weights (see `amfs_lab.trajectory`), of a trainer that was asked to follow.
    `left`: seconds of training to come, at the speed so far.
    """

    method: str
    step: int
    seconds: float
    loss: float
    accuracy: float
    validation: Interval | None = None
    followed: TrajectoryPoint | None = None
    left: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        fields = asdict(replace(self, followed=None))
        fields["accuracy"] = self.accuracy if math.isfinite(self.accuracy) else None  # of real labels, NaN is no JSON
        return fields if self.followed is None else fields | {"followed": self.followed.to_dict()}
