"""Networks of users work with every method, or one sentence says why not, before the first step."""

import contextlib

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from amfs_lab import backbones
from amfs_lab.config import METHODS, preset
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError
from amfs_lab.evaluation import evaluate
from amfs_lab.inner import Anil, FunctionSpace, Maml, Prototypes
from amfs_lab.learner import MetaLearner, WithHead
from amfs_lab.runs.saved import load_learner
from amfs_lab.tasks import EmbeddingSource, EpisodeConfig, ImageSource
from amfs_lab.training import MetaTrainer

SHAPE = EpisodeConfig(3, 1, 2)
LABELS = tuple("abcdefghijkl")


class Cnn(nn.Module):
    """A convolutional network with torch's own BatchNorm and dropout."""

    num_features = 8

    def __init__(self, dropout: float = 0.0, track: bool = True):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8, track_running_stats=track)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(F.relu(self.norm(self.conv(x)))).mean((2, 3))


class Attention(nn.Module):
    num_features = 16

    def __init__(self):
        super().__init__()
        self.embed, self.mix = nn.Linear(28, 16), nn.TransformerEncoderLayer(16, 2, 16, batch_first=True, dropout=0.0)

    def forward(self, x):
        return self.mix(self.embed(x[:, 0])).mean(1)


class Tied(nn.Module):
    num_features = 16

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(784, 16), nn.Linear(16, 16), nn.Linear(16, 16)
        self.c.weight = self.b.weight

    def forward(self, x):
        return self.c(torch.relu(self.b(torch.relu(self.a(x.flatten(1))))))


class Frozen(Cnn):
    def __init__(self):
        super().__init__(track=False)
        self.conv.requires_grad_(False)


class Unused(Tied):
    def __init__(self):
        super().__init__()
        self.spare = nn.Linear(2, 2)


class Nothing(nn.Flatten):
    """A network without any parameter."""

    num_features = 784


class Recurrent(nn.Module):
    num_features = 8

    def __init__(self):
        super().__init__()
        self.layer = nn.LSTM(28, 8, batch_first=True)

    def forward(self, x):
        return self.layer(x[:, 0])[0][:, -1]


class Returned(nn.Module):
    """A network that returns an object with the features in a field, as in the library transformers."""

    num_features = 8

    def forward(self, x):
        return {"pooler_output": x.flatten(1)[:, :8]}


class Colour(nn.Module):
    num_features = 4

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))


class Cached(Tied):
    """A network with a buffer that is None until the first image."""

    def __init__(self):
        super().__init__()
        self.register_buffer("positions", None)

    def forward(self, x):
        if self.positions is None:
            self.positions = torch.linspace(0.5, 1, 16)
        return super().forward(x) * self.positions


class Growing(Tied):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(0))

    def forward(self, x):
        self.seen = torch.cat([self.seen, x.detach().flatten(1)[:, 0]])
        return super().forward(x)


class Writing(Tied):
    """A network that centres its input in place."""

    def forward(self, x):
        x -= 0.5
        return super().forward(x)


class Copying(Tied):
    def forward(self, x):
        return super().forward(x - 0.5)


class Complex(Tied):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(16, dtype=torch.complex64))

    def forward(self, x):
        return (super().forward(x) * self.gain).real


class Lazy(Tied):
    def __init__(self):
        super().__init__()
        self.a = nn.LazyLinear(16)


NETWORKS = (Cnn, Attention, Tied, Frozen, Unused, Nothing, Recurrent, Cached, Writing)
INNER = {
    "i-amfs": FunctionSpace,
    "prototypes": Prototypes,
    "anil": lambda: Anil(0.1, 2),
    "maml": lambda: Maml(0.1, 2),
    "fo-maml": lambda: Maml(0.1, 2, first_order=True),
}


def halves(images, shape=SHAPE):
    return (ImageSource(images[half], LABELS[half], shape) for half in (slice(6), slice(6, 12)))


def trained(network, method, images, around=contextlib.nullcontext, **settings):
    """The learner and its last progress, after two meta-steps with a validation in between."""
    torch.manual_seed(0)
    config = preset(
        method, **{"episode": SHAPE, "steps": 2, "tasks": 2, "validate_every": 1, "validation_episodes": 2} | settings
    )
    train, validation = halves(images)
    learner = MetaLearner(network, config.inner.build(), 3)
    with around():
        trainer = MetaTrainer(config, learner=learner, train=train, validation=validation, device="cpu")
        return learner, list(trainer.run())[-1]


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"amfs", "o-amfs"}))
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("batched", [False, True])
def test_it_works_or_one_sentence_says_why_not(network, method, batched, images):
    refused = {
        Nothing: "needs a parameter that it may move" if method == "prototypes" else None,
        Recurrent: "Leave `batched` out" if batched else None,
        Cnn: "torch's own BatchNorm" if batched and "maml" in method else None,
        Frozen: "torch's own BatchNorm" if batched and method == "maml" else None,
    }
    if said := refused.get(network):
        with pytest.raises(ConfigError, match=said):
            trained(network(), method, images, batched=batched)
        return
    learner, last = trained(network(), method, images, batched=batched)
    assert last.loss > 0
    assert evaluate(learner, next(halves(images)), 2).accuracy.n == 2


@pytest.mark.parametrize("method", INNER)
@pytest.mark.parametrize("network", [Cnn, Attention, Frozen])
@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)])
def test_it_learns_the_same_within_no_grad_inference_mode_and_autocast(network, method, around, images):
    plain = trained(_seeded(network), method, images)[1].loss
    within = trained(_seeded(network), method, images, around)[1].loss
    assert within == pytest.approx(plain, rel=1e-6 if around in (torch.no_grad, torch.inference_mode) else 0.1)


def test_a_learner_made_in_inference_mode_is_refused(images):
    with torch.inference_mode(), pytest.raises(ConfigError, match=r"made outside of torch.inference_mode"):
        trained(Tied(), "i-amfs", images)


def test_autocast_sees_each_step(images):
    """In one autocast region torch caches 16-bit copies of weights. A second step would use the old weights."""
    learner, _ = trained(_seeded(Tied), "i-amfs", images, steps=1)
    source = next(halves(images))
    with torch.autocast("cpu", torch.bfloat16):
        learner.loss(source[0])
        with torch.no_grad():
            for p in learner.net.parameters():
                p.mul_(3)
        changed = float(learner.loss(source[0]).detach())
    fresh = float(learner.loss(source[0]).detach())
    assert changed == pytest.approx(fresh, rel=0.03)


@pytest.mark.parametrize("method", ["i-amfs", "prototypes", "anil"])
def test_batched_means_the_same_for_batchnorm_and_its_running_averages(method, images):
    source, rows, means = next(halves(images)), [], []
    for batched in (False, True):
        learner = MetaLearner(_seeded(Cnn), INNER[method](), 3)
        rows.append(learner.task_gradients([source[0], source[1]], batched).rows)
        means.append(next(b for name, b in learner.named_buffers() if name.endswith("running_mean")))
    assert torch.allclose(*rows, atol=1e-5)
    assert torch.allclose(*means, atol=1e-6)
    assert means[0].abs().max() > 1e-3


def test_the_order_of_the_tasks_does_not_matter_to_running_averages(images):
    source, ends = next(halves(images)), []
    for order in ((0, 1, 2), (2, 0, 1)):
        torch.manual_seed(0)
        learner = MetaLearner(Cnn(), FunctionSpace())
        learner.task_gradients([source[i] for i in order])
        ends.append(learner.state_dict()["net.network.norm.running_mean"])
    assert torch.allclose(*ends, atol=1e-7)


@pytest.mark.parametrize("method", ["maml", "fo-maml", "anil"])
@pytest.mark.parametrize("batched", [False, True])
def test_a_frozen_layer_never_moves_and_an_unused_one_stays(method, batched, images):
    for network, still in ((Frozen(), ("conv.weight", "conv.bias")), (Unused(), ("spare.weight", "spare.bias"))):
        if isinstance(network, Frozen):
            network.norm = nn.Identity()  # torch's BatchNorm is refused with `batched`
        before = {name: p.clone() for name, p in network.named_parameters() if name in still}
        learner, _ = trained(network, method, images, batched=batched)
        assert all(torch.equal(dict(network.named_parameters())[name], p) for name, p in before.items())
        nn.init.normal_(learner.net.head.weight)
        support = next(halves(images))[0].support
        for mode in (torch.no_grad, contextlib.nullcontext):
            with mode():
                adapted = learner.inner.adapt(learner.net, support).params
            for name, p in before.items():
                assert torch.equal(adapted[f"backbone.network.{name}"], p)
            assert not torch.equal(adapted["head.weight"], learner.net.head.weight)


def test_frozen_means_the_same_in_turn_and_batched(images):
    source = next(halves(images))
    torch.manual_seed(0)
    learner = MetaLearner(Tied(), Maml(0.1, 3), 3)
    nn.init.normal_(learner.net.head.weight)
    learner.net.backbone.network.a.requires_grad_(False)
    one, other = (learner.task_gradients([source[0], source[1]], batched) for batched in (False, True))
    assert torch.allclose(one.losses, other.losses, atol=1e-6)
    assert torch.allclose(one.rows, other.rows, atol=1e-5)


def test_tied_layers_move_together_in_the_inner_loop(images):
    torch.manual_seed(0)
    learner = MetaLearner(Tied(), Maml(0.5, 1), 3)
    nn.init.normal_(learner.net.head.weight)
    episode = next(halves(images))[0]
    adapted = learner.inner.adapt(learner.net, episode.support)
    by_hand = MetaLearner(Tied(), Maml(0.5, 1), 3)
    by_hand.load_state_dict(learner.state_dict())
    params = dict(by_hand.net.named_parameters())
    grads = torch.autograd.grad(episode.support.loss(by_hand.net(episode.support.x)), list(params.values()))
    with torch.no_grad():
        for p, g in zip(params.values(), grads, strict=True):
            p -= 0.5 * g
    assert by_hand.net.backbone.network.c.weight is by_hand.net.backbone.network.b.weight
    assert torch.allclose(adapted(episode.query.x), by_hand.net(episode.query.x), atol=1e-5)


def test_a_network_that_is_frozen_whole_is_refused_by_gradient_loops(images):
    learner, _ = trained(Tied(), "maml", images)
    learner.requires_grad_(False)
    with pytest.raises(ConfigError, match=r"needs a parameter that its steps may move. Got .* all frozen"):
        evaluate(learner, next(halves(images)), 2)


@pytest.mark.parametrize(
    ("network", "method", "match"),
    [
        (Returned, "i-amfs", r"one row of features for each image, .* Got a dict. .*pooler_output"),
        (Growing, "i-amfs", r"A buffer must keep its shape during training. Got \(9,\) for .*seen, which was \(0,\)"),
        (Complex, "i-amfs", r"Meta-parameters must be float32 or float64. Got torch.complex64"),
        (Lazy, "maml", r"Got a lazy layer that has seen no image. Run the network once before"),
        (lambda: nn.Sequential(backbones.Conv4(8, "support")), "i-amfs", r"which images are the support set"),
        (lambda: nn.DataParallel(backbones.Conv4(8, "support")), "i-amfs", r"which images are the support set"),
        (Returned, "anil", r"one row of features for each image"),
        (Colour, "i-amfs", r"must take images \(n, 1, 28, 28\).* expected input.*3 channels"),
        (Colour, "maml", r"must take images \(n, 1, 28, 28\)"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 8)), "maml", r"Got None. Set it: backbones.Wrapped\("),
        (lambda: backbones.Wrapped(Tied(), features=9), "maml", r"Got `features` 9, and 16 features for images of"),
        (lambda: backbones.Conv4(8, size=84), "maml", r"`features` must be the number .* size=28"),
    ],
)
def test_a_network_that_does_not_fit_is_told_so_before_the_first_step(network, method, match, images):
    with pytest.raises(ConfigError, match=match):
        trained(network(), method, images)


@pytest.mark.parametrize("method", INNER)
def test_an_image_size_that_conv4_was_not_built_for_works_or_is_said(method):
    images = torch.randint(0, 255, (12, 3, 84, 84), dtype=torch.uint8)
    trained(backbones.Conv4(8, size=84), method, images)
    if method in ("i-amfs", "prototypes"):
        trained(backbones.Conv4(8, size=28), method, images)
        return
    with pytest.raises(ConfigError, match=r"with the channels of the network|made for"):
        trained(backbones.Conv4(8, size=28), method, images)


@pytest.mark.parametrize("method", INNER)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bit_parameters_are_measured_and_not_trained(method, dtype, images):
    with pytest.raises(ConfigError, match=r"Meta-parameters must be float32 or float64. Got torch.* learner.float\(\)"):
        trained(Tied().to(dtype), method, images)
    body = Tied().to(dtype).requires_grad_(False)
    learner = MetaLearner(body, INNER[method](), 3)
    assert evaluate(learner, next(halves(images)), 2).accuracy.n == 2


@pytest.mark.parametrize("method", INNER)
def test_a_double_network_gets_double_data(method, images):
    learner, last = trained(Tied().double(), method, images)
    scores = learner.scores(next(halves(images))[0])
    assert last.loss > 0
    assert scores.dtype == torch.float64


@pytest.mark.parametrize("method", INNER)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_embeddings_of_any_floating_type_are_cast_to_the_learners(method, dtype, randn):
    embeddings = randn(12, 4, 10, dtype=torch.float32).to(dtype)
    ends = []
    for data in (embeddings, embeddings.float()):
        torch.manual_seed(0)
        learner = MetaLearner(backbones.MLP(10, (), 6), INNER[method](), 3)
        tasks = learner.task_gradients([EmbeddingSource(data, LABELS, SHAPE)[0]])
        ends.append(tasks.rows)
    assert torch.equal(*ends)


def test_real_labels_are_cast_too(randn):
    x, y = randn(6, 2), randn(6, 1)
    learner = MetaLearner(backbones.MLP(2, (), 4), FunctionSpace(), 1)
    assert learner.loss(Episode(Examples(x, y, 1), Examples(x, y, 1))).dtype == torch.float32


def test_a_backbone_that_takes_a_reference_is_used_as_it_is_and_others_are_wrapped():
    assert isinstance(MetaLearner(backbones.Conv4(8), Prototypes()).net, backbones.Conv4)
    assert isinstance(MetaLearner(Cnn(), Prototypes()).net, backbones.Wrapped)
    assert isinstance(MetaLearner(Cnn(), Maml(), 3).net, WithHead)
    assert backbones.Wrapped(Cnn()).features == 8
    assert backbones.Wrapped(Cnn(), features=5).features == 5


def _seeded(network):
    torch.manual_seed(7)
    return network()


@pytest.mark.parametrize("method", INNER)
@pytest.mark.parametrize("batched", [False, True])
def test_a_network_that_writes_into_its_input_learns_as_one_that_does_not(method, batched, images):
    plain, writing = (trained(_seeded(n), method, images, batched=batched)[1].loss for n in (Copying, Writing))
    assert writing == pytest.approx(plain, abs=1e-6)


def test_images_of_a_source_are_not_written_to(images):
    source = next(halves(images))
    episodes = [source[i] for i in range(4)]
    for method, inner in INNER.items():
        learner = MetaLearner(Writing(), inner(), 3)
        learner.task_gradients(episodes)
        with torch.no_grad():
            for episode in episodes:
                learner.scores(episode)
        for index, episode in enumerate(episodes):
            assert torch.equal(episode.support.x, source[index].support.x), method
            assert torch.equal(episode.query.x, source[index].query.x), method


@pytest.mark.parametrize("batched", [False, True])
def test_a_buffer_that_was_none_is_none_again_so_that_the_run_loads(batched, images, tmp_path):
    torch.manual_seed(0)
    config = preset("i-amfs", episode=SHAPE, steps=2, tasks=2, validate_every=0, batched=batched)
    train, validation = halves(images)
    learner = MetaLearner(Cached(), FunctionSpace())
    list(MetaTrainer(config, tmp_path, learner=learner, train=train, validation=validation, device="cpu").run())
    assert learner.net.network.positions is None
    again, _ = load_learner(tmp_path, "cpu", MetaLearner(Cached(), FunctionSpace()))
    assert torch.equal(again.scores(train[0]), learner.scores(train[0]))


def test_prototypes_of_real_labels_are_refused(randn):
    x, y = randn(6, 2), randn(6, 1)
    learner = MetaLearner(backbones.MLP(2, (), 4), Prototypes())
    with pytest.raises(ConfigError, match=r"Prototypes need classes. Got real labels"):
        learner.loss(Episode(Examples(x, y, 1), Examples(x, y, 1)))
