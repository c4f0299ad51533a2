"""The function and its projection: norms by a pseudo-inverse in numpy, curves as sums of bumps, and the sentence."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch

from amfs_lab.explore import PerpendicularExplorer
from amfs_lab.explore.representer import questions
from amfs_lab.explore.representer.perpendicular import ERRORS, FUNCTIONS, MOST, PLACES, Decomposition, unseen_share

STATES = [
    dict(function=function, places=places, points=points, bandwidth=bandwidth)
    for function, places, points, bandwidth in (
        ("hill and dip", "apart", 4, 0.6),
        ("two hills", "apart", 1, 0.2),
        ("wiggle", "apart", 6, 2.0),
        ("wiggle", "a point twice", 6, 0.3),
        ("two hills", "a point twice", 2, 1.0),
        ("hill and dip", "apart", 0, 0.6),
    )
]


def bump(a, b, bandwidth):
    return np.exp(-((a[:, None] - b[None, :]) ** 2) / (2 * bandwidth**2))


def parts(state):
    """Centres, coefficients and points in numpy, and the squared norms of f and of its part in the span."""
    z, c = (part.numpy()[:, 0] for part in FUNCTIONS[state["function"]])
    x = PLACES[state["places"]].numpy()[: state["points"], 0]
    whole = c @ bump(z, z, state["bandwidth"]) @ c
    values = bump(x, z, state["bandwidth"]) @ c
    inverse = np.linalg.pinv(bump(x, x, state["bandwidth"]), hermitian=True) if len(x) else np.zeros((0, 0))
    return z, c, x, whole, values @ inverse @ values, inverse @ values


@pytest.mark.parametrize("state", STATES, ids=str)
@pytest.mark.parametrize("t", [-1.0, 0.0, 0.45, 1.5])
def test_norms_and_loss_agree_with_numpy(state, t):
    a = PerpendicularExplorer(**state, t=t).arrays
    z, c, x, whole, seen, _ = parts(state)
    assert a.parallel_norm[0] == pytest.approx(seen, abs=1e-9)
    assert a.kept_norm[0] == pytest.approx(t**2 * (whole - seen), abs=1e-9)
    assert a.norm == pytest.approx(seen + t**2 * (whole - seen), abs=1e-9)
    assert a.unseen_share == pytest.approx(1 - seen / whole, abs=1e-9)
    assert np.allclose(a.y, bump(x, z, state["bandwidth"]) @ c + ERRORS[: len(x), 0].numpy())
    assert a.loss[0] == pytest.approx((ERRORS[: len(x)].numpy() ** 2).sum() / 2, abs=1e-9)  # whatever t is


@pytest.mark.parametrize("state", STATES, ids=str)
@pytest.mark.parametrize("t", [-1.0, 0.0, 1.0])
def test_the_curves_are_sums_of_bumps(state, t):
    a = PerpendicularExplorer(**state, t=t).arrays
    z, c, x, _, _, alpha = parts(state)
    f = bump(a.grid, z, state["bandwidth"]) @ c
    parallel = bump(a.grid, x, state["bandwidth"]) @ alpha
    assert np.allclose(a.parallel, parallel, atol=1e-8)
    assert np.allclose(a.rest, t * (f - parallel), atol=1e-8)
    assert np.allclose(a.f, parallel + t * (f - parallel), atol=1e-8)
    assert np.allclose(a.seen, bump(x, z, state["bandwidth"]) @ c, atol=1e-9)  # the same for every t
    assert np.allclose(a.unseen, 0, atol=1e-9)


def test_the_projection_is_the_shortest_function_with_its_values():
    """It is compared with random sums of bumps at 40 places that have the same values at the points."""
    parts_ = Decomposition("wiggle", PLACES["apart"][:4], 0.6)
    places = np.concatenate([PLACES["apart"].numpy()[:4, 0], np.linspace(-3, 3, 13)])
    K = bump(places, places, 0.6)
    values = parts_.at(PLACES["apart"][:4])[0].numpy()
    random = np.random.default_rng(0)
    for _ in range(50):
        rest = random.normal(size=13)
        first = np.linalg.solve(K[:4, :4], values - K[:4, 4:] @ rest)
        rival = np.concatenate([first, rest])
        assert np.allclose((K @ rival)[:4], values)
        assert rival @ K @ rival > parts_.parallel_norm


def test_points_on_all_centres_leave_nothing_unseen():
    z, c = FUNCTIONS["wiggle"]
    on_them = Decomposition("wiggle", z, 0.6)
    assert on_them.perpendicular_norm == pytest.approx(0, abs=1e-12)
    assert torch.allclose(on_them.alpha.sort(0)[0], c.sort(0)[0])


@pytest.mark.parametrize("function", list(FUNCTIONS))
@pytest.mark.parametrize("places", list(PLACES))
@pytest.mark.parametrize("bandwidth", [0.2, 0.6, 2.0])
def test_each_point_reduces_the_unseen_share(function, places, bandwidth):
    shares = [unseen_share(function, places, n, bandwidth) for n in range(MOST + 1)]
    assert shares[0] == 1
    assert all(-1e-9 <= after <= before + 1e-9 for before, after in pairwise(shares))


def test_the_answer_to_the_question_is_computed(monkeypatch):
    assert questions.answer_when_points_are_added() == "it only shrinks"
    assert questions.answer_when_points_are_added("wiggle", 1.0) == "it only shrinks"
    monkeypatch.setattr(questions, "unseen_share", lambda f, places, n, bandwidth: n)
    assert questions.answer_when_points_are_added() == "it only grows"
    monkeypatch.setattr(questions, "unseen_share", lambda f, places, n, bandwidth: n % 2)
    assert questions.answer_when_points_are_added() == "it goes up and down"


def test_only_another_function_moves_an_axis():
    explorer = PerpendicularExplorer()
    ranges = [explorer.arrays[name] for name in explorer.frame.values()]
    for points, t in product(range(7), (-1.0, 0.0, 1.5)):
        explorer.set(t=t, points=points)
        assert [explorer.arrays[name] for name in explorer.frame.values()] == ranges
        low, high = explorer.arrays.value_range
        assert low < min(explorer.arrays.f.min(), *explorer.arrays.y, 0)
        assert high > max(explorer.arrays.f.max(), *explorer.arrays.y, 0)
        assert explorer.arrays.rest_range[1] > abs(explorer.arrays.rest).max()
        assert explorer.arrays.bar_range[1] > max(explorer.arrays.norm, *explorer.arrays.loss)
    explorer.set(function="wiggle")
    assert [explorer.arrays[name] for name in explorer.frame.values()] != ranges


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "At the 4 points f does not change with t: training loss 0.182. At t = 1.00, ‖f‖² = 2.543"),
        ({"t": 0.0}, "1.258 from f∥ and 0.000 from t f⊥. At t = 1, f⊥ has 50.5 % of the squared norm"),
        ({"points": 0}, "Without points there is no loss, and all of f is f⊥"),
        ({"points": 1}, "At the 1 point f does not change"),
        ({"places": "a point twice"}, "At the 4 points (two of them at one place)"),
        ({"places": "a point twice", "points": 1}, "At the 1 point f does not change"),
        ({"points": 6, "bandwidth": 2.0}, "f⊥ has less than 0.1 % of the squared norm"),
    ],
)
def test_the_sentence_is_true_at_the_extremes(state, words):
    assert words in PerpendicularExplorer(**state).sentence.text
