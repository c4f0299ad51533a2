"""Open-set recognition: rejection of queries that belong to none of the support set's classes.

The posterior variance of a Gaussian process is large for a query far from all support features (`ridge.variance`). If
the variance is above a threshold, the query is rejected: "none of these". Validation episodes, whose true classes are
known, give the threshold and its two error rates.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from scipy.special import stdtrit
from torch import Tensor

from amfs_lab.backbones import checked_features
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError, NumericalError
from amfs_lab.inner import FeatureSpaceLoop, FunctionSpace
from amfs_lab.learner import MetaLearner, explained, measuring, seed
from amfs_lab.stats import RARE
from amfs_lab.tasks import EpisodeConfig, EpisodeSource, LabelledSource

REJECTED = 0.05  # largest share of known queries that the threshold rejects, in the episodes used to choose it
LEAST_EPISODES = 4  # two in each half, because an interval needs two episodes
QUERIES = 5  # queries of each class; fewer if the validation classes have too few images


@dataclass(frozen=True)
class ErrorRate:
    """A share of wrong decisions, in [0, 1], with an interval over episodes."""

    share: float
    low: float
    high: float
    episodes: int
    level: float = 0.95

    @classmethod
    def of(cls, shares: Float[Tensor, " episodes"], level: float = 0.95) -> "ErrorRate":
        """The mean of the episodes' shares, with its interval.

        Each episode is a cluster, because its queries are not independent. The interval is Wilson's. It uses the
        effective number of queries p (1 - p) / Var(mean), and Student's t for `episodes` - 1 degrees of freedom. Both
        follow Korn and Graubard (1998). For n episodes, `stats.RARE`^2 / n is added to the variance of the shares.
        Without this term, the intervals of small rates contain the true rate too rarely (see `docs/statistics.md`). If
        all shares are 0 or all are 1, the effective number of queries is the number of episodes. The reason: zero
        errors in 100 episodes do not prove an error rate of exactly zero.
        """
        n, exact = len(shares), shares.double()
        p, variance = float(exact.mean()), (float(exact.var()) + RARE**2 / n) / n
        effective = p * (1 - p) / variance if 0 < p < 1 else float(n)
        t2 = float(stdtrit(n - 1, 0.5 + level / 2)) ** 2
        centre = (p + t2 / (2 * effective)) / (1 + t2 / effective)
        half = math.sqrt(t2 * (p * (1 - p) / effective + t2 / (4 * effective**2))) / (1 + t2 / effective)
        return cls(p, max(centre - half, 0.0), min(centre + half, 1.0), n, level)

    def __str__(self) -> str:
        """The rate as text: `4.8 % (3.1 to 7.2 %)`."""
        return f"{100 * self.share:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f} %)"


@dataclass(frozen=True)
class Calibration:
    """The threshold on the posterior variance, and its error rates on episodes that were not used to choose it.

    `known_rejected`: share of the queries of the episode's classes that are rejected (variance above the threshold).
    `strangers_accepted`: share of the queries of another class that are accepted (variance not above the threshold).
    `source`: name of the data. `shots`: number of support images for each class. `queries`: queries of each class.
    """

    threshold: float
    known_rejected: ErrorRate
    strangers_accepted: ErrorRate
    source: str
    shots: tuple[int, ...]
    queries: int

    def to_dict(self) -> dict[str, Any]:
        """The calibration as plain data for JSON."""
        return asdict(self) | {"shots": list(self.shots)}

    def __str__(self) -> str:
        """Two sentences with the threshold, both error rates, and the data of the measurement."""
        few, many = min(self.shots), max(self.shots)
        shots = f"{few}" if few == many else f"{few} to {many}"
        known = self.known_rejected
        return (
            f"variance > {self.threshold:.4g} means none of these. On {known.episodes} episodes of {self.source} "
            f"({len(self.shots)} classes, {shots} support images each) that rejects {known} of the queries of these "
            f"classes and accepts {self.strangers_accepted} of the queries of another class "
            f"({known.level:.0%} intervals over episodes).".replace("%", " %").replace("  %", " %")
        )


def answers(
    learner: MetaLearner, support: Examples, x: Float[Tensor, "q ..."]
) -> tuple[Float[Tensor, "q ways"], Float[Tensor, " q"] | None]:
    """The scores of queries, and their posterior variances (None if the inner loop is not a `FunctionSpace`).

    The variance is the posterior variance of f / scale, where f is the score function and `scale` is its learned
    factor. The variance is between 0 and k(x, x). For RBF and cosine kernels k(x, x) is 1.

    Raises:
        ConfigError: the network cannot process images of this shape.
    """
    if learner.dtype is not None:
        support, x = support.to(dtype=learner.dtype), x.to(learner.dtype)
    unknown = torch.zeros(len(x), dtype=torch.long, device=x.device)
    episode = Episode.unchecked(support, Examples.unchecked(x, unknown, support.ways))
    full = torch.autocast(x.device.type, enabled=False) if torch.amp.is_autocast_available(x.device.type) else None
    with explained(episode), full or contextlib.nullcontext():
        if not isinstance(learner.inner, FeatureSpaceLoop):
            return learner.scores(episode), None
        n = len(support.x)
        features = checked_features(learner.net(torch.cat([support.x, x]), n), n + len(x))
        predictor = learner.inner.fit(features[:n], learner.inner.targets_of(support))
        scores = predictor(features[n:])
        return scores, predictor.variance(features[n:]) if isinstance(learner.inner, FunctionSpace) else None


@torch.no_grad()
def calibrate(
    learner: MetaLearner,
    source: EpisodeSource,
    shots: Sequence[int],
    episodes: int = 200,
    watch: Callable[[int], Any] = lambda _: None,
) -> Calibration:
    """Chooses a threshold on one half of the episodes and measures its error rates on the other half.

    The support set of an episode has N = len(shots) classes, with `shots[i]` images of class i. A query of the episode
    belongs to one of these classes (a known query) or to one more class. The threshold is the smallest value that
    rejects at most 5 % of the known queries in the first half.

    Args:
        source: labelled images of classes that were not used in training. The episode shape of `source` is ignored.
        watch: called after each episode with the number of finished episodes.
    Raises:
        ConfigError: the inner loop has no posterior variance, or there are too few episodes, classes or images.
        NumericalError: a variance that is not finite.
    """
    if not isinstance(learner.inner, FunctionSpace):
        raise ConfigError(
            f"Only FunctionSpace has a posterior variance. Got {type(learner.inner).__name__}: use i-amfs or amfs."
        )
    if episodes < LEAST_EPISODES:
        raise ConfigError(f"A threshold needs `episodes` >= {LEAST_EPISODES}. Got {episodes}. 200 is the usual number.")
    drawn = _episodes_of(source, shots)
    ways, queries, most = len(shots), drawn.config.queries, max(shots)
    kept = torch.cat([i * most + torch.arange(number) for i, number in enumerate(shots)])
    kept, device = kept.to(learner.device), learner.device
    variances = torch.empty(episodes, ways + 1, queries, dtype=torch.float32, device="cpu")
    with measuring(learner):
        for index in range(episodes):
            seed(learner.device, index)  # in case the network uses random numbers in evaluation too
            episode = drawn[index].to(device)
            support = Examples.unchecked(episode.support.x[kept], episode.support.y[kept], ways)
            variances[index] = _variances(learner, support, episode.query.x).view(ways + 1, queries).cpu()
            watch(index + 1)
    if not bool(torch.isfinite(variances).all()):
        raise NumericalError(
            f"Posterior variances must be finite. Got NaN or infinity in episodes of {source!r}. The learner's "
            "parameters are damaged, or lam is too small for this precision."
        )
    half = episodes // 2
    threshold = smallest_threshold(variances[:half, :ways].flatten())
    rejected = variances[half:] > threshold
    return Calibration(
        threshold,
        ErrorRate.of(_shares(rejected[:, :ways])),
        ErrorRate.of(_shares(~rejected[:, ways:])),
        f"{drawn.name}, {drawn.split}",
        tuple(shots),
        queries,
    )


def smallest_threshold(known: Float[Tensor, " n"], rejected: float = REJECTED) -> float:
    """The smallest of the values in `known` that, as a threshold, rejects few enough of these values.

    The argument `rejected` is the largest share of the values that may lie above the threshold.
    """
    ordered = known.sort().values
    return float(ordered[len(ordered) - 1 - math.floor(rejected * len(ordered))])


def _episodes_of(source: EpisodeSource, shots: Sequence[int]) -> LabelledSource:
    """A source of episodes with one more class than the support set.

    Raises:
        ConfigError: not a labelled source, or too few classes or images.
    """
    if not isinstance(source, LabelledSource):
        got = type(source).__name__
        raise ConfigError(f"A threshold needs an ImageSource or EmbeddingSource of validation classes. Got {got}.")
    ways, most = len(shots) + 1, max(shots)
    classes, samples = len(source.samples), source.smallest
    where = f"{source.name}, {source.split}"
    if ways > classes:
        raise ConfigError(
            f"A threshold for {len(shots)} classes needs {ways} validation classes. Got {classes} ({where})."
        )
    if most >= samples:
        raise ConfigError(
            f"A threshold for {most} support images of a class needs {most + 1} images of each validation class. "
            f"Got {samples} ({where})."
        )
    config = EpisodeConfig(ways, most, min(QUERIES, samples - most))
    return type(source)(source.samples, source.labels[:classes], config, source.name, source.split, source.seed)


def _variances(learner: MetaLearner, support: Examples, x: Float[Tensor, "q ..."]) -> Float[Tensor, " q"]:
    """The posterior variances of queries.

    If the network processes queries independently, all queries are in one pass. Otherwise, each query has its own pass.
    """
    together = getattr(learner.net, "norm", None) in ("support", "group", "none")
    parts = (x,) if together else x.split(1)
    return torch.cat([variance for part in parts if (variance := answers(learner, support, part)[1]) is not None])


def _shares(wrong: Bool[Tensor, "episodes ways queries"]) -> Float[Tensor, " episodes"]:
    return wrong.flatten(1).double().mean(1)
