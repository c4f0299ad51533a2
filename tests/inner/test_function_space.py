"""I-AMFS on features: by scikit-learn, by its relatives, in batches, and what meta-training may move."""

import pytest
import torch
from sklearn.linear_model import Ridge

from amfs_lab import ridge
from amfs_lab.backbones import Backbone
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError
from amfs_lab.inner import FunctionSpace, Prototypes
from amfs_lab.kernels import RBF, Cosine, Linear
from amfs_lab.learner import MetaLearner

KERNELS = {"rbf": lambda: RBF(0.9), "rbf, a bandwidth a dimension": lambda: RBF(0.9, dimensions=3)} | {
    "linear": Linear,
    "cosine": Cosine,
}


@pytest.fixture(params=KERNELS)
def kernel(request):
    return KERNELS[request.param]().double()


def one_hot(labels, ways):
    return torch.nn.functional.one_hot(torch.tensor(labels), ways).double()


def test_with_a_linear_kernel_it_is_ridge_regression_on_the_features(randn):
    x, y, x_new = randn(8, 3), randn(8, 2), randn(4, 3)
    theirs = Ridge(alpha=0.3, fit_intercept=False).fit(x.numpy(), y.numpy()).predict(x_new.numpy())
    ours = FunctionSpace(Linear(bias=False), lam=0.3, scale=1.0).double().fit(x, y)(x_new)
    assert torch.allclose(ours, torch.from_numpy(theirs), atol=1e-10)


@pytest.mark.parametrize("mu", [0.0, 0.5])
def test_a_batch_of_tasks_in_one_call_is_each_task_alone(randn, kernel, mu):
    x, y, x_new = randn(3, 6, 3), randn(3, 6, 2), randn(3, 4, 3)
    space = FunctionSpace(kernel, 0.2, mu, gamma=0.3).double()
    together = space.fit(x, y)
    for t in range(3):
        alone = space.fit(x[t], y[t])
        assert torch.allclose(together(x_new)[t], alone(x_new[t]))
        assert torch.allclose(together.variance(x_new)[t], alone.variance(x_new[t]))
        assert torch.allclose(together.penalty[t], alone.penalty)


def test_prototypes_of_a_batch_are_those_of_each_task_alone(randn):
    x, y, x_new = randn(2, 4, 3), one_hot([0, 1, 1, 0], 2).expand(2, 4, 2), randn(2, 5, 3)
    together = Prototypes().fit(x, y)(x_new)
    assert torch.allclose(together, torch.stack([Prototypes().fit(x[t], y[t])(x_new[t]) for t in range(2)]))


class Identity(Backbone):
    features, norm = 3, "group"

    def forward(self, x, reference=None):
        return x


def test_tasks_of_different_ways_and_shots_go_into_one_meta_step(randn):
    def task(ways, shots):
        labels = torch.arange(ways)
        support = Examples(randn(ways * shots, 3), labels.repeat_interleave(shots), ways)
        return Episode(support, Examples(randn(2 * ways, 3), labels.repeat_interleave(2), ways))

    learner = MetaLearner(Identity(), FunctionSpace(RBF(0.9), gamma=0.2, learn_lam=True)).double()
    tasks = [task(2, 1), task(5, 3), task(3, 1)]
    together = learner.task_gradients(tasks)
    for t, episode in enumerate(tasks):
        alone = learner.task_gradients([episode])
        assert torch.allclose(together.rows[t], alone.rows[0])
        assert torch.allclose(together.losses[t], alone.losses[0])


def test_the_variance_falls_where_something_is_known(randn, kernel):
    x = randn(5, 3)
    predictor = FunctionSpace(kernel, lam=0.01).double().fit(x, randn(5, 2))
    assert (predictor.variance(x) < kernel.diagonal(x)).all()
    assert (predictor.variance(x) < 0.0101).all()  # at a support point no more than the noise is left


def test_everything_that_is_learned_has_the_gradient_of_finite_differences(randn):
    x, y, x_new = randn(5, 3), randn(5, 2), randn(4, 3)
    space = FunctionSpace(RBF(0.9, dimensions=3), lam=0.3, mu=0.4, gamma=0.7, learn_lam=True).double()
    learned = {"kernel.log_bandwidth", "log_lam", "log_scale"}
    assert {name for name, _ in space.named_parameters()} == learned
    for parameter in space.parameters():

        def loss(parameter=parameter):
            return space.fit(x, y)(x_new).square().sum()

        slope = torch.autograd.grad(loss(), parameter)[0]
        along, h = torch.ones_like(parameter), 1e-6
        with torch.no_grad():
            ends = []
            for sign in (1, -1):
                parameter += sign * h * along
                ends.append(loss())
                parameter -= sign * h * along
        assert float(slope.sum()) == pytest.approx(float(ends[0] - ends[1]) / (2 * h), rel=1e-6)
        assert slope.abs().max() > 1e-3


def test_the_information_term_cannot_be_bought_off_by_a_larger_ridge(randn):
    space = FunctionSpace(RBF(0.9), lam=0.3, gamma=1.0, learn_lam=True).double()
    x = randn(5, 3)
    penalty = space.fit(x, randn(5, 2)).penalty
    assert torch.allclose(penalty, ridge.information(space.kernel(x, x), 0.3) / 5, atol=1e-6)
    to_lam, to_bandwidth = torch.autograd.grad(penalty, [space.log_lam, space.kernel.log_bandwidth], allow_unused=True)
    assert to_lam is None
    assert to_bandwidth != 0


def test_a_learned_ridge_stays_within_bounds():
    space = FunctionSpace(learn_lam=True)
    assert space.lam.item() == pytest.approx(0.1)
    space.log_lam.data.fill_(-99.0)
    assert space.lam.item() == pytest.approx(1e-6, rel=1e-4)
    assert FunctionSpace(lam=0.1).lam == 0.1  # exactly, in every precision
    with pytest.raises(ConfigError, match=r"A learned `lam` must start between 1e-06 and 1000. Got 1e-09"):
        FunctionSpace(lam=1e-9, learn_lam=True)


def test_the_data_start_reaches_the_kernel(randn):
    x = randn(6, 3, dtype=torch.float32)
    fresh, given = FunctionSpace(), FunctionSpace(RBF(3.0))
    for space in (fresh, given):
        space.start(x)
    assert fresh.kernel.bandwidth.item() == pytest.approx(torch.pdist(x).median().item(), rel=1e-5)
    assert given.kernel.bandwidth.item() == pytest.approx(3.0)
