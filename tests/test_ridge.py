"""The closed form by several roads: scikit-learn, a dense solve, gradient descent, the spectral filter."""

import math

import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF as SklearnRBF
from sklearn.kernel_ridge import KernelRidge

from amfs_lab.errors import ConfigError, NumericalError
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import Spectrum, information, noise, solve

REGULARISERS = [(1e-3, 0.0), (0.1, 0.0), (10.0, 0.0), (0.1, 0.5), (0.1, 20.0)]


@pytest.fixture
def task(randn):
    x, y = randn(12, 3), randn(12, 4)
    return x, y, rbf_kernel(x, x, 0.9)


def test_it_is_scikit_learns_kernel_ridge_and_its_gaussian_process(randn, task):
    x, y, K = task
    x_new = randn(7, 3)
    ours = rbf_kernel(x_new, x, 0.9) @ solve(K, y, 0.1)
    ridge = KernelRidge(alpha=0.1, kernel="rbf", gamma=1 / (2 * 0.9**2)).fit(x.numpy(), y.numpy())
    process = GaussianProcessRegressor(SklearnRBF(0.9), alpha=0.1, optimizer=None).fit(x.numpy(), y.numpy())
    for theirs in (ridge, process):
        assert torch.allclose(ours, torch.from_numpy(theirs.predict(x_new.numpy())), atol=1e-10, rtol=0)


@pytest.mark.parametrize(("lam", "mu"), REGULARISERS)
def test_it_is_the_dense_solve_of_the_normal_equations(task, lam, mu):
    _, y, K = task
    identity = torch.eye(len(K), dtype=K.dtype)
    dense = torch.linalg.solve(K + mu * K @ K + lam * identity, (identity + mu * K) @ y)
    assert torch.allclose(solve(K, y, lam, mu), dense, atol=1e-9)


@pytest.mark.parametrize(("lam", "mu"), REGULARISERS)
def test_no_function_of_the_span_does_better(task, randn, lam, mu):
    _, y, K = task

    def objective(alpha):
        residual = K @ alpha - y
        penalties = lam * (alpha * (K @ alpha)).sum() + mu * (residual * (K @ residual)).sum()
        return (residual.square().sum() + penalties) / 2

    alpha = solve(K, y, lam, mu).requires_grad_()
    assert torch.autograd.grad(objective(alpha), alpha)[0].abs().max() < 1e-9
    for _ in range(10):
        assert objective(alpha + 0.1 * randn(*alpha.shape)) > objective(alpha)


@pytest.mark.parametrize(("lam", "mu"), REGULARISERS)
def test_the_fit_is_the_filter_along_each_eigenvector(task, lam, mu):
    _, y, K = task
    spectrum = Spectrum.of(K)
    along = spectrum.filter(lam, mu)[:, None] * (spectrum.eigenvectors.T @ y)
    assert torch.allclose(K @ solve(K, y, lam, mu), spectrum.eigenvectors @ along, atol=1e-9)


def test_the_spectrum_rebuilds_the_matrix_in_descending_order(task):
    spectrum = Spectrum.of(task[2])
    rebuilt = spectrum.eigenvectors @ torch.diag(spectrum.eigenvalues) @ spectrum.eigenvectors.T
    assert torch.allclose(rebuilt, task[2])
    assert (spectrum.eigenvalues.diff() <= 0).all()


@pytest.mark.parametrize(("lam", "mu"), REGULARISERS)
def test_information_and_degrees_of_freedom_by_two_roads(task, lam, mu):
    K, identity = task[2], torch.eye(12, dtype=torch.float64)
    N = lam * torch.linalg.inv(identity + mu * K)
    spectrum = Spectrum.of(K)
    assert torch.allclose(noise(K, lam, mu), N)
    assert torch.allclose(spectrum.information(lam, mu), torch.logdet(identity + K @ torch.linalg.inv(N)) / 2)
    assert torch.allclose(information(K, lam, mu), spectrum.information(lam, mu))
    assert torch.allclose(spectrum.degrees_of_freedom(lam, mu), (K @ torch.linalg.inv(K + N)).trace())


def test_degrees_of_freedom_are_one_derivative_from_information(task):
    log_lam = torch.tensor(math.log(0.2), dtype=torch.float64, requires_grad=True)
    slope = torch.autograd.grad(information(task[2], log_lam.exp()), log_lam)[0]
    assert torch.allclose(slope, -Spectrum.of(task[2]).degrees_of_freedom(0.2) / 2)


@pytest.mark.parametrize("mu", [0.0, 0.7])
def test_gradients_through_the_solve_are_finite_differences(randn, mu):
    x, y = randn(5, 2).requires_grad_(), randn(5, 3)
    bandwidth = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    lam = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    weight = torch.tensor(mu, dtype=torch.float64, requires_grad=mu > 0)

    def alpha(x, bandwidth, lam, weight):
        return solve(rbf_kernel(x, x, bandwidth), y, lam, weight if mu > 0 else mu)

    assert torch.autograd.gradcheck(alpha, (x, bandwidth, lam, weight))


def test_tasks_are_solved_in_one_call_as_one_by_one(randn):
    x, y = randn(3, 6, 2), randn(3, 6, 4)
    K = rbf_kernel(x, x, 1.1)
    together = solve(K, y, 0.1, 0.5)
    assert torch.allclose(together, torch.stack([solve(K[t], y[t], 0.1, 0.5) for t in range(3)]))


@pytest.mark.parametrize("mu", [1.0, 10.0])
def test_float32_survives_a_wide_kernel_and_strong_mu(randn, mu):
    x, y = randn(100, 2), randn(100, 3)
    K = rbf_kernel(x, x, 3.0)
    single = (K.float() @ solve(K.float(), y.float(), 1e-3, mu)).double()
    assert (single - K @ solve(K, y, 1e-3, mu)).abs().max() < 0.02


def test_a_singular_matrix_is_named_with_its_cause_and_its_mend():
    K = torch.ones(2, 2)
    with pytest.raises(NumericalError, match=r"not positive definite \(lam=0, dtype=torch.float32\). Increase `lam`"):
        solve(K, torch.ones(2, 1), 0.0)
    assert torch.isnan(solve(K, torch.ones(2, 1), 0.0, check=False)).all()


def test_features_that_are_not_numbers_are_named():
    K = torch.full((2, 2), math.nan)
    with pytest.raises(NumericalError, match=r"must be finite. Got NaN or infinity in it. Look at the features"):
        solve(K, torch.ones(2, 1), 0.1)
    assert torch.isnan(solve(K, torch.ones(2, 1), 0.1, check=False)).all()


def test_a_failed_task_does_not_spoil_its_neighbours():
    K = torch.stack([torch.eye(2), torch.ones(2, 2)])
    alpha = solve(K, torch.ones(2, 2, 1), 0.0, check=False)
    assert torch.isfinite(alpha[0]).all()
    assert torch.isnan(alpha[1]).all()


@pytest.mark.parametrize(("lam", "mu"), [(-0.1, 0.0), (0.1, -1.0), (math.nan, 0.0)])
def test_negative_regularisers_are_refused(lam, mu):
    with pytest.raises(ConfigError, match=r"must be a finite number >= 0. Got"):
        solve(torch.eye(2), torch.ones(2, 1), lam, mu)
