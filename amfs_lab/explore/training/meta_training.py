"""Meta-training as it happens: loss and accuracy of every method, against seconds or meta-steps, with a Stop button."""

from typing import Any, Protocol

import numpy as np
import plotly.graph_objects as go

from amfs_lab.errors import ConfigError
from amfs_lab.explore.looks import METHODS
from amfs_lab.explore.training.curves import MOST, NOTHING, headed, named, slots, smooth, thin
from amfs_lab.widgets.controls import Choice, IntSlider
from amfs_lab.widgets.figure import Arrays, State, Trace, half_widths
from amfs_lab.widgets.live import LiveExplorer
from amfs_lab.widgets.style import series
from amfs_lab.widgets.text import count, duration


class Step(Protocol):
    """What is drawn of `runs.Progress`, and all that a run must yield; accuracies are shares in [0, 1]."""

    method: str
    step: int
    seconds: float
    loss: float
    accuracy: float
    validation: Any  # an Interval, or None where nothing was validated


class MetaTrainingExplorer(LiveExplorer):
    """Live curves of meta-training, one colour, dash and marker a method.

    explorer = MetaTrainingExplorer()                 # the last line of one cell shows it
    await live(trainer.run(), explorer)               # another cell feeds it
    """

    title = "Meta-training, live"
    alt = (
        "Two panels with one curve a method. Left: the loss on the query sets of the training tasks. "
        "Right: accuracy, a thin line on training tasks and, where a run validates, markers with 95 % intervals on "
        "tasks of unseen scripts."
    )

    against = Choice("against", ["seconds", "meta-steps"], help="equal time, or equal number of steps")
    smoothing = IntSlider(
        "smoothing", 1, 100, start=20, unit="steps", help="each point is the mean of the last so many steps"
    )

    panels = dict(
        rows=1,
        cols=2,
        horizontal_spacing=0.1,
        subplot_titles=("loss on query sets", "accuracy"),
    )
    layout = dict(
        height=400,
        xaxis=dict(title="training time in seconds", rangemode="tozero"),
        yaxis=dict(title="cross-entropy (nats)", rangemode="tozero"),
        xaxis2=dict(title="training time in seconds", rangemode="tozero"),
        yaxis2=dict(title="accuracy", range=[0, 1.02], tickformat=".0%"),
    )
    frame = {"xaxis_title_text": "x_title", "xaxis2_title_text": "x_title", "annotations[1].text": "accuracy_title"}
    traces = tuple(
        trace
        for n, look in enumerate(METHODS.values())
        for trace in (
            Trace(
                go.Scatter,
                series(look, hovertemplate="%{y:.3f}", legendgroup=str(n), marker_size=7),
                x=f"x_{n}",
                y=f"loss_{n}",
                mode=f"mode_{n}",
                name=f"name_{n}",
                showlegend=f"there_{n}",
            ),
            Trace(
                go.Scatter,
                series(look, 1.5, hovertemplate="training %{y:.1%}", legendgroup=str(n), marker_size=5)
                | dict(opacity=0.55, showlegend=False),
                at=(1, 2),
                x=f"x_{n}",
                y=f"accuracy_{n}",
                mode=f"mode_{n}",
                name=f"name_{n}",
            ),
            Trace(
                go.Scatter,
                series(look, hovertemplate="validation %{y:.1%}", legendgroup=str(n), marker_size=9, marker_opacity=1)
                | dict(showlegend=False, error_y=dict(type="data", thickness=1.5, width=4)),
                at=(1, 2),
                x=f"validated_x_{n}",
                y=f"validated_{n}",
                error_y_array=f"half_width_{n}",
                name=f"name_{n}",
            ),
        )
    )

    def compute(self, state: State) -> Arrays:
        if len(state.history) > MOST:
            raise ConfigError(
                f"At most {MOST} methods fit into one figure. Got {len(state.history)}: open a second explorer."
            )
        by_time = state.against == "seconds"
        arrays: dict[str, Any] = {}
        standing, left = [], []
        placed = {n: (name, state.history[name]) for name, n in slots(state.history).items()}
        for n in range(MOST):
            name, steps = placed.get(n, ("", ()))
            x = np.array([step.seconds if by_time else step.step for step in steps], dtype=float)
            loss = smooth([step.loss for step in steps], state.smoothing)
            accuracy = smooth([step.accuracy for step in steps], state.smoothing)
            checks = [
                (place, step.validation) for place, step in zip(x, steps, strict=True) if step.validation is not None
            ]
            kept = thin(len(x))
            arrays |= {
                f"name_{n}": named(name),
                f"there_{n}": bool(steps),
                f"mode_{n}": "lines+markers" if len(x) == 1 else "lines",  # one point alone draws no line
                f"x_{n}": x[kept],
                f"loss_{n}": loss[kept],
                f"accuracy_{n}": accuracy[kept],
                f"validated_x_{n}": np.array([place for place, _ in checks], dtype=float),
                f"validated_{n}": np.array([interval.mean for _, interval in checks], dtype=float),
                f"half_width_{n}": half_widths([interval for _, interval in checks]),
            }
            if steps:
                last = checks[-1][1] if checks else None
                standing.append((named(name), steps[-1].step, steps[-1].seconds, loss[-1], accuracy[-1], last))
                left.append(getattr(steps[-1], "left", None) or 0.0)
        validated = any(last is not None for *_, last in standing)
        return Arrays(
            **arrays,
            x_title="training time in seconds" if by_time else "meta-steps",
            accuracy_title="accuracy: thin training, bars validation" if validated else "accuracy on training tasks",
            standing=standing,
            left=sum(left),
            status=state.status,
        )

    def say(self, a: Arrays) -> str:
        if not a.standing:
            return NOTHING[a.status]
        best = sorted(a.standing, key=lambda run: -(run[5].mean if run[5] else run[4]))
        parts = []
        for name, step, seconds, loss, accuracy, validation in best:
            reached = (
                f"{validation.hundredths(1)}% on unseen scripts" if validation else f"{accuracy:.1%} on training tasks"
            )
            speed = f", {step / seconds:.2g} a second" if a.status == "running" and seconds > 0 else ""
            parts.append(
                f"{name} {reached}, loss {loss:.2f} ({count(step, 'step')}, {seconds:.0f} s{speed})".replace("%", " %")
            )
        words = "; ".join(parts)
        if a.status == "running" and a.left > 0:
            words += f". About {duration(a.left)} of training are left"
        return headed(a.status, words)
