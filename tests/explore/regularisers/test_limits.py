"""The limits of σ and λ: 60-digit fits against fractions and a closed form, and the errors of float64 and float32."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from amfs_lab.errors import ConfigError
from amfs_lab.explore import LimitExplorer
from amfs_lab.explore.regularisers import high_precision, limits
from amfs_lab.explore.regularisers.limits import GRID, PLACES
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import solve


def rational_exp(x: Fraction) -> Fraction:
    """e^x to 70 digits, by the Taylor series at x / 2^8 and eight squarings."""
    unit, small, term, total = 10**70, x / 256, Fraction(1), Fraction(1)
    for k in range(1, 50):
        term *= small / k
        total += term
    for _ in range(8):
        total = Fraction(round(total**2 * unit), unit)
    return total


def rational_fit(places, labels, bandwidth, lam, grid):
    """The solution by Cramer's rule in fractions, without elimination, recurrence or decimals."""

    def k(a, b):
        return rational_exp(-(Fraction(a - b, 64) ** 2) / (2 * Fraction(bandwidth) ** 2))

    n = len(places)
    A = [[k(a, b) + (Fraction(lam) if i == j else 0) for j, b in enumerate(places)] for i, a in enumerate(places)]
    y = [Fraction(value) for value in labels]
    whole = determinant(A)
    alpha = [determinant([[y[r] if c == i else A[r][c] for c in range(n)] for r in range(n)]) / whole for i in range(n)]
    return [float(sum(a * k(x, place) for a, place in zip(alpha, places, strict=True))) for x in grid]


def determinant(A):
    """The determinant by Laplace's expansion along the first row."""
    if not A:
        return Fraction(1)
    minors = ([row[:c] + row[c + 1 :] for row in A[1:]] for c in range(len(A)))
    return sum((-1) ** c * A[0][c] * determinant(minor) for c, minor in enumerate(minors))


@pytest.mark.parametrize(
    ("points", "bandwidth", "lam"),
    [
        ("five points", 0.3, 0.0),
        ("five points", 16.0, 0.0),
        ("five points", 64.0, 0.0),
        ("five points", 64.0, 1e-16),
        ("a point twice", 4.0, 3e-7),
        ("a point twice", 64.0, 1e-16),
        ("one point", 2.0, 0.1),
    ],
)
def test_sixty_digits_agree_with_fractions(points, bandwidth, lam):
    grid = [-80, -33, 0, 16, 57, 80]
    expected = rational_fit(PLACES[points], limits.labels(points), bandwidth, lam, grid)
    got = high_precision.fit(PLACES[points], limits.labels(points), bandwidth, lam, grid)
    assert np.allclose(got, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("bandwidth", [0.5, 4.0, 24.0, 64.0])
def test_without_ridge_it_is_a_polynomial_in_an_exponential(bandwidth):
    """With t = e^(xh/σ²) and places h = 1/2 apart, t² f(x) e^(x²/2σ²) is a polynomial of degree 4 in t.

    Lagrange's formula for it, with expm1 for differences of t, keeps float64's digits where K has lost them all.
    """
    x, y, step = np.array(PLACES["five points"]) / 64, limits.labels("five points"), 0.5 / bandwidth**2

    def term(i):
        ratios = [np.expm1((GRID - b) * step) / np.expm1((x[i] - b) * step) for b in x if b != x[i]]
        return np.prod(ratios, axis=0) * np.exp((x[i] ** 2 - GRID**2) / (2 * bandwidth**2) - 2 * (GRID - x[i]) * step)

    expected = sum(y[i] * term(i) for i in range(5))
    assert np.allclose(limits.exact("five points", bandwidth, 0.0), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("points", "bandwidth", "lam"), list(product(list(PLACES)[:3], [0.1, 1.0, 30.0], [1e-3, 1.0, 10.0]))
)
def test_with_a_ridge_all_computations_agree(points, bandwidth, lam):
    x, y = np.array(PLACES[points])[:, None] / 64, np.array(limits.labels(points))
    oracle = KernelRidge(alpha=lam, kernel="rbf", gamma=1 / (2 * bandwidth**2)).fit(x, y).predict(GRID[:, None])
    assert np.allclose(limits.exact(points, bandwidth, lam), oracle, rtol=0, atol=1e-11)
    assert limits.far_off(points, bandwidth, lam, "float64") < 1e-11
    s = np.linalg.eigvalsh(np.exp(-((x - x.T) ** 2) / (2 * bandwidth**2)))
    assert limits.condition(points, bandwidth, lam) == pytest.approx((s[-1] + lam) / (s[0] + lam), rel=1e-9)


def test_the_smallest_eigenvalue_is_a_root_of_the_characteristic_polynomial():
    """The sign of det(K - sI), in fractions, changes close to the eigenvalue, which is far below float64's rounding."""
    places, sigma = PLACES["five points"], 16.0
    K = [[rational_exp(-(Fraction(a - b, 64) ** 2) / (2 * Fraction(sigma) ** 2)) for b in places] for a in places]

    def sign(s):
        return determinant([[K[i][j] - (s if i == j else 0) for j in range(5)] for i in range(5)]) > 0

    s = Fraction(high_precision.smallest_eigenvalue(places, sigma))
    assert s < 1e-11
    assert [sign(share * s) for share in (0, 1 - Fraction(1, 10**9), 1 + Fraction(1, 10**9))] == [True, True, False]
    assert high_precision.smallest_eigenvalue(PLACES["a point twice"], sigma) == 0


# The limits that theory predicts.


@pytest.mark.parametrize(("points", "lam"), list(product(["five points", "one point"], [0.0, 1e-8, 0.5])))
def test_a_narrow_kernel_memorises(points, lam):
    curve = limits.exact(points, 0.05, lam)
    at = [list(limits.TICKS).index(place) for place in PLACES[points]]
    assert np.allclose(curve[at], np.array(limits.labels(points)) / (1 + lam), atol=1e-12)
    places = np.array(PLACES[points]) / 64
    away = np.abs(GRID[:, None] - places).min(1) >= 0.25
    assert away.any()
    assert np.abs(curve[away]).max() < 1e-5


@pytest.mark.parametrize(("points", "lam"), list(product(list(PLACES)[:3], [1e-2, 1.0, 10.0])))
def test_a_wide_kernel_with_a_ridge_is_flat(points, lam):
    y = limits.labels(points)
    level = len(y) * np.mean(y) / (len(y) + lam)
    gaps = [np.abs(limits.exact(points, sigma, lam) - level).max() for sigma in (64.0, 256.0, 1024.0)]
    assert gaps[0] / gaps[1] == pytest.approx(16, rel=0.1)  # the gap falls as 1 / σ²
    assert gaps[1] / gaps[2] == pytest.approx(16, rel=0.1)
    assert gaps[2] < 1e-3
    assert limits.flat(points, lam) == pytest.approx(level)


@pytest.mark.parametrize("points", list(PLACES)[:3])
def test_a_wide_kernel_without_a_ridge_is_lagranges_polynomial(points):
    places, y = high_precision.merged(PLACES[points], limits.labels(points))
    x = np.array(places) / 64
    polynomial = np.polyval(np.polyfit(x, y, len(x) - 1), GRID)
    assert np.allclose(limits.polynomial(points), polynomial, atol=1e-12)
    gaps = [np.abs(limits.exact(points, sigma, 0.0) - polynomial).max() for sigma in (4.0, 16.0, 64.0)]
    assert gaps[0] / gaps[1] == pytest.approx(16, rel=0.1)  # the gap falls as 1 / σ²
    assert gaps[1] / gaps[2] == pytest.approx(16, rel=0.1)
    assert gaps[2] < 1e-3


@pytest.mark.parametrize("sigma", [0.1, 1.0, 16.0])
def test_two_labels_at_one_place_give_their_mean(sigma):
    at, middle = list(limits.TICKS).index(32), np.mean(limits.labels("a point twice")[3:5])
    without = limits.exact("a point twice", sigma, 0.0)
    assert without[at] == pytest.approx(middle, abs=1e-12)
    gaps = [np.abs(limits.exact("a point twice", sigma, lam) - without).max() for lam in (1e-4, 1e-14, 1e-24)]
    assert gaps[0] > gaps[1] > gaps[2]  # also at σ where float64 raises an error
    assert gaps[2] < 1e-8


# The limits of floating-point numbers. Rounding differs between machines, so the tests compare sizes and not digits.


def test_the_error_of_float64_grows_again_for_large_sigma():
    """The exact fit converges to the polynomial. The float64 fit leaves it when rounding errors exceed 1 / σ²."""
    polynomial, gaps = limits.polynomial("five points"), {}
    for sigma in (4.0, 8.0, 16.0, 32.0, 64.0):
        values, refused = limits.computed("five points", sigma, 0.0, "float64")
        gaps[sigma] = math.inf if values is None else np.abs(values - polynomial).max()
        assert (values is None) == bool(refused)
    assert gaps[4.0] > gaps[8.0] > gaps[16.0]
    assert min(gaps, key=gaps.get) in (16.0, 32.0)
    assert gaps[64.0] > 2 * gaps[16.0]
    assert limits.far_off("five points", 8.0, 0.0, "float64") < 1e-4


def test_rounding_is_as_large_as_the_condition_number_says():
    for sigma, precision in product((1.0, 2.0, 4.0, 8.0), limits.DTYPES):
        most = torch.finfo(limits.DTYPES[precision]).eps * limits.condition("five points", sigma, 0.0)
        if most < 0.1:
            assert limits.far_off("five points", sigma, 0.0, precision) < 10 * most


def test_float32_fails_at_a_repeated_point_and_a_ridge_repairs_it():
    """The solve raises an error, or its result is far off. Rounding in the last bit decides which."""
    for lam in (0.0, 1e-6):
        off = limits.far_off("a point twice", 4.0, lam, "float32")
        assert off is None or off > limits.SEEN
    assert limits.far_off("a point twice", 4.0, 1e-5, "float32") < 0.1
    assert limits.far_off("a point twice", 4.0, 1e-3, "float32") < 1e-3


@pytest.fixture
def refusal(monkeypatch):
    """A solve that raises an error, as for a singular K + λI, on every machine."""

    def singular(K, y, lam):
        return solve(K - torch.eye(len(K), dtype=K.dtype), y, lam)

    monkeypatch.setattr(limits, "solve", singular)


def test_a_failed_solve_is_explained_in_one_sentence(refusal):
    values, refused = limits.computed("a point twice", 4.0, 0.0, "float32")
    assert values is None
    assert refused == "K + lam*I of shape (6, 6) is not positive definite (lam=0, dtype=torch.float32)"
    assert limits.far_off("a point twice", 4.0, 0.0, "float32") is None


def test_the_computed_curve_is_the_librarys():
    x = torch.tensor(PLACES["five points"], dtype=torch.float64)[:, None] / 64
    y = 0.3 + torch.sin(3 * x + 0.5)
    expected = rbf_kernel(torch.from_numpy(GRID)[:, None], x, 2.0) @ solve(rbf_kernel(x, x, 2.0), y, 1e-3)
    assert np.allclose(limits.computed("five points", 2.0, 1e-3, "float64")[0], expected[:, 0], atol=1e-14)


# Tests of the explorer.


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("memorises", "is a spike at each point and zero elsewhere. In float64 the error is at most"),
        ("flat", "is flat: within 0.0004 of n·ȳ / (n + λ) = 0.183"),
        ("Lagrange", "is within 0.006 of the polynomial through the labels. In float64 the error is at most"),
        ("λ repairs", "In float32 the error is at most"),
        ("no points", "Without points, the fit is zero everywhere"),
    ],
)
def test_the_presets_show_what_they_are_called(preset, words):
    assert words in LimitExplorer(preset).sentence.text


@pytest.mark.parametrize("preset", ["float64 breaks", "float32", "no error, but wrong"])
def test_beyond_the_precision_the_curve_is_far_off_or_missing(preset):
    explorer = LimitExplorer(preset)
    assert explorer.arrays.refused or explorer.arrays.worst > limits.SEEN
    assert ("no curve" in explorer.sentence.text) != ("there is no error message" in explorer.sentence.text)


def test_while_the_exact_fit_is_at_its_limit():
    assert LimitExplorer("float64 breaks").arrays.from_polynomial < limits.SEEN


def test_a_failed_fit_leaves_all_other_traces(refusal):
    explorer = LimitExplorer("float32")
    drawn = explorer.trace
    assert len(drawn("computed").x) == len(drawn("error").y) == len(drawn("flat").x) == 0
    assert len(drawn("exact").y) == len(drawn("polynomial").y) == len(GRID)
    assert len(drawn("labels").x) == 6
    assert drawn("no error").text == ("no curve: the solve raised an error",)
    assert (explorer.arrays.here_y[0], explorer.error) == (limits.AXIS_MAX, None)


def test_without_points_the_figure_is_drawn():
    a = LimitExplorer("no points", lam=0.1).arrays
    assert not any(np.abs(a[name]).max() for name in ("exact", "polynomial", "flat_y", "computed_y"))
    assert len(a.x) == 0


@pytest.mark.parametrize("points", PLACES)
def test_the_sentence_is_true_everywhere(points):
    explorer = LimitExplorer(points=points)
    for precision, bandwidth, lam in product(
        limits.DTYPES, [0.05, 0.2, 2.5, 4.0, 9.0, 64.0], [0.0, 1e-16, 1e-7, 2e-6, 1.0]
    ):
        explorer.set(precision=precision, bandwidth=bandwidth, lam=lam)
        a, words, drawn = explorer.arrays, explorer.sentence.text, np.array(explorer.trace("computed").y)
        assert words.endswith(".")
        assert np.array_equal(a.off, np.abs(drawn - a.exact[: len(drawn)]).clip(1e-18))
        assert ("zero everywhere" in words) == (points == "no points")
        assert ("no curve" in words) == (len(drawn) == 0)
        assert ("there is no error message" in words) == (len(drawn) > 0 and np.abs(drawn - a.exact).max() >= 0.01)
        if "is flat" in words:
            assert lam > 0
            assert np.abs(a.exact - limits.flat(points, lam)).max() < 0.01
        if "spike" in words:
            assert bandwidth == 0.05
        if "is within" in words:
            assert np.abs(a.exact - limits.polynomial(points)).max() < 0.01


def test_the_ridge_slider_begins_at_zero():
    explorer = LimitExplorer()
    slider, box = (part.widget for part in explorer.controls["lam"].parts)
    control = LimitExplorer.lam
    assert (slider.value, box.value, explorer.lam) == (0, 0.0, 0.0)
    assert [control.at(tick) for tick in (0, 1, control.ticks)] == [0.0, 1e-16, 10.0]
    assert all(control.tick(control.at(tick)) == tick for tick in range(control.ticks + 1))
    assert control.tick(1e-30) == 1
    explorer.lam = 1e-6
    assert slider.value == control.tick(1e-6)
    with pytest.raises(ConfigError, match=r"`lam` must be a number between 0 and 10\. Got -1"):
        explorer.lam = -1
