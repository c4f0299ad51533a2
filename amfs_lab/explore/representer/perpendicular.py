"""A function f on a line as the sum of two parts, f_parallel and f_perpendicular.

f_parallel lies in the span of the kernel functions k(x_i, .) of the support points x_i. f_perpendicular is zero at the
support points.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from amfs_lab.explore.representer.projection import once
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import covariance, solve
from amfs_lab.widgets.controls import Choice, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, Panels, axis
from amfs_lab.widgets.style import BLUE, GRAY, GREEN, INK, ORANGE, VERMILLION
from amfs_lab.widgets.text import count, percent, signed
from amfs_lab.widgets.traces import Trace, bars, curve, dots, hatched, notes


def column(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)[:, None]


MOST = 6
GRID = torch.linspace(-3.2, 3.2, 161, dtype=torch.float64)[:, None]
PLACES = {"apart": column(-1.5, 1.2, -0.2, 2.4, -2.6, 0.6), "a point twice": column(-1.5, -1.5, 1.2, -0.2, 2.4, 0.6)}
ERRORS = column(0.3, -0.25, 0.35, -0.3, 0.25, -0.35)  # added to the values of f, so that the loss is not zero
# Each function is a sum of bumps: their centres z_j and coefficients c_j.
FUNCTIONS = {
    "hill and dip": (column(-1.9, 0.4, 1.8), column(0.9, -1.1, 0.8)),
    "two hills": (column(-0.9, 1.7), column(1.2, 0.9)),
    "wiggle": (column(-2.2, -1.2, 0.2, 0.9, 2.0), column(0.8, -0.9, 1.0, -0.9, 0.8)),
}


class Decomposition:
    """The decomposition f = f_parallel + f_perpendicular of f = sum_j c_j k(z_j, .).

    f_parallel lies in the span of the functions k(x_i, .) of the support points `x`. An instance has the coefficients
    alpha of f_parallel and the squared norms of both parts. The method `at` evaluates both parts.
    """

    def __init__(self, function: str, x: Tensor, bandwidth: float) -> None:
        self.z, self.c = FUNCTIONS[function]
        self.x, self.bandwidth = once(x), bandwidth
        K_ss, K_sz = rbf_kernel(self.x, self.x, bandwidth), rbf_kernel(self.x, self.z, bandwidth)
        K_zz = rbf_kernel(self.z, self.z, bandwidth)
        self.alpha = solve(K_ss, K_sz @ self.c, lam=0.0)
        self.parallel_norm = (self.alpha.T @ K_ss @ self.alpha).squeeze()
        self.perpendicular_norm = (self.c.T @ covariance(K_zz, K_sz.T, K_ss, lam=0.0) @ self.c).squeeze()

    def at(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """The values (q) of f_parallel and the values (q) of f_perpendicular at `places` (q 1)."""
        parallel = rbf_kernel(places, self.x, self.bandwidth) @ self.alpha
        return parallel[:, 0], (rbf_kernel(places, self.z, self.bandwidth) @ self.c - parallel)[:, 0]


@lru_cache(maxsize=32)
def split(function: str, places: str, points: int, bandwidth: float) -> tuple[Decomposition, tuple[Tensor, Tensor]]:
    """The `Decomposition` of a function for some support points, and both parts on the grid.

    `places` is the name of a list of support points. `points` is the number of points that are used, from its start.
    """
    parts = Decomposition(function, PLACES[places][:points], bandwidth)
    return parts, parts.at(GRID)


class Extent(NamedTuple):
    """The extreme values of the curves and bars over all t and all numbers of points.

    Here t is the factor of f_perpendicular. The axes use the extreme values, so the ranges of the axes do not change.
    """

    lowest: float  # of f and of the labels
    highest: float
    rest: float  # the largest |t f_perpendicular|
    top: float  # the largest |f|^2, reached at t = 1.5 if all of f is f_perpendicular


@lru_cache(maxsize=32)
def extent(function: str, places: str, bandwidth: float) -> Extent:
    low, high, deepest = 0.0, 0.0, 0.0
    for n in range(MOST + 1):
        parts, (parallel, rest) = split(function, places, n, bandwidth)
        ways = torch.cat([parallel - rest, parallel + 1.5 * rest, labels(parts, PLACES[places][:n])])
        low, high = min(low, float(ways.min())), max(high, float(ways.max()))
        deepest = max(deepest, 1.5 * float(rest.abs().max()))
    whole, _ = split(function, places, 0, bandwidth)
    return Extent(low, high, deepest, 1.5**2 * float(whole.perpendicular_norm))


def labels(parts: Decomposition, x: Tensor) -> Tensor:
    """The labels (n): the values of f at the points (n 1), each plus an error."""
    return sum(parts.at(x)) + ERRORS[: len(x), 0]


def unseen_share(function: str, places: str, points: int, bandwidth: float) -> float:
    """|f_perpendicular|^2 / |f|^2, in [0, 1]: the share of the squared norm outside the span of the k(x_i, .)."""
    parts, _ = split(function, places, points, bandwidth)
    return float(parts.perpendicular_norm / (parts.parallel_norm + parts.perpendicular_norm))


def piece(heights: str, at: int, color: str, pattern: str) -> Trace:
    """One segment of a stacked bar, with its own colour and pattern."""
    hatch = hatched(pattern, size=7, solidity=0.25)
    return bars([at], heights, color, None, hatch, at="sizes", hover="%{y:.3f}", more=dict(width=0.5))


def padded(low: float, high: float) -> list[float]:
    """The range from `low` to `high` with a margin at both ends."""
    room = 0.06 * (high - low) + 0.05
    return [low - room, high + room]


class PerpendicularExplorer(Explorer):
    """A sum f of RBF bumps and its decomposition into f_parallel and f_perpendicular.

    f_parallel is the projection of f on the span of the kernel functions of the support points. A slider scales
    f_perpendicular, the remaining part of f.
    """

    title = "A function f, its projection f∥, and the perpendicular part f⊥"
    alt = (
        "Three panels. Left top: labelled points, the function f and its part f-parallel, which meet at every point. "
        "Left bottom: the kept part of f-perpendicular, a curve that is zero at every point. Right: two bars, the "
        "training loss, and the squared norm of f as the sum of its two parts."
    )

    t = Slider("t", -1.0, 1.5, start=1.0, step=0.05, help="the share of f⊥ that is kept: 1 is all of it, 0 is none")
    points = Slider("points", 0, MOST, integer=True, start=4, help="number of labelled points, n")
    bandwidth = Slider(
        "σ", 0.2, 2.0, scale="log", start=0.6, unit="same unit as x", help="the bandwidth: the width of every bump"
    )
    function = Choice("f", list(FUNCTIONS), help="a sum of bumps at other places than the points")
    places = Choice("places", list(PLACES), help="where the points lie")

    presets = {
        "with f⊥": dict(t=1.0, points=4, bandwidth=0.6, places="apart"),
        "without": dict(t=0.0, points=4, bandwidth=0.6, places="apart"),
        "many points": dict(t=1.0, points=MOST, bandwidth=1.0, places="apart"),
        "no points": dict(t=1.0, points=0, bandwidth=0.6, places="apart"),
        "a point twice": dict(t=1.0, points=4, bandwidth=0.6, places="a point twice"),
    }

    panels = Panels(
        "f sizes / rest sizes",
        widths=(0.64, 0.36),
        heights=(0.62, 0.38),
        f=Panel(
            "f and its projection f<sub>∥</sub>", axis(range=(-3.2, 3.2), showticklabels=False), axis("f(x)", zero=GRAY)
        ),
        sizes=Panel(
            "loss and squared norm", axis(range=(-0.42, 2.0), ticks={0: "training loss", 1: "‖f‖²"}, showgrid=False)
        ),
        rest=Panel(
            "the perpendicular part t f<sub>⊥</sub>", axis("x", (-3.2, 3.2)), axis("t f<sub>⊥</sub>(x)", zero=GRAY)
        ),
    )
    layout = dict(height=500, barmode="stack")
    frame = {"f.y.range": "value_range", "sizes.y.range": "bar_range", "rest.y.range": "rest_range"}
    traces = {
        "misses": curve("miss_x", "miss_y", VERMILLION, 1.5, "dot"),
        "f": curve(
            "grid", "f", BLUE, 3, name="f = f<sub>∥</sub> + t f<sub>⊥</sub>", hover="x = %{x:.2f}: f = %{y:.2f}"
        ),
        "parallel": curve(
            "grid", "parallel", GREEN, dash="dash", name="f<sub>∥</sub>", hover="x = %{x:.2f}: f∥ = %{y:.2f}"
        ),
        "f at the points": dots(
            "x", "seen", BLUE, 9, "diamond", ("white", 1), name="f(x<sub>i</sub>)", hover="f(%{x:.2f}) = %{y:.3f}"
        ),
        "labels": dots(
            "x", "y", "white", rim=(INK, 1.5), name="label y<sub>i</sub>", hover="x = %{x:.2f}, label %{y:.2f}"
        ),
        "rest": curve(
            "grid",
            "rest",
            ORANGE,
            3,
            "longdash",
            at="rest",
            name="t f<sub>⊥</sub>",
            hover="x = %{x:.2f}: t f⊥ = %{y:.2f}",
        ),
        "rest at the points": dots(
            "x", "unseen", "white", 9, "diamond", (INK, 1.5), at="rest", hover="at the point x = %{x:.2f}: %{y:.3f}"
        ),
        "loss": piece("loss", 0, VERMILLION, "x"),
        "norm of the parallel": piece("parallel_norm", 1, GREEN, ""),
        "norm of the rest": piece("kept_norm", 1, ORANGE, "/"),
        "sizes": notes(
            "notes_x",
            "notes_y",
            "notes",
            "middle right",
            at="sizes",
            more=dict(textfont=dict(size=13), cliponaxis=False),
        ),
    }

    def compute(self, state: State) -> Arrays:
        x = PLACES[state.places][: state.points]
        parts, (parallel, rest) = split(state.function, state.places, state.points, state.bandwidth)
        seen, unseen = parts.at(x)
        y = labels(parts, x)
        values = seen + state.t * unseen
        loss = float((values - y).square().sum() / 2)
        parallel_norm, rest_norm = float(parts.parallel_norm), float(parts.perpendicular_norm)
        kept = state.t**2 * rest_norm
        far = extent(state.function, state.places, state.bandwidth)
        middle = max(parallel_norm / 2, 0.04 * far.top)
        heights = [max(loss, 0.04 * far.top), middle, max(parallel_norm + kept / 2, middle + 0.08 * far.top)]
        sizes = [("", loss), ("f<sub>∥</sub>: ", parallel_norm), ("t f<sub>⊥</sub>: ", kept)]
        return Arrays(
            state=state,
            x=x[:, 0],
            y=y,
            grid=GRID[:, 0],
            f=parallel + state.t * rest,
            parallel=parallel,
            rest=state.t * rest,
            seen=values,
            unseen=state.t * unseen,
            miss_x=[place for place in x[:, 0].tolist() for place in (place, place, None)],
            miss_y=[
                end for label, value in zip(y.tolist(), values.tolist(), strict=True) for end in (label, value, None)
            ],
            loss=[loss],
            parallel_norm=[parallel_norm],
            kept_norm=[kept],
            norm=parallel_norm + kept,
            unseen_share=unseen_share(state.function, state.places, state.points, state.bandwidth),
            notes=[f"{name}{size:.2f}" for name, size in sizes],
            notes_x=[0.3, 1.3, 1.3],
            notes_y=heights,
            value_range=padded(far.lowest, far.highest),
            rest_range=padded(-far.rest, far.rest),
            bar_range=[0.0, 1.06 * far.top],
        )

    def say(self, a: Arrays) -> str:
        n, t = len(a.x), a.state.t
        if n == 0:
            return (
                f"Without points there is no loss, and all of f is f⊥: ‖f‖² = {a.norm:.2f} at t = {signed(t)}. "
                "The smallest f, at t = 0, is zero everywhere."
            )
        which = f"the {count(n, 'point')}"
        if a.state.places == "a point twice" and n > 1:
            which += " (two of them at one place)"
        return (
            f"At {which} f does not change with t: training loss {a.loss[0]:.3f}. At t = {signed(t)}, "
            f"‖f‖² = {a.norm:.3f}: {a.parallel_norm[0]:.3f} from f∥ and {a.kept_norm[0]:.3f} from t f⊥. "
            f"At t = 1, f⊥ has {percent(a.unseen_share)} of the squared norm."
        )
