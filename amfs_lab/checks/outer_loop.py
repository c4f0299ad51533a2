"""Self-checks on the outer loop in the plane: lesson 07."""

from typing import Any

import torch

from amfs_lab import planes
from amfs_lab.checks import diagnose
from amfs_lab.checks.diagnose import exercise, points
from amfs_lab.checks.verdict import Wrong
from amfs_lab.explore.outer_loop.outer_loop import START, OuterLoopExplorer, fo_maml_diverges


@exercise
def end_of_maml(answer: Any) -> str:
    """By hand: the point where MAML ends for two tasks on a line. The answer is 1.

    One task has its optimum at 0 and curvature h = 1. The other task has its optimum at 4 and curvature h = 3. The
    inner loop is one step with learning rate 1/4.
    """
    mistakes = [
        (3.0, "That is where joint training ends: its pulls are 1 and 3. Use MAML's pulls, (1 − a h)² h."),
        (2.0, "You used h (1 − a h), which is the pull of FO-MAML. MAML's pull has the factor 1 − a h twice."),
        (0.4, "You left out the curvature: the pull is (1 − a h)² *times h*."),
        (4.0, "That is the optimum of the steep task. But the flat task also has a pull in MAML: (1 − ¼)² · 1."),
        (0.0, "That is the optimum of the flat task. But the steep task also has a pull: (1 − ¾)² · 3."),
        (0.75, "That is the sum of both pulls. Divide by it: the end point is the weighted mean of the optima."),
        (25 / 7, "You took 1 − a h². The factor is 1 − a h: for h = 3 it is 1 − ¾ = ¼."),
    ]
    diagnose.number(answer, 1.0, mistakes, tolerance=0.005)
    return (
        "The pulls are (¾)² · 1 = 9/16 and (¼)² · 3 = 3/16, so the steep task has a quarter of the weight. "
        "The end point is ¼ · 4 = 1."
    )


@exercise
def pulls(mine: Any) -> str:
    """Coding exercise: `my_pulls(H, a, k)`, the matrices W of MAML for tasks with the Hessians H.

    The meta-gradient of a task with optimum θ* is W (θ - θ*), after k inner steps with learning rate a.
    """

    def left(H: Any, a: float, k: int) -> Any:
        return torch.linalg.matrix_power(torch.eye(2, dtype=H.dtype) - a * H, k)

    mistakes = [
        (
            lambda H, a, k: H @ left(H, a, k),
            "That is FO-MAML: (I − aH)^k is on one side of H only. MAML has it on both sides.",
        ),
        (
            lambda H, a, k: left(H, a, k),
            "That is the share of the distance that is left. Multiply the *curvature* H by it on both sides.",
        ),
        (lambda H, a, k: left(H, a, k) @ left(H, a, k), "The curvature H itself is missing between the two factors."),
        (
            lambda H, a, k: left(H, a, 1) @ H @ left(H, a, 1),
            "That is one inner step for every `k`. Take the power k of I − aH.",
        ),
        (
            lambda H, a, k: torch.eye(2, dtype=H.dtype) - left(H, a, k),
            "That is the W of Reptile. MAML's W has (I − aH)^k on both sides of H.",
        ),
        (
            lambda H, a, k: H + 0 * left(H, a, k),
            "That is joint training, without an inner loop. Multiply H by (I − aH)^k on both sides.",
        ),
        (
            lambda H, a, k: (1 - a * H) ** k @ H @ (1 - a * H) ** k,
            "You took the powers of each entry of 1 − aH. Multiply the *matrix* I − aH with itself.",
        ),
        (
            lambda H, a, k: left(H, -a, k) @ H @ left(H, -a, k),
            "You used I + aH. The step goes downhill, so use I *minus* aH.",
        ),
    ]
    diagnose.function(mine, lambda H, a, k: planes.pulls("MAML", H, a, k), cases(), mistakes)
    return "Your pulls equal those of MAML on three sets of tasks, round and elongated, with one, three and four steps."


def cases() -> list[diagnose.Case]:
    """Test cases: the Hessians of three tasks, an inner learning rate, and a number of inner steps."""
    found = []
    for seed, (a, k) in enumerate([(0.2, 1), (0.1, 3), (0.3, 4)]):
        A = points(6, 2, seed + 60).reshape(3, 2, 2)
        found.append((A @ A.mT + 0.5 * torch.eye(2, dtype=A.dtype), a, k))
    return found


@exercise
def diverges_from(answer: Any) -> str:
    """Explore: the smallest curvature of task 3 at which FO-MAML diverges.

    The inner loop is k = 1 step with learning rate a = 0.2.
    """
    h = diagnose.on_slider(answer, OuterLoopExplorer.curvature)
    if diagnose.near(h, 1 / START["inner_lr"], 0.02):
        raise Wrong(
            f"At h = {h:g} the pull of task 3 is zero (a·h = 1). At a larger h it is negative, but at first the sum of "
            "all pulls stays positive. Raise the curvature."
        )
    if not fo_maml_diverges(h) and not fo_maml_diverges(1.05 * h):
        raise Wrong(f"At h = {h:g} FO-MAML still converges. Raise the curvature.")
    if fo_maml_diverges(h) and fo_maml_diverges(0.95 * h):
        raise Wrong(f"At h = {h:g} FO-MAML diverges, and it also diverges at a smaller h. Lower the curvature.")
    return "Here the pulls w of the three tasks add up to zero: h (1 − 0.2 h) + 2 · 0.8 = 0. So a·h > 1 is not enough."
