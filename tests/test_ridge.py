"""The closed form agrees with scikit-learn, a dense solve, gradient descent and the spectral filter."""

import math

import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF as SklearnRBF
from sklearn.kernel_ridge import KernelRidge

from amfs_lab.errors import ConfigError, NumericalError
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import RidgeFactor, Spectrum, covariance, information, leave_one_out, log_evidence, solve, variance

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
    factor = RidgeFactor.of(K, lam, mu)
    assert torch.allclose(factor.L @ factor.L.T, K + N)
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
    with pytest.raises(NumericalError, match=r"must be finite. Got NaN or infinity. Look at the features"):
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


def labels_and_gram(randn, n=9, c=2):
    x = randn(n, 2)
    return x, randn(n, c), rbf_kernel(x, x, 0.9)


def test_leave_one_out_is_a_fit_without_each_point(randn):
    _, y, K = labels_and_gram(randn)
    closed = leave_one_out(K, y, 0.2)
    for i in range(len(y)):
        rest = [j for j in range(len(y)) if j != i]
        alpha = solve(K[rest][:, rest], y[rest], 0.2)
        assert torch.allclose(closed[i], y[i] - K[i, rest] @ alpha, atol=1e-12)


def test_one_factorisation_serves_all_that_follows_from_it(task, randn):
    x, y, K = task
    x_new = randn(7, 3)
    K_qs, K_qq = rbf_kernel(x_new, x, 0.9), rbf_kernel(x_new, x_new, 0.9)
    for lam, mu in REGULARISERS:
        factor = RidgeFactor.of(K, lam, mu)
        assert torch.equal(factor.solve(y), solve(K, y, lam, mu))
        assert torch.equal(factor.predict(K_qs, y), K_qs @ solve(K, y, lam, mu))
        assert torch.equal(factor.covariance(K_qq, K_qs), covariance(K_qq, K_qs, K, lam, mu))
        assert torch.equal(factor.variance(K_qq.diagonal(), K_qs), variance(K_qq.diagonal(), K_qs, K, lam, mu))
        assert torch.equal(factor.information(), information(K, lam, mu))
        N = lam * torch.linalg.inv(torch.eye(12, dtype=K.dtype) + mu * K)
        normal = torch.distributions.MultivariateNormal(torch.zeros(12, dtype=K.dtype), K + N)
        assert torch.allclose(factor.log_evidence(y), normal.log_prob(y.T).sum())
    factor = RidgeFactor.of(K, 0.1)
    assert torch.equal(factor.leave_one_out(y), leave_one_out(K, y, 0.1))
    assert torch.equal(factor.log_evidence(y), log_evidence(K, y, 0.1))


def test_leave_one_out_is_offered_without_mu_only(task):
    with pytest.raises(ConfigError, match=r"`mu` must be 0. Got mu > 0. Fit again without each point"):
        RidgeFactor.of(task[2], 0.1, 0.5).leave_one_out(task[1])


@pytest.mark.parametrize("lam", [1e-4, 1.0, 1e7])
def test_information_in_float32_is_that_of_float64(task, lam):
    exact = float(information(task[2], lam))
    assert float(information(task[2].float(), lam)) == pytest.approx(exact, rel=1e-4, abs=1e-6)


def test_labels_in_float64_are_solved_in_float64(task):
    _, y, K = task
    assert torch.equal(solve(K.float(), y, 0.1), solve(K.float().double(), y, 0.1))


def test_leave_one_out_of_a_singular_matrix_is_refused():
    with pytest.raises(NumericalError, match=r"not positive definite .* Increase `lam`"):
        leave_one_out(torch.ones(3, 3), torch.ones(3, 1), 0.0)


def test_the_evidence_is_scikit_learns_and_the_normal_density(randn):
    x, y, K = labels_and_gram(randn)
    process = GaussianProcessRegressor(SklearnRBF(0.9), alpha=0.2, optimizer=None).fit(x.numpy(), y[:, 0].numpy())
    assert float(log_evidence(K, y[:, :1], 0.2)) == pytest.approx(process.log_marginal_likelihood(), abs=1e-10)
    noisy = K + 0.2 * torch.eye(9, dtype=K.dtype)
    normal = torch.distributions.MultivariateNormal(torch.zeros(9, dtype=K.dtype), noisy)
    assert torch.allclose(log_evidence(K, y, 0.2), normal.log_prob(y.T).sum())


def test_the_evidence_has_the_gradient_of_finite_differences(randn):
    x, y, _ = labels_and_gram(randn, n=5)
    settings = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.8, 0.3)]
    assert torch.autograd.gradcheck(lambda s, lam: log_evidence(rbf_kernel(x, x, s), y, lam), settings)
    assert torch.autograd.gradcheck(lambda s, lam: leave_one_out(rbf_kernel(x, x, s), y, lam), settings)


@pytest.mark.parametrize(("lam", "mu"), REGULARISERS)
def test_variance_is_the_schur_complement(randn, lam, mu):
    x, x_new = randn(8, 2), randn(5, 2)
    K_ss, K_qs, K_qq = rbf_kernel(x, x, 0.9), rbf_kernel(x_new, x, 0.9), rbf_kernel(x_new, x_new, 0.9)
    N = lam * torch.linalg.inv(torch.eye(8, dtype=x.dtype) + mu * K_ss)
    schur = K_qq - K_qs @ torch.linalg.inv(K_ss + N) @ K_qs.T
    assert torch.allclose(covariance(K_qq, K_qs, K_ss, lam, mu), schur, atol=1e-9)
    assert torch.allclose(variance(K_qq.diagonal(), K_qs, K_ss, lam, mu), schur.diagonal(), atol=1e-9)


def test_variance_is_scikit_learns(randn):
    x, x_new = randn(8, 2), randn(5, 2)
    process = GaussianProcessRegressor(SklearnRBF(0.9), alpha=0.2, optimizer=None).fit(x.numpy(), x[:, 0].numpy())
    _, theirs = process.predict(x_new.numpy(), return_cov=True)
    ours = (rbf_kernel(a, b, 0.9) for a, b in ((x_new, x_new), (x_new, x), (x, x)))
    assert torch.allclose(covariance(*ours, 0.2), torch.from_numpy(theirs), atol=1e-10)


def test_without_noise_nothing_is_uncertain_at_the_support_points(randn):
    x = randn(5, 2)
    K = rbf_kernel(x, x, 0.7)
    assert variance(K.diagonal(), K, K, 0.0).max() < 1e-12


def test_the_descent_filter_is_gradient_descent(task):
    _, y, K = task
    spectrum, f = Spectrum.of(K), torch.zeros_like(y)
    for _ in range(7):
        f = f - 0.1 * K @ (f - y)  # the loss's gradient in function space, at the support points
    along = spectrum.descent_filter(0.1, 7)[:, None] * (spectrum.eigenvectors.T @ y)
    assert torch.allclose(f, spectrum.eigenvectors @ along, atol=1e-12)


def test_many_tasks_are_judged_in_one_call_as_one_by_one(randn):
    x, y = randn(3, 6, 2), randn(3, 6, 4)
    K = rbf_kernel(x, x, 1.1)
    for judge in (lambda K, y: leave_one_out(K, y, 0.1), lambda K, y: log_evidence(K, y, 0.1)):
        assert torch.allclose(judge(K, y), torch.stack([judge(K[t], y[t]) for t in range(3)]))
    together = variance(K.diagonal(dim1=-2, dim2=-1), K, K, 0.1, 0.5)
    assert torch.allclose(together, torch.stack([variance(K[t].diagonal(), K[t], K[t], 0.1, 0.5) for t in range(3)]))


def test_it_is_solved_within_vmap_where_no_failure_can_be_read(task):
    _, y, K = task
    lams = K.new_tensor([0.1, 2.0, -100.0])
    alphas = torch.func.vmap(lambda lam: solve(K, y, lam))(lams)
    assert torch.allclose(alphas[0], solve(K, y, 0.1))
    assert torch.allclose(alphas[1], solve(K, y, 2.0))
    assert alphas[2].isnan().all()
