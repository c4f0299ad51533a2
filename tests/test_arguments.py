"""Public mathematics checks its arguments at run time, where nothing checks the shapes of its signatures."""

import pytest

CASES = {
    "kernels.squared_distances(x, x[:, :2])": r"rows of one length d. Got (6, 3) and (6, 2)",
    "kernels.squared_distances(x[0], x)": r"`x1` must have the axes (n, d). Got shape (3,). For one column: x[:, None]",
    "kernels.rbf_kernel(x.numpy(), x, 1.0)": r"`x1` must be a tensor (n, d). Got a ndarray",
    "kernels.rbf_kernel(x, x, torch.tensor(-1.0))": r"`bandwidth` must be a finite number > 0. Got [-1.0]",
    "kernels.rbf_kernel(x, x, torch.tensor([1.0, 0.0, 1.0]))": r"`bandwidth` must be a finite number > 0",
    "kernels.rbf_kernel(x, x, torch.ones(2))": r"one for each of the 3 dimensions of the rows. Got 2",
    "kernels.rbf_kernel(torch.ones(2, 6, 3), torch.ones(3, 6, 3), 1.0)": r"batches of one size",
    "kernels.linear_kernel(x, x[:, :2])": r"rows of one length",
    "kernels.cosine_kernel(x, x[:, :2])": r"rows of one length",
    "kernels.median_bandwidth(x[0])": r"`x1` must have the axes (n, d)",
    "ridge.solve(K[:5], y, 0.1)": r"`K` must be square (n, n). Got shape (5, 6)",
    "ridge.solve(K, y[:5], 0.1)": r"`y` must have one row for each of the 6 rows of `K`, (n, c). Got (5, 1)",
    "ridge.solve(K, y[:, 0], 0.1)": r"`y` must have the axes (n, c). Got shape (6,). For one column: x[:, None]",
    "ridge.solve(K, y, torch.tensor(-0.1))": r"`lam` must be a finite number >= 0. Got [-0.10000000149011612]",
    "ridge.solve(K, y, 0.1, torch.tensor(-1.0))": r"`mu` must be a finite number >= 0",
    "ridge.solve(-K, y, 0.0)": r"K + lam*I of shape (6, 6) is not positive definite (lam=0",
    "ridge.solve(-K, y, 0.0, 1.0)": r"I + mu*K of shape (6, 6) is not positive definite (mu=1",
    "ridge.solve(0 * K, y, 0.0, 1.0)": r"K + lam*(I + mu*K)^-1 of shape (6, 6) is not positive definite (lam=0, mu=1",
    "ridge.leave_one_out(K, y[:5], 0.1)": r"`y` must have one row",
    "ridge.log_evidence(K, y[:5], 0.1)": r"`y` must have one row",
    "ridge.information(K[:5], 0.1)": r"`K` must be square",
    "ridge.variance(y[:, 0], K[:, :5], K, 0.1)": r"one row for each of the 6 rows of `K_ss`",
    "ridge.Spectrum.of(K[:5])": r"`K` must be square",
    "outer.Mean()(x[0])": r"`grads` must have the axes (t, p). Got shape (3,)",
    "outer.Mean().weights(x[0])": r"`grads` must have the axes (t, p)",
    "outer.PairwiseCosine()(x[:0])": r"Got shape (0, 3)",
    "outer.PairwiseCosine()(torch.ones(2, 3, 4))": r"Got shape (2, 3, 4)",
    "outer.MeanCosine()(torch.ones(2, 3).long())": r"in torch.int64",
    "outer.PCGrad().weights(x[0])": r"`grads` must have the axes (t, p)",
    "outer.PCGrad()([x[0], x[1]])": r"`grads` must be a tensor (t, p). Got a list",
    "conflict.measure(x[0])": r"`grads` must have the axes (t, p)",
    "inner.FunctionSpace().fit(x[0], y)": r"`features` must have the axes (n, d)",
    "inner.FunctionSpace().fit(x, y[:5])": r"`targets` must have one row for each of the 6 rows of `features`",
    "inner.Prototypes().fit(x, y[:, 0])": r"`targets` must have the axes (n, c)",
    "linearised.descent(K, y[:5], 0.1, 2)": r"`residual` must have one row",
    "stats.mean_interval(x)": r"one number an episode, (n). Got shape (6, 3)",
    "stats.paired_difference(x[:, 0], x[:, :1])": r"one number an episode, (n)",
    "quadratics.Quadratics(torch.zeros(3, 2), torch.eye(2).expand(2, 2, 2))": r"one matrix an optimum. Got 2",
    "quadratics.Quadratics(torch.zeros(3, 3), torch.eye(2).expand(3, 2, 2))": r"`optima` must have the axes (t, 2)",
    "quadratics.geometric_median(torch.zeros(3, 3))": r"`points` must have the axes (t, 2). Got shape (3, 3)",
    "quadratics.pulls('MAML', torch.eye(3))": r"`hessians` must have the axes (2, 2)",
}
SETUP = """
import torch
from amfs_lab import inner, kernels, outer, ridge, stats
from amfs_lab.inner import linearised
from amfs_lab.outer import conflict
from amfs_lab.planes import quadratics
torch.manual_seed(0)
x, y = torch.randn(6, 3), torch.randn(6, 1)
K = kernels.rbf_kernel(x, x, 1.0)
"""


@pytest.fixture(scope="module")
def said(said_of):
    return said_of(SETUP, CASES)


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_argument_is_said_in_our_words(case, said):
    assert CASES[case] in said[case]
    assert not said[case].startswith("accepted")
