"""The choice of σ and λ by the training loss, the leave-one-out loss or the evidence.

The query loss, on new points of the task, evaluates each choice.
"""

import math

import numpy as np
import torch

from amfs_lab import ridge
from amfs_lab.explore.regularisers.landscape import (
    DATA,
    LAMBDAS,
    MOST,
    SIGMAS,
    best,
    flat,
    judged,
    losses,
    pulls,
    shares,
    surfaces,
    task,
)
from amfs_lab.widgets.arrows import NOTHING, Arrow, arrow, room
from amfs_lab.widgets.controls import Choice, Number, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, Panels, axis, log_axis
from amfs_lab.widgets.style import BLUE, INK, PURPLE, VERMILLION, Look
from amfs_lab.widgets.traces import contours, dots, dotted_curve, reference_line, vector

# For each loss: colour, dash, symbol, and the width and length (share of the map) of its arrow. If losses agree, their
# arrows and symbols are nested, with the first loss outside.
LOOKS = {
    "query loss": (INK, "solid", "star", 7, 0.25),
    "leave-one-out": (BLUE, "dash", "square", 4.5, 0.215),
    "evidence": (VERMILLION, "dot", "diamond", 2.5, 0.18),
    "training loss": (PURPLE, "dashdot", "triangle-down", 1.5, 0.145),
}
TITLES = {
    "query loss": "the query loss",
    "leave-one-out": "the leave-one-out loss",
    "evidence": "−log evidence",
    "training loss": "the training loss",
}
PRINTED = {"star": "★", "square": "■", "diamond": "◆", "triangle-down": "▼"}
SIGMA_RANGE, LAM_RANGE = [-1.36, 0.76], [-4.15, 1.15]
SIGMA_AXIS = log_axis("σ (same unit as x)", SIGMA_RANGE, ticks=[0.05, 0.1, 0.2, 0.5, 1, 2, 5])
LONGEST = max(look[4] for look in LOOKS.values())
DECADES = (240.0, 72.0)  # approximate pixels per decade on the map, for σ and for λ
POWERS = {1e-4: "10⁻⁴", 1e-3: "10⁻³", 1e-2: "0.01", 0.1: "0.1", 1: "1", 10: "10"}  # ticks
WHOLE = dict(cliponaxis=False)  # not clipped at the edge of its panel
PLACE = "σ = %{x:.2g}, λ = %{y:.2g}"  # hover text
START = dict(bandwidth=0.3, lam=0.1, points=20, sample=6, noise=0.3, data="sine", surface="query loss")
PALE = [[0.0, "#FFFFFF"], [0.1, "#EEF3F8"], [1.0, "#AFC0D2"]]


class TeacherExplorer(Explorer):
    """A map of all σ and λ, coloured by one loss.

    The map shows the minimum of each loss. It also shows the negative gradient of each loss at the current σ and λ.
    """

    title = "Three losses that choose σ and λ, compared by their query loss"
    alt = (
        "Two panels. Left: a map with sigma across and lambda upwards, shaded by the rank of each place for the loss "
        "that is shown. A symbol marks the minimum of each of four losses, and arrows from the present place show "
        "their negative gradients. Right: the four losses along sigma at the present lambda."
    )

    bandwidth = Slider("σ", 0.05, 5.0, scale="log", start=0.3, unit="same unit as x", help="the bandwidth")
    lam = Slider("λ", 1e-4, 10.0, scale="log", start=0.1, help="the regulariser")
    surface = Choice("map of", list(LOOKS), help="the loss that shades the map")
    noise = Slider(
        "noise",
        0.0,
        1.0,
        start=0.3,
        step=0.02,
        unit="unit of y",
        help="sd of the label noise",
        rare=True,
    )
    points = Slider("points", 0, MOST, integer=True, start=20, help="number of labelled points, n", rare=True)
    sample = Slider("sample", 1, 20, integer=True, start=6, help="other points of the same kind (the seed)")
    data = Choice("data", list(DATA), help="the function behind the labels, or a fault in the data", rare=True)

    presets = {
        "start too wide": START | dict(bandwidth=3.0),
        "agree": START | dict(points=40),
        "disagree": START | dict(bandwidth=0.7, points=12, sample=1),
        "training loss misleads": START | dict(bandwidth=0.7, surface="training loss"),
        "every point twice": START | dict(data="every point twice", surface="leave-one-out"),
        "one outlier": START | dict(data="one outlier", surface="evidence"),
        "constant labels": START | dict(noise=0.0, data="constant", surface="evidence"),
        "no points": START | dict(points=0),
    }

    panels = Panels(
        widths=(0.56, 0.44),
        map=Panel("map", SIGMA_AXIS | dict(showgrid=False), log_axis("λ", LAM_RANGE, ticks=POWERS, showgrid=False)),
        slices=Panel("at the present λ", SIGMA_AXIS, axis("% of the map that is better", (-4, 104))),
    )
    layout = dict(height=500)
    frame = {"map.title": "map_title"}
    traces = {
        "map": contours(
            SIGMAS.tolist(),
            LAMBDAS.tolist(),
            "shares",
            PALE,
            hover=f"{PLACE}: %{{z:.0f}} % of the map is better",
            more=dict(zmin=0, zmax=100, autocontour=False, contours=dict(start=10, end=90, size=10)),
        ),
        **{
            f"pull of {name}": vector(f"arrow_{k}", color, width, group=name, hover=None, more=WHOLE)
            for k, (name, (color, _, _, width, _)) in enumerate(LOOKS.items())
        },
        **{
            f"lowest {name}": dots(
                f"best_x_{k}",
                f"best_y_{k}",
                color,
                23 - 4 * k,
                symbol,
                ("white", 1.5),
                group=name,
                hover=f"{name}: lowest at {PLACE}",
                more=WHOLE,
            )
            for k, (name, (color, _, symbol, _, _)) in enumerate(LOOKS.items())
        },
        "here": dots("here_x", "here_y", "white", 12, rim=(INK, 2.5), hover=f"you are here: {PLACE}", more=WHOLE),
        "now": reference_line("now_x", "now_y", 1.2, at="slices", more=WHOLE),
        **{
            name: dotted_curve(
                "sigmas",
                f"slice_{k}",
                Look(color, dash, symbol),
                rim=(None, 0),
                at="slices",
                name=f"{name} {PRINTED[symbol]}",
                group=name,
                hover=f"{name}: %{{customdata:.3g}}",
                customdata=f"slice_value_{k}",
                marker_size=f"slice_size_{k}",
            )
            for k, (name, (color, dash, symbol, _, _)) in enumerate(LOOKS.items())
        },
    }

    def compute(self, state: State) -> Arrays:
        key = (state.data, state.points, state.noise, state.sample)
        t, found, ranks = task(*key), surfaces(*key), shares(*key)
        along = losses(*key, torch.tensor([state.lam], dtype=torch.float64))
        pulled = pulls(t, state.bandwidth, state.lam)
        arrays = {}
        for k, (name, surface) in enumerate(found.items()):
            lowest = best(surface)
            width, length = LOOKS[name][3:]
            pointing = on_the_map(*arrow_from(state.bandwidth, state.lam, pulled[name], length), head=11 + width)
            values = along[name][:, 0].numpy()
            inside = np.searchsorted(np.sort(surface.numpy(), axis=None), values) / surface.numel()
            arrays |= {
                f"best_x_{k}": [lowest[0]] if lowest else [],
                f"best_y_{k}": [lowest[1]] if lowest else [],
                **pointing.arrays(f"arrow_{k}"),
                f"slice_{k}": 100 * inside * (lowest is not None),
                f"slice_value_{k}": values,
                f"slice_size_{k}": 12 * (np.arange(len(values)) == (-1 if flat(along[name]) else values.argmin())),
            }
        K, K_qs = t.at(state.bandwidth)
        missed = (K_qs @ ridge.solve(K, t.y, state.lam) - t.query_y).square().mean() / 2
        return Arrays(
            **arrays,
            state=state,
            shares=ranks[state.surface],
            map_title=f"map of {TITLES[state.surface]}",
            sigmas=SIGMAS,
            here_x=[state.bandwidth],
            here_y=[state.lam],
            now_x=[state.bandwidth, state.bandwidth],
            now_y=[0, 100],
            pulls=pulled,
            query_loss=missed,
            chosen={name: judged(found, name) for name in found},
        )

    def say(self, a: Arrays) -> str:
        here = f"At σ = {a.state.bandwidth:.2g}, λ = {a.state.lam:.2g} the query loss is {a.query_loss:.3f}"
        if a.state.points == 0:
            return f"{here}, as everywhere: without points there is nothing to learn from, and no loss has a gradient."
        better = "; ".join(f"{way} improves {words(names)}" for way, names in by_direction(a.pulls).items() if names)
        ends = [f"{name} {a.chosen[name]:.3f}" for name in list(LOOKS)[1:] if a.chosen[name] is not None]
        lowest = f"The lowest query loss is {a.chosen['query loss']:.3f}"
        return f"{here}. {better.capitalize()}. Query loss at the minimum of: {', '.join(ends)}. {lowest}."


def by_direction(pulled: dict[str, tuple[float, float]]) -> dict[str, list[str]]:
    """The names of the losses, grouped by the change of σ that decreases the loss."""
    found: dict[str, list[str]] = {"a wider σ": [], "a narrower σ": [], "no change of σ": []}
    for name, (pull, _) in pulled.items():
        found["a wider σ" if pull > 0 else "a narrower σ" if pull < 0 else "no change of σ"].append(name)
    return found


def words(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def arrow_from(bandwidth: float, lam: float, pull: tuple[float, float], length: float) -> tuple[list, list]:
    """The σ of both ends and the λ of both ends of an arrow on the map; empty lists if `pull` is zero.

    The arrow starts at `bandwidth` and `lam`. Its direction is `pull`, a vector in log σ and log λ. `length` is the
    length of the arrow as a share of the map. Near an edge of the panel, an arrow is shortened, so that it ends inside
    the panel. Arrows of the same direction are shortened by the same factor.
    """
    wide, high = math.log10(float(SIGMAS[-1] / SIGMAS[0])), math.log10(float(LAMBDAS[-1] / LAMBDAS[0]))
    size = math.hypot(pull[0] / wide, pull[1] / high)
    if size == 0:
        return [], []
    step = [part / size for part in pull]  # as long as the map, in decades
    fitting = room([math.log10(bandwidth), math.log10(lam)], step, (SIGMA_RANGE, LAM_RANGE))
    share = length * min(1.0, fitting / LONGEST)
    return [bandwidth, bandwidth * 10 ** (share * step[0])], [lam, lam * 10 ** (share * step[1])]


def on_the_map(x: list[float], y: list[float], head: Number) -> Arrow:
    """The arrow between two points of the map. The arrow head is not longer than the arrow."""
    if not x:
        return NOTHING
    along = [math.log10(ends[1] / ends[0]) * decade for ends, decade in zip((x, y), DECADES, strict=True)]
    found = arrow((0.0, 0.0), along, head, scale=1.0)
    if not found.x:
        return NOTHING
    end = 0 if found.tip == "circle" else 1
    return Arrow([x[0], x[end]], [y[0], y[end]], found.size, found.tip)
