"""Self-checks of lesson 03: right answers pass, each classic mistake is named, and only one σ is right."""

import math
from itertools import pairwise

import torch

from amfs_lab import checks
from amfs_lab.explore.representer.perpendicular import unseen_share
from tests.checks.answers import no_error_for_a_reader, todo, told_what_it_did, told_why


def right(values_new, K_qs, K_ss, values):
    return values_new - K_qs @ torch.linalg.solve(K_ss, values)


def ridged(lam):
    return lambda new, K_qs, K_ss, v: new - K_qs @ torch.linalg.solve(K_ss + lam * torch.eye(len(K_ss)), v)


MISTAKES = [
    (checks.two_bumps, 5, "forgot the cross term"),
    (checks.two_bumps, 4, "The cross term comes twice"),
    (checks.two_bumps, 7, "sign of the cross term is wrong"),
    (checks.two_bumps, 6, "wrong sign, and it comes twice"),
    (checks.two_bumps, 3**0.5, "That is the norm"),
    (checks.two_bumps, 1, "if the two bumps were one"),
    (checks.two_bumps, 9, "absolute values of the coefficients"),
    (checks.two_bumps, 1.5, r"That is f\(a\)"),
    (checks.two_bumps, 0, r"That is f\(b\)"),
    (checks.two_bumps, 3.1, "the number is less than that"),
    (checks.two_bumps, 2.9, "the number is more than that"),
    (checks.two_bumps, "3", "remove the quotes"),
    (checks.perpendicular, lambda new, K_qs, K, v: new + K_qs @ torch.linalg.inv(K) @ v, "added the projection"),
    (checks.perpendicular, lambda new, K_qs, K, v: K_qs @ torch.linalg.inv(K) @ v, "That is f∥, the projection itself"),
    (checks.perpendicular, lambda new, K_qs, K, v: -right(new, K_qs, K, v), "The sign is wrong"),
    (checks.perpendicular, lambda new, K_qs, K, v: new - K_qs @ K @ v, "You multiplied by K_ss"),
    (checks.perpendicular, lambda new, K_qs, K, v: new - K_qs @ v, "used the values as coefficients"),
    (checks.perpendicular, lambda new, K_qs, K, v: torch.linalg.solve(K, v), "Those are the coefficients α"),
    (checks.perpendicular, ridged(0.1), r"There is a λ in your solve \(λ = 0.1\)"),
    (checks.perpendicular, ridged(1e-3), r"There is a λ in your solve \(λ = 0.001\)"),
    (checks.perpendicular, lambda new, K_qs, K, v: new - K_qs.T @ torch.linalg.inv(K) @ v, "stopped with RuntimeError"),
    (checks.perpendicular, lambda new, K_qs, K, v: new - 0.5 * K_qs @ torch.linalg.inv(K) @ v, r"At entry \[\d, \d\]"),
    (checks.perpendicular, lambda new, K_qs, K, v: right(new, K_qs, K, v).T, "The shape is wrong"),
    (checks.almost_all_seen, 0.6, r"f⊥ still has 50.5 % of the squared norm.* Move σ up"),
    (checks.almost_all_seen, 1.1, r"f⊥ still has 5.\d+ % of the squared norm.* Move σ up"),
    (checks.almost_all_seen, 1.5, r"only 1.14 % of the squared norm, and at 1.35 only .* move σ down"),
    (checks.almost_all_seen, 50, "Expected σ on the slider, from 0.2 to 2. Got 50"),
    (checks.almost_all_seen, -1, "Expected σ on the slider"),
    (checks.almost_all_seen, math.nan, "Expected σ on the slider"),
]
test_a_wrong_answer_is_told_what_it_did = told_what_it_did(MISTAKES)
test_a_right_answer_is_told_why = told_why(
    [
        (checks.two_bumps, 3, "The bumps overlap"),
        (checks.two_bumps, torch.tensor(3.0), "The bumps overlap"),
        (checks.perpendicular, right, "agree with f − f∥ on three functions"),
        (
            checks.perpendicular,
            lambda new, K_qs, K_ss, values: new - K_qs @ torch.linalg.pinv(K_ss) @ values,
            "at the support points they would be zero",
        ),
        (checks.almost_all_seen, 1.15, "a σ 10 % smaller is not enough"),
        (checks.almost_all_seen, 1.2, "a σ 10 % smaller is not enough"),
    ]
)
test_an_unsolved_exercise_is_no_error_for_a_reader = no_error_for_a_reader(
    [(checks.two_bumps, ...), (checks.perpendicular, todo), (checks.almost_all_seen, ...)]
)


def test_there_is_one_sigma_to_find():
    """The unseen share only falls when σ grows, so "move σ up" and "move σ down" lead to one σ."""
    shares = [unseen_share("hill and dip", "apart", 4, sigma) for sigma in torch.linspace(0.2, 2, 181).tolist()]
    assert all(after < before for before, after in pairwise(shares))
    assert shares[0] > 0.05 > shares[-1]
