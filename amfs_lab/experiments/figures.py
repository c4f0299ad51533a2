"""Static figures of results: means with intervals, and accuracy against inner steps. Needs matplotlib (extra `lab`)."""

from collections.abc import Mapping, Sequence

import numpy as np

from amfs_lab.methods import METHODS
from amfs_lab.plots import INK, SavableFigure
from amfs_lab.stats import Interval


def color_of(row: str) -> str:
    """The color of a method, by its name or its label. `maml+learned-rates` has the color of `maml`."""
    method = row.partition("+")[0]
    return next((each.color for name, each in METHODS.items() if method in (name, each.label)), INK)


def intervals(panels: Mapping[str, Mapping[str, Interval]], unit: str, reference: float | None = None) -> SavableFigure:
    """A figure of means with intervals: one panel for each key of `panels`, and one row for each label.

    Args:
        unit: title of the axis. If it begins with "%" or "points", all numbers are multiplied by 100. With "%",
            intervals are cut off below 0 and above 100.
        reference: position of a dashed line, such as 0 for differences; None: no line.
    """
    scale = 100 if unit.startswith(("%", "points")) else 1
    labels = list(dict.fromkeys(label for own in panels.values() for label in own))
    figure = SavableFigure(figsize=(2.2 + 2.6 * len(panels), 1.1 + 0.3 * len(labels)), layout="constrained")
    for axes, (title, own) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(), strict=True
    ):
        for row, label in enumerate(labels):
            if label in own:
                mean, half = own[label].mean, own[label].half_width or 0.0
                below, above = (min(half, mean), min(half, 1 - mean)) if unit.startswith("%") else (half, half)
                ends = [[scale * below], [scale * above]]
                axes.errorbar(scale * mean, row, xerr=ends, fmt="o", color=color_of(label), capsize=3)
        if reference is not None:
            axes.axvline(scale * reference, color=INK, linestyle="--", linewidth=1)
        axes.set_title(title, fontsize=10)
        axes.grid(axis="x", alpha=0.3)
    figure.axes[0].set_yticks(range(len(labels)), labels)
    figure.axes[0].set_ylim(len(labels) - 0.5, -0.5)
    figure.supxlabel(unit, fontsize=10)
    return figure


def reliability(panels: Mapping[str, Mapping[str, np.ndarray]]) -> SavableFigure:
    """Reliability diagrams: accuracy against confidence. Each key has a panel, and each label has a line.

    Args:
        panels: tables of `calibration.reliability`, by key and label. A bin with less than 1 % of the answers has no
            point.
    """
    labels = list(dict.fromkeys(label for own in panels.values() for label in own))
    marks, lines = "osD^vP*X<>", ("-", "--", ":")
    figure = SavableFigure(figsize=(1.8 + 2.8 * len(panels), 3.4), layout="constrained")
    for axes, (title, own) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(), strict=True
    ):
        axes.plot([0, 100], [0, 100], color=INK, linewidth=1, linestyle="--")
        for label, table in own.items():
            counts, confidences, correct = table[table[:, 0] >= 0.01 * table[:, 0].sum()].T
            row = labels.index(label)
            axes.plot(
                100 * confidences / counts,
                100 * correct / counts,
                color=color_of(label),
                marker=marks[row % len(marks)],
                linestyle=lines[row // len(marks) % len(lines)],
                markersize=4,
                linewidth=1,
                label=label,
            )
        axes.set_title(title, fontsize=10)
        axes.set_aspect("equal")
        axes.set(xlim=(0, 100), ylim=(0, 100))
        axes.grid(alpha=0.3)
    figure.supxlabel("confidence, %", fontsize=10)
    figure.axes[0].set_ylabel("% correct")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
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
