"""Laws of the kernels: the function agrees with the module, and both agree with scikit-learn."""

import math
import subprocess
import sys

import pytest
import torch
from sklearn.gaussian_process.kernels import RBF as SklearnRBF
from sklearn.metrics import pairwise

from amfs_lab.errors import ConfigError, DataError
from amfs_lab.inner import FunctionSpace, Prototypes
from amfs_lab.kernels import (
    BANDWIDTH,
    RBF,
    SMALL_ARRAY,
    Cosine,
    Learned,
    Linear,
    cosine_kernel,
    linear_kernel,
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


def test_the_limits_of_narrow_and_wide_kernels(randn):
    x = randn(5, 2)
    assert torch.allclose(rbf_kernel(x, x, 1e-3), torch.eye(5, dtype=x.dtype))
    assert torch.allclose(rbf_kernel(x, x, 1e6), torch.ones(5, 5, dtype=x.dtype))


def test_it_can_be_differentiated_twice_at_coinciding_points(randn):
    x = randn(3, 2).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda z: rbf_kernel(z, z, 0.8), x)
    assert torch.isfinite(torch.autograd.grad(rbf_kernel(x, x, 0.8).sum(), x)[0]).all()


@pytest.mark.parametrize("bandwidth", [0.0, -1.0, math.inf, math.nan])
def test_a_bandwidth_that_is_no_width_is_refused(randn, bandwidth):
    with pytest.raises(ConfigError, match=r"`bandwidth` must be a finite number > 0. Got .* A common start is"):
        rbf_kernel(randn(2, 1), randn(2, 1), bandwidth)
    with pytest.raises(ConfigError, match=r"must be a finite number > 0"):
        RBF(bandwidth)


def test_the_module_is_the_function_and_stays_within_bounds(randn):
    x, kernel = randn(4, 3, dtype=torch.float32), RBF(0.9)
    assert torch.allclose(kernel(x, x), rbf_kernel(x, x, 0.9))
    kernel.log_bandwidth.data.fill_(math.log(1e9))
    assert math.isclose(float(kernel.bandwidth.detach()), BANDWIDTH.high, rel_tol=1e-4)
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


@pytest.mark.parametrize("dimensions", [None, 3, 0])
def test_it_starts_at_the_median_distance_unless_it_was_given_a_start(randn, dimensions):
    x = randn(9, 3, dtype=torch.float32)
    free, given = RBF(dimensions=dimensions), RBF(0.9, dimensions=dimensions)
    for kernel in (free, given):
        kernel.for_features(3)
        kernel.start(x)
        assert kernel.log_bandwidth.shape == (() if dimensions is None else (3,))
    assert torch.allclose(free.bandwidth, median_bandwidth(x).expand_as(free.bandwidth))
    assert torch.allclose(given.bandwidth, torch.full_like(given.bandwidth, 0.9))
    assert free(x, x).shape == (9, 9)


def test_a_bound_holds_the_value_and_lets_the_gradient_back_in():
    positive = Learned("sigma", 0.1, 10.0, "1 is a common start.")
    log_value = torch.tensor(9.0, requires_grad=True)
    value = positive.exp(log_value)
    value.backward()
    assert value.item() == pytest.approx(10)
    assert log_value.grad.item() == pytest.approx(10)
    assert positive.exp(torch.tensor(0.3)) == torch.tensor(0.3).exp()
    for far_out in (2e4, 1e8):  # here, a difference to the bound is rounded to integers
        assert positive.exp(torch.tensor(far_out)).item() == pytest.approx(10)
        assert positive.exp(torch.tensor(-far_out)).item() == pytest.approx(0.1)


@pytest.mark.parametrize("start", [0.1, 10.0, torch.tensor(2.0)])
def test_a_positive_parameter_starts_at_its_start(start):
    parameter = Learned("sigma", 0.1, 10.0, "1 is a common start.").log(start, (3,))
    assert torch.allclose(parameter.exp(), torch.full((3,), float(start)))


@pytest.mark.parametrize("start", [0.09, 10.1])
def test_a_start_out_of_bounds_is_refused(start):
    with pytest.raises(ConfigError, match=rf"A learned `sigma` must start between 0.1 and 10. Got {start}. 1 is a"):
        Learned("sigma", 0.1, 10.0, "1 is a common start.").log(start)


def test_the_median_distance_can_merge_points_and_isolate_one():
    x = torch.tensor([[0.0], [1.0], [2.0], [3.0], [1000.0]])
    K = rbf_kernel(x, x, median_bandwidth(x))
    assert (K[:4, 4] == 0).all()
    clusters = torch.tensor([[0.0], [0.001], [0.002], [1.0], [1.001]])
    K = rbf_kernel(clusters, clusters, median_bandwidth(clusters))
    assert (K[:3, :3] > 0.999).all()
    pairs = torch.tensor([[0.0], [1.0], [3.0], [7.0]])  # 1, 2, 3, 4, 6 and 7 apart
    assert median_bandwidth(pairs) == 3


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


class TestNumbers:
    """Integers, 16-bit numbers and extreme numbers have the results that the docstring states."""

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64, torch.float16, torch.bfloat16])
    def test_no_distance_is_taken_in_integers_or_sixteen_bits(self, dtype):
        x = torch.randint(0, 256, (4, 784), generator=torch.Generator().manual_seed(0)).to(dtype)
        y = x.double()
        for f in (
            squared_distances,
            linear_kernel,
            cosine_kernel,
            lambda a, b: rbf_kernel(a, b, 2000.0),
            lambda a, b: median_bandwidth(a),
            lambda a, b: RBF(500.0)(a, b),
            lambda a, b: Prototypes().fit(a, torch.eye(4))(b),
            lambda a, b: FunctionSpace(RBF(500.0)).fit(a, torch.eye(4))(b),
        ):
            assert torch.allclose(f(x, x).double(), f(y, y).double(), rtol=1e-4)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("power", [-323, -170, -100, -45, -30, -23, -20, -17, 17, 23, 30, 100, 160, 308])
    def test_an_extreme_bandwidth_gives_its_limit(self, randn, dtype, power):
        x, bandwidth = randn(4, 3, dtype=dtype), float(f"1e{power}")
        K = rbf_kernel(x, x, bandwidth)
        limit = torch.eye(4) if power < 0 else torch.ones(4, 4)
        assert K.dtype == dtype
        assert torch.equal(K, limit.to(dtype))
        if float(torch.tensor(bandwidth, dtype=dtype)) not in (0.0, math.inf):
            for tensor in (torch.tensor(bandwidth, dtype=dtype), torch.full((3,), bandwidth, dtype=dtype)):
                assert torch.equal(rbf_kernel(x, x, tensor), limit.to(dtype))
                assert rbf_kernel(x, x, tensor.double()).dtype == dtype

    @pytest.mark.parametrize("size", [1e-36, 1e30, 1e37])
    @pytest.mark.parametrize("shape", [(), (3,)])
    def test_points_of_an_extreme_size_are_equal_to_themselves_only(self, randn, size, shape):
        x = (randn(4, 3) * size).float()
        K = RBF(1e-3 if size > 1 else 1e3, dimensions=3 if shape else None)(x, x)
        assert torch.equal(K, torch.eye(4) if size > 1 else torch.ones(4, 4))

    @pytest.mark.parametrize("power", [-30, -20, -10, 10, 20, 30])
    def test_a_unit_plays_no_part_however_small_or_large(self, randn, power):
        x, unit = randn(4, 3), float(f"1e{power}")
        K = rbf_kernel((x * unit).float(), (x * unit).float(), 0.7 * unit)
        assert torch.allclose(K.double(), rbf_kernel(x, x, 0.7), atol=1e-6)
        assert torch.allclose(cosine_kernel((x * unit).float(), x.float()).double(), cosine_kernel(x, x), atol=1e-6)
        assert float(median_bandwidth((x * unit).float())) / unit == pytest.approx(float(median_bandwidth(x)), rel=1e-6)

    def test_many_wide_rows_need_no_array_of_their_differences(self):
        """An array of (400, 300, 2048) differences has 1 GB. The process may not grow by a tenth of that."""
        code = (
            "import resource, torch; from amfs_lab.kernels import rbf_kernel, median_bandwidth\n"
            "x = torch.randn(400, 2048, requires_grad=True)\n"
            "rbf_kernel(x[:9], x, 60.0).sum().backward()\n"
            "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "median_bandwidth(x); rbf_kernel(x, x[:300], 60.0).sum().backward()\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
        )
        grown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert int(grown) * (1 if sys.platform == "darwin" else 1024) < 1e8

    @pytest.mark.parametrize("rows", [8, 80])
    def test_both_roads_of_the_distance_agree_with_all_derivatives(self, randn, rows):
        """Small inputs use differences, and large inputs a custom autograd function. Both have the same derivatives."""
        x1, x2, weights = randn(rows, 40), randn(rows, 40) + 50, randn(rows, rows)

        def direct(a, b):
            return ((a[..., :, None, :] - b[..., None, :, :]).square().sum(-1) / 500).sin().mul(weights).sum()

        def ours(a, b):
            return (squared_distances(a, b) / 500).sin().mul(weights).sum()

        assert (rows * rows * 40 > SMALL_ARRAY) == (rows == 80)
        assert torch.allclose(ours(x1, x2), direct(x1, x2))
        for derivative in (
            lambda f: torch.func.grad(f, argnums=(0, 1))(x1, x2),
            lambda f: torch.func.jvp(f, (x1, x2), (x2, x1)),
            lambda f: torch.func.grad(lambda z: torch.func.grad(f)(z, x2).square().sum())(x1),
            lambda f: torch.func.vmap(torch.func.grad(f))(torch.stack([x1, x2]), torch.stack([x2, x1])),
            lambda f: torch.autograd.functional.hvp(lambda z: f(z, x2), x1, x2)[1],
        ):
            found = [derivative(f) for f in (ours, direct)]
            for a, b in zip(*(each if isinstance(each, tuple) else (each,) for each in found), strict=True):
                assert torch.allclose(a, b, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("bandwidth", [1.0, 1e-200])
def test_no_rows_have_an_empty_gram_matrix(bandwidth, randn):
    none = randn(0, 3)
    assert rbf_kernel(none, none, bandwidth).shape == (0, 0)
    assert rbf_kernel(none, randn(2, 3), bandwidth).shape == (0, 2)
    assert cosine_kernel(none, randn(2, 3)).shape == (0, 2)
