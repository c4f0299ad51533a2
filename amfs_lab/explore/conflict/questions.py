"""Correct answers to the predictions about task conflict. Each answer is computed on request."""

from typing import Any

from amfs_lab import planes
from amfs_lab.experiments import conflict
from amfs_lab.experiments.result import Result
from amfs_lab.explore.conflict.conflict import gradients, real_conflict, turned
from amfs_lab.explore.conflict.endpoints import distances, judged, result
from amfs_lab.explore.conflict.trajectories import START, trajectories_of
from amfs_lab.explore.outer_loop.plane import landscape
from amfs_lab.outer import Mean, PairwiseCosine
from amfs_lab.stats import paired_difference
from amfs_lab.widgets.figure import State


def answer_when_two_tasks_disagree(ratio: float = 1.0) -> str:
    """The answer to "two tasks, any angle below 180°: do O-AMFS and the mean have different directions?".

    It is `"never"`, `"only beyond 90°"` or `"always"`, computed at every tenth degree from 10° to 170°.
    """
    parted = []
    for angle in range(10, 180, 10):
        grads = gradients(tasks=2, angle=float(angle), spread=0.0, ratio=ratio)
        turn = turned(Mean()(grads), PairwiseCosine()(grads))
        parted.append(turn is None or turn > 1e-3)  # degrees
    if not any(parted):
        return "never"
    return "always" if all(parted) else "only beyond 90°"


def answer_weight_of_the_opponent(ratio: float = 2.0) -> str:
    """The answer to "three equal tasks against one opposed task: which weight does the opposed task get?".

    The gradient of the opposed task is `ratio` times as long as each of the other gradients.
    """
    weight = float(PairwiseCosine().weights(gradients(tasks=4, angle=180.0, spread=0.0, ratio=ratio))[-1])
    return "zero" if abs(weight) < 1e-9 else "below zero" if weight < 0 else "small, but above zero"


def answer_where_tasks_agree() -> str:
    """The answer to "where do gradients agree more?", from the paired interval over meta-batches."""
    alike, mixed = real_conflict()
    gap = paired_difference(alike.mean_cosine, mixed.mean_cosine)
    return "within one script" if gap.low > 0 else "across scripts" if gap.high < 0 else "no difference shown"


def answer_where_o_amfs_ends(**changes: Any) -> str:
    """The answer to "where does O-AMFS end?" for equal round tasks.

    It names one of two points: θ* or the geometric median. The point that is nearer to the end of the trajectory is
    chosen.
    """
    state = State(START | changes)
    found = landscape(state, state.tasks, state.curvature, state.stretch)
    path = trajectories_of(tuple(state.items()))["O-AMFS"]
    away = {
        "at θ*, where the mean ends": (path[-1] - found.best).norm(),
        "at the geometric median": planes.from_segment(path[-1], found.medians),
    }
    return min(away, key=lambda name: float(away[name]))


def answer_which_rule_ends_nearer(setting: str, aim: str = "θ*", shown: Result | None = None) -> str:
    """The answer to "which rule ends nearer?": `"O-AMFS"`, `"the mean"` or `"no difference"`.

    It is computed from the paired interval over the stored draws.
    """
    found = result() if shown is None else shown
    config = conflict.ConflictConfig(**found.config)
    _, said = judged(distances(found, setting, aim, config.draws), config.fine)
    return {"nearer": "O-AMFS", "farther": "the mean"}.get(said, "no difference")
