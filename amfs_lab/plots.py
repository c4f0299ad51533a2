"""Figures for paper, as functions of data: no computation, no state. Needs matplotlib (the extra `lab`)."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

# Okabe and Ito (2008), as everywhere in the course; no walk is told by its colour alone.
STYLES: tuple[dict[str, Any], ...] = (
    dict(color="#E69F00", linestyle="-", linewidth=4.5, marker="s"),
    dict(color="#0072B2", linestyle="-", linewidth=2.5, marker="o"),
    dict(color="#009E73", linestyle="--", linewidth=1.8, marker="D"),
    dict(color="#CC79A7", linestyle=":", linewidth=1.8, marker="^"),
)
INK = "#24292F"


class Paper(Figure):
    """A figure that a notebook shows at the end of a cell, also where nobody has asked for matplotlib's own way."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=110)
        return file.getvalue()


def meta_updates(
    paths: Mapping[str, Float[np.ndarray, "k 2"]],
    optima: Float[np.ndarray, "t 2"],
    grid: Float[np.ndarray, " g"],
    heights: Float[np.ndarray, "g g"],
    places: Mapping[str, Float[np.ndarray, "m 2"]],
) -> Paper:
    """Walks of several rules over the contours of a loss, as the paper's Figure 1 draws meta-updates.

    `figure.savefig("meta_updates.svg")` and `.png` write it for paper or slides.

    Args:
        paths: each walk by its rule's name, the start first; at most four. optima: one place a task.
        grid, heights: both axes of the contours, and the loss there, row by row upwards.
        places: further places to mark, by name: at most two (`"θ*"`, `"geometric median"`); a segment by its ends.
    """
    figure = Paper(figsize=(5.6, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.contourf(grid, grid, heights, levels=14, cmap="Greys", alpha=0.25)
    axes.contour(grid, grid, heights, levels=14, colors="#AEB6BF", linewidths=0.5)
    for (name, path), style in zip(paths.items(), STYLES, strict=False):
        at_its_end: dict[str, Any] = dict(markevery=[len(path) - 1], markersize=9, markeredgecolor="white")
        axes.plot(path[:, 0], path[:, 1], label=name, **style, **at_its_end)
    start = next(iter(paths.values()))[0]
    axes.plot(*start, "o", color=INK, fillstyle="none", markersize=9)
    axes.annotate("start", start, xytext=(0, -14), textcoords="offset points", ha="center", color=INK)
    for t, optimum in enumerate(optima, 1):
        axes.plot(*optimum, "x", color=INK, markersize=8, markeredgewidth=2)
        axes.annotate(f"task {t}", optimum, xytext=(0, 8), textcoords="offset points", ha="center", color=INK)
    for (name, place), marker, color in zip(places.items(), ("*", "h"), ("#D55E00", "white"), strict=False):
        axes.plot(*place.T, f"{marker}:", color=INK, markersize=13, markerfacecolor=color, label=name)
    axes.set(xlabel="θ₁", ylabel="θ₂", aspect="equal", xlim=(grid[0], grid[-1]), ylim=(grid[0], grid[-1]))
    axes.legend(loc="best", fontsize=9, framealpha=0.9)
    return figure


def confusion_matrix(
    names: Sequence[str], shares: Float[np.ndarray, "c c"], title: str, grouped: bool = False
) -> Paper:
    """Shares of answers as a heat map with true classes in rows, in percent.

    Colours run over the mistakes; the right answers on the diagonal, most of all queries, would leave none for them.
    A cell is grey where the two classes never stood in one episode.

    Args:
        grouped: the diagonal holds mistakes, too (see `amfs_lab.confusion.Confusion.grouped`).
    """
    n = len(names)
    side = 2.6 + 0.34 * max(n, 5)
    figure = Paper(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    wrong = shares.copy()
    if not grouped:
        np.fill_diagonal(wrong, np.nan)
    top = float(np.nanmax(wrong)) if np.isfinite(wrong).any() else 0.0
    colors = matplotlib.colormaps["Blues"].with_extremes(bad="#DDDDDD")
    drawn = axes.imshow(100 * wrong, cmap=colors, vmin=0, vmax=100 * (top or 1.0))
    for row, column in np.ndindex(n, n):
        value = shares[row, column]
        right = row == column and not grouped
        if not np.isfinite(value) or (value == 0 and not right):
            continue
        if right:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="white", edgecolor=INK, linewidth=0.5))
        dark = not right and value > top / 2
        axes.text(
            column,
            row,
            f"{100 * value:.0f}" if 100 * value >= 9.95 else f"{100 * value:.1f}",
            ha="center",
            va="center",
            fontsize=6.5,
            color="white" if dark else INK,
            fontweight="bold" if right else "normal",
        )
    axes.set_xticks(range(n), names, rotation=90, fontsize=8)
    axes.set_yticks(range(n), names, fontsize=8)
    axes.set(xlabel="taken for", ylabel="true class" if not grouped else "true group")
    figure.suptitle(textwrap.fill(" ".join(title.split()), int(12 * side)), fontsize=9)
    figure.colorbar(drawn, ax=axes, label="mistakes, %", shrink=0.7)
    return figure
