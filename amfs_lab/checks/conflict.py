"""Self-checks on task conflict: lesson 08."""

from typing import Any

from amfs_lab.checks import diagnose
from amfs_lab.checks.diagnose import exercise
from amfs_lab.checks.verdict import Wrong
from amfs_lab.explore.conflict.conflict import ConflictExplorer


@exercise
def ends_apart(answer: Any) -> str:
    """By hand: the distance between the mean of four optima and the point where two diagonals cross.

    The optima are (-1, 0), (3, 0), (0, 2) and (0, -1). The diagonals are the lines through opposite optima, and cross
    at (0, 0). The answer is 0.559.
    """
    mistakes = [
        (
            0.0,
            "The mean of the optima is not the point where the diagonals cross. Add up the optima and divide by four.",
        ),
        (0.75, "You added the two coordinates. Take the length of the straight line instead."),
        (0.3125, "That is the square of the distance. Take the square root."),
        (5**0.5, "You took the sum of the optima. Their mean is a quarter of the sum."),
        (0.5, "That is the distance along the first axis. The second axis counts too."),
        (0.25, "That is the distance along the second axis. The first axis counts too."),
    ]
    diagnose.number(answer, 0.3125**0.5, mistakes, tolerance=0.01)
    return "O-AMFS ends at (0, 0), where the unit vectors to opposite corners cancel, and the mean ends at (½, ¼)."


@exercise
def uphill_from(answer: Any) -> str:
    """Explore: the smallest length of the third gradient at which a step of O-AMFS raises the mean loss.

    The other settings are those of the preset "uphill" of `ConflictExplorer`. The answer is 2.
    """
    ratio = diagnose.on_slider(answer, ConflictExplorer.ratio)
    if diagnose.near(ratio, 1.0, 0.02):
        raise Wrong("At length 1 both rules still follow the two other gradients. Use a larger length.")
    if not raises_mean_loss(ratio) and not raises_mean_loss(1.04 * ratio):
        raise Wrong(f"At length {ratio:g} a small step still lowers the mean loss. Use a larger length.")
    if raises_mean_loss(ratio) and raises_mean_loss(0.96 * ratio):
        raise Wrong(
            f"At length {ratio:g} a step raises the mean loss, but a smaller length is enough. Use a smaller length."
        )
    return (
        "Above this length, the mean follows the third gradient, because the sum of the others is shorter. "
        "O-AMFS still follows the two others."
    )


def raises_mean_loss(ratio: float) -> bool:
    """True if a small step of O-AMFS raises the mean loss in the preset "uphill" of `ConflictExplorer`.

    Args:
        ratio: length of the third gradient.
    """
    return bool(ConflictExplorer("uphill", ratio=ratio).arrays.mean_slope < 0)
