"""Correct answers to the predictions about regularisers, σ and λ. Each answer is computed on request."""

from amfs_lab import ridge
from amfs_lab.explore.regularisers.landscape import best, surfaces, task
from amfs_lab.explore.regularisers.regularisers import rms


def answer_when_mu_grows(mu: float = 10.0, bandwidth: float = 0.6, lam: float = 1.0) -> str:
    """The answer to "you add μ: what does the fit do?", for the points of the explorer's initial state."""
    t = task("sine", 20, 0.3, 6)
    K, _ = t.at(bandwidth)
    before, after = (rms(K @ ridge.solve(K, t.y, lam, m) - t.y) for m in (0.0, mu))
    if abs(after - before) < 0.01 * before:
        return "it hardly changes"
    return "it comes closer to the labels" if after < before else "it keeps its distance: a smoother curve"


def answer_where_the_training_loss_points(
    data: str = "sine", points: int = 20, noise: float = 0.3, sample: int = 6
) -> str:
    """The answer to "where does the training loss point?".

    It is the direction from the minimum of the query loss to the minimum of the training loss.
    """
    found = surfaces(data, points, noise, sample)
    (sigma, lam), (best_sigma, best_lam) = best(found["training loss"]), best(found["query loss"])  # type: ignore[misc]
    return f"to a {'narrower' if sigma < best_sigma else 'wider'} σ and a {'smaller' if lam < best_lam else 'larger'} λ"
