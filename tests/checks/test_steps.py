"""Self-checks on one solve against many steps, lesson 06: right answers pass, and each classic mistake is named."""

from fractions import Fraction

import numpy as np
import torch

from amfs_lab import checks
from amfs_lab.checks.steps import cases
from tests.checks.answers import no_error_for_a_reader, todo, told_what_it_did, told_why


def right(K, y, rate, steps):
    alpha = torch.zeros_like(y)
    for _ in range(steps):
        alpha = alpha + rate * (y - K @ alpha)
    return alpha


def moved_by(move):
    def walk(K, y, rate, steps):
        alpha = torch.zeros_like(y)
        for _ in range(steps):
            alpha = alpha + rate * move(K, y, alpha)
        return alpha

    return walk


def repeating_the_first(K, y, rate, steps):
    alpha, miss = torch.zeros_like(y), y
    for _ in range(steps):
        alpha = alpha + rate * miss
    return alpha


MISTAKES = [
    (checks.learned_share, 1 / 4, "the share that is left to learn"),
    (checks.learned_share, 0.5, "That is the share after one step"),
    (checks.learned_share, 1, "You added the steps"),
    (checks.learned_share, 2 / 3, "the share of one solve"),
    (checks.learned_share, 1.25, "The sign in the brackets is a minus"),
    (checks.learned_share, 0.632, "the flow limit with the same a k"),
    (checks.learned_share, 0.9375, "You took four steps"),
    (checks.learned_share, 75, "percentage"),
    (checks.learned_share, 0.7, "the number is more than that"),
    (checks.learned_share, "3/4", "remove the quotes"),
    (checks.descend, lambda *case: case[0] @ right(*case), "Those are the fitted values Kα"),
    (
        checks.descend,
        moved_by(lambda K, y, a: K @ a - y),
        "Your steps go uphill",
    ),
    (checks.descend, moved_by(lambda K, y, a: K @ (y - K @ a)), "without the K in front"),
    (checks.descend, moved_by(lambda K, y, a: y - a), "Your residual is y − α"),
    (checks.descend, moved_by(lambda K, y, a: (y - K @ a) / len(y)), "You divided by n"),
    (checks.descend, moved_by(lambda K, y, a: 2 * (y - K @ a)), "A factor 2 is too much"),
    (checks.descend, lambda K, y, rate, steps: right(K, y, rate, steps - 1), "One step too few"),
    (checks.descend, lambda K, y, rate, steps: right(K, y, rate, steps + 1), "One step too many"),
    (checks.descend, lambda K, y, rate, steps: rate * y, "That is one step for any `steps`"),
    (checks.descend, repeating_the_first, "All your steps repeat the first"),
    (
        checks.descend,
        lambda K, y, rate, steps: torch.linalg.solve(K + torch.eye(len(K)).double() / (rate * steps), y),
        "one solve with λ = 1/",
    ),
    (checks.descend, lambda K, y, rate, steps: y.mul_(2), "changed a tensor that it was given"),
    (checks.descend, lambda K, y, rate, steps: None, "returns nothing"),
    (checks.descend, lambda K, y, rate, steps: right(K, y, rate, steps) + 0.1, r"At entry \[\d, \d\] the value is"),
    (checks.descend, 3.0, "Expected your function"),
    (checks.mimicking_lam, 0.1, "λ = 1/t is the right order of magnitude"),
    (checks.mimicking_lam, 10, "is t itself"),
    (checks.mimicking_lam, 0.0532, r"λ = 0.532/t is the best λ in the flow limit, .*the gap is 0.122"),
    (checks.mimicking_lam, 0.5, r"differ by 0\.\d+; 0\.11\d is possible\. Move λ down"),
    (checks.mimicking_lam, 0.001, "Move λ up: where the two differ most, the solve learns more than the steps"),
    (checks.mimicking_lam, 0, "Expected λ on the slider"),
    (checks.mimicking_lam, "0.05", "remove the quotes"),
]

test_a_wrong_answer_is_told_what_it_did = told_what_it_did(MISTAKES)
test_a_right_answer_is_told_why = told_why(
    [
        (checks.learned_share, 0.75, "half of what the first step left"),
        (checks.learned_share, Fraction(3, 4), "half of what the first step left"),
        (checks.learned_share, np.float32(0.75), "half of what the first step left"),
        (checks.descend, right, "On three tasks"),
        (checks.mimicking_lam, 0.05, "no λ is much better"),
        (checks.mimicking_lam, 0.051, "no λ is much better"),
    ]
)
test_an_unsolved_exercise_is_no_error_for_a_reader = no_error_for_a_reader(
    [(checks.learned_share, ...), (checks.descend, todo), (checks.mimicking_lam, ...)]
)


def test_the_steps_of_the_exercise_converge():
    for K, _, rate, steps in cases():
        assert rate < 2 / torch.linalg.eigvalsh(K)[-1]
        assert steps > 1


def test_the_expected_lambda_is_found_by_a_search_over_all_eigenvalues(capsys):
    s = np.linspace(1e-4, 1, 20_000)
    gaps = {lam: np.abs(s / (s + lam) - 1 + (1 - s) ** 10).max() for lam in np.geomspace(0.01, 0.3, 200)}
    checks.mimicking_lam(min(gaps, key=gaps.get))
    assert f"at most {min(gaps.values()):.3f}" in capsys.readouterr().out
