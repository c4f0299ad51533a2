"""Self-checks on the outer loop in the plane, lesson 07: right answers pass, and each classic mistake is named."""

from fractions import Fraction

import numpy as np
import torch

from amfs_lab import checks
from tests.checks.answers import no_error_for_a_reader, todo, told_what_it_did, told_why


def left(H, a, k):
    return torch.linalg.matrix_power(torch.eye(2, dtype=H.dtype) - a * H, k)


def right(H, a, k):
    return left(H, a, k) @ H @ left(H, a, k)


MISTAKES = [
    (checks.end_of_maml, 3, "where joint training ends"),
    (checks.end_of_maml, 2, "the pull of FO-MAML"),
    (checks.end_of_maml, 0.4, "You left out the curvature"),
    (checks.end_of_maml, 4, "the optimum of the steep task"),
    (checks.end_of_maml, 0, "the optimum of the flat task"),
    (checks.end_of_maml, 0.75, "the sum of both pulls"),
    (checks.end_of_maml, 4 * 75 / (9 + 75), "You took 1 − a h²"),  # pulls (1 − a h²)² h of 9/16 and 75/16
    (checks.end_of_maml, "1", "remove the quotes"),
    (checks.end_of_maml, 1.5, "the number is less than that"),
    (checks.pulls, lambda H, a, k: H @ left(H, a, k), "That is FO-MAML"),
    (checks.pulls, left, "the share of the distance that is left"),
    (checks.pulls, lambda H, a, k: left(H, a, 2 * k), "The curvature H itself is missing"),
    (checks.pulls, lambda H, a, k: right(H, a, 1), "That is one inner step"),
    (checks.pulls, lambda H, a, k: torch.eye(2, dtype=H.dtype) - left(H, a, k), "That is the W of Reptile"),
    (checks.pulls, lambda H, a, k: H, "That is joint training"),
    (checks.pulls, lambda H, a, k: (1 - a * H) ** k @ H @ (1 - a * H) ** k, "You took the powers of each entry"),
    (checks.pulls, lambda H, a, k: right(H, -a, k), "The step goes downhill"),
    (checks.pulls, lambda H, a, k: right(H, a, k) + 0.1, r"At entry \[\d, \d, \d\] the value is"),
    (checks.pulls, 1.0, "Expected your function"),
    (checks.diverges_from, 5.0, "the pull of task 3 is zero"),
    (checks.diverges_from, 3.0, "still converges"),
    (checks.diverges_from, 12.0, "it also diverges at a smaller h"),
    (checks.diverges_from, 99, "Expected curvature h on the slider"),
]

test_a_wrong_answer_is_told_what_it_did = told_what_it_did(MISTAKES)
test_a_right_answer_is_told_why = told_why(
    [
        (checks.end_of_maml, 1, "the steep task has a quarter of the weight"),
        (checks.end_of_maml, Fraction(1), "the steep task has a quarter of the weight"),
        (checks.pulls, right, "on three sets of tasks"),
        (checks.diverges_from, 6.3, "a·h > 1 is not enough"),
        (checks.diverges_from, np.float32(6.25), "is not enough"),
    ]
)
test_an_unsolved_exercise_is_no_error_for_a_reader = no_error_for_a_reader(
    [(checks.end_of_maml, ...), (checks.pulls, todo), (checks.diverges_from, ...)]
)


def test_the_expected_curvature_is_the_root_of_the_sum_of_pulls(capsys):
    h = (1 + (1 + 4 * 0.2 * 1.6) ** 0.5) / (2 * 0.2)  # h (1 - 0.2 h) = -2 * 0.8
    checks.diverges_from(h)
    assert capsys.readouterr().out.startswith("✓ ")
