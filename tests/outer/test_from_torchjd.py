"""TorchJD's aggregators as rules of ours: what UPGrad and CAGrad promise, and what the adapter does."""

import json
import sys
from copy import copy

import pytest
import torch
from torchjd import aggregation
from torchjd.linalg import QuadprogProjector

from amfs_lab.config import TrainingConfig, preset
from amfs_lab.errors import ConfigError, NumericalError
from amfs_lab.outer import PCGrad, TorchJD
from amfs_lab.tasks import EpisodeConfig
from amfs_lab.training import MetaTrainer

CAGRAD = TorchJD("CAGrad", {"c": 0.4})


def conflicts(randn):
    """Draws in which tasks pull apart, with lengths of several orders."""
    return [randn(5, 3) * randn(5, 1).exp() for _ in range(50)]


def test_upgrad_never_ascends_on_any_task(randn):
    exact = TorchJD("UPGrad", {"projector": QuadprogProjector(reg_eps=1e-12)})
    drops = 0
    for grads in conflicts(randn):
        assert (grads @ exact(grads)).min() >= -1e-8
        ridge = 1e-4 * grads.square().sum() * TorchJD().weights(grads).max()
        assert (grads @ TorchJD()(grads)).min() >= -1.01 * ridge
        drops += bool((grads @ grads.mean(0)).min() < 0)
    assert drops > 20, "the mean should ascend on some task in most draws, or this shows nothing"


def test_upgrad_is_the_mean_where_nothing_conflicts(randn):
    grads = randn(4, 6).abs()
    assert torch.allclose(TorchJD()(grads), grads.mean(0))


def test_cagrad_helps_the_worst_task_at_least_as_the_mean_does(randn):
    better = 0
    for grads in conflicts(randn):
        worst, of_mean = (grads @ CAGRAD(grads)).min(), (grads @ grads.mean(0)).min()
        assert worst >= of_mean - 1e-6 * grads.square().sum()
        assert (CAGRAD(grads) - grads.mean(0)).norm() <= 0.4 * grads.mean(0).norm() * (1 + 1e-6)
        better += bool(worst > of_mean + 1e-3)
    assert better > 40


def test_golden_weights_of_torchjds_own_page():
    weights = TorchJD().weights(torch.tensor([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]]))
    assert torch.allclose(weights, torch.tensor([1.1109, 0.7894]), atol=1e-3)


@pytest.mark.parametrize("name", ["AlignedMTL", "ConFIG", "DualProj", "GradDrop", "IMTLG", "MGDA", "Mean", "Sum"])
def test_a_rule_is_torchjds_own_aggregator(name, randn):
    grads = randn(4, 7)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        theirs = getattr(aggregation, name)()(grads)
    assert torch.allclose(TorchJD(name, seed=5)(grads), theirs)


def test_its_pcgrad_is_ours_as_published(randn):
    grads = randn(2, 5)
    grads[1] -= 2 * grads[0]  # in conflict; two tasks know one order
    assert torch.allclose(TorchJD("PCGrad")(grads), PCGrad(reduction="sum")(grads))


@pytest.mark.parametrize("name", ["PCGrad", "Random", "GradDrop"])
def test_what_is_drawn_depends_on_the_seed_alone_and_touches_no_global_generator(name, randn):
    grads = randn(6, 5)
    before = torch.random.get_rng_state()
    first = TorchJD(name, seed=1)(grads)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(3)
    assert torch.equal(first, TorchJD(name, seed=1)(grads))
    assert any(not torch.equal(first, TorchJD(name, seed=s)(grads)) for s in range(2, 6))


@pytest.mark.parametrize("name", ["ConFIG", "GradDrop"])
def test_an_aggregator_without_weights_combines_and_says_so(name, randn):
    rule, grads = TorchJD(name), randn(4, 6).float()
    assert rule(grads).shape == (6,)
    assert rule(grads).dtype == torch.float32
    with pytest.raises(ConfigError, match=rf"{name} combines gradients without weights. Call the rule"):
        rule.weights(grads)
    grads[1, 2] = torch.nan
    with pytest.raises(NumericalError, match="in the gradient of task 1 "):
        rule(grads)


def test_lists_become_tensors(randn):
    grads = randn(3, 5)
    assert torch.allclose(
        TorchJD("Constant", {"weights": [1, 2, 0.5]}).weights(grads), torch.tensor([1, 2, 0.5]).double()
    )


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (TorchJD("UpGrad"), r"aggregator must be one of AlignedMTL, CAGrad, .*, UPGrad. Got 'UpGrad'"),
        (TorchJD("WeightedAggregator"), r"must be one of AlignedMTL, .*. Got 'WeightedAggregator'"),
        (TorchJD("CAGrad"), r"CAGrad takes \(c: float, norm_eps: float = 0.0001\).* Got \{\}\. .*argument: 'c'"),
        (TorchJD("CAGrad", {"c": -1}), r"CAGrad takes .* Got \{'c': -1\}\. c must be non-negative"),
        (TorchJD("UPGrad", {"pref_vector": 3}), r"UPGrad takes .* Got \{'pref_vector': 3\}"),
    ],
)
def test_what_torchjd_does_not_know_is_refused_with_what_it_knows(rule, message):
    with pytest.raises(ConfigError, match=message):
        rule(torch.ones(2, 3))


def test_without_torchjd_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchjd", None)
    with pytest.raises(ConfigError, match=r'package torchjd. Got none. Install it: pip install "amfs-lab\[torchjd\]"'):
        TorchJD()(torch.ones(2, 3))


def test_what_an_aggregator_itself_needs_is_named(monkeypatch):
    def needs_more(self, **settings):
        raise ImportError('NashMTL requires ecos. Install it with: pip install "torchjd[nash_mtl]"')

    monkeypatch.setattr(aggregation.NashMTL, "__init__", needs_more)
    with pytest.raises(
        ConfigError, match=r"NashMTL must find the packages .* Got: .*pip install \"torchjd\[nash_mtl\]\""
    ):
        TorchJD("NashMTL")(torch.ones(2, 3))


def test_gradients_that_it_has_no_answer_to_are_an_error_of_ours():
    with pytest.raises(NumericalError, match=r"TrimmedMean must accept 2 gradients. Got: .*at least 7 rows"):
        TorchJD("TrimmedMean", {"trim_number": 3})(torch.ones(2, 3))


def test_settings_are_those_at_birth():
    settings = {"c": 0.4}
    rule = TorchJD("CAGrad", settings)
    settings["c"] = 9.0
    assert rule == CAGRAD
    assert rule != TorchJD("CAGrad", settings)


def test_a_copy_starts_without_the_memory(randn):
    rule, grads = TorchJD("GradVac"), randn(5, 4)
    first = rule(grads)
    assert not torch.allclose(rule(grads), first), "GradVac should remember"
    assert torch.equal(copy(rule)(grads), first)


SMALL = {"width": 8, "tasks": 3, "episode": EpisodeConfig(3, 1, 3), "validate_every": 0, "steps": 3}


def trained(config):
    trainer = MetaTrainer(config)
    list(trainer.run())
    return torch.cat([p.detach().flatten() for p in trainer.learner.parameters()])


@pytest.mark.parametrize("rule", [TorchJD(), CAGRAD, TorchJD("ConFIG"), TorchJD("GradVac")], ids=repr)
def test_it_trains_is_saved_and_repeats_itself(rule):
    config = preset("i-amfs", outer=rule, **SMALL)
    first = trained(config)
    again = TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert torch.isfinite(first).all()
    assert torch.equal(first, trained(config)), "each run begins without the memory of the last"
    assert torch.equal(first, trained(again))
    assert not torch.equal(first, trained(preset("i-amfs", **SMALL)))
