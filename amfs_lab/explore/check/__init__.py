"""The exercises' self-checks: a right answer is told why it is right, a wrong one what it did.

check.rbf(my_rbf)           "✓ ..."  or  AssertionError: You divided by σ² where the exponent has 2σ² ...
"""

from amfs_lab.explore.check.kernels import rbf, six_alike, two_away, widest_alive
from amfs_lab.explore.check.meta import lone_opponent, solve, turning_angle, weights
from amfs_lab.explore.check.setting import environment, no_network

__all__ = [
    "environment",
    "lone_opponent",
    "no_network",
    "rbf",
    "six_alike",
    "solve",
    "turning_angle",
    "two_away",
    "weights",
    "widest_alive",
]
