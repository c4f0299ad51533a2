"""Self-checks of lesson 04: right answers pass, each classic mistake is named, and no answer is no error."""

import math

import torch

from amfs_lab import checks
from amfs_lab.explore.regularisers.landscape import pulls, task
from tests.checks.answers import no_error_for_a_reader, todo, told_what_it_did, told_why


def solve(K, y, lam):
    return torch.linalg.solve(K + lam * torch.eye(len(K), dtype=K.dtype), y)


def right(K, K_q, y, lam):
    mean = y.mean(0, keepdim=True)
    return mean + K_q @ solve(K, y - mean, lam)


def centred(alpha):
    return lambda K, K_q, y, lam: K_q @ alpha(K, y - y.mean(0), lam) + y.mean(0)


MISTAKES = [
    (checks.effective_ridge, 4.9, "You multiplied by 1 \\+ μs"),
    (checks.effective_ridge, 6.7, "You added μs to λ"),
    (checks.effective_ridge, 0.7 / 6, "The 1 is missing"),
    (checks.effective_ridge, 0.7 / 3, "left out s"),
    (checks.effective_ridge, 0.7 / 4, "left out μ"),
    (checks.effective_ridge, 0.7 / 9, "The brackets are wrong"),
    (checks.effective_ridge, 0.7 / 19, "You squared s"),
    (checks.effective_ridge, 0.7, "That is λ itself"),
    (checks.effective_ridge, 7, r"That is 1 \+ μs\. Divide λ by it"),
    (checks.effective_ridge, 10, "upside down"),
    (checks.effective_ridge, 3 / 3.1, "That is the filter"),
    (checks.effective_ridge, 21 / 21.7, "That is the filter"),
    (checks.effective_ridge, 0.5, "the number is less than that"),
    (checks.effective_ridge, "1/10", "remove the quotes"),
    (checks.centred_fit, lambda K, K_q, y, lam: K_q @ solve(K, y, lam), "You forgot to centre"),
    (checks.centred_fit, lambda K, K_q, y, lam: K_q @ solve(K, y - y.mean(0), lam), "never add the mean back"),
    (checks.centred_fit, lambda K, K_q, y, lam: right(K, K_q, y, lam) + y.mean(0), "added the mean back twice"),
    (checks.centred_fit, lambda K, K_q, y, lam: K_q @ solve(K, y, lam) + y.mean(0), "without subtracting it first"),
    (checks.centred_fit, lambda K, K_q, y, lam: 2 * y.mean(0) - right(K, K_q, y, lam), "The sign is wrong"),
    (checks.centred_fit, centred(lambda K, y, lam: solve(K, y, 0)), "λ is missing"),
    (checks.centred_fit, centred(lambda K, y, lam: solve(K, y, len(K) * lam)), "nλ where the solve has λ"),
    (checks.centred_fit, centred(lambda K, y, lam: solve(K, y, lam / len(K))), "λ/n where the solve has λ"),
    (checks.centred_fit, lambda K, K_q, y, lam: K_q @ solve(K, y - y.mean(), lam) + y.mean(), "one mean of all labels"),
    (
        checks.centred_fit,
        lambda K, K_q, y, lam: K_q @ (solve(K, y - y.mean(0), lam) + y.mean(0)),
        "added the mean to α",
    ),
    (checks.centred_fit, lambda K, K_q, y, lam: right(K, K, y, lam), "fitted values at the examples"),
    (checks.centred_fit, lambda K, K_q, y, lam: solve(K, y - y.mean(0), lam), "coefficients α"),
    (checks.centred_fit, centred(lambda K, y, lam: y), "Nothing was solved"),
    (checks.centred_fit, lambda K, K_q, y, lam: right(K_q, K, y, lam), "stopped with RuntimeError"),
    (checks.centred_fit, lambda K, K_q, y, lam: right(K, K_q, y, lam)[:, :1], "The shape is wrong"),
    (checks.centred_fit, lambda K, K_q, y, lam: right(K, K_q, y, lam) + 0.1, r"At entry \[\d, \d\] the value is"),
    (checks.centred_fit, lambda K, K_q, y, lam: None, "returns nothing"),
    (checks.opposed_teachers, 0.2, "At σ = 0.2 .* both improve with a wider σ. Move σ up"),
    (checks.opposed_teachers, 1.5, "At σ = 1.5 .* both improve with a narrower σ. Move σ down"),
    (checks.opposed_teachers, 7, "Expected σ on the slider, from 0.05 to 5. Got 7"),
    (checks.opposed_teachers, math.nan, "Expected σ on the slider"),
]
test_a_wrong_answer_is_told_what_it_did = told_what_it_did(MISTAKES)
test_a_right_answer_is_told_why = told_why(
    [
        (checks.effective_ridge, 0.1, "a seventh of λ"),
        (checks.effective_ridge, torch.tensor(0.7) / 7, "a seventh of λ"),
        (checks.centred_fit, right, "tends to the mean label"),
        (
            checks.opposed_teachers,
            0.6,
            "with a narrower σ. The query loss agrees with the evidence",
        ),
        (checks.opposed_teachers, 0.8, "they disagree"),
    ]
)
test_an_unsolved_exercise_is_no_error_for_a_reader = no_error_for_a_reader(
    [(checks.effective_ridge, ...), (checks.centred_fit, todo), (checks.opposed_teachers, ...)]
)


def test_the_right_range_of_sigma_is_wide():
    """The range is wide enough to find it with the slider: at least a factor of 1.5."""
    asked = [pulls(task("sine", 10, 0.3, 3), sigma, 0.1) for sigma in (0.55, 0.825)]
    for ways in asked:
        assert ways["leave-one-out"][0] < 0 < ways["evidence"][0]
