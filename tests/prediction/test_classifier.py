"""A saved run as a few-shot classifier: predictions, independence of other images, and errors."""

import json
import math

import pytest
import torch
from torch import nn

from amfs_lab import pretrained
from amfs_lab.backbones import MLP, Backbone
from amfs_lab.config import preset
from amfs_lab.errors import ConfigError, DataError, NumericalError
from amfs_lab.inner import FunctionSpace
from amfs_lab.kernels import rbf_kernel
from amfs_lab.learner import MetaLearner
from amfs_lab.prediction.classifier import NONE, Classifier
from amfs_lab.tasks import EmbeddingSource, EpisodeConfig, ImageSource
from amfs_lab.training import MetaTrainer
from tests.handwriting import FIVE, SIXTH, photograph, save, support_folder

QUICK = {"width": 8, "tasks": 1, "steps": 2, "validate_every": 0, "episode": EpisodeConfig(5, 1, 2)}


def train(folder, method="i-amfs", **settings):
    for _ in MetaTrainer(preset(method, **QUICK | settings), folder, device="cpu").run():
        pass
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs") / "i-amfs")


@pytest.fixture(scope="module")
def support(tmp_path_factory):
    return support_folder(tmp_path_factory.mktemp("support"))


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("questions")
    return [save(photograph(letter, n), folder / f"{letter}{n}.jpg") for letter in FIVE for n in (20, 21, 22)]


@pytest.fixture(scope="module")
def shipped(support):
    """The pretrained learner of the package, with photographs of five letters."""
    return Classifier.load(pretrained.find(), support, ink=True, device="cpu")


def test_photographs_of_five_letters_are_named_and_a_sixth_is_rejected(shipped, questions, tmp_path):
    known = [shipped(path) for path in questions]
    assert [each.label for each in known] == [path.name[0] for path in questions]
    assert sum(each.known for each in known) >= 14
    strangers = [shipped(save(photograph(SIXTH, n), tmp_path / f"{n}.jpg")) for n in range(20, 28)]
    assert sum(each.verdict == NONE for each in strangers) >= 7


def test_the_threshold_is_measured_on_validation_scripts_of_the_same_shape(shipped):
    told = shipped.calibration
    assert told.source == "glyphs, validation"
    assert told.shots == (1, 1, 2, 2, 3)  # A, E, K, R, S
    assert told.known_rejected.low < 0.06
    assert 0.02 < told.strangers_accepted.share < 0.3


def test_a_prediction_does_not_depend_on_other_images(run, support, questions):
    one = Classifier.load(run, support, ink=True, device="cpu", episodes=0)
    other = Classifier.load(run, support, ink=True, device="cpu", episodes=0)
    forwards = [one(path) for path in questions]
    backwards = [other(path) for path in reversed(questions)][::-1]
    assert forwards == backwards
    assert Classifier.load(run, support, ink=True, device="cpu", episodes=0)(questions[4]) == forwards[4]


def test_batch_norm_takes_the_statistics_of_the_support_set(run, support):
    assert preset("i-amfs").norm == "transductive"
    classifier = Classifier.load(run, support, ink=True, device="cpu", episodes=0)
    assert classifier.learner.net.norm == classifier.config.norm == "support"


def test_scores_probabilities_and_variance_are_those_of_the_formula():
    """With the images as features: f = scale k^T (K + lam I)^-1 y, v = 1 - k^T (K + lam I)^-1 k."""
    learner = MetaLearner(MLP(3, hidden=(), features=2), FunctionSpace(lam=0.3))
    learner.inner.kernel.start(torch.randn(9, 2, generator=torch.Generator().manual_seed(1)))
    given = {"a": [torch.tensor([1.0, 0, 0])], "b": [torch.tensor([0, 1.0, 0]), torch.tensor([0, 1.0, 1.0])]}
    query = torch.tensor([0.4, 0.1, 0.0])
    answer = Classifier.of(learner, given)(query)
    with torch.no_grad():
        z = learner.net(torch.stack([*given["a"], *given["b"]]))
        sigma = learner.inner.kernel.bandwidth
        K, k = rbf_kernel(z, z, sigma), rbf_kernel(learner.net(query[None]), z, sigma)
        inverse = (K + 0.3 * torch.eye(3)).inverse()
        scores = 5 * k @ inverse @ torch.tensor([[1.0, 0], [0, 1], [0, 1]])
        variance = 1 - (k @ inverse @ k.T)
    assert answer.scores == pytest.approx(scores[0].tolist(), abs=1e-5)
    assert answer.probabilities == pytest.approx(scores[0].softmax(0).tolist(), abs=1e-5)
    assert answer.variance == pytest.approx(float(variance), abs=1e-5)
    assert answer.label == answer.ranked[0][0] == "ab"[int(scores.argmax())]
    assert (answer.known, answer.threshold, answer.verdict) == (None, None, answer.label)


def test_a_prediction_is_plain_data(shipped, questions):
    answer = shipped(questions[0])
    plain = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert plain["label"] == "A"
    assert math.isclose(sum(plain["probabilities"].values()), 1, rel_tol=1e-9)
    assert plain["known"] == (plain["variance"] <= plain["threshold"])
    assert str(answer).startswith("A  variance 0.")


@pytest.mark.parametrize("method", ["maml", "prototypes", "anil"])
def test_a_run_without_a_posterior_variance_classifies_with_a_remark(tmp_path, support, questions, method):
    classifier = Classifier.load(train(tmp_path / "run", method), support, ink=True, device="cpu")
    assert classifier.remarks == (f'{method} has no posterior variance, so it cannot say "{NONE}".',)
    answer = classifier(questions[0])
    assert answer.label in FIVE
    assert (answer.variance, answer.known) == (None, None)
    assert answer == classifier(questions[0])


def test_a_linear_head_needs_its_number_of_classes(tmp_path, support):
    run = train(tmp_path / "run", "maml", episode=EpisodeConfig(3, 1, 2))
    with pytest.raises(ConfigError, match=r"has a linear head, so the support set must have 3 classes. Got 5"):
        Classifier.load(run, support, ink=True, device="cpu")


def test_more_classes_than_in_training_are_no_error_without_a_head(run, tmp_path):
    for number in range(7):
        save(photograph("AKSERMA"[number], number), tmp_path / f"class {number}" / "1.png")
    classifier = Classifier.load(run, tmp_path, ink=True, device="cpu", episodes=4)
    assert len(classifier(tmp_path / "class 3" / "1.png").scores) == 7
    assert classifier.calibration.shots == (1,) * 7


def test_without_validation_data_there_are_labels_and_scores_only(tmp_path, run, support, questions, monkeypatch):
    def missing(*arguments):
        raise DataError("Expected glyphs.npz. Got none there.")

    monkeypatch.setattr("amfs_lab.prediction.classifier.open_source", missing)
    classifier = Classifier.load(run, support, ink=True, device="cpu")
    assert classifier.remarks == (f'No threshold for "{NONE}": Expected glyphs.npz. Got none there.',)
    assert classifier(questions[0]).known is None


def test_few_episodes_give_a_remark(run, support):
    (remark,) = Classifier.load(run, support, ink=True, device="cpu", episodes=10).remarks
    assert remark == "The error rates were measured on 5 episodes, fewer than thirty, so their intervals are rough."


def test_images_that_look_inverted_give_a_remark(run, support, questions):
    classifier = Classifier.load(run, support, device="cpu", episodes=0)
    (remark,) = classifier.remarks
    assert remark.endswith(
        "0.jpg and 8 more images: has no black background, but the network expects bright ink on "
        "black. Read it with `ink` (--ink)."
    )
    assert classifier(questions[0]).remarks


class Own(Backbone):
    """A user's network with dropout and running statistics."""

    features, norm = 8, "own"

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))

    def forward(self, x, reference=None):
        return self.layers(x)


def test_a_learner_and_data_of_the_user_in_python(tmp_path):
    generator = torch.Generator().manual_seed(0)
    x = 4 * torch.randn(20, 1, 4, generator=generator) + torch.randn(20, 9, 4, generator=generator)
    names, shape = tuple(map(str, range(20))), EpisodeConfig(3, 1, 4)
    halves = [EmbeddingSource(x[part], names[part], shape, split="held out") for part in (slice(10), slice(10, 20))]
    learner = MetaLearner(Own(), FunctionSpace())
    config = preset("i-amfs", episode=shape, steps=3, tasks=2, validate_every=0)
    sources = dict(zip(("train", "validation"), halves, strict=True))
    for _ in MetaTrainer(config, tmp_path / "run", device="cpu", learner=learner, **sources).run():
        pass
    given = {"one": [x[10, 0], x[10, 1]], "two": [x[11, 0]]}
    fresh = MetaLearner(Own(), FunctionSpace())
    classifier = Classifier.load(
        tmp_path / "run", given, device="cpu", learner=fresh, validation=halves[1], episodes=20
    )
    assert classifier.calibration.source == "embeddings, held out"
    before = {name: buffer.clone() for name, buffer in fresh.named_buffers()}
    answers = [classifier(x[10, 5]) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]  # no dropout
    assert all(torch.equal(buffer, before[name]) for name, buffer in fresh.named_buffers())
    with pytest.raises(DataError, match=r"An image must have the shape of a support image, \(4,\). Got \(5,\)"):
        classifier(torch.zeros(5))
    with pytest.raises(DataError, match=r"must have a floating-point dtype. Got torch.uint8"):
        classifier(torch.zeros(4, dtype=torch.uint8))


def test_a_run_on_data_of_the_user_is_not_calibrated_on_other_data(tmp_path, images, support, questions):
    """The run records its own data, although its settings still name glyphs."""
    names = tuple("abcdefghijkl")
    sources = [
        ImageSource(images[part], names[part], EpisodeConfig(3, 1, 2), "mine") for part in (slice(6), slice(6, 12))
    ]
    config = preset("i-amfs", **QUICK | {"episode": EpisodeConfig(3, 1, 2)})
    trainer = MetaTrainer(config, tmp_path / "run", device="cpu", train=sources[0], validation=sources[1])
    list(trainer.run())
    classifier = Classifier.load(tmp_path / "run", support, device="cpu")
    (remark,) = classifier.remarks  # and no remark about the brightness of the images, because their style is unknown
    assert remark.startswith(
        f'No threshold for "{NONE}": the run was trained on data of your own (mine/all, 6 classes)'
    )
    assert remark.endswith("Pass them in Python, as `validation=`.")
    assert classifier(questions[0]).known is None
    pair = {label: [save(photograph(label, n), tmp_path / f"{label}{n}.png") for n in range(2)] for label in "AK"}
    given = Classifier.load(tmp_path / "run", pair, device="cpu", validation=sources[1], episodes=60)
    assert given.calibration.source == "mine, all"
    assert given(questions[0]).known is not None


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_network_in_another_precision(dtype):
    learner = MetaLearner(MLP(4, hidden=(), features=3).to(dtype), FunctionSpace())
    given = {"a": [torch.tensor([1.0, 0, 0, 0])], "b": [torch.tensor([0, 1.0, 0, 0])]}
    answer = Classifier.of(learner, given)(torch.tensor([0.0, 0.9, 0.1, 0]))
    assert answer.label == "b"
    assert math.isclose(sum(answer.probabilities), 1, rel_tol=1e-9)


def test_images_of_the_wrong_size_are_an_error(run):
    learner = MetaLearner(MLP(4, hidden=(), features=3), FunctionSpace())
    given = {"a": [torch.zeros(5)], "b": [torch.ones(5)]}
    with pytest.raises(ConfigError, match=r"The network must take images \(n, 5\)"):
        Classifier.of(learner, given)(torch.zeros(5))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"a": [torch.zeros(1, 28, 28)]}, "two or more classes. Got 1"),
        ({"a": [torch.zeros(1, 28, 28)], "b": []}, "must have an image. Got none for 'b'"),
        ({"a": [torch.zeros(1, 28, 28)], "b": [torch.zeros(1, 20, 20)]}, "must have the same shape"),
    ],
)
def test_an_invalid_support_set_is_refused(run, given, words):
    with pytest.raises(DataError, match=words):
        Classifier.load(run, given, device="cpu", episodes=0)


@pytest.mark.parametrize("episodes", [-1, 1, 3])
def test_too_few_episodes_are_refused(run, support, episodes):
    with pytest.raises(ConfigError, match=rf"`episodes` must be 0 or >= 4. Got {episodes}"):
        Classifier.load(run, support, device="cpu", episodes=episodes)


def test_scores_that_are_not_finite_name_the_image(run, support, questions):
    classifier = Classifier.load(run, support, ink=True, device="cpu", episodes=0)
    with torch.no_grad():
        classifier.learner.inner.log_scale.fill_(math.nan)
    with pytest.raises(NumericalError, match=r"Scores must be finite. Got NaN or infinity for .*A20.jpg"):
        classifier(questions[0])
