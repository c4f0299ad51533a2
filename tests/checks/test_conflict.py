"""Self-checks on task conflict, lesson 08: right answers pass, and each classic mistake is named."""

import math

from amfs_lab import checks
from tests.checks.answers import no_error_for_a_reader, told_what_it_did, told_why

MISTAKES = [
    (checks.ends_apart, 0, "is not the point where the diagonals cross"),
    (checks.ends_apart, 0.75, "You added the two coordinates"),
    (checks.ends_apart, 0.3125, "the square of the distance"),
    (checks.ends_apart, math.sqrt(5), "You took the sum of the optima"),
    (checks.ends_apart, 0.5, "along the first axis"),
    (checks.ends_apart, 0.25, "along the second axis"),
    (checks.ends_apart, 0.7, "the number is less than that"),
    (checks.ends_apart, "0.56", "remove the quotes"),
    (checks.uphill_from, 1.0, "both rules still follow the two other gradients"),
    (checks.uphill_from, 1.5, "Use a larger length"),
    (checks.uphill_from, 4.0, "Use a smaller length"),
    (checks.uphill_from, 9, "Expected length on the slider"),
]

test_a_wrong_answer_is_told_what_it_did = told_what_it_did(MISTAKES)
test_a_right_answer_is_told_why = told_why(
    [
        (checks.ends_apart, 0.559, "where the unit vectors to opposite corners cancel"),
        (checks.ends_apart, math.hypot(0.5, 0.25), "where the unit vectors to opposite corners cancel"),
        (checks.uphill_from, 2.0, "O-AMFS still follows the two others"),
        (checks.uphill_from, 1.99, "O-AMFS still follows the two others"),
    ]
)
test_an_unsolved_exercise_is_no_error_for_a_reader = no_error_for_a_reader(
    [(checks.ends_apart, ...), (checks.uphill_from, ...)]
)
