"""Invalid settings are refused when they are created, and saved settings are restored."""

import dataclasses
import json

import pytest
import torch

from amfs_lab.backbones import Conv4
from amfs_lab.config import METHODS, FunctionSpaceConfig, TrainingConfig, preset
from amfs_lab.errors import ConfigError
from amfs_lab.inner import FunctionSpace, Maml, Prototypes
from amfs_lab.kernels import RBF, Linear
from amfs_lab.outer import PairwiseCosine
from amfs_lab.training import MetaTrainer


@pytest.mark.parametrize("method", METHODS)
def test_a_method_survives_json(method):
    config = preset(method, steps=7, seconds=1.5, norm="group")
    again = TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert type(again.inner) is type(config.inner)
    assert type(again.outer) is type(config.outer)


def test_names_of_methods_agree_with_the_paper():
    assert isinstance(preset("amfs").build().inner, FunctionSpace)
    assert isinstance(preset("amfs").outer, PairwiseCosine)
    assert preset("maml").build().inner == Maml(lr=Maml().lr, steps=Maml().steps, first_order=False)
    assert preset("fo-maml").build().inner.first_order


def test_settings_reach_the_learner():
    inner = FunctionSpaceConfig(lam=0.7, mu=0.2, gamma=0.1, bandwidth=3.0, learn_bandwidth=False, first_order=True)
    built = preset("i-amfs", inner=inner).build().inner
    assert (built.lam, built.mu, built.gamma, built.first_order) == (0.7, 0.2, 0.1, True)
    assert torch.allclose(built.kernel.bandwidth, torch.tensor(3.0))
    assert not built.kernel.log_bandwidth.requires_grad


def test_the_backbone_is_named_and_built_for_the_shape_of_the_inputs():
    assert isinstance(preset("i-amfs").build().net, Conv4)
    large, small = preset("i-amfs").build((3, 32, 32)), preset("maml", backbone="mlp", width=8).build((5,))
    assert large.net(torch.zeros(2, 3, 32, 32)).shape == (2, 64 * 4)
    assert small.net(torch.zeros(2, 5)).shape == (2, 5)
    assert small.net.backbone.features == 8
    for shape in ((5,), (1, 28, 30)):
        with pytest.raises(ConfigError, match=r"conv4 needs square images .* Got .* Use another backbone"):
            preset("i-amfs").build(shape)
    with pytest.raises(ConfigError, match=r"The size of an image must be at most 10000. Got 1000000"):
        preset("i-amfs").build((10**6, 28, 28))
    with pytest.raises(ConfigError, match=r"TrainingConfig.backbone must be one of conv4, mlp, resnet12. Got 'conv5'"):
        preset("i-amfs", backbone="conv5")
    older = preset("i-amfs").to_dict()
    del older["backbone"]
    assert TrainingConfig.from_dict(older).backbone == "conv4"


def test_initial_weights_depend_on_the_seed_alone():
    def weights(seed):
        return torch.cat([p.flatten() for p in preset("i-amfs", width=8, seed=seed).build().parameters()])

    before = torch.random.get_rng_state()
    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FunctionSpaceConfig(lam=0.0), r"`lam` must be a finite number > 0. Got 0.0"),
        (lambda: FunctionSpaceConfig(lam=-1.0), r"`lam` must be a finite number > 0. Got -1.0"),
        (lambda: FunctionSpaceConfig(bandwidth=0.0), r"`bandwidth` must be a finite number > 0. Got 0.0"),
        (lambda: Maml(lr=0.0), r"Maml.lr must be a finite number > 0. Got 0.0"),
        (lambda: preset("i-amfs", steps=0), r"TrainingConfig.steps must be an integer >= 1. Got 0"),
        (lambda: preset("i-amfs", meta_lr=0.0), r"TrainingConfig.meta_lr must be a finite number > 0"),
        (lambda: preset("i-amfs", norm="batch"), r"TrainingConfig.norm must be one of transductive, .* Got 'batch'"),
        (
            lambda: preset("i-amfs", source="mnist"),
            r"source must be one of glyphs, omniglot, .*. Got 'mnist'",
        ),
        (lambda: preset("iamfs"), r"method must be one of i-amfs, .* Got 'iamfs'"),
        (lambda: preset("i-amfs", inner_lr=3), r"Expected settings of TrainingConfig. Got: .*inner_lr"),
        (lambda: TrainingConfig.from_dict({"inner": {"name": "x"}}), r"Expected the settings of a run"),
    ],
)
def test_invalid_settings_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_configuration_of_an_older_version_has_the_defaults_of_new_settings():
    for method, newer in (
        ("maml", ["learn_lr"]),
        ("anil", ["learn_lr", "first_order"]),
        ("i-amfs", ["bandwidth_per_dimension", "objective"]),
    ):
        older = preset(method).to_dict()
        for name in newer:
            del older["inner"][name]
        assert TrainingConfig.from_dict(older) == preset(method)


def test_the_relatives_of_the_method_are_settings_of_it():
    r2d2, dkt = (preset(name, width=4).build().inner for name in ("r2d2", "dkt"))
    assert (type(r2d2.kernel), r2d2.objective) == (Linear, "query-loss")
    assert (type(dkt.kernel), dkt.objective) == (RBF, "evidence")
    wide = preset("i-amfs", width=4, inner=FunctionSpaceConfig(bandwidth_per_dimension=True)).build((3, 32, 32))
    assert wide.inner.kernel.bandwidth.shape == (16,)
    assert preset("maml", width=4, inner=Maml(learn_lr=True)).build().rates.log_lr.shape == (14, 5)


def test_a_configuration_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset("amfs").steps = 3


def test_training_starts_at_the_given_bandwidth(tmp_path):
    config = preset("i-amfs", inner=FunctionSpaceConfig(bandwidth=7.0, learn_bandwidth=False), steps=1, width=4)
    trainer = MetaTrainer(config)
    list(trainer.run())
    assert float(trainer.learner.inner.kernel.bandwidth) == pytest.approx(7.0)


@pytest.mark.parametrize("kernel", ["linear", "cosine"])
def test_the_kernel_is_a_setting(kernel):
    inner = FunctionSpaceConfig(kernel=kernel, learn_lam=True)
    config = preset("i-amfs", inner=inner)
    assert TrainingConfig.from_dict(config.to_dict()) == config
    assert type(config.build().inner.kernel).__name__.lower() == kernel
    with pytest.raises(ConfigError, match=r"The .* kernel has no bandwidth. Got 2.0. Leave it out"):
        FunctionSpaceConfig(kernel=kernel, bandwidth=2.0)
    with pytest.raises(ConfigError, match=r"The .* kernel has no bandwidth. Got one for each dimension. Leave it out"):
        FunctionSpaceConfig(kernel=kernel, bandwidth_per_dimension=True)
    with pytest.raises(ConfigError, match=r"`kernel` must be one of rbf, linear, cosine. Got 'poly'"):
        FunctionSpaceConfig(kernel="poly")


def test_an_inner_loop_that_is_no_configuration_is_refused():
    with pytest.raises(ConfigError, match=r"TrainingConfig.inner must be an object of a class in methods.INNER_LOOPS"):
        preset("i-amfs", inner=FunctionSpace())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inner": {"name": "magic"}}, r"Expected the settings of a run. Got 'magic' for inner.name"),
        ({"inner": {"name": "maml", "rate": 1}}, r"Got an unknown field 'inner.rate'"),
        ({"inner": {"name": "prototypes", "lr": 1}}, r"Got an unknown field 'inner.lr'"),
        ({"outer": None}, r"Got None for outer, which has no name"),
        (
            {"outer": {"name": "mine"}},
            r"aggregator of this run must be registered. Got 'mine'.*AGGREGATORS\['mine'\]",
        ),
        ({"steps": "many"}, r"Got 'many' for steps"),
    ],
)
def test_a_saved_configuration_that_does_not_fit_is_one_sentence(change, words):
    with pytest.raises(ConfigError, match=words):
        TrainingConfig.from_dict(preset("i-amfs").to_dict() | change)


def test_a_configuration_builds_fresh_learnable_numbers_each_time():
    one, other = (preset("i-amfs", width=4).build().inner for _ in range(2))
    assert one.log_scale is not other.log_scale
    assert preset("prototypes") == preset("prototypes", inner=Prototypes())
