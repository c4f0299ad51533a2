"""The filter explorer of lesson 02 against numpy, scikit-learn and an explicit loop; and its sentence at extremes."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from amfs_lab.explore import FilterExplorer
from amfs_lab.explore.ridge import questions, spectra
from amfs_lab.explore.ridge.filter import MOST_STEPS
from amfs_lab.widgets.controls import Slider

STATES = [
    {},
    {"places": "anywhere", "lam": 1e-3, "sample": 7},
    {"places": "each place twice", "noise": 0.5},
    {"bandwidth": 5.0, "points": 40, "lam": 1e3},
    {"bandwidth": 0.05, "points": 3, "lam": 1e-5},
    {"points": 1},
]


def rbf(a, b, bandwidth):
    return np.exp(-((a[:, None] - b[None]) ** 2) / (2 * bandwidth**2))


@pytest.mark.parametrize("state", STATES)
def test_the_fit_is_scikit_learns_with_alpha_for_lambda(state):
    a = FilterExplorer(**state).arrays
    sigma, lam = a.state.bandwidth, a.state.lam
    oracle = KernelRidge(alpha=lam, kernel="rbf", gamma=1 / (2 * sigma**2)).fit(a.x[:, None], a.y)
    assert np.allclose(a.fit, oracle.predict(a.grid[:, None]), rtol=0, atol=1e-8)


@pytest.mark.parametrize("state", STATES)
def test_the_shares_kept_are_those_of_the_smoother_matrix(state):
    """The eigenvalues of H = K (K + λI)⁻¹ are the filter, and its trace is the degrees of freedom."""
    a = FilterExplorer(**state).arrays
    K, lam = rbf(a.x, a.x, a.state.bandwidth), a.state.lam
    H = K @ np.linalg.inv(K + lam * np.eye(len(K)))
    assert np.allclose(a["filter"], np.linalg.eigvalsh((H + H.T) / 2)[::-1], atol=1e-8)
    assert a.degrees_of_freedom == pytest.approx(np.trace(H), abs=1e-8)
    assert np.linalg.norm(a.kept) == pytest.approx(np.linalg.norm(H @ a.y), abs=1e-8)
    assert np.linalg.norm(a.labels) == pytest.approx(np.linalg.norm(a.y))
    assert a.strong == (np.linalg.eigvalsh(K) > lam).sum()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("steps", [1, 7, 150])
def test_the_descent_agrees_with_a_loop(state, steps):
    a = FilterExplorer(**state, steps=steps).arrays
    K = rbf(a.x, a.x, a.state.bandwidth)
    rate = 1 / np.linalg.eigvalsh(K)[-1]
    alpha = np.zeros(len(K))
    for _ in range(steps):
        alpha -= rate * (K @ alpha - a.y)  # the gradient of L in function space is Σ r_i k(x_i, ·)
    assert np.allclose(a.descent, rbf(a.grid, a.x, a.state.bandwidth) @ alpha, atol=1e-7)
    assert a.descent_degrees == pytest.approx((1 - (1 - rate * np.linalg.eigvalsh(K)) ** steps).sum(), abs=1e-8)
    assert a.gap == pytest.approx(np.abs(a.fit - a.descent).max())


def test_the_curve_passes_through_the_dots_and_through_one_half_at_lambda():
    a = FilterExplorer(lam=0.05, steps=20).arrays
    assert np.allclose(np.interp(np.log(a.eigenvalues[:20]), np.log(a.every), a.curve), a["filter"][:20], atol=2e-3)
    assert np.interp(np.log(0.05), np.log(a.every), a.curve) == pytest.approx(0.5, abs=1e-3)
    assert (a.half_x[1], a.half_y[1]) == (0.05, 0.5)
    seen = np.interp(np.log(a.eigenvalues[:20]), np.log(a.up_to_largest[:112]), a.descent_curve[:112])
    assert np.allclose(seen, a.descent_filter[:20], atol=5e-3)
    assert a.up_to_largest.max() == a.eigenvalues[0]  # beyond the largest eigenvalue there is nothing to learn


def test_an_eigen_direction_counts_as_kept_as_soon_as_its_eigenvalue_is_above_lambda():
    eighth = float(FilterExplorer().arrays.eigenvalues[7])
    assert [FilterExplorer(lam=eighth * factor).arrays.strong for factor in (0.99, 1.01)] == [8, 7]


@pytest.mark.parametrize("places", spectra.PLACES)
def test_the_waves_of_all_eigen_directions_add_up_to_the_fit(places):
    explorer = FilterExplorer(places=places, points=9, lam=0.3)
    total = np.zeros_like(explorer.arrays.fit)
    for i in range(1, 10):
        explorer.set(eigen_direction=i)
        a = explorer.arrays
        total += a.wave
        at_points = np.interp(a.x, a.grid, a.wave)
        assert np.allclose(at_points, a["filter"][i - 1] * a.part, atol=2e-3)  # the share of the labels' part
        assert np.linalg.norm(a.part) == pytest.approx(a.labels[i - 1])
    assert np.allclose(total, a.fit, atol=1e-10)


@pytest.mark.parametrize("points", [0, 1, 2])
@pytest.mark.parametrize("places", spectra.PLACES)
@pytest.mark.parametrize(
    "rest", [{}, {"steps": MOST_STEPS, "eigen_direction": 2}, {"bandwidth": 5.0, "lam": 1e3, "steps": 1}]
)
def test_with_few_points_there_is_a_figure_and_a_sentence(points, places, rest):
    explorer = FilterExplorer(points=points, places=places, **rest)
    for trace in explorer.figure.data:
        assert np.isfinite(np.asarray(trace.y, dtype=float)).all()
    assert len(explorer.trace("truth").y) == len(explorer.trace("ridge").y) > 100
    assert explorer.sentence.text


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"points": 0}, "Without points there are no eigen-directions: the fit is zero everywhere"),
        ({"points": 1, "bandwidth": 1.0, "lam": 1.0}, "uses 0.5 of 1 degree of freedom"),
        ({"lam": 1e3}, "0 of 24 eigenvalues are above λ = 1000"),
        ({"bandwidth": 0.05, "lam": 1e-5}, "24 of 24 eigenvalues are above λ = 1e-05"),
        ({"eigen_direction": 30}, "There is no eigen-direction 30: 24 points, 24 eigen-directions."),
        ({"eigen_direction": 1}, "Along eigen-direction 1 it keeps 99.6 %."),
        ({"steps": 1}, "after 1 step. The two fits"),
        ({"steps": 9}, "after 9 steps. The two fits"),
        (
            {"places": "each place twice", "points": 9},
            "Points at equal places give 4 eigenvalues s = 0: nothing is kept there at any λ.",
        ),
    ],
)
def test_the_sentence_is_true_at_the_extremes(state, words):
    assert words in FilterExplorer(**state).sentence.text


def test_unused_eigen_directions_are_the_zero_eigenvalues():
    a = FilterExplorer(places="each place twice", bandwidth=0.2).arrays
    assert a.silent == 12 == (np.linalg.eigvalsh(rbf(a.x, a.x, 0.2)) < 1e-12).sum()
    assert np.allclose(np.sort(a["filter"])[:12], 0, atol=1e-12)
    assert FilterExplorer().arrays.silent == 0


def test_the_presets_show_what_they_are_called():
    arrays = {name: FilterExplorer(preset=name).arrays for name in FilterExplorer.presets}
    assert arrays["all kept"].degrees_of_freedom > 23.9
    assert arrays["slow wave only"].strong < arrays["two waves"].strong
    slow = arrays["slow wave only"]
    assert slow["filter"][0] > 0.8
    assert slow["filter"][12:].max() < 0.06  # these eigen-directions carry the fast wave sin 6x
    steps = arrays["gradient descent"]
    assert steps.gap < 0.1 * np.abs(steps.fit).max()
    assert abs(steps.descent_degrees - steps.degrees_of_freedom) < 0.5


class TestKeys:
    def test_the_fast_wave_goes_first_whatever_its_size(self):
        x = np.linspace(-3, 3, 24)
        K = rbf(x, x, 0.5)
        H = K @ np.linalg.inv(K + 0.2 * np.eye(24))
        slow, fast = np.sin(x), np.sin(6 * x)
        assert fast @ H @ fast / (fast @ fast) < 0.5 < slow @ H @ slow / (slow @ slow)
        assert questions.answer_first_direction_to_vanish() == "the fast one"
        assert questions.answer_first_direction_to_vanish(lam=1e-9) == "both equally"

    def test_doubled_labels_leave_the_filter_alone(self):
        assert questions.answer_when_labels_double() == "the same share"
        assert questions.answer_when_labels_double(lam=3.0) == "the same share"

    def test_a_smaller_lambda_spends_more_degrees_of_freedom(self):
        *_, spectrum = spectra.first()
        assert spectra.spent(0.02) == pytest.approx(FilterExplorer().arrays.degrees_of_freedom)
        assert spectra.spent(0.02) == pytest.approx(float((1 / (1 + 0.02 / spectrum.eigenvalues)).sum()))
        assert spectra.spent(1e9) < 1e-6 < 23.9 < spectra.spent(1e-12)


SLIDER = Slider("k", 1, MOST_STEPS, scale="zero-log", integer=True, start=0)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 10, 100, MOST_STEPS])
def test_small_and_round_numbers_of_steps_can_be_dragged_to(steps):
    assert SLIDER.at(SLIDER.tick(steps)) == steps


def test_other_numbers_of_steps_can_be_dragged_near_and_typed():
    assert SLIDER.at(SLIDER.tick(1234)) == pytest.approx(1234, rel=0.06)
    assert [SLIDER.nearest(value) for value in (3.4, -2, 1e9, 1234)] == [3, 0, MOST_STEPS, 1234]


def test_points_have_their_places_and_fewer_points_keep_their_errors():
    torch.testing.assert_close(
        spectra.labelled("anywhere", 5, 0.2, 3)[1], spectra.labelled("anywhere", 9, 0.2, 3)[1][:5]
    )
    x, y = (column.numpy() for column in spectra.labelled("evenly spaced", 7, 0.0, 3))
    assert np.allclose(y, np.sin(x) + 0.35 * np.sin(6 * x))
    assert np.allclose(x[:, 0], np.linspace(-3, 3, 7))
    twice = spectra.labelled("each place twice", 9, 0.5, 3)[0][:, 0].numpy()
    assert np.allclose(twice, [-3, -3, -1.5, -1.5, 0, 0, 1.5, 1.5, 3])
