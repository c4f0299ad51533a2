"""The correct answers to the predictions about the representer theorem.

A prediction is a question that a student answers before the result is shown. Each function computes one answer.
"""

import torch

from amfs_lab.explore.representer.perpendicular import MOST, unseen_share
from amfs_lab.explore.representer.projection import SUPPORTS, split, training_loss, weights
from amfs_lab.widgets.controls import Number


def answer_loss_when_the_part_is_removed(support: str = "two points", height: Number = 1.0) -> str:
    """The answer to "you remove w_perpendicular: what happens to the training loss?".

    It is `"it stays the same"`, `"it rises"` or `"it falls"`, computed from the loss before and after the change.
    """
    x, w = SUPPORTS[support], weights(height)
    before, after = training_loss(w, x), training_loss(split(w, x)[0], x)
    return "it stays the same" if torch.allclose(before, after) else "it rises" if after > before else "it falls"


def answer_when_points_are_added(function: str = "hill and dip", bandwidth: float = 0.6) -> str:
    """The answer to "you add support points, from none to six: what happens to the norm of f_perpendicular?".

    It is `"it only shrinks"`, `"it only grows"` or `"it goes up and down"`.
    """
    shares = torch.tensor([unseen_share(function, "apart", n, bandwidth) for n in range(MOST + 1)], dtype=torch.float64)
    steps = shares.diff()
    return (
        "it only shrinks" if (steps < 1e-12).all() else "it only grows" if (steps > 0).all() else "it goes up and down"
    )
