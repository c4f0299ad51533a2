"""Gradient loops: ANIL is MAML with a frozen body, a walk is an adaptation step by step, real labels have a loss."""

import copy
from itertools import islice

import pytest
import torch
from torch.func import functional_call

from amfs_lab.backbones import MLP, Conv4
from amfs_lab.episode import Episode, Examples
from amfs_lab.inner import Anil, Maml
from amfs_lab.inner.gradient import LR
from amfs_lab.learner import MetaLearner
from amfs_lab.tasks.sinusoids import SinusoidSource
from tests.finite_differences import finite_difference_error, perturbed


def learner_of(inner, backbone=None, ways=3):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return perturbed(MetaLearner(backbone or Conv4(6), inner, ways))


@pytest.fixture
def wave():
    return SinusoidSource(shots=6, queries=5)[0].to("cpu", torch.float64)


def with_frozen_body(learner):
    """MAML by hand, its inner steps on the head only: every step forward through the whole network."""
    net = learner.net

    def scores(episode):
        params = dict(net.named_parameters())
        for _ in range(learner.inner.steps):
            loss = episode.support.loss(functional_call(net, params, (episode.support.x,)))
            heads = [name for name in params if name.startswith("head.")]
            grads = torch.autograd.grad(loss, [params[name] for name in heads], create_graph=True)
            params = params | {n: params[n] - learner.inner.lr * g for n, g in zip(heads, grads, strict=True)}
        return functional_call(net, params, (episode.query.x,))

    return scores


def test_anil_is_maml_whose_body_is_frozen_and_so_is_its_meta_gradient(episode):
    learner = learner_of(Anil(0.4, 3))
    by_hand = with_frozen_body(learner)(episode)
    assert torch.allclose(learner.scores(episode), by_hand)
    expected = torch.autograd.grad(episode.query.loss(by_hand), learner.meta_parameters())
    row = learner.task_gradients([episode]).rows[0]
    assert torch.allclose(row, torch.cat([g.flatten() for g in expected]), atol=1e-12)
    assert not torch.allclose(learner.scores(episode), learner_of(Maml(0.4, 3)).scores(episode))


def test_on_a_body_without_parameters_anil_is_maml(episode):
    class Pixels(MLP):
        def __init__(self):
            super().__init__(28 * 28, (), 1)
            self.features, self.layers = 28 * 28, torch.nn.ModuleList()

        def forward(self, x, reference=None):
            return x.flatten(1)

    anil, maml = (learner_of(kind(0.2, 4), Pixels()) for kind in (Anil, Maml))
    assert torch.allclose(anil.scores(episode), maml.scores(episode))
    rows = [learner.task_gradients([episode]).rows for learner in (anil, maml)]
    assert torch.allclose(*rows)


def test_anil_sees_the_support_set_once(episode):
    learner, passes = learner_of(Anil(0.1, 5)), []
    learner.net.backbone.register_forward_hook(lambda *_: passes.append(1))
    learner.inner.adapt(learner.net, episode.support)
    assert len(passes) == 1


@pytest.mark.parametrize("training", [True, False])
def test_a_walk_passes_through_every_number_of_steps(episode, training):
    learner = learner_of(Maml(0.3, 99))
    with torch.set_grad_enabled(training):
        for k, adapted in enumerate(islice(learner.inner.walk(learner.net, episode.support), 4)):
            if k:
                expected = Maml(0.3, k).adapt(learner.net, episode.support)(episode.query.x)
            else:
                expected = learner.net(episode.query.x)
            assert torch.allclose(adapted(episode.query.x), expected)
            assert torch.is_grad_enabled() == training


def test_a_walk_under_no_grad_keeps_no_graph(episode):
    learner = learner_of(Maml(0.3, 3))
    with torch.no_grad():
        adapted = learner.inner.adapt(learner.net, episode.support)
    assert all(p.is_leaf for p in adapted.params.values())


def test_real_labels_are_their_own_targets_and_cost_half_the_mean_square(wave):
    support = wave.support
    assert support.real
    assert torch.equal(support.targets, support.y)
    scores = support.y + torch.tensor([[1.0], [2.0], [0.0], [0.0], [0.0], [-1.0]])
    assert float(support.loss(scores)) == pytest.approx((1 + 4 + 1) / 6 / 2)
    assert support.accuracy(scores).isnan()
    two = Examples(torch.zeros(2, 1), torch.tensor([[0.0, 0.0], [1.0, 1.0]]), 2)
    assert float(two.loss(torch.tensor([[3.0, 4.0], [1.0, 1.0]]))) == pytest.approx(25 / 2 / 2)


def test_classes_are_one_hot_and_cost_their_cross_entropy(episode):
    query = episode.query
    assert not query.real
    assert torch.equal(query.targets, torch.eye(3, dtype=torch.float64)[query.y])
    scores = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = -(scores.log_softmax(1) * query.targets).sum(1).mean()
    assert torch.allclose(query.loss(scores), expected)
    assert query.accuracy(query.targets) == 1
    assert query.accuracy(-query.targets[:, [1, 2, 0]].roll(1, 1)) < 1


def test_an_episode_moves_with_its_real_labels(wave):
    assert wave.to("cpu", torch.float32).query.y.dtype == torch.float32
    classes = Episode(*(Examples(torch.zeros(2, 1), torch.tensor([0, 1]), 2) for _ in range(2)))
    assert classes.to("cpu", torch.float64).support.y.dtype == torch.int64


@pytest.mark.parametrize("inner", [Maml(0.05, 3), Anil(0.05, 3)], ids=["maml", "anil"])
def test_the_meta_gradient_of_a_regression_is_the_finite_difference(inner, wave):
    learner = learner_of(inner, MLP(1, (8,), 8), ways=1)
    assert finite_difference_error(learner, wave) < 1e-6


@pytest.mark.parametrize("steps", [1, 5])
def test_the_meta_gradient_is_that_of_another_library(episode, steps):
    """`higher` (Grefenstette et al. 2019) patches the network and follows a torch optimizer through its steps."""
    higher = pytest.importorskip("higher")
    learner = learner_of(Maml(0.3, steps))
    net, optimizer = learner.net, torch.optim.SGD(learner.net.parameters(), lr=0.3)
    with higher.innerloop_ctx(net, optimizer, copy_initial_weights=False) as (moved, step):
        for _ in range(steps):
            step.step(episode.support.loss(moved(episode.support.x)))
        theirs = torch.autograd.grad(episode.query.loss(moved(episode.query.x)), list(net.parameters()))
    ours = learner.task_gradients([episode]).rows[0]
    assert torch.allclose(ours, torch.cat([g.flatten() for g in theirs]), atol=1e-12)


def test_parameters_stay_and_buffers_that_a_forward_pass_writes_do_not():
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    Maml(0.1, 2).adapt(net, Examples(torch.randn(4, 3), torch.tensor([0, 1, 0, 1]), 2))
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}


class TestLearnedRates:
    """A learning rate for each parameter tensor and step, which the outer loop learns."""

    @pytest.mark.parametrize("first_order", [False, True])
    @pytest.mark.parametrize("kind", [Maml, Anil])
    def test_equal_rates_are_one_rate(self, kind, first_order, episode):
        plain, learned = (learner_of(kind(0.3, 3, first_order, learn_lr=on)) for on in (False, True))
        learned.net.load_state_dict(plain.net.state_dict())
        learned.rates.log_lr.data.fill_(0.3).log_()
        assert torch.allclose(plain.scores(episode), learned.scores(episode))
        ours, theirs = (learner.task_gradients([episode]).rows[0] for learner in (plain, learned))
        assert torch.allclose(ours, theirs[: len(ours)])
        assert len(theirs) - len(ours) == learned.rates.log_lr.numel()
        assert plain.rates is None

    def test_there_is_one_for_each_tensor_that_moves_and_each_step(self, episode):
        maml, anil = (learner_of(kind(0.3, 4, learn_lr=True)) for kind in (Maml, Anil))
        assert maml.rates.names == [name for name, _ in maml.net.named_parameters()]
        assert anil.rates.names == ["weight", "bias"]
        assert [tuple(each.rates.log_lr.shape) for each in (maml, anil)] == [(14, 4), (2, 4)]
        assert "rates.log_lr" in maml.state_dict()
        for learner in (maml, anil):
            assert (learner.task_gradients([episode]).rows[0, -8:] != 0).all()

    @pytest.mark.parametrize("kind", [Maml, Anil])
    def test_their_gradient_is_the_finite_difference(self, kind, episode):
        learner = learner_of(kind(0.3, 3, learn_lr=True))
        assert finite_difference_error(learner, episode, only=learner.rates.log_lr) < 1e-6

    def test_their_first_order_gradient_is_a_product_of_gradients(self, episode):
        """d L_Q / d log a_ik = -a_ik <grad L_Q(theta'), grad L_S(theta_k)> over the entries of tensor i."""
        learner = learner_of(Maml(0.3, 2, first_order=True, learn_lr=True))
        rates, params = learner.rates(), dict(learner.net.named_parameters())
        inner = []
        for k in range(2):
            loss = episode.support.loss(functional_call(learner.net, params, (episode.support.x,)))
            inner.append(torch.autograd.grad(loss, list(params.values())))
            moved = zip(params.items(), inner[-1], strict=True)
            params = {name: (p - rates[name][k] * g).detach().requires_grad_() for (name, p), g in moved}
        outer = torch.autograd.grad(
            episode.query.loss(functional_call(learner.net, params, (episode.query.x,))), list(params.values())
        )
        expected = [
            [float(-rates[name][k].detach() * (a * inner[k][i]).sum()) for k in range(2)]
            for i, (name, a) in enumerate(zip(params, outer, strict=True))
        ]
        row = learner.task_gradients([episode]).rows[0]
        assert torch.allclose(row[-2 * len(params) :].view(-1, 2), torch.tensor(expected, dtype=row.dtype))

    @pytest.mark.parametrize("first_order", [False, True])
    @pytest.mark.parametrize("kind", [Maml, Anil])
    def test_tasks_run_together(self, kind, first_order, episode):
        learner = learner_of(kind(0.3, 2, first_order, learn_lr=True))
        apart, together = (learner.task_gradients([episode] * 2, batched) for batched in (False, True))
        assert torch.allclose(apart.rows, together.rows)

    def test_after_the_last_step_its_rate_stays(self, wave):
        learner = learner_of(Maml(0.05, 2, learn_lr=True), MLP(1, (8,), 8), ways=1)
        rates, params = learner.rates(), dict(learner.net.named_parameters())
        for step in (0, 1, 1, 1):
            loss = wave.support.loss(functional_call(learner.net, params, (wave.support.x,)))
            grads = zip(params.items(), torch.autograd.grad(loss, list(params.values())), strict=True)
            params = {name: (p - rates[name][step] * g).detach().requires_grad_() for (name, p), g in grads}
        with torch.no_grad():
            adapted = next(islice(learner.inner.walk(learner.net, wave.support), 4, None))
            assert all(p.is_leaf for p in adapted.params.values())
        assert torch.allclose(adapted(wave.query.x), functional_call(learner.net, params, (wave.query.x,)))

    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
    def test_a_copy_of_the_learner_has_rates_of_its_own(self, mode, episode):
        learner = learner_of(Maml(0.3, 2, learn_lr=True))
        other = copy.deepcopy(learner)
        with mode():
            before = learner.scores(episode)
            other.rates.log_lr.data.fill_(-1)
            assert torch.equal(learner.scores(episode), before)
            assert not torch.allclose(other.scores(episode), before)
        assert other.inner.rates is other.rates
        assert LR.exp(learner.rates.log_lr).requires_grad
