"""Open-set recognition: the threshold for "none of these" and its error rates."""

import math

import pytest
import torch

from amfs_lab.backbones import MLP
from amfs_lab.episode import Examples
from amfs_lab.errors import ConfigError, NumericalError
from amfs_lab.inner import FunctionSpace, Prototypes
from amfs_lab.kernels import RBF
from amfs_lab.learner import MetaLearner
from amfs_lab.prediction.open_set import ErrorRate, answers, calibrate, smallest_threshold
from amfs_lab.tasks import EmbeddingSource, EpisodeConfig, ImageSource

CLASSES, SAMPLES = 12, 8


class Identity(MLP):
    """A network that returns the embeddings unchanged."""

    def __init__(self) -> None:
        super().__init__(3, hidden=(), features=3)

    def forward(self, x, reference=None):
        return x


def source_of(spread: float, samples: int = SAMPLES, apart: float = 1.0) -> ImageSource:
    """Classes around random centres. `spread` and `apart`: standard deviations in a class and of the centres."""
    generator = torch.Generator().manual_seed(0)
    places = apart * torch.randn(CLASSES, 1, 3, generator=generator)
    x = places + spread * torch.randn(CLASSES, samples, 3, generator=generator)
    return EmbeddingSource(x, tuple("abcdefghijkl"), EpisodeConfig(2, 1, 1), "places", "held out")


@pytest.fixture
def learner() -> MetaLearner:
    return MetaLearner(Identity(), FunctionSpace(RBF(0.5), lam=0.01))


def test_the_threshold_rejects_at_most_its_share_and_is_the_smallest_such():
    known = torch.arange(1.0, 101.0)
    assert smallest_threshold(known, 0.05) == 95
    assert (known > 95).float().mean() == 0.05
    assert smallest_threshold(known, 0.0) == 100
    assert smallest_threshold(torch.ones(7)) == 1  # a value equal to the threshold is known


def test_an_error_rate_of_independent_queries_has_wilsons_interval():
    """Episodes of one query each: n = 400, 20 errors; Wilson's interval with t(399), by hand."""
    rate = ErrorRate.of(torch.cat([torch.ones(20), torch.zeros(380)]))
    p, variance, t = 0.05, 0.05 * 0.95 * 400 / 399 + 0.2**2 / 400, 1.965927295920968
    n = p * (1 - p) / (variance / 400)
    centre, half = p + t**2 / (2 * n), t * math.sqrt(p * (1 - p) / n + t**2 / (4 * n**2))
    assert rate.share == pytest.approx(0.05)
    assert rate.low == pytest.approx((centre - half) / (1 + t**2 / n), rel=1e-6)
    assert rate.high == pytest.approx((centre + half) / (1 + t**2 / n), rel=1e-6)


def test_no_error_in_a_hundred_episodes_is_not_certainty():
    rate = ErrorRate.of(torch.zeros(100))
    assert (rate.share, rate.low) == (0, 0)
    assert 0.02 < rate.high < 0.05
    assert str(rate) == "0.0 % (0.0 to 3.8 %)"


def test_a_small_rate_is_covered_although_most_episodes_have_no_error():
    """Three of a hundred episodes have errors. Four of ten samples of 30 episodes contain none of the three."""
    shares = torch.tensor([0.25] * 3 + [1 / 75] * 20 + [0.0] * 77)
    draw = torch.Generator().manual_seed(0)
    rates = [ErrorRate.of(shares[torch.randint(100, (30,), generator=draw)]) for _ in range(2000)]
    assert sum(rate.low <= float(shares.mean()) <= rate.high for rate in rates) / 2000 > 0.94


def test_the_interval_covers_clustered_rates_at_its_level():
    """Episodes with different error probabilities, 20 % on average, and 10 queries each."""
    generator = torch.Generator().manual_seed(0)
    own = 0.4 * torch.rand(2000, 100, generator=generator)
    shares = torch.rand(2000, 100, 10, generator=generator).lt(own[..., None]).double().mean(2)
    rates = [ErrorRate.of(row) for row in shares]
    covered = sum(rate.low <= 0.2 <= rate.high for rate in rates) / 2000
    assert abs(covered - 0.95) < 0.02


def test_queries_of_another_class_are_rejected_if_classes_are_far_apart(learner):
    found = calibrate(learner, source_of(0.05, apart=20.0), (1, 3, 2), 60)
    assert found.strangers_accepted.share == 0
    assert found.known_rejected.share < 0.1
    assert found.shots == (1, 3, 2)
    assert "places, held out (3 classes, 1 to 3 support images each)" in str(found)
    assert found.to_dict()["threshold"] == found.threshold


def test_queries_of_another_class_are_accepted_if_classes_overlap(learner):
    found = calibrate(learner, source_of(1.0, apart=0.0), (1, 1, 1), 60)
    assert found.strangers_accepted.share == pytest.approx(1 - found.known_rejected.share, abs=0.1)


def test_the_rates_are_those_of_episodes_that_did_not_choose_the_threshold(learner):
    """Computed again query by query, with the given shots and the one class outside the support set."""
    source, shots = source_of(0.3), (2, 1)
    found = calibrate(learner, source, shots, 20)
    drawn = EmbeddingSource(source.samples, source.labels, EpisodeConfig(3, 2, 5), "places", "held out")
    rejected, accepted, first = [], [], []
    for index in range(20):
        episode = drawn[index]
        support = Examples(episode.support.x[[0, 1, 2]], torch.tensor([0, 0, 1]), 2)
        with torch.no_grad():
            v = torch.cat([answers(learner, support, x[None])[1] for x in episode.query.x])
        if index < 10:
            first.append(v[:10])
        else:
            rejected.append((v[:10] > found.threshold).double().mean())
            accepted.append((v[10:] <= found.threshold).double().mean())
    assert smallest_threshold(torch.cat(first)) == pytest.approx(found.threshold, rel=1e-5)
    assert found.known_rejected.share == pytest.approx(float(torch.stack(rejected).mean()))
    assert found.strangers_accepted.share == pytest.approx(float(torch.stack(accepted).mean()))
    assert found.known_rejected.episodes == 10


@pytest.mark.parametrize(
    ("shots", "episodes", "words"),
    [
        ((1,) * 12, 20, "A threshold for 12 classes needs 13 validation classes. Got 12"),
        ((1, 8), 20, "needs 9 images of each validation class. Got 8"),
        ((1, 1), 3, "A threshold needs `episodes` >= 4. Got 3."),
    ],
)
def test_invalid_arguments_of_a_calibration_are_refused(learner, shots, episodes, words):
    with pytest.raises(ConfigError, match=words):
        calibrate(learner, source_of(0.3), shots, episodes)


def test_only_a_posterior_variance_has_a_threshold():
    with pytest.raises(ConfigError, match=r"Only FunctionSpace has a posterior variance. Got Prototypes"):
        calibrate(MetaLearner(Identity(), Prototypes()), source_of(0.3), (1, 1))


def test_a_variance_that_is_not_finite_is_an_error(learner):
    with torch.no_grad():
        learner.inner.kernel.log_bandwidth.fill_(math.nan)
    with pytest.raises(NumericalError, match=r"Posterior variances must be finite"):
        calibrate(learner, source_of(0.3), (1, 1), 4)
