"""Fits in the limits of σ and λ: the theoretical limits, and the results of floating-point arithmetic."""

import math
from functools import lru_cache, partial

import numpy as np
import torch

from amfs_lab.errors import NumericalError
from amfs_lab.explore.regularisers import high_precision
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import solve
from amfs_lab.widgets.controls import Choice, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, Panels, axis, log_axis
from amfs_lab.widgets.style import BLUE, FAINT, GREEN, INK, PURPLE, SKY, VERMILLION
from amfs_lab.widgets.traces import curve, dots, notes

# Points in ticks of 1/64, which every precision represents exactly. -64 is x = -1, -32 is x = -1/2.
PLACES: dict[str, tuple[int, ...]] = {
    "five points": (-64, -32, 0, 32, 64),
    "a point twice": (-64, -32, 0, 32, 32, 64),
    "one point": (32,),
    "no points": (),
}
SECOND_LABEL = 0.2  # label of the repeated point
TICKS = tuple(range(-80, 81))  # grid of the curves, -1.25 to 1.25
GRID = np.array(TICKS) / high_precision.TICKS
DTYPES = {"float64": torch.float64, "float32": torch.float32}
BANDWIDTHS = tuple(float(f"{sigma:.3g}") for sigma in np.geomspace(0.05, 64, 33))
SEEN = 0.01  # the smallest difference that is visible in the figure
AXIS_MIN, AXIS_MAX = 1e-18, 1e21  # ends of the logarithmic axes
exact_curve = partial(curve, more=dict(line_simplify=False))  # plotly draws every point


def labels(points: str) -> tuple[float, ...]:
    """The labels 0.3 + sin(3x + 1/2) of the points.

    If two points have the same position, the second point has the label SECOND_LABEL instead.
    """
    places = PLACES[points]
    again = [x in places[:i] for i, x in enumerate(places)]
    return tuple(
        SECOND_LABEL if twice else 0.3 + math.sin(3 * x / high_precision.TICKS + 0.5)
        for x, twice in zip(places, again, strict=True)
    )


@lru_cache(maxsize=256)
def exact(points: str, bandwidth: float, lam: float) -> np.ndarray:
    """The fit on the grid, computed with 60 digits. Every digit that the figure shows is correct."""
    return high_precision.fit(PLACES[points], labels(points), bandwidth, lam, TICKS)


@lru_cache
def polynomial(points: str) -> np.ndarray:
    """The Lagrange polynomial through the labels, on the grid.

    Points at the same position count as one point with their mean label. Without points, the polynomial is zero.
    """
    places, y = high_precision.merged(PLACES[points], labels(points))
    x = np.array(places) / high_precision.TICKS
    basis = [np.prod([(GRID - b) / (a - b) for b in x if b != a], axis=0) for a in x]
    return sum((value * bump for value, bump in zip(y, basis, strict=True)), np.zeros(len(GRID)))


def flat(points: str, lam: float) -> float:
    """The limit n ȳ / (n + λ) of a fit with λ > 0 for σ → ∞, where all entries of K are 1.

    n is the number of points, and ȳ is the mean label. Without points, the limit is 0.
    """
    return sum(labels(points)) / (len(PLACES[points]) + lam) if PLACES[points] else 0.0


def computed(points: str, bandwidth: float, lam: float, precision: str) -> tuple[np.ndarray | None, str]:
    """The fit on the grid, computed by `ridge.solve` in float32 or float64, and an empty string.

    If the solve raises an error, the results are None and the first sentence of the error message. The argument
    `precision` is `"float32"` or `"float64"`.
    """
    dtype = DTYPES[precision]
    x = torch.tensor(PLACES[points], dtype=dtype)[:, None] / high_precision.TICKS
    y = torch.tensor(labels(points), dtype=dtype)[:, None]
    try:
        alpha = solve(rbf_kernel(x, x, bandwidth), y, lam)
    except NumericalError as error:
        return None, str(error).partition(". ")[0]
    grid = torch.tensor(TICKS, dtype=dtype)[:, None] / high_precision.TICKS
    return (rbf_kernel(grid, x, bandwidth) @ alpha)[:, 0].double().numpy(), ""


@lru_cache(maxsize=256)
def eigenvalue_ends(points: str, bandwidth: float) -> tuple[float, float]:
    """The largest and the smallest eigenvalue of K; (1, 1) without points."""
    places = PLACES[points]
    if not places:
        return 1.0, 1.0
    x = torch.tensor(places, dtype=torch.float64)[:, None] / high_precision.TICKS
    largest = float(torch.linalg.eigvalsh(rbf_kernel(x, x, bandwidth))[-1])
    return largest, high_precision.smallest_eigenvalue(places, bandwidth)


def condition(points: str, bandwidth: float, lam: float) -> float:
    """The condition number of K + λI: the largest eigenvalue divided by the smallest eigenvalue.

    The result is infinite for λ = 0 if two points have the same position.
    """
    largest, smallest = eigenvalue_ends(points, bandwidth)
    return (largest + lam) / (smallest + lam) if smallest + lam > 0 else math.inf


def far_off(points: str, bandwidth: float, lam: float, precision: str) -> float | None:
    """The largest |computed − exact| on the grid; None if `ridge.solve` raises an error."""
    values, _ = computed(points, bandwidth, lam, precision)
    return None if values is None else float(np.abs(values - exact(points, bandwidth, lam)).max())


class LimitExplorer(Explorer):
    """A fit in the limits of σ and λ, from three sources.

    The sources are 60-digit arithmetic, floating-point arithmetic, and the theoretical limits of the fit.
    """

    title = "The limits of σ and λ, and the limits of floating-point numbers"
    alt = (
        "Three panels. Left: labelled points, the exact fit, the fit computed in the chosen precision, and the two "
        "limits of the fit, the polynomial through the points and the flat line. Right top: the condition number "
        "against sigma on logarithmic axes, with a mark at the present sigma and lines at the limits of the "
        "precisions. Right bottom: the error of the computed fit at each place, on a logarithmic axis."
    )

    bandwidth = Slider("σ", 0.05, 64.0, scale="log", start=0.3, unit="same unit as x", help="the bandwidth")
    lam = Slider("λ", 1e-16, 10.0, scale="zero-log", start=0.0, help="the regulariser; 0 at the left end")
    precision = Choice("precision", list(DTYPES), help="the type of the computer’s numbers")
    points = Choice("points", list(PLACES), help="half a unit apart; a point twice has two labels")

    presets = {
        "memorises": dict(bandwidth=0.05, lam=0.0, precision="float64", points="five points"),
        "flat": dict(bandwidth=64.0, lam=1.0, precision="float64", points="five points"),
        "Lagrange": dict(bandwidth=16.0, lam=0.0, precision="float64", points="five points"),
        "float64 breaks": dict(bandwidth=40.0, lam=0.0, precision="float64", points="five points"),
        "float32": dict(bandwidth=4.0, lam=0.0, precision="float32", points="a point twice"),
        "no error, but wrong": dict(bandwidth=4.0, lam=1e-6, precision="float32", points="a point twice"),
        "λ repairs": dict(bandwidth=4.0, lam=1e-4, precision="float32", points="a point twice"),
        "no points": dict(bandwidth=0.3, lam=0.0, precision="float64", points="no points"),
    }

    panels = Panels(
        "fit condition / fit error",
        widths=(0.56, 0.44),
        fit=Panel("the fit: exact, computed, and its limits", axis("x", (-1.25, 1.25)), axis("y", (-1.5, 2.0))),
        condition=Panel(
            "condition number of K + λI",
            log_axis("σ", (-1.35, 1.86), ticks={0.1: "0.1", 1: "1", 10: "10"}),
            log_axis(
                "largest s / smallest s", (-1, 22.5), ticks={1: "1", 1e7: "10⁷", 1e14: "10¹⁴", AXIS_MAX: "≥ 10²¹"}
            ),
        ),
        error=Panel(
            "error (dashed: visible)",
            axis("x", (-1.25, 1.25)),
            log_axis(
                "|computed − exact|", (-18.8, 2), ticks={AXIS_MIN: "≤ 10⁻¹⁸", 1e-12: "10⁻¹²", 1e-6: "10⁻⁶", 1: "1"}
            ),
        ),
    )
    layout = dict(height=480)
    traces = {
        "exact": exact_curve("grid", "exact", SKY, 7, name="exact", hover="x = %{x:.2f}, exact %{y:.4g}"),
        "computed": exact_curve(
            "computed_x", "computed_y", VERMILLION, 1.5, name="computed", hover="x = %{x:.2f}, computed %{y:.4g}"
        ),
        "polynomial": exact_curve("grid", "polynomial", GREEN, 2, "dash", name="polynomial (σ → ∞ at λ = 0)"),
        "flat": exact_curve("flat_x", "flat_y", PURPLE, 2, "dot", name="flat (σ → ∞ at λ > 0)"),
        "labels": dots("x", "y", "white", 9, rim=(INK, 1.5), name="labels", hover="x = %{x:.2f}, y = %{y:.2f}"),
        "condition": exact_curve("bandwidths", "conditions", BLUE, 2, at="condition", hover="σ = %{x}: %{y:.2g}"),
        "precision": exact_curve("end_x", "end_y", FAINT, 1.5, "dash", at="condition"),
        "precision ends": notes("end_note_x", "end_note_y", "end_note", "middle right", at="condition"),
        "here": dots("here_x", "here_y", BLUE, 11, "diamond", (INK, 1), at="condition", hover="here: %{y:.2g}"),
        "error": exact_curve("computed_x", "off", VERMILLION, 1.5, at="error", hover="x = %{x:.2f}: %{y:.2g}"),
        "visible": exact_curve([GRID[0], GRID[-1]], [SEEN, SEEN], FAINT, 1.5, "dash", at="error"),
        "no error": notes([0.0], [1e-8], "off_note", at="error"),
    }

    def compute(self, state: State) -> Arrays:
        points, sigma, lam = state.points, state.bandwidth, state.lam
        right, limit = exact(points, sigma, lam), polynomial(points)
        values, refused = computed(points, sigma, lam, state.precision)
        off = np.abs(values - right) if values is not None else np.array([])
        end = 1 / torch.finfo(DTYPES[state.precision]).eps
        here = condition(points, sigma, lam)
        level = np.full(2, flat(points, lam)) if lam > 0 else np.array([])
        places = np.array(PLACES[points]) / high_precision.TICKS
        away = np.abs(GRID[:, None] - places).min(1, initial=math.inf) >= 0.25
        return Arrays(
            state=state,
            grid=GRID,
            exact=right,
            polynomial=limit,
            flat_x=GRID[[0, -1]][: len(level)],
            flat_y=level,
            computed_x=GRID if values is not None else np.array([]),
            computed_y=values if values is not None else np.array([]),
            off=off.clip(AXIS_MIN),
            x=places,
            y=np.array(labels(points)),
            bandwidths=np.array(BANDWIDTHS),
            conditions=np.array([min(condition(points, s, lam), AXIS_MAX) for s in BANDWIDTHS]),
            end_x=np.array([BANDWIDTHS[0], BANDWIDTHS[-1]]),
            end_y=np.array([end, end]),
            end_note_x=np.array([BANDWIDTHS[0]]),
            end_note_y=np.array([60 * end]),
            end_note=[f"limit of {state.precision}"],
            here_x=np.array([sigma]),
            here_y=np.array([min(here, AXIS_MAX)]),
            off_note=["no curve: the solve raised an error" if refused else " "],
            refused=refused,
            worst=float(off.max(initial=0.0)),
            from_polynomial=float(np.abs(right - limit).max()),
            from_flat=float(np.abs(right - flat(points, lam)).max()),
            spikes=bool(np.abs(right[away]).max() < SEEN * np.abs(right).max()),
        )

    def say(self, a: Arrays) -> str:
        sigma, lam, precision, points = a.state.bandwidth, a.state.lam, a.state.precision, a.state.points
        if points == "no points":
            return "Without points, the fit is zero everywhere, at every σ."
        through = "the polynomial through the labels"
        through += " (at the repeated point: their mean)" if points == "a point twice" else ""
        if a.spikes:
            shape = "is a spike at each point and zero elsewhere"
        elif lam > 0 and a.from_flat < SEEN:
            shape = f"is flat: within {a.from_flat:.1g} of n·ȳ / (n + λ) = {flat(points, lam):.3g}"
        elif a.from_polynomial < SEEN:
            shape = f"is within {a.from_polynomial:.1g} of {through}"
        else:
            shape = f"is up to {a.from_polynomial:.2g} away from {through}"
            shape += f", and {a.from_flat:.2g} from the flat line" if lam > 0 else ""
        if a.refused:
            fate = f"In {precision} there is no curve: {a.refused}"
        elif a.worst >= SEEN:
            fate = f"In {precision} there is no error message, but the curve is wrong by up to {a.worst:.2g}"
        else:
            fate = f"In {precision} the error is at most {a.worst:.1g}" if a.worst else f"{precision} agrees exactly"
        return f"At σ = {sigma:.3g} and λ = {lam:.3g} the exact fit {shape}. {fate}."
