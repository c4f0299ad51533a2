"""Self-checks of the exercises. They explain why an answer is right, or name the mistake in a wrong answer.

checks.rbf(my_rbf)          "✓ ..."  or  "Not yet. You divided by σ² where the exponent has 2σ² ...", in a box

The docstring of a check begins with the kind of exercise: by hand (a number), explore (a number found with an explorer)
or coding (a function). In a notebook, a check raises no exception. Under a grader and in a test, a wrong answer raises
`Wrong` (see `verdict`).
"""

from amfs_lab.checks.conflict import ends_apart, uphill_from
from amfs_lab.checks.episodes import class_eigenvalue, episode, wide_gap
from amfs_lab.checks.kernels import rbf, six_alike, two_away, widest_alive
from amfs_lab.checks.meta import lone_opponent, turning_angle, weights
from amfs_lab.checks.outer_loop import diverges_from, end_of_maml, pulls
from amfs_lab.checks.projection import almost_all_seen, perpendicular, two_bumps
from amfs_lab.checks.regularisers import centred_fit, effective_ridge, opposed_teachers
from amfs_lab.checks.ridge import fit, freedom, kept_share, solve
from amfs_lab.checks.setting import environment, no_network
from amfs_lab.checks.start import always_read, guess
from amfs_lab.checks.steps import descend, learned_share, mimicking_lam
from amfs_lab.checks.verdict import Wrong

__all__ = [
    "Wrong",
    "almost_all_seen",
    "always_read",
    "centred_fit",
    "class_eigenvalue",
    "descend",
    "diverges_from",
    "effective_ridge",
    "end_of_maml",
    "ends_apart",
    "environment",
    "episode",
    "fit",
    "freedom",
    "guess",
    "kept_share",
    "learned_share",
    "lone_opponent",
    "mimicking_lam",
    "no_network",
    "opposed_teachers",
    "perpendicular",
    "pulls",
    "rbf",
    "six_alike",
    "solve",
    "turning_angle",
    "two_away",
    "two_bumps",
    "uphill_from",
    "weights",
    "wide_gap",
    "widest_alive",
]
