"""Static figures of results: means with intervals, and accuracy against inner steps. Needs matplotlib (extra `lab`)."""

from collections.abc import Mapping, Sequence

import numpy as np

from amfs_lab.methods import METHODS
from amfs_lab.plots import INK, SavableFigure
from amfs_lab.stats import Interval


def intervals(panels: Mapping[str, Mapping[str, Interval]], unit: str, reference: float | None = None) -> SavableFigure:
    """A figure of means with intervals: one panel for each key of `panels`, and one row for each label.

    Args:
        unit: title of the axis. If it begins with "%" or "points", all numbers are multiplied by 100.
        reference: position of a dashed line, such as 0 for differences; None: no line.
    """
    scale = 100 if unit.startswith(("%", "points")) else 1
    colors = {word: method.color for name, method in METHODS.items() for word in (name, method.label)}
    labels = list(dict.fromkeys(label for own in panels.values() for label in own))
    figure = SavableFigure(figsize=(2.2 + 2.6 * len(panels), 1.1 + 0.3 * len(labels)), layout="constrained")
    for axes, (title, own) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(), strict=True
    ):
        for row, label in enumerate(labels):
            if label in own:
                half = own[label].half_width or 0.0
                axes.errorbar(
                    scale * own[label].mean, row, xerr=scale * half, fmt="o", color=colors.get(label, INK), capsize=3
                )
        if reference is not None:
            axes.axvline(scale * reference, color=INK, linestyle="--", linewidth=1)
        axes.set_title(title, fontsize=10)
        axes.grid(axis="x", alpha=0.3)
    figure.axes[0].set_yticks(range(len(labels)), labels)
    figure.axes[0].set_ylim(len(labels) - 0.5, -0.5)
    figure.supxlabel(unit, fontsize=10)
    return figure


def accuracy_by_steps(maml: Sequence[Interval], solve: Interval) -> SavableFigure:
    """Figure 2 of the paper: MAML's accuracy after 0, 1, 2, ... inner steps, and a line for the one solve of I-AMFS."""
    figure = SavableFigure(figsize=(5.4, 3.6), layout="constrained")
    axes, steps = figure.subplots(), np.arange(len(maml))
    means, halves = (100 * np.array(x) for x in ([i.mean for i in maml], [i.half_width or 0.0 for i in maml]))
    gradient, closed = METHODS["maml"], METHODS["i-amfs"]
    axes.errorbar(steps, means, yerr=halves, fmt="s--", color=gradient.color, capsize=3, label=gradient.label)
    axes.axhline(100 * solve.mean, color=closed.color, label=f"{closed.label}, one solve")
    if solve.half_width is not None:
        axes.axhspan(100 * solve.low, 100 * solve.high, color=closed.color, alpha=0.15, linewidth=0)
    axes.set(xlabel="inner steps of MAML", ylabel="accuracy on new tasks, %", xticks=steps)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure
