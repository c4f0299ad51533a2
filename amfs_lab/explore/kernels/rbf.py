"""Points on a line, their similarities under the RBF kernel, and the eigenvalues of their Gram matrix."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import Spectrum
from amfs_lab.widgets.controls import Choice, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import EQUAL_X, EQUAL_Y, Panel, Panels, axis, log_axis
from amfs_lab.widgets.style import BLUE, FAINT, INK, SIMILARITY, VERMILLION, Look
from amfs_lab.widgets.text import percent
from amfs_lab.widgets.traces import curve, dots, dotted_curve, heat_map, notes, reference_line

POINTS: dict[str, Tensor] = {
    name: torch.tensor(x, dtype=torch.float64)[:, None]
    for name, x in {
        "six points": [0.0, 0.3, 0.9, 1.4, 2.6, 3.0],
        "evenly spaced": [0.0, 0.6, 1.2, 1.8, 2.4, 3.0],
        "two clusters": [0.0, 0.2, 0.4, 2.6, 2.8, 3.0],
        "a point twice": [0.0, 0.7, 0.7, 1.5, 2.3, 3.0],
    }.items()
}
N = 6
ALIVE = 0.01  # a direction is alive if its eigenvalue is above 1 % of the largest
AXIS_MIN = 1e-9  # lower end of the logarithmic axis of eigenvalues
GRID = torch.linspace(-0.6, 3.6, 169, dtype=torch.float64)[:, None]
NUMBERS = list(range(1, N + 1))
COLORBAR = dict(
    title=dict(text="similarity", side="right"), thickness=12, len=0.76, y=1, yanchor="top", tickvals=[0, 0.5, 1]
)


def alive(x: Tensor, bandwidth: float) -> int:
    """The number of eigenvalues of the Gram matrix of `x` (n d) that are above 1 % of the largest eigenvalue."""
    eigenvalues = Spectrum.of(rbf_kernel(x, x, bandwidth)).eigenvalues
    return int((eigenvalues > ALIVE * eigenvalues[0]).sum())


class RbfExplorer(Explorer):
    """Six points on a line, their Gram matrix and its eigenvalues, for one bandwidth.

    The similarity of one point to every position on the line is a bump of width σ. The heights of the bump at the six
    points are the row of this point in the Gram matrix. All panels mark one pair of points. To choose the pair, point
    at a cell of the Gram matrix, or set the numbers of the two points.
    """

    title = "Six points, the similarity of each pair, and the eigenvalues"
    alt = (
        "Three panels. Left top: one point's similarity to every place on the line, a bump of width sigma, with its "
        "height at each of the six points. Left bottom: the six eigenvalues of the Gram matrix on a logarithmic axis. "
        "Right: the Gram matrix as a heat map of six by six similarities."
    )

    bandwidth = Slider(
        "σ", 0.05, 5.0, scale="log", start=0.6, unit="same unit as x", help="the bandwidth: how far similarity reaches"
    )
    points = Choice("points", list(POINTS), help="where the six points lie")
    row = Slider("row", 1, N, integer=True, start=2, help="the point at the centre of the bump")
    column = Slider("column", 1, N, integer=True, start=3, help="the point that the row's point is compared with")

    presets = {
        "six points": dict(points="six points", bandwidth=0.6, row=2, column=3),
        "narrow": dict(points="six points", bandwidth=0.06, row=2, column=3),
        "wide": dict(points="six points", bandwidth=4.0, row=2, column=3),
        "two clusters": dict(points="two clusters", bandwidth=0.4, row=2, column=3),
        "a point twice": dict(points="a point twice", bandwidth=0.4, row=2, column=3),
    }

    panels = Panels(
        "bump gram / eigenvalues gram",
        widths=(0.54, 0.46),
        bump=Panel(
            "similarity to one point",
            axis("x (the points' own unit)", (-0.6, 3.6)),
            axis("k(x, row)", (-0.08, 1.3), ticks=[0, 0.5, 1]),
        ),
        gram=Panel(
            "Gram matrix K",
            axis("column: point", (0.5, N + 0.5), ticks=NUMBERS, **EQUAL_X),
            axis("row: point", (N + 0.5, 0.5), ticks=NUMBERS, constraintoward="top", **EQUAL_Y),
        ),
        eigenvalues=Panel(
            "eigenvalues of K",
            axis("eigen-direction i", (0.6, N + 0.4), ticks=NUMBERS),
            log_axis(
                "eigenvalue s<sub>i</sub>", (-9.4, 1.4), ticks={1e-9: "≤ 10⁻⁹", 1e-6: "10⁻⁶", 1e-3: "10⁻³", 1: "1"}
            ),
        ),
    )
    layout = dict(height=460, showlegend=False)
    traces = {
        "bump": curve("grid", "bump"),
        "stem": reference_line("stem_x", "stem_y", 1.5, "dot"),
        "points": dots(
            "x",
            "heights",
            rim=(INK, 1),
            hover="point %{text}: x = %{x:.2f}, similarity %{y:.3f}",
            more=dict(mode="markers+text", textposition="top center", cliponaxis=False),
            text="labels",
            marker_color="point_colors",
            marker_size="point_sizes",
            marker_symbol="point_symbols",
        ),
        "gram": heat_map(
            NUMBERS,
            NUMBERS,
            "K",
            SIMILARITY,
            at="gram",
            events=("hover", "click"),
            hover="points %{y} and %{x}: %{z:.4f}",
            colorbar=COLORBAR,
            more=dict(xgap=1, ygap=1, texttemplate="%{z:.2f}", textfont=dict(size=11)),
        ),
        "cell": curve("cell_x", "cell_y", VERMILLION, 3, at="gram"),
        "threshold": reference_line("threshold_x", "threshold_y", 1.5, "dash", at="eigenvalues"),
        "note": notes(
            "note_x",
            "note_y",
            ["1 % of the largest"],
            "bottom right",
            at="eigenvalues",
            more=dict(textfont=dict(color=FAINT)),
        ),
        "eigenvalues": dotted_curve(
            "directions",
            "eigenvalues",
            Look(BLUE, "solid", "circle"),
            1,
            11,
            (None, 1.5),
            at="eigenvalues",
            hover="eigen-direction %{x}: eigenvalue %{y:.2g}",
            marker_symbol="eigen_symbols",
        ),
    }

    def compute(self, state: State) -> Arrays:
        x = POINTS[state.points]
        K = rbf_kernel(x, x, state.bandwidth)
        eigenvalues = Spectrum.of(K).eigenvalues
        i, j = state.row - 1, state.column - 1
        heights = K[i]
        special = [n in (i, j) for n in range(N)]
        return Arrays(
            bandwidth=state.bandwidth,
            pair=(state.row, state.column),
            x=x[:, 0],
            distance=(x[i] - x[j]).abs()[0],
            similarity=K[i, j],
            K=K,
            grid=GRID[:, 0],
            bump=rbf_kernel(GRID, x[i : i + 1], state.bandwidth)[:, 0],
            heights=heights,
            stem_x=torch.stack([x[j, 0], x[j, 0]]),
            stem_y=torch.stack([heights.new_zeros(()), heights[j]]),
            # A no-break space, not "": plotly removes an empty label from the page and draws no later label there.
            labels=[
                ", ".join(str(m + 1) for m in range(N) if x[m] == x[n]) if x[n] not in x[:n] else " " for n in range(N)
            ],
            point_colors=[BLUE if n == i else VERMILLION if n == j else "white" for n in range(N)],
            point_symbols=["diamond" if n == i else "square" if n == j else "circle" for n in range(N)],
            point_sizes=[11 if chosen else 9 for chosen in special],
            cell_x=np.array([j, j + 1, j + 1, j, j]) + 0.5,
            cell_y=np.array([i, i, i + 1, i + 1, i]) + 0.5,
            directions=NUMBERS,
            eigenvalues=eigenvalues.clamp(min=AXIS_MIN),
            eigen_symbols=["circle" if s > ALIVE * eigenvalues[0] else "circle-open" for s in eigenvalues],
            alive=int((eigenvalues > ALIVE * eigenvalues[0]).sum()),
            threshold_x=np.array([0.6, N + 0.4]),
            threshold_y=torch.stack([ALIVE * eigenvalues[0]] * 2),
            note_x=np.array([0.62]),
            note_y=(ALIVE / 2 * eigenvalues[0])[None],
        )

    def say(self, a: Arrays) -> str:
        i, j = a.pair
        if i == j:
            pair = f"point {i} is 100 % similar to itself, at every σ"
        elif a.distance == 0:
            pair = f"points {i} and {j} lie at the same place and are 100 % similar, so K has two equal rows"
        else:
            pair = f"points {i} and {j} lie {a.distance:.2f} apart and are {percent(a.similarity)} similar"
        large = f"{a.alive} of the {N} eigenvalues {'is' if a.alive == 1 else 'are'} above 1 % of the largest"
        return f"At σ = {a.bandwidth:.3g}, {pair}; {large}."

    def pointed(self, event: Mapping[str, Any]) -> None:
        self.set(row=int(event["y"]), column=int(event["x"]))
