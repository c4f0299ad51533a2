"""Self-checks: right answers pass, each classic mistake is named, and an unsolved exercise is no error."""

import contextlib
import math
import socket
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch

from amfs_lab import checks
from amfs_lab.explore.kernels.rbf import alive
from amfs_lab.kernels import squared_distances
from amfs_lab.outer import MeanCosine, PairwiseCosine
from tests.checks.answers import no_error_for_a_reader, todo, told_what_it_did, told_why


def rbf(exponent):
    return lambda a, b, s: torch.exp(exponent(squared_distances(a, b), s))


def right_rbf(x1, x2, bandwidth):
    squared = ((x1[:, None] - x2[None]) ** 2).sum(-1)
    return torch.exp(-squared / (2 * bandwidth**2))


def cosines(grads):
    units = grads / grads.norm(dim=1, keepdim=True)
    return units @ units.T


def over_total(c):
    return c / c.abs().sum()


def right_weights(grads):
    return over_total(cosines(grads).sum(0))


def weights_by_columns(grads):
    units = grads / grads.norm(dim=0)
    return over_total((units @ units.T).sum(0))


X = torch.linspace(-1.5, 1.5, 6)[:, None]
NO_SIGMA = [0, -1, math.nan, math.inf, 7, torch.tensor(9.0)]
NO_NUMBER = [True, None, 1j, [0.3], torch.tensor([0.1, 0.2]), torch.tensor(1j)]
widest_alive = partial(checks.widest_alive, x=X)

MISTAKES = [
    (checks.six_alike, 1, "one entry of the diagonal"),
    (checks.six_alike, 36, "sum of the whole table"),
    (checks.six_alike, 0, "compares each point with itself"),
    (checks.two_away, math.exp(-4), "divided by σ² where the exponent has 2σ²"),
    (checks.two_away, math.exp(-1), "did not square the distance"),
    (checks.two_away, math.exp(2), "minus sign is missing"),
    (checks.two_away, -2, "That is the exponent"),
    (checks.two_away, math.exp(-0.5), "at a distance of σ"),
    (checks.two_away, 13.5, "percentage"),
    (checks.two_away, 0.3, "the number is less than that"),
    (checks.two_away, 0.01, "the number is more than that"),
    (checks.two_away, torch.tensor([0.1, 0.2]), r"Expected one real number. Got a tensor of shape \(2,\)"),
    (checks.two_away, math.nan, "Got nan: look for a division by zero"),
    (checks.six_alike, 6.2, "the number is less than that"),
    (checks.two_away, "0.135", "Expected a number. Got '0.135', which is text: remove the quotes"),
    (checks.two_away, None, "Expected one real number. Got a NoneType"),
    (checks.rbf, rbf(lambda d2, s: -d2 / s**2), "σ² where the exponent has 2σ²: your kernel is narrower"),
    (checks.rbf, rbf(lambda d2, s: -d2 / (2 * s)), "σ is not squared"),
    (checks.rbf, rbf(lambda d2, s: -d2.sqrt() / (2 * s**2)), "The distance is not squared"),
    (checks.rbf, rbf(lambda d2, s: -d2 / 2 * s**2), "Check the brackets"),
    (checks.rbf, rbf(lambda d2, s: -d2 * s**2), "multiplied by σ²"),
    (checks.rbf, rbf(lambda d2, s: -d2 / (2 * s) ** 2), "squared the 2 as well"),
    (checks.rbf, rbf(lambda d2, s: -s * d2), "scikit-learn's gamma"),
    (checks.rbf, rbf(lambda d2, s: d2 / (2 * s**2)), "minus sign is missing"),
    (checks.rbf, lambda a, b, s: -squared_distances(a, b) / (2 * s**2), "exponential is missing"),
    (checks.rbf, rbf(lambda d2, s: -d2), "2 and σ are missing"),
    (
        checks.rbf,
        lambda a, b, s: torch.exp(-(a[:, None] - b).square().mean(-1) / (2 * s**2)),
        "averaged over the coordinates",
    ),
    (checks.rbf, lambda a, b, s: torch.exp(-(a[:, None] - b).abs().sum(-1) / (2 * s**2)), "absolute differences"),
    (
        checks.rbf,
        lambda a, b, s: torch.exp(-(a[:, None] - b).square() / (2 * s**2)),
        "forgot the sum over the coordinates",
    ),
    (checks.rbf, lambda a, b, s: right_rbf(b, a, s), "Rows and columns are swapped"),
    (checks.rbf, lambda a, b, s: right_rbf(a, a, s), "Only `x1` is used"),
    (checks.rbf, lambda a, b, s: a - b, "stopped with RuntimeError"),
    (checks.rbf, lambda a, b, s: right_rbf(a, b, s) + 0.1, r"At entry \[\d, \d\] the value is"),
    (checks.rbf, lambda a, b, s: right_rbf(a, b, s) * math.nan, "NaN or infinity"),
    (checks.rbf, lambda a, b, s: right_rbf(a, b, s)[0], "The shape is wrong: expected"),
    (checks.rbf, lambda a, b, s: None, "returns nothing"),
    (checks.rbf, lambda a, b, s: "K", "Expected a tensor. Got 'K'"),
    (checks.rbf, lambda a, b, s: right_rbf(a.mul_(2), b, s), "changed a tensor that it was given"),
    (checks.rbf, torch.ones(2, 2), "Expected your function, without brackets"),
    (checks.lone_opponent, -2, "left out w₃₃"),
    (checks.lone_opponent, 1, "weight of each of the two"),
    (checks.lone_opponent, -1 / 3, "after normalisation"),
    (checks.lone_opponent, 3, "added the absolute values"),
    (checks.lone_opponent, 0, "stopped at one of the two"),
    (checks.turning_angle, 90, "w₃₃ = 1 keeps its weight positive"),
    (checks.turning_angle, 100, r"At 100° the third task's weight is still \+0.\d\d. Use a larger angle"),
    (checks.turning_angle, 150, r"the third task's weight is -0.\d\d, but a smaller angle is enough"),
    (checks.turning_angle, 2.09, "is in radians"),
    (checks.turning_angle, 240, "at most 180 degrees. Got 240"),
    (checks.turning_angle, "120", "remove the quotes"),
    (checks.turning_angle, -120, "Expected a number > 0 for the angle. Got -120"),
    (checks.weights, lambda g: cosines(g).sum(0), "Z is missing"),
    (checks.weights, lambda g: cosines(g).mean(), "The shape is wrong"),
    (checks.weights, lambda g: cosines(g).sum(0) / len(g) ** 2, "called agreement"),
    (checks.weights, lambda g: cosines(g).sum(0) / cosines(g).sum(), "divided by Σc"),
    (checks.weights, lambda g: over_total((g @ g.T).sum(0)), "used the inner products"),
    (checks.weights, lambda g: over_total(cosines(g).sum(0) - 1), "left out w_jj"),
    (checks.weights, cosines, "all pairs"),
    (checks.weights, lambda g: over_total(cosines(g).abs().sum(0)), r"You took \|w\|"),
    (checks.weights, MeanCosine("unit").weights, "cosines with the mean gradient"),
    (checks.weights, PairwiseCosine("unit"), "the combined gradient"),
    (checks.weights, weights_by_columns, "normalised columns"),
    *((widest_alive, answer, r"Expected σ on the slider, from 0.05 to 5. Got") for answer in NO_SIGMA),
    *((widest_alive, answer, r"Expected one real number. Got") for answer in NO_NUMBER),
    (checks.rbf, lambda a, b, s: right_rbf(a, b, 1.0), "σ is missing"),
]
test_a_wrong_answer_is_told_what_it_did = told_what_it_did(MISTAKES)
test_a_right_answer_is_told_why = told_why(
    [
        (checks.six_alike, 6, "Six times one"),
        (checks.two_away, 0.135, "13.5 % similar"),
        (checks.two_away, 0.14, "13.5 % similar"),
        (checks.two_away, torch.tensor(-2.0).exp(), "13.5 % similar"),
        (checks.rbf, right_rbf, "agree on three sets of points"),
        (checks.lone_opponent, -1, "A negative weight reverses the gradient of task 3"),
        (checks.turning_angle, 120, "two cosines of −½ cancel w₃₃ = 1"),
        (checks.turning_angle, 121, "two cosines of −½ cancel w₃₃ = 1"),
        (checks.weights, right_weights, "those of PairwiseCosine"),
    ]
)
test_an_unsolved_exercise_is_no_error_for_a_reader = no_error_for_a_reader(
    [
        (checks.two_away, ...),
        (checks.lone_opponent, ...),
        (checks.turning_angle, ...),
        (checks.rbf, todo),
        (checks.weights, todo),
    ]
)


@pytest.mark.parametrize("answer", [..., todo])
def test_under_nbgrader_an_unsolved_exercise_earns_nothing(answer, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    with pytest.raises(NotImplementedError, match="has not been attempted"):
        checks.rbf(answer)


def test_only_the_bare_error_means_unsolved():
    """torch raises its own NotImplementedError if a dtype lacks an operation. That is a wrong answer."""

    def wrong_dtype(x1, x2, bandwidth):
        raise NotImplementedError("not implemented for 'Long'")

    with pytest.raises(AssertionError, match="stopped with NotImplementedError: not implemented for 'Long'"):
        checks.rbf(wrong_dtype)


def helped(values):
    return torch.nn.functional.binary_cross_entropy(values, values[0])


def deep_in_a_library(x1, x2, bandwidth):
    return helped(x1) / bandwidth


def test_an_error_in_a_student_s_function_is_shown_with_its_line():
    """The message names the last line of the student's own code, even for an error deep inside a library."""
    with pytest.raises(checks.Wrong, match="stopped with ValueError: Using a target size") as told:
        checks.rbf(deep_in_a_library)
    number = helped.__code__.co_firstlineno + 1
    assert str(told.value).endswith(
        f"Line {number} of your cell: `return torch.nn.functional.binary_cross_entropy(values, values[0])`."
    )
    assert "site-packages" not in str(told.value)


class Evil:
    """An object whose methods all fail."""

    def __array__(self, *args, **kwargs):
        raise KeyError("evil")

    def __repr__(self):
        raise ZeroDivisionError

    def __eq__(self, other):
        raise ValueError("evil")

    __hash__ = None


class SilentError(Exception):
    def __str__(self):
        raise ValueError("no words")


STRANGE = [
    *(None, True, "1", b"1", 1j, [], {}, (1, 2, 3, 4), ("a",) * 4, [[1, 2], [3]], print, type, Evil(), [Evil()] * 4),
    *(10**400, -(10**400), 1e308, math.nan, math.inf, Fraction(1, 3), Decimal("0.3"), np.float64(1.5), np.ones((5, 3))),
    *(torch.tensor([]), torch.tensor(1j), torch.empty((), device="meta"), torch.ones(5, 3).half()),
    *(torch.ones(4, 4, device="meta"), torch.eye(3).to_sparse(), torch.ones(5, 3, dtype=torch.complex64)),
    *([torch.zeros(3)] * 4, [torch.full((6,), 999)] * 4, [torch.full((6,), -1)] * 4, [torch.eye(2).to_sparse()] * 4),
    *([torch.ones(6, device="meta").long()] * 4, [torch.ones(6, dtype=torch.complex64)] * 4),
]
RAISED = [
    ValueError("x"),
    SystemExit(1),
    SilentError(),
    StopIteration(),
    OSError(2, "b"),
    AssertionError(),
    KeyError("k"),
]
FUNCTIONS = ["rbf", "guess", "fit", "perpendicular", "centred_fit", "episode", "descend", "pulls", "weights", "solve"]
MORE = {"always_read": {"task": 2}, "widest_alive": {"x": X}}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", [name for name in checks.__all__ if name not in ("Wrong", "environment", "no_network")]
)
def test_even_a_strange_answer_gives_a_verdict(name):
    """A student would see any exception other than `Wrong` as a traceback of the library."""
    exercise, more = getattr(checks, name), MORE.get(name, {})
    answers = list(STRANGE)
    if name in FUNCTIONS:
        answers += [lambda *_, each=each: each for each in STRANGE]
        answers += [raising(error) for error in RAISED]
        answers += [
            lambda: 1,
            lambda *case: case[0].resize_(0),
            lambda *case: case[0].unsqueeze_(0),
            lambda *case: case,
        ]
    for answer in answers:
        with contextlib.suppress(checks.Wrong):
            exercise(answer, **more)


def raising(error):
    def answer(*case):
        raise error

    return answer


def test_an_error_of_the_library_is_not_hidden(monkeypatch):
    """It becomes neither a verdict nor "not attempted yet"."""
    for error in (RuntimeError("ours"), NotImplementedError(), NotImplementedError("ours"), AssertionError("ours")):
        monkeypatch.setattr(checks.kernels, "rbf_kernel", raising(error))
        with pytest.raises(type(error)) as told:
            checks.rbf(right_rbf)
        assert told.value is error


def last_alive() -> float:
    sigma = 0.05
    while alive(X, 1.01 * sigma) == len(X):
        sigma *= 1.01
    return sigma


def test_the_widest_kernel_with_all_directions_is_found_within_2_percent(capsys):
    widest_alive(last_alive() * 0.985)
    assert "all 6 eigenvalues are above 1 % of the largest. If σ is 2 % larger, one is not" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("factor", "diagnosis"),
    [(1.05, "only 5 of 6 eigenvalues .* Move σ down"), (0.95, "still are. Move σ up")],
)
def test_the_diagnosis_says_how_to_move_sigma(factor, diagnosis):
    with pytest.raises(AssertionError, match=diagnosis):
        widest_alive(last_alive() * factor)


def test_no_network_means_no_new_connection():
    with pytest.raises(AssertionError, match="needs no network"), checks.no_network():
        socket.create_connection(("127.0.0.1", 9), timeout=1)
    server = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(server.getsockname(), timeout=5).close()
    server.close()


def test_the_environment_and_missing_packages_are_named(capsys, monkeypatch):
    checks.environment()
    assert "✓ torch" in capsys.readouterr().out
    monkeypatch.setattr(checks.setting, "NEEDED", ("torch", "no-such-package"))
    with pytest.raises(AssertionError, match=r"Not installed: no-such-package\. Start with `python3 run.py lab`"):
        checks.environment()
