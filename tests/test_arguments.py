"""Public mathematics checks its arguments at run time, where nothing checks the shapes of its signatures."""

import re

import pytest

from amfs_lab.arguments import check_choice
from amfs_lab.errors import ConfigError

CASES = {
    "kernels.squared_distances(x, x[:, :2])": r"rows of one length d. Got (6, 3) and (6, 2)",
    "kernels.squared_distances(x[0], x)": r"`x1` must have the axes (n, d). Got shape (3,). For one column: x[:, None]",
    "kernels.rbf_kernel(x.numpy(), x, 1.0)": r"`x1` must be a tensor (n, d). Got a ndarray",
    "kernels.rbf_kernel(x, x, torch.tensor(-1.0))": r"`bandwidth` must be a finite number > 0. Got [-1.0]",
    "kernels.rbf_kernel(x, x, torch.tensor([1.0, 0.0, 1.0]))": r"`bandwidth` must be a finite number > 0",
    "kernels.rbf_kernel(x, x, torch.ones(2))": r"one for each of the 3 dimensions of the rows. Got 2",
    "kernels.rbf_kernel(torch.ones(2, 6, 3), torch.ones(3, 6, 3), 1.0)": r"batch axes that fit each other",
    "kernels.linear_kernel(x, x[:, :2])": r"rows of one length",
    "kernels.cosine_kernel(x, x[:, :2])": r"rows of one length",
    "kernels.median_bandwidth(x[0])": r"`x1` must have the axes (n, d)",
    "ridge.solve(K[:5], y, 0.1)": r"`K` must be square (n, n). Got shape (5, 6)",
    "ridge.solve(K, y[:5], 0.1)": r"`y` must have one row for each of the 6 rows of `K`, (n, c). Got (5, 1)",
    "ridge.solve(K, y[:, 0], 0.1)": r"`y` must have the axes (n, c). Got shape (6,). For one column: x[:, None]",
    "ridge.solve(K, y, torch.tensor(-0.1))": r"`lam` must be a finite number >= 0. Got [-0.10000000149011612]",
    "ridge.solve(K, y, 0.1, torch.tensor(-1.0))": r"`mu` must be a finite number >= 0",
    "kernels.rbf_kernel(x, x, '1')": r"`bandwidth` must be a finite number > 0. Got '1'",
    "kernels.rbf_kernel(x, x, torch.tensor(1j))": r"`bandwidth` must be a finite number > 0",
    "kernels.rbf_kernel(x.to_sparse(), x, 1.0)": r"`x1` must be a dense tensor. Got torch.sparse_coo",
    "kernels.RBF(torch.ones(3))": r"A learned `bandwidth` must start at one number. Got a tensor of shape (3,)",
    "ridge.solve(K, y, None)": r"`lam` must be a finite number >= 0. Got None",
    "ridge.solve(K, y, 10**400)": r"`lam` must be a finite number >= 0",
    "ridge.solve(K, y, torch.ones(6))": r"`lam` must be one number. Got a tensor of shape (6,)",
    "inner.FunctionSpace(lam='0.1')": r"`lam` must be a finite number > 0. Got '0.1'",
    "inner.FunctionSpace(mu=None)": r"`mu` must be a finite number >= 0. Got None",
    "inner.FunctionSpace(scale=torch.tensor(5.0))": r"`scale` must be a number. Got a tensor. Take its value",
    "inner.FunctionSpace(scale=1e31)": r"A learned `scale` must start between 1e-30 and 1e+30. Got 1e+31",
    "inner.Maml('0.1')": r"Maml.lr must be a finite number > 0. Got '0.1'",
    "preset('i-amfs', batched='no')": r"TrainingConfig.batched must be of type bool. Got 'no'",
    "preset('i-amfs', episode=(5, 1, 15))": r"TrainingConfig.episode must be of type EpisodeConfig",
    "preset('i-amfs', meta_lr='1')": r"TrainingConfig.meta_lr must be a finite number > 0. Got '1'",
    "preset('i-amfs', method=None)": r"TrainingConfig.method must be of type str. Got None",
    "source(x3.numpy(), 'abcd')": r"must be a dense tensor. Got a ndarray. torch.as_tensor",
    "source(x3.to_sparse(), 'abcd')": r"must be a dense tensor. Got a tensor of layout torch.sparse_coo",
    "source(x3.to('meta'), 'abcd')": r"Got a tensor on the meta device",
    "source(x3, None)": r"`labels` must be a name for each class. Got None",
    "source(x3, 'abcd', (2, 1, 1))": r"`config` must be an EpisodeConfig. Got (2, 1, 1)",
    "source(x3, 'abcd')[0:2]": r"The index of an episode must be an integer. Got slice(0, 2, None)",
    "source(x3, 'abcd')[1.5]": r"must be an integer. Got 1.5",
    "sinusoids.SinusoidSource()['a']": r"must be an integer. Got 'a'",
    "evaluate(learner, source(x3, 'abcd'), 2.5)": r"`episodes` must be an integer",
    "evaluate(learner, source(x3, 'abcd'), 2, first=None)": r"`first` must be an integer",
    "evaluate(made().to('meta'), source(x3, 'abcd'), 2)": r"A learner on the meta device has no values",
    "evaluate(learner, [source(x3, 'abcd')[0]] * 3, 4)": r"IndexError (list index out of range) for 3 from [Epi",
    "evaluate(learner, (e for e in []), 4)": r"for each index >= 0. Got TypeError ('generator' object",
    "evaluate(learner, [source(x3, 'abcd')[0], None], 2)": r"Got a NoneType from [Episode",
    "pick_device('meta')": r"The device must hold values. Got meta",
    "pick_device('hpu')": r"The device must be auto, cpu",
    "ridge.solve(-K, y, 0.0)": r"K + lam*I of shape (6, 6) is not positive definite (lam=0",
    "ridge.solve(-K, y, 0.0, 1.0)": r"I + mu*K of shape (6, 6) is not positive definite (mu=1",
    "ridge.solve(0 * K, y, 0.0, 1.0)": r"K + lam*(I + mu*K)^-1 of shape (6, 6) is not positive definite (lam=0, mu=1",
    "ridge.leave_one_out(K, y[:5], 0.1)": r"`y` must have one row",
    "ridge.log_evidence(K, y[:5], 0.1)": r"`y` must have one row",
    "ridge.information(K[:5], 0.1)": r"`K` must be square",
    "ridge.variance(y[:, 0], K[:, :5], K, 0.1)": r"one row for each of the 6 rows of `K`",
    "ridge.Spectrum.of(K[:5])": r"`K` must be square",
    "outer.Mean()(x[0])": r"`grads` must have the axes (t, p). Got shape (3,)",
    "outer.Mean().weights(x[0])": r"`grads` must have the axes (t, p)",
    "outer.PairwiseCosine()(x[:0])": r"Got shape (0, 3)",
    "outer.PairwiseCosine()(torch.ones(2, 3, 4))": r"Got shape (2, 3, 4)",
    "outer.MeanCosine()(torch.ones(2, 3).long())": r"in torch.int64",
    "outer.PCGrad().weights(x[0])": r"`grads` must have the axes (t, p)",
    "outer.PCGrad().weights_from_gram(x)": r"`gram` must be square (n, n). Got shape (6, 3)",
    "outer.PCGrad()([x[0], x[1]])": r"`grads` must be a tensor (t, p). Got a list",
    "conflict.measure(x[0])": r"`grads` must have the axes (t, p)",
    "inner.FunctionSpace().fit(x[0], y)": r"`features` must have the axes (n, d)",
    "inner.FunctionSpace().fit(x, y[:5])": r"`targets` must have one row for each of the 6 rows of `features`",
    "inner.Prototypes().fit(x, y[:, 0])": r"`targets` must have the axes (n, c)",
    "linearised.descent(K, y[:5], 0.1, 2)": r"`residual` must have one row",
    "stats.mean_interval(x)": r"one number for each episode, (n). Got shape (6, 3)",
    "stats.paired_difference(x[:, 0], x[:, :1])": r"one number for each episode, (n)",
    "quadratics.Quadratics(torch.zeros(3, 2), torch.eye(2).expand(2, 2, 2))": r"one matrix for each optimum. Got 2",
    "quadratics.Quadratics(torch.zeros(3, 3), torch.eye(2).expand(3, 2, 2))": r"`optima` must have the axes (t, 2)",
    "quadratics.geometric_median(torch.zeros(3, 3))": r"`points` must have the axes (t, 2). Got shape (3, 3)",
    "quadratics.pulls('MAML', torch.eye(3))": r"`hessians` must have the axes (2, 2)",
}
SETUP = """
import numpy as np
import torch
from amfs_lab import inner, kernels, outer, ridge, stats
from amfs_lab.inner import linearised
from amfs_lab.outer import conflict
from amfs_lab.planes import quadratics
from amfs_lab.backbones import MLP
from amfs_lab.config import preset
from amfs_lab.evaluation import evaluate
from amfs_lab.learner import MetaLearner
from amfs_lab.tasks import EmbeddingSource, EpisodeConfig, sinusoids
from amfs_lab.training import pick_device
torch.manual_seed(0)
made = lambda: MetaLearner(MLP(3), inner.Prototypes())
x3, learner = torch.randn(4, 5, 3), made()
source = lambda x, labels, shape=EpisodeConfig(2, 1, 1): EmbeddingSource(x, labels, shape)
x, y = torch.randn(6, 3), torch.randn(6, 1)
K = kernels.rbf_kernel(x, x, 1.0)
"""


RIGHT = {
    "torch.equal(source(x3, 'abcd')[np.int64(3)].query.x, source(x3, 'abcd')[3].query.x)",
    "torch.equal(source(x3, 'abcd')[torch.tensor(3)].query.x, source(x3, 'abcd')[3].query.x)",
    "kernels.rbf_kernel(x, x, np.float32(1)).equal(K)",
}


@pytest.fixture(scope="module")
def right(said_of):
    return said_of(SETUP, RIGHT)


@pytest.mark.parametrize("case", sorted(RIGHT))
def test_a_number_is_a_number_however_it_is_written(case, right):
    assert right[case] == "accepted: True"


@pytest.fixture(scope="module")
def said(said_of):
    return said_of(SETUP, CASES)


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_argument_is_said_in_our_words(case, said):
    assert CASES[case] in said[case]
    assert not said[case].startswith("accepted")


@pytest.mark.parametrize("value", ["c", None, ["a"]])
def test_a_choice_outside_the_options_is_refused_with_all_of_them(value):
    check_choice("`letter`", "a", {"a": 1, "b": 2})
    with pytest.raises(ConfigError, match=rf"`letter` must be one of a, b. Got {re.escape(repr(value))}\."):
        check_choice("`letter`", value, {"a": 1, "b": 2})
