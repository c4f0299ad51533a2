"""The correct answers to the predictions about regularisers, σ and λ.

A prediction is a question that a student answers before the result is shown. Each function computes one answer.
"""

from amfs_lab import ridge
from amfs_lab.explore.regularisers.landscape import best, surfaces, task
from amfs_lab.explore.regularisers.regularisers import rms


def answer_when_mu_grows(mu: float = 10.0, bandwidth: float = 0.6, lam: float = 1.0) -> str:
    """The answer to "you add μ, a penalty on the gradient norm: what happens to the fit?".

    It is `"it hardly changes"`, `"it comes closer to the labels"` or `"it stays away and is smoother"`. The
    points are those of the initial state of `RegulariserExplorer`.
    """
    t = task("sine", 20, 0.3, 6)
    K, _ = t.at(bandwidth)
    before, after = (rms(K @ ridge.solve(K, t.y, lam, m) - t.y) for m in (0.0, mu))
    if abs(after - before) < 0.01 * before:
        return "it hardly changes"
    return "it comes closer to the labels" if after < before else "it stays away and is smoother"


def answer_where_the_training_loss_points(
    data: str = "sine", points: int = 20, noise: float = 0.3, sample: int = 6
) -> str:
    """The answer to "which σ and λ does the training loss choose, compared with the query loss?".

    It is the direction from the minimum of the query loss to the minimum of the training loss.
    """
    found = surfaces(data, points, noise, sample)
    (sigma, lam), (best_sigma, best_lam) = best(found["training loss"]), best(found["query loss"])  # type: ignore[misc]
    return f"a {'narrower' if sigma < best_sigma else 'wider'} σ and a {'smaller' if lam < best_lam else 'larger'} λ"
