"""The meta-parameters that a run ends with: the last, their moving average, or the best in validation."""

import pytest
import torch
from torch import nn

from amfs_lab.config import preset
from amfs_lab.errors import ConfigError
from amfs_lab.inner import Prototypes
from amfs_lab.learner import MetaLearner
from amfs_lab.runs import load_learner
from amfs_lab.selection import Selection
from amfs_lab.tasks import EmbeddingSource, EpisodeConfig
from amfs_lab.training import MetaTrainer

SHAPE = EpisodeConfig(3, 1, 2)


@pytest.fixture
def source(randn):
    centres = 2 * randn(12, 1, 6)
    data = (centres + randn(12, 8, 6)).float()
    return lambda half: EmbeddingSource(data[half], tuple("abcdefghijkl")[half], SHAPE, "dots", "all")


@pytest.fixture
def trainer(source):
    def make(folder=None, resume=False, **settings):
        start = {"steps": 30, "validate_every": 5, "validation_episodes": 30, "episode": SHAPE, "meta_lr": 0.03}
        config = preset("i-amfs", backbone="mlp", width=8, **start | settings)
        halves = source(slice(6)), source(slice(6, 12))
        return MetaTrainer(config, folder, None, "cpu", None, resume, 10, None, *halves)

    return make


def learner_of(*values):
    net = nn.Linear(2, 2, bias=False)
    learner = MetaLearner(net, Prototypes(), 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor(values).view(2, 2))
    return learner, learner.meta_parameters()[0]


def test_the_average_follows_its_recursion():
    learner, weight = learner_of(0.0, 0.0, 0.0, 0.0)
    selection, expected = Selection(learner, 0.9), None
    for step in range(1, 200):
        with torch.no_grad():
            weight += torch.randn(2, 2)
        selection.update(step)
        d = min(0.9, step / (step + 10))
        expected = weight.detach().clone() if expected is None else expected + (1 - d) * (weight.detach() - expected)
    last = weight.detach().clone()
    with selection.shown():
        assert torch.allclose(weight, expected, atol=1e-5)
    assert torch.equal(weight, last)
    selection.settle()
    assert torch.allclose(weight, expected, atol=1e-5)


def test_the_weights_come_back_if_the_validation_fails():
    learner, weight = learner_of(1.0, 2.0, 3.0, 4.0)
    selection = Selection(learner, 0.5)
    selection.update(1)
    with torch.no_grad():
        weight.zero_()
    with pytest.raises(RuntimeError, match="stopped"), selection.shown():
        raise RuntimeError("stopped")
    assert not weight.any()


def test_a_run_ends_with_the_average_which_it_also_validates_and_saves(trainer, tmp_path):
    plain, averaged = trainer(), trainer(tmp_path / "run", average=0.8)
    seen = [{name: p.detach().clone() for name, p in averaged.learner.named_parameters()} for _ in averaged.run()]
    raw = [{name: p.detach().clone() for name, p in plain.learner.named_parameters()} for _ in plain.run()]
    for a, b in zip(seen[:-1], raw[:-1], strict=True):  # the training itself is the same
        assert all(torch.equal(a[name], b[name]) for name in a)
    expected = raw[0]
    for step, params in enumerate(raw[1:], 2):
        d = min(0.8, step / (step + 10))
        expected = {name: expected[name] + (1 - d) * (params[name] - expected[name]) for name in params}
    ended = dict(averaged.learner.named_parameters())
    assert all(torch.allclose(ended[name], expected[name], atol=1e-5) for name in expected)
    assert not torch.allclose(ended["net.layers.0.weight"], raw[-1]["net.layers.0.weight"], atol=1e-4)
    loaded = dict(load_learner(tmp_path / "run")[0].named_parameters())
    assert all(torch.equal(loaded[name], ended[name]) for name in ended)


@pytest.mark.parametrize("settings", [{"average": 0.8}, {"keep": "best"}, {"average": 0.8, "keep": "best"}])
def test_a_stopped_run_goes_on_to_the_same_end(trainer, tmp_path, settings):
    whole = trainer(tmp_path / "whole", **settings)
    expected = [(p.step, p.loss, p.validation) for p in whole.run()]
    folder, found = tmp_path / "parts", []
    for stop in (7, 13, 30):
        part = trainer(folder, resume=folder.exists(), **settings)
        for progress in part.run():
            found.append((progress.step, progress.loss, progress.validation))
            if progress.step == stop:
                break
    assert found == expected
    for name, tensor in whole.learner.state_dict().items():
        assert torch.equal(tensor, part.learner.state_dict()[name]), name


def test_a_run_ends_with_the_best_state_in_validation(trainer):
    kept, states = trainer(keep="best", meta_lr=0.3, steps=40), []
    accuracies = []
    for progress in kept.run():
        if progress.validation is not None:
            accuracies.append(progress.validation.mean)
            states.append({name: tensor.clone() for name, tensor in kept.learner.state_dict().items()})
    best = max(range(len(accuracies)), key=lambda i: (accuracies[i], -i))
    assert best < len(accuracies) - 1, "a large rate makes the last state worse than an earlier one"
    for name, tensor in kept.learner.state_dict().items():
        assert torch.equal(tensor, states[best][name])


def test_wrong_settings_are_refused():
    for name in ("average", "label_smoothing"):
        for wrong in (1.0, -0.1):
            with pytest.raises(ConfigError, match=rf"TrainingConfig.{name} must be in \[0, 1\). Got"):
                preset("i-amfs", **{name: wrong})
    with pytest.raises(ConfigError, match=r'keep="best" needs validations. Got validate_every=0'):
        preset("i-amfs", keep="best", validate_every=0)
    with pytest.raises(ConfigError, match=r"TrainingConfig.keep must be one of last, best"):
        preset("i-amfs", keep="first")
