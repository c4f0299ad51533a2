"""Laws of the RBF kernel, and its two roads: by function and by module, by us and by scikit-learn."""

import math

import pytest
import torch
from sklearn.gaussian_process.kernels import RBF as SklearnRBF
from sklearn.metrics import pairwise

from amfs_lab.errors import ConfigError, DataError
from amfs_lab.kernels import (
    LARGEST_BANDWIDTH,
    RBF,
    Cosine,
    Linear,
    bounded_exp,
    median_bandwidth,
    rbf_kernel,
    squared_distances,
)


def test_the_distances_are_those_of_numpy_broadcasting(randn):
    x1, x2 = randn(2, 5, 3), randn(2, 4, 3)
    assert torch.allclose(squared_distances(x1, x2), torch.cdist(x1, x2) ** 2)


def test_a_point_is_at_distance_exactly_zero_from_itself(randn):
    x = randn(50, 64, dtype=torch.float32) * 1e3
    assert (squared_distances(x, x).diagonal() == 0).all()


def test_the_kernel_is_scikit_learns(randn):
    x1, x2 = randn(6, 3), randn(4, 3)
    theirs = torch.from_numpy(SklearnRBF(length_scale=0.7)(x1.numpy(), x2.numpy()))
    assert torch.allclose(rbf_kernel(x1, x2, 0.7), theirs, atol=1e-14)


def test_one_bandwidth_apart_is_61_percent_similar():
    a, b = torch.zeros(1, 1), torch.full((1, 1), 0.3)
    assert math.isclose(float(rbf_kernel(a, b, 0.3)), math.exp(-0.5), rel_tol=1e-6)


@pytest.mark.parametrize("bandwidth", [0.05, 0.6, 20.0])
def test_a_gram_matrix_is_symmetric_positive_and_has_trace_n(randn, bandwidth):
    x = randn(12, 2)
    K = rbf_kernel(x, x, bandwidth)
    assert torch.equal(K, K.T)
    assert torch.linalg.eigvalsh(K).min() > -1e-12
    assert math.isclose(float(K.trace()), 12)


def test_a_narrow_kernel_sees_only_itself_and_a_wide_one_sees_no_difference(randn):
    x = randn(5, 2)
    assert torch.allclose(rbf_kernel(x, x, 1e-3), torch.eye(5, dtype=x.dtype))
    assert torch.allclose(rbf_kernel(x, x, 1e6), torch.ones(5, 5, dtype=x.dtype))


def test_it_can_be_differentiated_twice_at_coinciding_points(randn):
    x = randn(3, 2).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda z: rbf_kernel(z, z, 0.8), x)
    assert torch.isfinite(torch.autograd.grad(rbf_kernel(x, x, 0.8).sum(), x)[0]).all()


@pytest.mark.parametrize("bandwidth", [0.0, -1.0, math.inf, math.nan])
def test_a_bandwidth_that_is_no_width_is_refused(randn, bandwidth):
    with pytest.raises(ConfigError, match=r"`bandwidth` must be a finite number > 0. Got .* start from"):
        rbf_kernel(randn(2, 1), randn(2, 1), bandwidth)
    with pytest.raises(ConfigError, match=r"must be a finite number > 0"):
        RBF(bandwidth)


def test_the_module_is_the_function_and_stays_within_bounds(randn):
    x, kernel = randn(4, 3, dtype=torch.float32), RBF(0.9)
    assert torch.allclose(kernel(x, x), rbf_kernel(x, x, 0.9))
    kernel.log_bandwidth.data.fill_(math.log(1e9))
    assert math.isclose(float(kernel.bandwidth.detach()), LARGEST_BANDWIDTH, rel_tol=1e-4)
    assert not RBF(learn=False).log_bandwidth.requires_grad


def test_the_median_is_over_pairs_of_different_points():
    assert float(median_bandwidth(torch.tensor([[0.0], [1.0], [3.0]]))) == 2.0


def test_a_median_that_says_nothing_is_refused():
    with pytest.raises(DataError, match=r"at least 2 rows. Got 1"):
        median_bandwidth(torch.zeros(1, 2))
    with pytest.raises(DataError, match=r"most rows are equal"):
        median_bandwidth(torch.zeros(4, 2))
    with pytest.raises(DataError, match=r"features hold NaN"):
        median_bandwidth(torch.full((3, 2), math.nan))


def test_a_bandwidth_a_dimension_is_scikit_learns(randn):
    x1, x2, widths = randn(6, 3), randn(4, 3), torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    theirs = torch.from_numpy(SklearnRBF(length_scale=widths.numpy())(x1.numpy(), x2.numpy()))
    assert torch.allclose(rbf_kernel(x1, x2, widths), theirs, atol=1e-14)
    same = torch.full((3,), 0.7, dtype=torch.float64)
    assert torch.allclose(rbf_kernel(x1, x2, same), rbf_kernel(x1, x2, 0.7), atol=1e-14)


@pytest.mark.parametrize("dimensions", [None, 3])
def test_it_starts_at_the_median_distance_unless_it_was_given_a_start(randn, dimensions):
    x = randn(9, 3, dtype=torch.float32)
    free, given = RBF(dimensions=dimensions), RBF(0.9, dimensions=dimensions)
    for kernel in (free, given):
        kernel.start(x)
    assert torch.allclose(free.bandwidth, median_bandwidth(x).expand_as(free.bandwidth))
    assert torch.allclose(given.bandwidth, torch.full_like(given.bandwidth, 0.9))
    assert free(x, x).shape == (9, 9)


def test_a_bound_holds_the_value_and_lets_the_gradient_back_in():
    log_value = torch.tensor(9.0, requires_grad=True)
    value = bounded_exp(log_value, 0.1, 10.0)
    value.backward()
    assert value.item() == pytest.approx(10)
    assert log_value.grad.item() == pytest.approx(10)
    assert bounded_exp(torch.tensor(0.3), 0.1, 10.0).item() == pytest.approx(math.exp(0.3))


def test_linear_and_cosine_are_scikit_learns(randn):
    x1, x2 = randn(6, 3), randn(4, 3)
    linear = pairwise.linear_kernel(x1.numpy(), x2.numpy())
    assert torch.allclose(Linear(bias=False)(x1, x2), torch.from_numpy(linear))
    assert torch.allclose(Linear()(x1, x2), torch.from_numpy(linear) + 1)
    assert torch.allclose(Cosine()(x1, x2), torch.from_numpy(pairwise.cosine_similarity(x1.numpy(), x2.numpy())))
    assert (Cosine()(torch.zeros(1, 3), torch.ones(2, 3)) == 0).all()


@pytest.mark.parametrize("kernel", [RBF(0.8), RBF(0.8, dimensions=3), Linear(), Cosine()])
def test_the_diagonal_is_that_of_the_gram_matrix(randn, kernel):
    x = randn(2, 5, 3)
    kernel.double()
    assert torch.allclose(kernel.diagonal(x), kernel(x, x).diagonal(dim1=-2, dim2=-1))
