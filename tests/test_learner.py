"""The meta-gradient agrees with finite differences, and predictions depend only on allowed inputs."""

import pytest
import torch
from torch.nn import functional as F

from amfs_lab.backbones import MLP, NORMS, Conv4
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError
from amfs_lab.inner import Anil, FunctionSpace, Maml, Prototypes
from amfs_lab.kernels import RBF
from amfs_lab.learner import MetaLearner
from amfs_lab.methods import R2D2
from tests.finite_differences import finite_difference_error, perturbed

INNER_LOOPS = {
    "i-amfs": lambda: FunctionSpace(RBF(3.0), lam=0.1),
    "i-amfs with mu and gamma": lambda: FunctionSpace(RBF(3.0), lam=0.1, mu=0.5, gamma=0.3),
    "i-amfs with a bandwidth for each feature": lambda: FunctionSpace(RBF(3.0, dimensions=0)),
    "r2d2": R2D2.build,
    "dkt": lambda: FunctionSpace(RBF(3.0), mu=0.2, scale=2.0, learn_lam=True, objective="evidence"),
    "maml": lambda: Maml(lr=0.3, steps=3),
    "maml with learned rates": lambda: Maml(lr=0.3, steps=3, learn_lr=True),
    "anil": lambda: Anil(lr=0.3, steps=3),
    "anil with learned rates": lambda: Anil(lr=0.3, steps=3, learn_lr=True),
    "prototypes": Prototypes,
}


def learner_of(inner, norm="transductive", ways=3):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return perturbed(MetaLearner(Conv4(6, norm), inner, ways))


@pytest.fixture(params=INNER_LOOPS)
def inner(request):
    return INNER_LOOPS[request.param]()


@pytest.mark.parametrize("norm", NORMS)
def test_the_meta_gradient_through_conv4_is_the_finite_difference(inner, norm, episode):
    assert finite_difference_error(learner_of(inner, norm), episode) < 1e-6


@pytest.mark.parametrize("kind", [Maml, Anil])
def test_first_order_leaves_the_second_order_terms_out_and_only_those(kind, episode):
    learner = learner_of(kind(0.3, 3, first_order=True))
    assert torch.allclose(learner.scores(episode), learner_of(kind(0.3, 3)).scores(episode))
    assert finite_difference_error(learner, episode) > 1e-3
    row = learner.task_gradients([episode]).rows[0]
    adapted = learner.inner.adapt(learner.net, episode.support)
    end = {name: p.detach().requires_grad_() for name, p in adapted.params.items()}
    loss = F.cross_entropy(type(adapted)(learner.net, end, episode.support.x)(episode.query.x), episode.query.y)
    at_the_end = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(end.values()))])
    assert torch.allclose(row, at_the_end)


def test_first_order_i_amfs_has_no_gradient_through_alpha(episode):
    exact, detached = (learner_of(FunctionSpace(RBF(3.0), first_order=f)) for f in (False, True))
    assert torch.allclose(exact.loss(episode), detached.loss(episode))
    assert not torch.allclose(exact.task_gradients([episode]).rows, detached.task_gradients([episode]).rows)


def test_rows_are_the_gradients_of_each_task_alone(inner, episode):
    learner = learner_of(inner)
    other = Episode(
        Examples(episode.support.x.flip(2), episode.support.y, 3), Examples(episode.query.x.flip(2), episode.query.y, 3)
    )
    tasks = learner.task_gradients([episode, other])
    for t, task in enumerate((episode, other)):
        loss = learner.loss(task)
        assert torch.allclose(tasks.losses[t], loss.detach())
        grads = torch.autograd.grad(loss, learner.meta_parameters())
        assert torch.allclose(tasks.rows[t], torch.cat([g.flatten() for g in grads]))


def test_adapt_and_scores_are_the_same_prediction_and_change_nothing(inner, episode):
    learner = learner_of(inner)
    before = {name: p.clone() for name, p in learner.state_dict().items()}
    with torch.no_grad():
        without_gradient = learner.scores(episode)
        adapted = learner.inner.adapt(learner.net, episode.support)(episode.query.x)
    assert torch.allclose(without_gradient, learner.scores(episode))
    assert torch.allclose(without_gradient, adapted)
    assert all(torch.equal(p, before[name]) for name, p in learner.state_dict().items())


@pytest.mark.parametrize("norm", ["support", "group"])
def test_inductive_predictions_do_not_depend_on_the_other_queries(inner, norm, episode):
    assert torch.allclose(*first_query_scores(learner_of(inner, norm), episode))


def test_transductive_predictions_do(inner, episode):
    alone, in_company = first_query_scores(learner_of(inner), episode)
    assert not torch.allclose(alone, in_company)


def first_query_scores(learner, episode):
    with torch.no_grad():
        predictor = learner.inner.adapt(learner.net, episode.support)
        return predictor(episode.query.x[:1])[0], predictor(episode.query.x)[0]


def test_the_support_norm_agrees_with_native_batch_norm_on_the_support_set(episode):
    ours, native = learner_of(Prototypes(), "support").net, learner_of(Prototypes(), "transductive").net
    n = len(episode.support.x)
    together = ours(torch.cat([episode.support.x, episode.query.x]), n)
    assert torch.allclose(together[:n], native(episode.support.x))


def test_the_information_term_is_added_to_the_query_loss(episode):
    plain, priced = learner_of(FunctionSpace(RBF(3.0))), learner_of(FunctionSpace(RBF(3.0), gamma=2.0))
    scores, predictor = priced.inner.predict(priced.net, episode.support, episode.query.x)
    assert predictor.penalty > 0
    assert torch.allclose(priced.loss(episode), plain.loss(episode) + predictor.penalty)
    assert torch.allclose(scores, plain.scores(episode))


def test_prototypes_are_class_means():
    features = torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 5.0]])
    predictor = Prototypes().fit(features, F.one_hot(torch.tensor([0, 0, 1])).float())
    assert torch.equal(predictor.prototypes, torch.tensor([[1.0, 0.0], [5.0, 5.0]]))
    assert torch.equal(predictor(torch.tensor([[1.0, 1.0]])), -torch.tensor([[1.0, 32.0]]))


def test_an_mlp_works_where_conv4_does(inner, episode):
    learner = MetaLearner(MLP(28 * 28, (16,), 8), inner, 3).double()
    assert learner.task_gradients([episode]).rows.isfinite().all()
    assert torch.allclose(*first_query_scores(learner, episode))


def test_a_head_of_other_ways_is_an_error_for_gradient_loops_only(episode):
    with pytest.raises(ConfigError, match=r"head has 5 outputs, so its episodes must have 5 ways. Got 3"):
        learner_of(Maml(), ways=5).scores(episode)
    with pytest.raises(ConfigError, match=r"`ways` must be its number of outputs. Got None"):
        MetaLearner(Conv4(4), Maml())
    assert learner_of(Prototypes(), ways=5).scores(episode).shape == (6, 3)


def test_the_path_from_episode_to_meta_gradient_leaves_no_tensor_behind(episode):
    """On the meta device, mixing in a CPU tensor or reading a value raises an error."""
    for make in INNER_LOOPS.values():
        learner = learner_of(make()).to("meta")
        elsewhere = Episode(
            *(Examples(h.x.to("meta"), h.y.to("meta"), h.ways) for h in (episode.support, episode.query))
        )
        assert learner.task_gradients([elsewhere]).rows.device.type == "meta"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FunctionSpace(lam=0.0), r"`lam` must be a finite number > 0. Got 0.0"),
        (lambda: FunctionSpace(mu=-1.0), r"`mu` must be a finite number >= 0. Got -1.0"),
        (lambda: FunctionSpace(scale=0.0), r"`scale` must be a finite number > 0"),
        (lambda: Maml(lr=-0.1), r"Maml.lr must be a finite number > 0. Got -0.1"),
        (lambda: Maml(steps=0), r"Maml.steps must be an integer >= 1. Got 0"),
        (lambda: Anil(lr=float("nan")), r"Anil.lr must be a finite number > 0. Got nan"),
        (lambda: Anil(steps=-1), r"Anil.steps must be an integer >= 1. Got -1"),
        (lambda: Maml(1e4, learn_lr=True), r"A learned `lr` must start between 1e-06 and 1000. Got 10000. 0.1 is a"),
        (lambda: Conv4(norm="batch"), r"`norm` must be one of transductive, support, group. Got 'batch'"),
        (lambda: Conv4(size=8), r"`size` must be >= 16. Got 8"),
    ],
)
def test_invalid_settings_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("half", ["support", "query"])
def test_a_half_in_another_floating_type_is_cast_to_the_learners(inner, episode, half):
    learner = learner_of(inner)
    learner.start(episode)
    halves = {name: getattr(episode, name) for name in ("support", "query")}
    short = halves[half].x.float()
    mixed, cast = (
        Episode(**halves | {half: Examples(x, halves[half].y, halves[half].ways)}) for x in (short, short.double())
    )
    assert torch.equal(learner.scores(mixed), learner.scores(cast))
