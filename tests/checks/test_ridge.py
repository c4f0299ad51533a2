"""Self-checks on one solve, lessons 02 and 09: right answers pass, and each classic mistake is named."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from amfs_lab import checks
from amfs_lab.explore.ridge.spectra import first
from tests.checks.answers import no_error_for_a_reader, todo, told_what_it_did, told_why


def identity(K):
    return torch.eye(len(K), dtype=K.dtype)


def right_solve(K, y, lam):
    return torch.linalg.solve(K + lam * identity(K), y)


def right(K, y, lam):
    return K @ right_solve(K, y, lam)


def ridge(added):
    return lambda K, y, lam: torch.linalg.solve(K + added(K, lam), y)


def fit(alpha):
    return lambda K, y, lam: K @ alpha(K, y, lam)


# Each case: a wrong alpha, the diagnosis of `checks.solve` for alpha, and the diagnosis of `checks.fit` for K alpha.
WRONG = [
    (ridge(lambda K, lam: 0 * K), "λI is missing", "the labels themselves. Either λI is missing"),
    (
        ridge(lambda K, lam: len(K) * lam * identity(K)),
        "nλ where the formula has λ: your λ depends on the number of examples",
        "nλ where the formula has λ: with more points, your fit becomes stiffer",
    ),
    (
        ridge(lambda K, lam: lam / len(K) * identity(K)),
        "λ/n where the formula has λ: your λ depends on the number of examples",
        "λ/n where the formula has λ: with more points, your fit follows the labels more closely",
    ),
    (ridge(lambda K, lam: lam), "to every entry of K", "to every entry of K"),
    (ridge(lambda K, lam: identity(K)), "You added I where", "You added I where"),
    (ridge(lambda K, lam: lam**2 * identity(K)), "squared λ", "squared λ"),
    (
        ridge(lambda K, lam: -lam * identity(K)),
        "subtracted λI: K − λI need not",
        "subtracted λI: the sign before λ must be a plus",
    ),
    (lambda K, y, lam: (K + lam * identity(K)) @ y, "Apply its inverse", "multiplied by K"),
]
MISTAKES = [
    (checks.kept_share, 1 / 4, "the share that is removed"),
    (checks.kept_share, 3, "A share can't be larger than one"),
    (checks.kept_share, 4 / 3, "numerator and denominator are swapped"),
    (checks.kept_share, 3 / 7, "nλ where the formula has λ"),
    (checks.kept_share, 0.9, "squared s"),
    (checks.kept_share, 0.5, "Half is kept where s equals λ"),
    (checks.kept_share, 1, "kept only at λ = 0"),
    (checks.kept_share, 75, "percentage"),
    (checks.kept_share, 0.6, "the number is more than that"),
    (checks.kept_share, "3/4", "remove the quotes"),
    (checks.kept_share, 0.923, "You put λ/n where"),
    (checks.kept_share, 0.787, "the number is less than that"),
    *((checks.solve, alpha, words) for alpha, words, _ in WRONG),
    (checks.solve, right, "fitted values"),
    (checks.solve, lambda K, y, lam: torch.linalg.inv(K + lam * identity(K)), "inverse only"),
    *((checks.fit, fit(alpha), words) for alpha, _, words in WRONG),
    (checks.fit, right_solve, "That is α"),
    (checks.fit, lambda K, y, lam: y, "the labels themselves. Either λI is missing"),
    (checks.fit, lambda K, y, lam: right(K, y, lam) / lam, "divided by λ at the end"),
    (checks.fit, lambda K, y, lam: K @ torch.linalg.solve(K / lam + identity(K), y), "divided K by λ"),
    (checks.fit, lambda K, y, lam: y - right(K, y, lam), "the residuals"),
    (
        checks.fit,
        lambda K, y, lam: right(K, y, lam) + lam * right_solve(K, y, lam),
        "or you multiplied α by K",
    ),
    (checks.fit, lambda K, y, lam: K @ y, "the vote of the examples. The solve is missing"),
    (checks.fit, lambda K, y, lam: right(K, identity(K), lam), "turns labels into fitted values. Multiply it by y"),
    (checks.fit, lambda K, y, lam: K @ torch.linalg.inv(K + lam * identity(K)) @ y, "right, but `inv` made a whole"),
    (checks.fit, lambda K, y, lam: K @ (K + lam * identity(K)).inverse() @ y, "right, but `inverse` made a whole"),
    (checks.fit, lambda K, y, lam: K @ torch.linalg.pinv(K + lam * identity(K)) @ y, "right, but `pinv` made a whole"),
    (checks.fit, lambda K, y, lam: right(K, y, lam) + 0.1, r"At entry \[\d, \d\] the value is"),
    (checks.fit, lambda K, y, lam: K.add_(1) @ y, "changed a tensor that it was given"),
    (checks.fit, lambda K, y, lam: None, "returns nothing"),
    (checks.fit, 3.0, "Expected your function"),
    (checks.freedom, 0.02, r"uses 13\.85 degrees of freedom\. That is too many\. Move λ up"),
    (checks.freedom, 50, r"uses 0\.\d\d degrees of freedom\. That is too few\. Move λ down"),
    (
        checks.freedom,
        2.3,
        "5 shares are above one half, but the degrees of freedom are the sum of all shares. That is too few",
    ),
    (checks.freedom, 0, "Expected λ on the slider"),
    (checks.freedom, "2", "remove the quotes"),
    (checks.freedom, math.nan, "Expected λ on the slider"),
]


def by_cholesky(K, y, lam):
    return K @ torch.cholesky_solve(y, torch.linalg.cholesky(K + lam * identity(K)))


def by_the_other_side(K, y, lam):
    """(K + λI)⁻¹ K y, which is the same because the two matrices commute."""
    return torch.linalg.solve(K + lam * identity(K), K @ y)


def as_what_the_residuals_leave(K, y, lam):
    return y - lam * right_solve(K, y, lam)


test_a_wrong_answer_is_told_what_it_did = told_what_it_did(MISTAKES)
test_a_right_answer_is_told_why = told_why(
    [
        (checks.kept_share, 0.75, "keeps three quarters"),
        (checks.kept_share, torch.tensor(3 / 4), "keeps three quarters"),
        (checks.kept_share, Fraction(3, 4), "keeps three quarters"),
        (checks.kept_share, np.float32(0.75), "keeps three quarters"),
        (checks.fit, right, "agree on three tasks"),
        (checks.fit, by_cholesky, "agree on three tasks"),
        (checks.fit, by_the_other_side, "agree on three tasks"),
        (checks.fit, as_what_the_residuals_leave, "agree on three tasks"),
        (checks.freedom, 2.0, "the sum of all shares"),
        (checks.freedom, 1.95, "the sum of all shares"),
        (checks.solve, right_solve, "α solves (K + λI)α = y"),
    ]
)
test_an_unsolved_exercise_is_no_error_for_a_reader = no_error_for_a_reader(
    [(checks.kept_share, ...), (checks.fit, todo), (checks.freedom, ...), (checks.solve, todo)]
)


def test_at_the_expected_lambda_the_trace_of_the_smoother_is_five(capsys):
    _, _, K, _ = first()
    low, high = 1e-5, 1e3
    while high / low > 1.0001:
        middle = math.sqrt(low * high)
        spent = torch.linalg.solve(K + middle * identity(K), K).trace()
        low, high = (middle, high) if spent > 5 else (low, middle)
    checks.freedom(low)
    assert "uses 5.00" in capsys.readouterr().out


def test_the_search_for_inverses_leaves_torch_unchanged():
    before = (torch.linalg.inv, torch.linalg.pinv, torch.inverse, torch.Tensor.inverse)
    checks.fit(right)
    with pytest.raises(AssertionError):
        checks.fit(lambda K, y, lam: K @ torch.linalg.inv(K))
    assert before == (torch.linalg.inv, torch.linalg.pinv, torch.inverse, torch.Tensor.inverse)
