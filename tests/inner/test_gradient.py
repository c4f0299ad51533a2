"""Gradient loops: ANIL is MAML with a frozen body, a walk is an adaptation step by step, real labels have a loss."""

from itertools import islice

import pytest
import torch
from torch.func import functional_call

from amfs_lab.backbones import MLP, Conv4
from amfs_lab.episode import Episode, Examples
from amfs_lab.inner import Anil, Maml
from amfs_lab.learner import MetaLearner
from amfs_lab.tasks.sinusoids import SinusoidSource


def learner_of(inner, backbone=None, ways=3):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learner = MetaLearner(backbone or Conv4(6), inner, ways).double()
        for p in learner.parameters():
            p.data += 0.1 * torch.randn_like(p)
    return learner


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
    (loss,), _, (row,) = learner.task_gradients([wave])
    params = learner.meta_parameters()
    along = row / row.norm()
    pieces = [piece.view_as(p) for p, piece in zip(params, along.split([p.numel() for p in params]), strict=True)]

    def at(h):
        for p, piece in zip(params, pieces, strict=True):
            p.data += h * piece
        value = float(learner.loss(wave).detach())
        for p, piece in zip(params, pieces, strict=True):
            p.data -= h * piece
        return value

    assert at(0.0) == pytest.approx(float(loss))
    slopes = [(at(h) - at(-h)) / (2 * h) for h in (1e-4, 1e-5, 1e-6)]
    assert min(abs(slope / float(row.norm()) - 1) for slope in slopes) < 1e-6


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
