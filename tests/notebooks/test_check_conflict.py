"""Self-checks on task conflict, lesson 08: right answers pass, and each classic mistake is named."""

import math

from answers import no_error_for_a_reader, told_what_it_did, told_why

from amfs_lab.explore import check

MISTAKES = [
    (check.ends_apart, 0, "is not where the diagonals cross"),
    (check.ends_apart, 0.75, "You added the two coordinates"),
    (check.ends_apart, 0.3125, "the square of the distance"),
    (check.ends_apart, math.sqrt(5), "You took the sum of the optima"),
    (check.ends_apart, 0.5, "along the first axis"),
    (check.ends_apart, 0.25, "along the second axis"),
    (check.ends_apart, 0.7, "the number is less than that"),
    (check.ends_apart, "0.56", "leave the quotes away"),
    (check.uphill_from, 1.0, "two still pull harder than one"),
    (check.uphill_from, 1.5, "Make it longer"),
    (check.uphill_from, 4.0, "Make it shorter"),
    (check.uphill_from, 9, "Expected length on the dial"),
]

test_a_wrong_answer_is_told_what_it_did = told_what_it_did(MISTAKES)
test_a_right_answer_is_told_why = told_why(
    [
        (check.ends_apart, 0.559, "where the directions to opposite corners cancel"),
        (check.ends_apart, math.hypot(0.5, 0.25), "where the directions to opposite corners cancel"),
        (check.uphill_from, 2.0, "the vote is still two to one"),
        (check.uphill_from, 1.99, "the vote is still two to one"),
    ]
)
test_an_unsolved_exercise_is_no_error_for_a_reader = no_error_for_a_reader(
    [(check.ends_apart, ...), (check.uphill_from, ...)]
)
