"""The four panels against plain numpy and scikit-learn, and the sentence at the extremes."""

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from amfs_lab.explore import RegulariserExplorer
from amfs_lab.explore.regularisers import landscape, questions, regularisers
from amfs_lab.explore.regularisers.landscape import SIGMAS, task
from amfs_lab.explore.regularisers.regularisers import GRID, meta_terms


def gram(a, b, bandwidth):
    return np.exp(-((np.asarray(a) - np.asarray(b).T) ** 2) / (2 * bandwidth**2))


def squared_form(K, y, lam, mu):
    """The coefficients (K + μK² + λI)⁻¹ (I + μK) y."""
    identity = np.eye(len(K))
    return np.linalg.solve(K + mu * K @ K + lam * identity, (identity + mu * K) @ y)


@pytest.mark.parametrize("mu", [0.0, 0.5, 20.0])
def test_the_fit_is_the_closed_form_with_k_squared(mu):
    a = RegulariserExplorer(mu=mu, lam=0.3, points=12).arrays
    K = gram(a.x[:, None], a.x[:, None], 0.6)
    alpha = squared_form(K, a.y, 0.3, mu)
    assert np.allclose(a.fit, gram(GRID, a.x[:, None], 0.6) @ alpha, atol=1e-7)
    assert np.allclose(a.plain, gram(GRID, a.x[:, None], 0.6) @ squared_form(K, a.y, 0.3, 0.0), atol=1e-7)


def test_the_band_is_the_posterior_of_a_gaussian_process():
    a = RegulariserExplorer(lam=0.2, points=15).arrays
    oracle = GaussianProcessRegressor(RBF(0.6, "fixed"), alpha=0.2, optimizer=None).fit(a.x[:, None], a.y)
    mean, sd = oracle.predict(GRID.numpy(), return_std=True)
    n = len(GRID)
    assert np.allclose(a.band_y[:n], mean + 2 * sd, atol=1e-7)
    assert np.allclose(a.band_y[n:][::-1], mean - 2 * sd, atol=1e-7)


def test_with_mu_the_band_has_the_noise_n():
    a = RegulariserExplorer(lam=0.2, mu=5.0, points=10).arrays
    x = a.x[:, None]
    K, across = gram(x, x, 0.6), gram(GRID, x, 0.6)
    N = 0.2 * np.linalg.inv(np.eye(10) + 5.0 * K)
    variance = 1 - (across @ np.linalg.inv(K + N) * across).sum(1)
    n = len(GRID)
    assert np.allclose((a.band_y[:n] - a.band_y[n:][::-1]) / 4, np.sqrt(variance.clip(0)), atol=1e-6)


def test_the_filter_is_ridge_with_the_effective_ridge():
    a = RegulariserExplorer(lam=0.5, mu=7.0).arrays
    s = a.strengths
    assert np.allclose(a.effective, 1 / (1 + 7 * s))
    assert np.allclose(a.filter, s / (s + 0.5 * a.effective))
    assert np.allclose(a.plain_filter, s / (s + 0.5))


@pytest.mark.parametrize("mu", [0.0, 4.0])
def test_information_by_a_determinant_and_freedom_by_its_slope(mu):
    a = RegulariserExplorer(lam=0.5, mu=mu, points=14).arrays
    x = a.x[:, None]
    K = gram(x, x, 0.6)
    for lam, shown in zip(a.lambdas[::7], a.information[::7], strict=True):
        inverse_noise = (np.eye(14) + mu * K) / lam
        assert shown == pytest.approx(np.linalg.slogdet(np.eye(14) + K @ inverse_noise)[1] / 2, rel=1e-6)
    slope = np.gradient(a.information, np.log(a.lambdas))[1:-1]
    assert np.allclose(slope, -a.freedom[1:-1] / 2, atol=0.05)


def test_the_tangent_touches_at_the_present_lambda():
    a = RegulariserExplorer(lam=0.05, mu=2.0).arrays
    assert np.interp(np.log(0.05), np.log(a.tangent_x), a.tangent_y) == pytest.approx(a.here_y[0])
    assert a.here_y[0] == pytest.approx(np.interp(np.log(0.05), np.log(a.lambdas), a.information), rel=1e-2)
    rise = (a.tangent_y[1] - a.tangent_y[0]) / np.log(a.tangent_x[1] / a.tangent_x[0])
    assert rise == pytest.approx(-a.here_y[1] / 2)


@pytest.mark.parametrize("mu", [0.0, 3.0])
def test_the_meta_objective_by_hand(mu):
    key = ("sine", 12, 0.3, 2)
    t, i = task(*key), 15
    query_loss, share = meta_terms(*key, lam=0.2, mu=mu)
    sigma = float(SIGMAS[i])
    K = gram(t.x, t.x, sigma)
    fit = gram(t.query_x, t.x, sigma) @ squared_form(K, t.y.numpy(), 0.2, mu)
    assert float(query_loss[i]) == pytest.approx(np.square(fit - t.query_y.numpy()).mean() / 2)
    determinant = np.linalg.slogdet(np.eye(12) + (K + mu * K @ K) / 0.2)[1]
    assert float(share[i]) == pytest.approx(determinant / 2 / 12)


def test_gamma_moves_the_preferred_sigma_and_not_the_fit():
    plain, weighed = RegulariserExplorer(preset="information", gamma=0.0), RegulariserExplorer(preset="information")
    assert np.array_equal(plain.arrays.fit, weighed.arrays.fit)
    assert weighed.arrays.lowest_x[0] > weighed.arrays.lowest_x[1] == plain.arrays.lowest_x[0]
    assert "without γ, at σ = 0.77" in weighed.sentence.text
    assert "as without γ" in RegulariserExplorer(gamma=0.001).sentence.text


def test_mu_brings_the_fit_closer_to_the_labels():
    assert questions.answer_when_mu_grows() == "it comes closer to the labels"
    assert questions.answer_when_mu_grows(mu=1e-6) == "it hardly changes"
    a = RegulariserExplorer(preset="strong μ").arrays
    assert a.labels_missed[1] < a.labels_missed[0]
    assert a.spent[1] > a.spent[0]


def test_a_huge_mu_fits_every_label():
    explorer = RegulariserExplorer(preset="μ → ∞")
    assert explorer.state.lam == 10.0
    assert explorer.arrays.labels_missed[1] < 0.02 < explorer.arrays.labels_missed[0]
    assert np.abs(np.interp(explorer.arrays.x, GRID[:, 0], explorer.arrays.fit) - explorer.arrays.y).max() < 0.05


def test_too_much_gamma_moves_sigma_to_the_end_of_the_slider():
    assert "σ = 5 (the end of the slider)" in RegulariserExplorer(preset="too much γ").sentence.text


def test_without_points_all_panels_show_the_prior():
    explorer = RegulariserExplorer(preset="no points", mu=3.0, gamma=1.0)
    a, n = explorer.arrays, len(GRID)
    assert "No points" in explorer.sentence.text
    assert np.array_equal(a.fit, np.zeros(n))
    assert np.array_equal(a.band_y, np.concatenate([np.full(n, 2.0), np.full(n, -2.0)]))
    assert (a.information.max(), a.penalty.max(), len(a.lowest_x)) == (0, 0, 0)


@pytest.mark.parametrize("data", landscape.DATA)
@pytest.mark.parametrize("points", [1, 2, 40])
def test_all_numbers_are_finite_at_the_ends_of_all_sliders(data, points):
    explorer = RegulariserExplorer(data=data, points=points)
    for bandwidth in (0.05, 5.0):
        for lam, mu in ((1e-4, 1e4), (10.0, 0.0)):
            explorer.set(bandwidth=bandwidth, lam=lam, mu=mu, gamma=10.0)
            for name in ("fit", "band_y", "information", "objective", "kept"):
                assert np.isfinite(explorer.arrays[name]).all(), name


def test_a_direction_with_eigenvalue_zero_is_removed_for_every_mu():
    a = RegulariserExplorer(preset="every point twice", mu=1e4).arrays
    dead = a.eigenvalues <= regularisers.WEAKEST
    assert dead.sum() >= 10
    assert a.kept[dead].max() < 1e-6


def test_the_sentence_counts_like_the_panels():
    explorer = RegulariserExplorer(mu=10.0)
    a = explorer.arrays
    t = task("sine", 20, 0.3, 6)
    K = gram(t.x, t.x, 0.6)
    strongest = np.linalg.eigvalsh(K)[-1]
    assert f"from 1 to {1 / (1 + 10 * strongest):.2g}." in explorer.sentence.text
    assert (
        f"and {np.trace(K @ np.linalg.inv(K + np.linalg.inv(np.eye(20) + 10 * K))):.1f} of 20" in explorer.sentence.text
    )
    assert torch.equal(torch.as_tensor(a.y), t.y[:, 0])
