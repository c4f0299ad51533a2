"""I-AMFS on features: by scikit-learn, by its relatives, in batches, and what meta-training may move."""

import pytest
import torch
from sklearn.linear_model import Ridge

from amfs_lab import ridge
from amfs_lab.backbones import Backbone
from amfs_lab.config import preset
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError
from amfs_lab.evaluation import evaluate
from amfs_lab.inner import FunctionSpace, Prototypes
from amfs_lab.kernels import RBF, Cosine, Linear
from amfs_lab.learner import MetaLearner
from amfs_lab.methods import R2D2, FunctionSpaceConfig
from amfs_lab.tasks import open_source
from amfs_lab.training import MetaTrainer

FULL = FunctionSpaceConfig(bandwidth_per_dimension=True, learn_lam=True, mu=0.1)
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


def test_r2d2_is_ridge_regression_on_features_and_a_column_of_ones(randn):
    x, y, x_new = randn(6, 3), randn(6, 2), randn(4, 3)
    space = R2D2.build().double()
    with_ones, new_with_ones = (torch.cat([z, torch.ones(len(z), 1)], 1).numpy() for z in (x, x_new))
    theirs = Ridge(alpha=5.0, fit_intercept=False).fit(with_ones, y.numpy()).predict(new_with_ones)
    assert torch.allclose(space.fit(x, y)(x_new), 5 * torch.from_numpy(theirs), atol=1e-7)  # lam and scale are float32
    assert {name for name, _ in space.named_parameters()} == {"log_lam", "log_scale"}


class TestABandwidthForEachFeature:
    def test_it_is_made_for_the_network_and_starts_at_the_median_distance(self, randn):
        learner = MetaLearner(Identity(), FULL.build())
        assert learner.inner.kernel.log_bandwidth.shape == (3,)
        x = randn(7, 3, dtype=torch.float32)
        learner.inner.start(x)
        assert torch.allclose(learner.inner.kernel.bandwidth, torch.pdist(x).median().expand(3))
        given = MetaLearner(Identity(), FunctionSpaceConfig(bandwidth=2.0, bandwidth_per_dimension=True).build())
        given.inner.start(x)
        assert torch.allclose(given.inner.kernel.bandwidth, torch.full((3,), 2.0))
        fixed = FunctionSpaceConfig(learn_bandwidth=False, bandwidth_per_dimension=True).build()
        assert not MetaLearner(Identity(), fixed).inner.kernel.log_bandwidth.requires_grad

    def test_equal_ones_are_a_single_one_and_their_gradients_add_up(self, randn):
        x, y, x_new = randn(6, 3), randn(6, 2), randn(4, 3)
        slopes = []
        for dimensions in (None, 3):
            space = FunctionSpace(RBF(0.9, dimensions=dimensions)).double()
            scores = space.fit(x, y)(x_new)
            slopes.append(torch.autograd.grad(scores.square().sum(), space.kernel.log_bandwidth)[0].sum())
        assert torch.allclose(*slopes)
        assert torch.allclose(scores, FunctionSpace(RBF(0.9)).double().fit(x, y)(x_new))

    def test_the_gradient_through_the_solve_passes_gradcheck(self, randn):
        space = FunctionSpace(RBF(0.9, dimensions=3), mu=0.2).double()
        y, x_new = randn(4, 2), randn(3, 3)

        def scores(x, log_bandwidth):
            return torch.func.functional_call(
                Fitted(space), {"space.kernel.log_bandwidth": log_bandwidth}, (x, y, x_new)
            )

        log_bandwidth = torch.tensor([-0.3, 0.1, 0.5], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(scores, (randn(4, 3).requires_grad_(), log_bandwidth))

    def test_a_network_must_have_a_number_of_features(self):
        with pytest.raises(ConfigError, match=r"Each feature has its own bandwidth, so the backbone's `features` must"):
            MetaLearner(torch.nn.Flatten(), FULL.build())


class Fitted(torch.nn.Module):
    def __init__(self, space):
        super().__init__()
        self.space = space

    def forward(self, x, y, x_new):
        return self.space.fit(x, y)(x_new)


class TestEvidence:
    """DKT: the meta-objective is minus the log evidence of the labels of support set and queries."""

    @pytest.fixture
    def space(self):
        return FunctionSpace(RBF(0.9), lam=0.3, scale=1.7, learn_lam=True, objective="evidence").double()

    @pytest.fixture
    def episode(self, randn):
        labels = torch.arange(2).repeat_interleave(2)
        return Episode(Examples(randn(4, 3), labels, 2), Examples(randn(4, 3) + 1, labels, 2))

    def test_it_is_the_density_of_normal_labels(self, space, episode):
        loss, scores = space.loss(Identity(), episode)
        x, y = (torch.cat([getattr(half, name) for half in (episode.support, episode.query)]) for name in "xy")
        signs = 2.0 * torch.nn.functional.one_hot(y, 2).double() - 1
        K = space.kernel(x, x)
        covariance = space.scale**2 * (K + space.lam * torch.eye(8))
        prior = torch.distributions.MultivariateNormal(torch.zeros(8, dtype=K.dtype), covariance)
        assert torch.allclose(loss, -prior.log_prob(signs.T).sum() / 8)
        posterior_mean = K[4:, :4] @ torch.linalg.solve(K[:4, :4] + space.lam * torch.eye(4), signs[:4])
        assert torch.allclose(scores, posterior_mean)

    def test_its_gradient_passes_gradcheck(self, space, randn):
        y = randn(5, 2)

        def loss(x, log_bandwidth, log_lam, log_scale):
            names = ("kernel.log_bandwidth", "log_lam", "log_scale")
            values = dict(zip(names, (log_bandwidth, log_lam, log_scale), strict=True))
            return torch.func.functional_call(Evidence(space), {f"space.{n}": v for n, v in values.items()}, (x, y))

        numbers = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (-0.1, -1.2, 0.4)]
        assert torch.autograd.gradcheck(loss, (randn(5, 3).requires_grad_(), *numbers))

    def test_a_batch_of_tasks_is_each_task_alone(self, space, randn):
        x, y = randn(3, 5, 3), randn(3, 5, 2)
        together = space.evidence_loss(x, y)
        assert torch.allclose(together, torch.stack([space.evidence_loss(x[t], y[t]) for t in range(3)]))

    def test_real_labels_are_their_own_targets(self, space, randn):
        support, query = (Examples(randn(n, 3), randn(n, 2), 2) for n in (4, 3))
        loss, scores = space.loss(Identity(), Episode(support, query))
        expected = space.evidence_loss(torch.cat([support.x, query.x]), torch.cat([support.y, query.y]))
        assert torch.equal(loss, expected)
        assert torch.allclose(
            scores, FunctionSpace(RBF(0.9), 0.3, scale=1.0).double().fit(support.x, support.y)(query.x)
        )

    def test_the_query_labels_matter_to_the_loss_and_not_to_the_scores(self, space, episode):
        learner = MetaLearner(Identity(), space)
        other = Episode(episode.support, Examples(episode.query.x, episode.query.y.flip(0), 2))
        (loss, scores), (other_loss, other_scores) = learner(episode), learner(other)
        assert torch.equal(scores, other_scores)
        assert not torch.allclose(loss, other_loss)

    def test_the_noise_has_a_larger_bound(self, space):
        space.log_lam.data.fill_(-99.0)
        assert space.lam.item() == pytest.approx(1e-4)
        with pytest.raises(ConfigError, match=r"A learned `lam` must start between 0.0001 and 1000. Got 1e-05"):
            FunctionSpaceConfig(lam=1e-5, learn_lam=True, objective="evidence")

    def test_normal_labels_are_not_smoothed(self, space, episode):
        learner = MetaLearner(Identity(), space, label_smoothing=0.1)
        with pytest.raises(ConfigError, match=r"The evidence has no label smoothing. Got 0.1. Leave it out"):
            learner.loss(episode)
        assert learner.scores(episode).shape == (4, 2)

    @pytest.mark.parametrize("kind", [FunctionSpace, FunctionSpaceConfig])
    def test_what_it_does_not_have_is_refused(self, kind):
        for settings in ({"gamma": 0.1}, {"first_order": True}):
            with pytest.raises(
                ConfigError, match=r"The evidence has no solution to detach and no information term. Got"
            ):
                kind(objective="evidence", **settings)
        with pytest.raises(ConfigError, match=r"`objective` must be one of query-loss, evidence. Got 'elbo'"):
            kind(objective="elbo")


def test_trained_on_the_evidence_it_reads_letters_of_unseen_scripts():
    config = preset("dkt", width=8, tasks=2, steps=60, meta_lr=5e-3, validate_every=0)
    source, trainer = open_source("glyphs", "test", config.episode), MetaTrainer(config)
    losses = [progress.loss for progress in trainer.run()]
    assert sum(losses[-10:]) < sum(losses[:10]) - 10
    assert evaluate(trainer.learner, source, 60).accuracy.low > 0.5  # chance is 0.2, and the start 0.34


class Evidence(Fitted):
    def forward(self, x, y):
        return self.space.evidence_loss(x, y)
