"""Confidence intervals, paired differences, and corrections for several comparisons.

An interval is valid only for the population from which its values were sampled: *episodes* of the same classes,
*scripts*, or *trainings* of a method. `docs/statistics.md` has the measured coverage, false-alarm rate and power of
these methods.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from scipy.special import stdtr, stdtrit
from torch import Tensor

from amfs_lab.arguments import check_tensor
from amfs_lab.errors import DataError

FEW = 30  # smallest number of episodes for which an accuracy has an interval
RARE = 0.2  # how far a rare episode, which a small sample may not contain, is from the mean
BEST_AT = 200  # number of episodes at which the confidence sequence is tightest


@dataclass(frozen=True)
class Interval:
    """A confidence interval for the true mean: mean ± half_width.

    `n` is the size of the sample. `of` is the name of its members in the plural, such as "episodes". `level` is the
    coverage of the interval. `half_width` is None if there are too few values for an interval.
    """

    mean: float
    half_width: float | None
    n: int
    level: float = 0.95
    of: str = "episodes"

    @property
    def low(self) -> float:
        """The lower end of the interval; minus infinity if there is no interval."""
        return self.mean - (math.inf if self.half_width is None else self.half_width)

    @property
    def high(self) -> float:
        """The upper end of the interval; infinity if there is no interval."""
        return self.mean + (math.inf if self.half_width is None else self.half_width)

    def hundredths(self, digits: int = 2, sign: str = "") -> str:
        """The interval times 100 as a text such as `98.71 ± 0.22`; only the mean if there is no interval."""
        mean = f"{100 * self.mean:{sign}.{digits}f}"
        return mean if self.half_width is None else f"{mean} ± {100 * self.half_width:.{digits}f}"

    def percent(self, of: str | None = None) -> str:
        """The interval in percent as a text such as `98.71 ± 0.22 % (95 %, 600 episodes)`, for values in [0, 1]."""
        return f"{self.hundredths()} % {self._basis(of)}"

    def points(self, of: str | None = None) -> str:
        """The interval in percentage points as a text such as `+0.69 ± 0.40 points (95 %, 200 episodes)`.

        It is for the difference of two values in [0, 1].
        """
        return f"{self.hundredths(sign='+')} points {self._basis(of)}"

    def _basis(self, of: str | None) -> str:
        values = f"{self.n} {of or self.of}"
        if self.half_width is None:
            return f"({values}: an interval needs {FEW})"
        return f"({100 * self.level:g} %, {values})"

    def __str__(self) -> str:
        if self.half_width is None:
            return f"{self.mean:.4g} {self._basis(None)}"
        return f"{self.mean:.4g} ± {self.half_width:.2g} ({100 * self.level:g} %, n = {self.n})"


def mean_interval(
    values: Float[Tensor, " n"], level: float = 0.95, of: str = "episodes", rare: float = 0.0
) -> Interval:
    """The interval mean ± t * sqrt((s^2 + rare^2 / n) / n) for the true mean of the values.

    Here s^2 is the variance of the values, and t is a quantile of Student's t with n - 1 degrees of freedom.

    Args:
        of: name of the values in the plural, such as "episodes".
        rare: an additional deviation, see `accuracy_interval`. 0 gives Student's interval.
    Raises:
        DataError: fewer than two values, or a value that is not finite.
    """
    exact = _exact(values)
    n = len(exact)
    if n < 2:
        raise DataError(f"An interval needs at least 2 finite values. Got {exact.tolist()} (n = {n}).")
    error = math.sqrt((float(exact.var()) + rare**2 / n) / n)
    return Interval(float(exact.mean()), float(stdtrit(n - 1, 0.5 + level / 2)) * error, n, level, of)


def paired_difference(
    a: Float[Tensor, " n"], b: Float[Tensor, " m"], level: float = 0.95, of: str = "episodes", rare: float = 0.0
) -> Interval:
    """The mean of a_i - b_i with its interval.

    `a` and `b` are measured on the same n episodes. So the variation between the episodes cancels.
    """
    return mean_interval(_difference(a, b), level, of, rare)


def accuracy_interval(accuracies: Float[Tensor, " n"], level: float = 0.95) -> Interval:
    """The mean accuracy with an interval over episodes. The interval needs at least 30 episodes.

    The interval is also valid for accuracies near 100 %. There, a few bad episodes have a large effect on the mean. If
    the sample contains none of them, its variance s^2 is too small, and Student's interval is too narrow. For example,
    its coverage is 80 % instead of 95 % with 30 episodes of 5-way 5-shot. So this function uses the variance s^2 +
    RARE^2 / n. The second term is one additional deviation of `RARE` = 20 points, the loss of one class of five. This
    choice comes from measurements, not from a derivation. The coverage is >= 94 % on all stored results (in
    `data/results`).
    """
    interval = mean_interval(accuracies, level, rare=RARE)
    return interval if interval.n >= FEW else replace(interval, half_width=None)


def accuracy_difference(a: Float[Tensor, " n"], b: Float[Tensor, " m"], level: float = 0.95) -> Interval:
    """The `accuracy_interval` of the differences between two learners' accuracies on the same episodes."""
    return accuracy_interval(_difference(a, b), level)


def accuracy_p_value(a: Float[Tensor, " n"], b: Float[Tensor, " m"]) -> float:
    """The two-sided p-value of `accuracy_difference`: the smallest 1 - level at which its interval excludes zero.

    The p-value is 1 for fewer than 30 episodes.
    """
    gap = accuracy_difference(a, b)
    if gap.half_width is None:
        return 1.0
    error = gap.half_width / stdtrit(gap.n - 1, 0.5 + gap.level / 2)
    return float(2 * stdtr(gap.n - 1, -abs(gap.mean) / error))


def together(level: float, questions: int) -> float:
    """The level of each single interval, if several intervals together must cover with probability `level`.

    The argument `questions` is the number of intervals. This is the Bonferroni correction.
    """
    return 1 - (1 - level) / questions


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values, adjusted for several tests (Holm 1979).

    The tests with an adjusted value <= 0.05 are significant. The family-wise error rate is then <= 5 %.
    """
    adjusted, most, m = [0.0] * len(p_values), 0.0, len(p_values)
    for rank, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        most = max(most, min(1.0, (m - rank) * p_values[i]))
        adjusted[i] = most
    return adjusted


def looks(
    values: Float[Tensor, "*b n"], level: float = 0.95
) -> tuple[Float[Tensor, "*b k"], Float[Tensor, "*b k"], Float[Tensor, "*b k"]]:
    """Means and half widths after the first 30, 31, ..., n episodes, for two kinds of interval.

    The first kind is `accuracy_interval`. It contains the true mean with probability `level` at one n that was fixed in
    advance. The second kind is a confidence sequence. It contains the true mean at all n at once, with asymptotically
    the same probability. So you may look at the sequence after every episode, and stop at any time. Its half width is

        half = s sqrt(2 (n r + 1) / (n^2 r) log(sqrt(n r + 1) / (1 - level))),  s^2 = variance + RARE^2 / n

    The constant r makes the sequence tightest at about `BEST_AT` episodes. Source: Waudby-Smith, Arbour, Sinha, Kennedy
    and Ramdas (2024), "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics
    52(6).

    Returns:
        means, half widths of `accuracy_interval`, half widths of the confidence sequence; k = n - 29 (0 for fewer than
            30 episodes).
    """
    exact = values.double()
    n = torch.arange(1, exact.shape[-1] + 1, dtype=torch.float64, device=exact.device)
    means = exact.cumsum(-1) / n
    variance = (exact.square().cumsum(-1) / n - means.square()).clamp(min=0) * n / (n - 1)
    means, variance, n = means[..., FEW - 1 :], variance[..., FEW - 1 :], n[FEW - 1 :]
    s = (variance + RARE**2 / n).sqrt()
    t = torch.from_numpy(stdtrit(n.cpu().numpy() - 1, 0.5 + level / 2)).to(n)
    log = -2 * math.log(1 - level)
    r = (log + math.log(1 + log)) / BEST_AT
    anytime = (2 * (n * r + 1) / (n**2 * r) * ((n * r + 1).log() / 2 + log / 2)).sqrt()
    return means, t * s / n.sqrt(), s * anytime


def anytime_interval(accuracies: Float[Tensor, " n"], level: float = 0.95) -> Interval:
    """The interval of the confidence sequence after all n episodes (see `looks`).

    It is valid even if n was chosen after a look at the results.
    """
    interval = accuracy_interval(accuracies, level)
    return interval if interval.n < FEW else replace(interval, half_width=float(looks(accuracies, level)[2][-1]))


def difference_of_trainings(a: Float[Tensor, " m"], b: Float[Tensor, " k"], level: float = 0.95) -> Interval:
    """mean(a) - mean(b) with an interval over *trainings*, for a comparison of two methods.

    This is Student's two-sample interval with m + k - 2 degrees of freedom. It assumes the same variance for both
    methods.

    Args:
        a: the mean accuracy of each training of the first method. b: the mean accuracies of the second method. All
            trainings are evaluated on the same episodes, and each training has its own seed. If the i-th trainings of
            the two methods have the same seed, `paired_difference(a, b, of="seeds")` may be narrower.
    Raises:
        DataError: fewer than three trainings in total, no training of one method, or a value that is not finite.
    """
    a, b = _exact(a), _exact(b)
    freedom = len(a) + len(b) - 2
    if freedom < 1 or not len(a) or not len(b):
        raise DataError(
            "A comparison needs at least two trainings of one method and one of the other. "
            f"Got {len(a)} and {len(b)}. Train with another seed."
        )
    left = torch.cat([x - x.mean() for x in (a, b)])
    error = math.sqrt(float(left.square().sum()) / freedom * (1 / len(a) + 1 / len(b)))
    half = float(stdtrit(freedom, 0.5 + level / 2)) * error
    return Interval(float(a.mean() - b.mean()), half, len(a) + len(b), level, "trainings")


def crossed_interval(values: Float[Tensor, "s n"], level: float = 0.95) -> Interval:
    """The mean of y_ij with an interval over trainings i *and* episodes j, for a statement about a method.

    All s trainings are evaluated on the same n episodes. The model is y_ij = mean + a_i + b_j + e_ij. The random
    effects are a_i of the training, b_j of the episode, and e_ij of their combination. Trainings and episodes are the
    two sources of variation. The formula has a separate quantile of Student's t for each source:

        half^2 = t_{s-1}^2 var(row means) / s + t_{n-1}^2 v
        v = max(var(column means) / n - var(e) / (s n), 0) + (RARE / n)^2

    With this sum of squares, the coverage is also correct for small s. With Satterthwaite's degrees of freedom it would
    be up to three points lower. The term with `RARE` has the reason that `accuracy_interval` gives. To compare two
    methods with the same seeds, pass the differences of their values.

    Raises:
        DataError: fewer than two trainings or episodes, or a value that is not finite.
    """
    check_tensor("values", values, "s n")
    if values.ndim != 2 or min(values.shape) < 2:
        raise DataError(
            "An interval over trainings needs at least two trainings and two episodes, (s, n). Got shape "
            f"{tuple(values.shape)}. Train with another seed."
        )
    s, n = values.shape
    exact = torch.stack([_exact(row) for row in values])
    rows, columns = exact.mean(1), exact.mean(0)
    rest = exact - rows[:, None] - columns + exact.mean()
    both = float(rest.square().sum()) / ((s - 1) * (n - 1))
    episodes = max(float(columns.var()) / n - both / (s * n), 0.0) + (RARE / n) ** 2
    t_trainings, t_episodes = (float(stdtrit(k - 1, 0.5 + level / 2)) for k in (s, n))
    half = math.sqrt(t_trainings**2 * float(rows.var()) / s + t_episodes**2 * episodes)
    return Interval(float(exact.mean()), half, s, level, "trainings")


def _difference(a: Tensor, b: Tensor) -> Tensor:
    a, b = _exact(a), _exact(b)
    if len(a) != len(b):
        raise DataError(f"Paired values must come from the same episodes. Got {len(a)} and {len(b)} values.")
    return a - b


def _exact(values: Tensor) -> Tensor:
    """The values in float64. Raises DataError if their shape is not (n), or if a value is not finite."""
    check_tensor("values", values, "n")
    if values.ndim != 1:
        raise DataError(f"`values` must have one number for each episode, (n). Got shape {tuple(values.shape)}.")
    broken = ~torch.isfinite(values)
    if bool(broken.any()):
        first = int(broken.int().argmax())
        raise DataError(
            f"An interval needs at least 2 finite values. Got {float(values[first])} at index {first} of {len(values)}."
            " Look for the episode or the training that failed."
        )
    return values.double()
