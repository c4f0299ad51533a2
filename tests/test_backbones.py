"""Backbones by name: numbers of parameters and features, whole meta-gradients by finite differences, and refusals."""

import json
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from amfs_lab.backbones import BACKBONES, Conv4, EpisodeNorm, ResNet12, Standardized
from amfs_lab.backbones.resnet12 import ResidualBlock
from amfs_lab.config import preset
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError
from amfs_lab.inner import Maml
from amfs_lab.methods import FunctionSpaceConfig
from amfs_lab.tasks import EpisodeConfig, ImageSource
from tests.finite_differences import finite_difference_error, perturbed

SHAPE = EpisodeConfig(3, 1, 2)


def build(name, shape, width=64, **settings):
    return preset("i-amfs", backbone=name, width=width, episode=SHAPE, **settings).build(shape)


def conv4(channels, width):
    """Four 3x3 convolutions without bias, each with the weights and biases of its normalisation."""
    return 9 * (channels * width + 3 * width**2) + 4 * 2 * width


def resnet12(channels, *widths):
    """Three 3x3 convolutions and a 1x1 shortcut in each block, all without bias, each with a normalisation."""
    blocks = pairwise([channels, *widths])
    return sum(9 * (a * b + 2 * b**2) + a * b + 4 * 2 * b for a, b in blocks)


def mlp(inputs, width):
    return (inputs + 1) * width + 2 * (width + 1) * width


@pytest.mark.parametrize(
    ("name", "shape", "width", "parameters", "features"),
    [
        ("conv4", (1, 28, 28), 64, conv4(1, 64), 64),
        ("conv4", (3, 32, 32), 64, conv4(3, 64), 4 * 64),
        ("conv4", (3, 84, 84), 64, conv4(3, 64), 1600),
        ("resnet12", (3, 32, 32), 64, resnet12(3, 64, 160, 320, 640), 640),
        ("resnet12", (1, 28, 28), 8, resnet12(1, 8, 20, 40, 80), 80),
        ("resnet12", (3, 84, 84), 1, resnet12(3, 1, 2, 5, 10), 10),
        ("mlp", (1, 28, 28), 64, mlp(784, 64), 64),
        ("mlp", (3, 32, 32), 16, mlp(3072, 16), 16),
    ],
)
def test_the_published_layers_have_so_many_parameters_and_features(name, shape, width, parameters, features):
    net = build(name, shape, width).net
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert net.features == features
    assert net(torch.zeros(2, *shape)).shape == (2, features)


def test_the_numbers_in_the_docstrings():
    assert (conv4(1, 64), conv4(3, 64)) == (111_680, 112_832)
    assert resnet12(3, 64, 160, 320, 640) == 12_424_320


@pytest.fixture(params=[("conv4", 28), ("conv4", 32), ("conv4", 84), ("resnet12", 32), ("mlp", 28)], ids=str)
def case(request):
    """(backbone, episode): noisy images, each class with its own pattern; grey ones have 28 pixels."""
    name, size = request.param
    generator = torch.Generator().manual_seed(1)
    channels = 1 if size == 28 else 3
    images = torch.rand(5, 1, channels, size, size, generator=generator)
    images = images + 0.15 * torch.randn(5, 6, channels, size, size, generator=generator)
    classes = torch.arange(3), torch.arange(3).repeat_interleave(2)
    halves = [
        Examples(images[:3, part].flatten(0, 1).double(), y, 3)
        for part, y in zip((slice(1), slice(1, 3)), classes, strict=True)
    ]
    return name, Episode(*halves)


@pytest.mark.parametrize(
    "inner", [FunctionSpaceConfig(bandwidth=3.0, learn_lam=True), Maml(0.3, 2)], ids=["i-amfs", "maml"]
)
def test_the_meta_gradient_is_the_finite_difference(case, inner):
    name, episode = case
    learner = perturbed(build(name, tuple(episode.support.x.shape[1:]), width=4, inner=inner))
    assert finite_difference_error(learner, episode) < 1e-6


@pytest.mark.parametrize("norm", ["transductive", "support", "group"])
@pytest.mark.parametrize("inner", [FunctionSpaceConfig(), Maml(0.1, 1)], ids=["i-amfs", "maml"])
def test_tasks_of_resnet12_run_together(norm, inner):
    learner = build("resnet12", (1, 16, 16), 4, inner=inner, norm=norm).double()
    images = torch.randint(256, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    source = ImageSource(images, tuple("abcd"), SHAPE)
    episodes = [source[index].to("cpu", torch.float64) for index in range(2)]
    apart, together = (learner.task_gradients(episodes, batched) for batched in (False, True))
    assert torch.allclose(apart.rows, together.rows, atol=1e-9)


def test_a_residual_block_is_the_published_one(randn):
    """LeakyReLU before the pooling, as in the code of Lee et al."""
    block, x = ResidualBlock(3, 5, "transductive").double(), randn(4, 3, 6, 6)
    for p in block.parameters():
        p.data += 0.3 * randn(*p.shape)

    def normal(maps, norm):
        return F.batch_norm(maps, None, None, norm.weight, norm.bias, training=True)

    first, second, third = block.convs
    maps = F.leaky_relu(normal(first(x), block.norms[0]), 0.1)
    maps = F.leaky_relu(normal(second(maps), block.norms[1]), 0.1)
    maps = normal(third(maps), block.norms[2]) + normal(block.shortcut(x), block.shortcut_norm)
    assert torch.allclose(block(x), F.max_pool2d(F.leaky_relu(maps, 0.1), 2))


def test_the_features_of_resnet12_are_means_of_maps_and_keep_their_type():
    nets = [ResNet12(4, channels=1, size=28, precision=precision) for precision in ("float32", "bfloat16")]
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.rand(6, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    full, short = (net(x) for net in nets)
    assert full.shape == (6, 40)
    assert short.dtype == torch.float32
    assert torch.allclose(full, short, atol=0.2)
    assert not torch.equal(full, short)
    for block in nets[0].blocks:
        x = block(x)
    assert torch.allclose(full, x.mean((2, 3)))


@pytest.mark.parametrize("channels", [4, 16, 60, 61])
def test_the_group_norm_is_torchs_for_any_number_of_channels(channels, randn):
    x, norm = randn(2, channels, 3, 3), EpisodeNorm(channels, "group").double()
    assert channels % norm.groups == 0
    assert torch.allclose(norm(x), F.group_norm(x, norm.groups))


@pytest.mark.parametrize("name", sorted(set(BACKBONES) - {"mlp"}))
def test_images_of_another_form_are_refused(name):
    for shape in ((5,), (3, 84, 80)):
        with pytest.raises(ConfigError, match=rf"{name} needs square images \(channels, size, size\). Got .* another"):
            build(name, shape)
    with pytest.raises(ConfigError, match=r"halves images four times, so `size` must be >= 16. Got 15. Use larger"):
        build(name, (3, 15, 15))
    with pytest.raises(ConfigError, match=r"precision must be one of float32, bfloat16"):
        build(name, (3, 32, 32), precision="int8")


def test_normalisation_constants_are_applied_to_each_channel_before_the_network(randn):
    x, mean, std = torch.rand(4, 3, 16, 16), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    inner = Conv4(4, channels=3, size=16)
    net = Standardized(inner, mean, std)
    expected = torch.stack([(x[:, c] - mean[c]) / std[c] for c in range(3)], 1)
    assert torch.allclose(net(x, 2), inner(expected, 2))
    assert torch.allclose(Standardized(inner, (0.5,), (0.25,))(x), inner((x - 0.5) / 0.25))
    assert (net.features, net.norm) == (inner.features, inner.norm)


def test_the_constants_of_a_configuration_are_those_of_its_data_set_or_your_own():
    assert (preset("i-amfs").mean, preset("i-amfs").std) == ((0.0,), (1.0,))
    assert not isinstance(preset("i-amfs", width=4).build().net, Standardized)
    colour = preset("i-amfs", source="fc100", width=4)
    assert len(colour.mean) == len(colour.std) == 3
    assert isinstance(colour.build((3, 32, 32)).net, Standardized)
    own = preset("i-amfs", source="fc100", mean=(0.5,), std=(0.25,))
    assert (own.mean, own.std) == ((0.5,), (0.25,))
    assert type(own).from_dict(json.loads(json.dumps(own.to_dict()))) == own


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [
        ((0.5, 0.5), (1.0,), r"`mean` must have one finite number for each channel, or one for all. Got \(0.5, 0.5\)"),
        ((float("nan"),), (1.0,), r"`mean` must have one finite"),
        ((0.5,), (0.0,), r"Each number of `std` must be > 0. Got \(0.0,\)"),
    ],
)
def test_wrong_constants_are_refused(mean, std, words):
    with pytest.raises(ConfigError, match=words):
        preset("i-amfs", mean=mean, std=std)
