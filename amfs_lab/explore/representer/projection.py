"""A weight vector in three dimensions, its part in the span of the training points, and the perpendicular part.

With the linear kernel k(a, b) = <a, b>, a function is a vector w with the value <w, x> at x. The function k(x_i, .) is
the vector x_i itself. The two training points lie in a horizontal plane, which is called the floor. For two points, the
projection of the representer theorem is the shadow of w on the floor.
"""

import math
from typing import Any

import torch
from torch import Tensor

from amfs_lab.explore.representer.projection_3d import SQUARE, arrow, corner, ends, floor_lines, line_along, seen_from
from amfs_lab.kernels import linear_kernel
from amfs_lab.ridge import solve
from amfs_lab.widgets import arrows
from amfs_lab.widgets.controls import Choice, Number, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, Panels, axis
from amfs_lab.widgets.style import BLUE, GREEN, GRID, INK, ORANGE, VERMILLION
from amfs_lab.widgets.text import signed
from amfs_lab.widgets.traces import area, curve, dots, notes, reference_line

X = torch.tensor([[1.4, -0.4, 0.0], [0.1, 1.3, 0.0]], dtype=torch.float64)
SUPPORTS: dict[str, Tensor] = {
    "two points": X,
    "one point": X[:1],
    "the same point twice": X[[0, 0]],
    "no points": X[:0],
}
LABELS = torch.tensor([[1.5], [0.3]], dtype=torch.float64)  # near the values of w, but not equal to them
SHADOW = (1.1, 0.7)  # the position of w on the floor, for every height
SHARES = torch.linspace(-1.0, 1.5, 51, dtype=torch.float64)
LINES = floor_lines()
HEADS = {"x1": 13, "x2": 13, "parallel": 19, "rest": 15, "w": 17}  # of the arrows, in pixels
SCALE = 121.0  # pixels per unit
CLOSE = 0.2  # tips closer than this in the picture share one name
BLANK = " "  # not "": plotly removes an empty label from the page and draws no later label there


def once(x: Tensor) -> Tensor:
    """The distinct rows of `x` (n d). A repeated point does not extend the span, but it makes K_ss singular."""
    return torch.unique(x, dim=0) if len(x) > 1 else x


def split(w: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The two parts w_parallel and w_perpendicular of w, (d 1) each. Their sum is w.

    w_parallel lies in the span of the rows of `x` (n d): w_parallel = sum_i alpha_i x_i with K_ss alpha = (<w, x_i>)_i.
    """
    x = once(x)
    parallel = x.T @ solve(linear_kernel(x, x, bias=False), x @ w, lam=0.0)
    return parallel, w - parallel


def training_loss(w: Tensor, x: Tensor) -> Tensor:
    """The loss L = 1/2 sum_i (<w, x_i> - y_i)^2 for each vector w. The vectors are the columns of `w` (d m)."""
    return (x @ w - LABELS[: len(x)]).square().sum(0) / 2


def weights(height: Number) -> Tensor:
    """The vector w (3 1) whose tip is at this height above the fixed point SHADOW of the floor."""
    return torch.tensor([*SHADOW, height], dtype=torch.float64)[:, None]


def every(parts: tuple[Tensor, Tensor]) -> Tensor:
    """The vectors w_parallel + t w_perpendicular, with one column for each t of `SHARES`."""
    parallel, rest = parts
    return parallel + rest * SHARES


class ProjectionExplorer(Explorer):
    """A vector w above a floor, and its projection on the span of the training points, which lie on the floor.

    A slider scales the part of w that is perpendicular to this span.
    """

    title = "A vector w, the plane of the points, and the perpendicular part of w"
    alt = (
        "Two panels. Left: a picture in space of a floor with the arrows x1 and x2 on it, an arrow w that rises above "
        "it, its shadow w-parallel on the floor, and the upright arrow w-perpendicular between the two tips. Right: "
        "the training loss, a horizontal line, and the squared norm of w, a parabola, against the share t of "
        "w-perpendicular that is kept, with a mark at the present t."
    )

    t = Slider("t", -1.0, 1.5, start=1.0, step=0.05, help="the share of w⊥ that is kept: 1 is all of it, 0 is none")
    height = Slider("height", 0.0, 1.2, start=1.0, step=0.05, help="how far the whole w rises above the floor")
    support = Choice("support", list(SUPPORTS), help="the training points")
    azimuth = Slider("turn", 0, 360, start=320, step=5, unit="degrees", help="the direction of view around the floor")
    elevation = Slider("look down", 5, 90, start=26, step=1, unit="degrees", help="90 is from straight above")

    presets = {
        "with w⊥": dict(t=1.0, height=1.0, support="two points", azimuth=320, elevation=26),
        "without": dict(t=0.0, height=1.0, support="two points", azimuth=320, elevation=26),
        "from above": dict(t=1.0, height=1.0, support="two points", azimuth=320, elevation=90),
        "one point": dict(t=1.0, height=1.0, support="one point", azimuth=320, elevation=26),
        "no points": dict(t=1.0, height=1.0, support="no points", azimuth=320, elevation=26),
    }

    panels = Panels(
        widths=(0.62, 0.38),
        space=Panel(
            "w = w<sub>∥</sub> + t w<sub>⊥</sub>",
            axis(visible=False, range=(-1.8, 1.8), constrain="domain"),
            axis(visible=False, range=(-1.55, 1.9), scaleanchor="x", constrain="domain"),
        ),
        sizes=Panel(
            "what changes with t", axis("t, the share of w<sub>⊥</sub> that is kept", (-1.05, 1.55), ticks=[-1, 0, 1])
        ),
    )
    layout = dict(height=510)
    frame = {"sizes.y.range": "value_range"}
    traces = {
        "lines": curve("lines_x", "lines_y", GRID, 1),
        "span": area("span_x", "span_y", "rgba(0,158,115,0.10)", (GREEN, 1.5)),
        "sides": reference_line("sides_x", "sides_y", 1.2, "dot"),
        "x1": arrow("x1", "x₁", INK, 2),
        "x2": arrow("x2", "x₂", INK, 2),
        "parallel": arrow("parallel", "w∥", GREEN, 5),
        "rest": arrow("rest", "t w⊥", ORANGE, 3, "dash"),
        "corner": curve("corner_x", "corner_y", INK, 2),
        "w": arrow("w", "w", BLUE, 3.5),
        "veil": area("veil_x", "veil_y", "rgba(255,255,255,0.6)", (GREEN, 1)),
        "names": notes(
            "names_x", "names_y", "names", more=dict(textfont=dict(size=15), cliponaxis=False), textposition="names_at"
        ),
        "norms": curve("shares", "norms", BLUE, 3, at="sizes", name="‖w‖²", hover="t = %{x:.2f}: ‖w‖² = %{y:.2f}"),
        "losses": curve(
            "shares",
            "losses",
            VERMILLION,
            3,
            "dash",
            at="sizes",
            name="training loss",
            hover="t = %{x:.2f}: training loss %{y:.3f}",
        ),
        "now": dots(
            "now_x",
            "now_y",
            [BLUE, VERMILLION],
            13,
            ["circle", "square"],
            ("white", 1.5),
            at="sizes",
            hover="now: %{y:.3f}",
        ),
    }

    def compute(self, state: State) -> Arrays:
        x, whole = SUPPORTS[state.support], weights(state.height)
        parallel, rest = split(whole, x)
        w, ways = parallel + state.t * rest, every((parallel, rest))
        norms, losses = ways.square().sum(0), training_loss(ways, x)
        now = torch.stack([w.square().sum(), training_loss(w, x)[0]])
        highest = every(split(weights(type(self).height.high), x))
        top = float(highest.square().sum(0).max())  # for all heights: only another support set moves the axis
        scene = self.scene(x, parallel[:, 0], w[:, 0])
        drawn = {name: seen_from(points, state.azimuth, state.elevation) for name, points in scene.items()}
        return Arrays(
            **{f"{name}_{axis}": places[:, n] for name, places in drawn.items() for n, axis in enumerate("xy")}
            | {part: fed for name, head in HEADS.items() for part, fed in pointed(name, drawn[name], head).items()},
            **names(drawn, state.t),
            state=state,
            w=w[:, 0],
            parallel=parallel[:, 0],
            rest=rest[:, 0],
            seen=(x @ w)[:, 0],
            shares=SHARES,
            norms=norms,
            losses=losses,
            now_x=[state.t, state.t],
            now_y=now,
            value_range=[-0.04 * top, 1.08 * top],
        )

    def scene(self, x: Tensor, parallel: Tensor, w: Tensor) -> dict[str, Tensor]:
        """The parts of the picture as points in space (n 3). A part that is not drawn has no points."""
        different, nothing = once(x), x[:0]
        span, sides = nothing, nothing
        if len(different) == 1:
            span = line_along(different[0])
        elif len(different) == 2:
            # w_parallel = alpha_1 x_1 + alpha_2 x_2, as a path along alpha_1 x_1 and then along alpha_2 x_2
            one, other = x * solve(linear_kernel(x, x, bias=False), x @ parallel[:, None], lam=0.0)
            span, sides = SQUARE, torch.stack([one * 0, one, parallel, other, one * 0])
        return {
            "origin": x.new_zeros(1, 3),
            "lines": LINES,
            "span": span,
            "sides": sides,
            "x1": ends(x[0]) if len(x) > 0 else nothing,
            "x2": ends(x[1]) if len(x) > 1 else nothing,
            "parallel": ends(parallel),
            "rest": torch.stack([parallel, w]) if (w - parallel).norm() > 1e-9 else nothing,
            "corner": corner(parallel, w - parallel),
            "w": ends(w),
            "veil": SQUARE if w[2] < -1e-9 else nothing,  # the floor, drawn in front of the parts below it
        }

    def say(self, a: Arrays) -> str:
        t, norm, loss, rest = a.state.t, a.now_y[0], a.now_y[1], float(a.rest @ a.rest)
        if len(a.seen) == 0:
            return (
                f"At t = {signed(t)}, ‖w‖² = {norm:.2f}. Without points all of w is w⊥. "
                "The smallest w, at t = 0, is zero."
            )
        seen = " and ".join(f"x{n} the value {signed(value)}" for n, value in zip("₁₂", a.seen, strict=False))
        head = f"At t = {signed(t)}, w gives {seen}: training loss {loss:.3f}, as at every t. ‖w‖² = {norm:.2f}"
        if rest < 1e-12:
            return f"{head}, and w lies in the span of the points: w⊥ is zero."
        if t == 0:
            return f"{head}, the smallest possible for these values at the points."
        return f"{head}: {float(a.parallel @ a.parallel):.2f} from w∥ and {t * t * rest:.2f} from t w⊥."


def pointed(name: str, places: Tensor, head: int) -> dict[str, Any]:
    """The arrays for the trace of an arrow.

    An arrow along the viewing direction has no visible length and is drawn as a dot.
    """
    found = arrows.NOTHING
    if len(places):
        start, tip = places.tolist()
        found = arrows.arrow(start, tip, head, SCALE)
    return found.arrays(name)


def names(drawn: dict[str, Tensor], t: Number) -> dict[str, list]:
    """The labels at the tips of the arrows, and the positions of the labels. Close tips share one label."""
    tips = {name: drawn[name][-1].tolist() for name in ("x1", "x2", "parallel", "w") if len(drawn[name])}
    words = {"x1": "x₁", "x2": "x₂", "parallel": "w<sub>∥</sub>", "w": "w"}
    if len(drawn["rest"]):
        tips["rest"] = drawn["rest"].mean(0).tolist()
        words["rest"] = "w<sub>⊥</sub>" if t == 1 else f"{signed(t)} w<sub>⊥</sub>"
    if "w" in tips and "parallel" not in tips:
        words |= {"w": f"w = {words['rest']}", "rest": BLANK}
    for one, other in (("x1", "x2"), ("w", "parallel")):
        if one in tips and other in tips and math.dist(tips[one], tips[other]) < CLOSE:
            equal = one == "x1" or "rest" not in tips
            words |= {one: f"{words[one]}{' = ' if equal else ', '}{words[other]}", other: BLANK}
            words |= {"rest": BLANK} if one == "w" else {}
    listed, (here, level) = ("x1", "x2", "parallel", "rest", "w"), drawn["origin"][0].tolist()
    at = [tips.get(name, (here, level)) for name in listed]
    side = ["right" if x >= here else "left" for x, _ in at]
    if not len(drawn["sides"]):  # w_parallel lies on the arrow x1, so its name goes to the other side
        side[2] = "left" if side[2] == "right" else "right"
    height = ["top" if y >= level else "bottom" for _, y in at[:2]]
    height += ["bottom", "middle", "top"] if at[4][1] >= at[2][1] else ["top", "middle", "bottom"]
    return {
        "names": [words[name] if name in tips else BLANK for name in listed],
        "names_x": [x for x, _ in at],
        "names_y": [y for _, y in at],
        "names_at": [f"{h} {s}" for h, s in zip(height, side, strict=True)],
    }
