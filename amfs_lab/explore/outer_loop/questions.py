"""The correct answers to the predictions about the outer loop in the plane.

A prediction is a question that a student answers before the result is shown. Each function computes one answer.
"""

from typing import Any

import torch

from amfs_lab.explore.outer_loop import pull as pulls
from amfs_lab.explore.outer_loop.outer_loop import (
    LOOKS,
    START,
    TASKS,
    fo_maml_diverges,
    pulls_of,
    shares,
)


def answer_which_method_ignores_the_curved_task(**changes: Any) -> str:
    """The answer to "which method gives the curved task the smallest share of the pull?".

    It is `"joint"`, `"MAML"` or `"proximal"` (the proximal solve).
    """
    s = START | changes
    pulled = shares(pulls_of(s["curvature"], s["stretch"], s["inner_lr"], s["inner_steps"], s["lam"]))
    third = dict(zip(LOOKS, pulled[:, TASKS - 1].abs().tolist(), strict=True))
    return min(("joint", "MAML", "proximal"), key=lambda name: third[name])


def answer_what_fo_maml_does(curvature: float = 15.0, inner_lr: float = 0.1, inner_steps: int = 1) -> str:
    """The answer to "a h = 1.5 in task 3: what does FO-MAML do at a small outer learning rate?".

    It is `"it diverges"` or `"it converges"`. Here a is the inner learning rate, and h is the curvature of task 3.
    """
    return "it diverges" if fo_maml_diverges(curvature, inner_lr, inner_steps) else "it converges"


def answer_curvature_that_maml_ignores(
    inner_lr: float = pulls.START["inner_lr"], inner_steps: int = pulls.START["inner_steps"]
) -> str:
    """The answer to "at which curvature h does a task have no effect in MAML?".

    It is `"h = 0.5/a"`, `"h = 1/a"` or `"h = 2/a"`: the curvature with the smallest absolute pull. a is the inner
    learning rate.
    """
    options = {"h = 0.5/a": 0.5, "h = 1/a": 1.0, "h = 2/a": 2.0}
    found = {
        name: abs(
            float(pulls.pull("MAML", torch.tensor(x / inner_lr, dtype=torch.float64), inner_lr, inner_steps, 1.0))
        )
        for name, x in options.items()
    }
    return min(found, key=lambda name: found[name])
