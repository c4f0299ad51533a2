"""Static figures for papers, as functions of data. Needs matplotlib (the extra `lab`)."""

import io
import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from amfs_lab.moved import moved

INK = "#24292F"


class SavableFigure(Figure):
    """A figure that a notebook shows at the end of a cell, also without `%matplotlib inline`."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=110)
        return file.getvalue()


def confusion_matrix(
    names: Sequence[str], shares: Float[np.ndarray, "c c"], title: str, grouped: bool = False
) -> SavableFigure:
    """A heat map of a confusion matrix in percent, with true classes in rows.

    The colour scale covers only the mistakes, because most queries are on the diagonal. A cell is grey if its two
    classes were never in the same episode.

    Args:
        shares: the shares of the queries of each true class, in [0, 1].
        grouped: True if the diagonal contains mistakes, too (see `amfs_lab.prediction.confusion.Confusion.grouped`).
    """
    n = len(names)
    side = 2.6 + 0.34 * max(n, 5)
    figure = SavableFigure(figsize=(side, side), layout="constrained")
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
        percent = f"{100 * value:.0f}" if 100 * value >= 9.95 else f"{100 * value:.1f}"
        color = "white" if not right and value > top / 2 else INK
        text = axes.text(column, row, percent, ha="center", va="center", fontsize=6.5, color=color)
        text.set_fontweight("bold" if right else "normal")
    axes.set_xticks(range(n), names, rotation=90, fontsize=8)
    axes.set_yticks(range(n), names, fontsize=8)
    axes.set(xlabel="taken for", ylabel="true class" if not grouped else "true group")
    figure.suptitle(textwrap.fill(" ".join(title.split()), int(12 * side)), fontsize=9)
    figure.colorbar(drawn, ax=axes, label="mistakes, %", shrink=0.7)
    return figure


__getattr__ = moved(__name__)
