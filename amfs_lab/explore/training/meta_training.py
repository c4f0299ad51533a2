"""Live curves of meta-training: loss and accuracy of every method against seconds or meta-steps, and a Stop button."""

from typing import Any, Protocol

import numpy as np

from amfs_lab.errors import ConfigError
from amfs_lab.explore.looks import METHODS
from amfs_lab.explore.training.curves import MOST, NOTHING, headed, named, slots, smooth, thin
from amfs_lab.widgets.controls import Choice, Slider
from amfs_lab.widgets.figure import Arrays, State, half_widths
from amfs_lab.widgets.live import LiveExplorer
from amfs_lab.widgets.panels import Panel, Panels, axis
from amfs_lab.widgets.style import Look
from amfs_lab.widgets.text import count, duration
from amfs_lab.widgets.traces import Trace, dotted_curve


class Step(Protocol):
    """The fields that the figure needs of a training step, as in `runs.Progress`. Accuracies are in [0, 1]."""

    method: str
    step: int
    seconds: float
    loss: float
    accuracy: float
    validation: Any  # an Interval, or None for a step without validation


def of_run(n: int, look: Look) -> dict[str, Trace]:
    """The traces (curves in plotly) of run number `n`, drawn with the colour, dash and marker of `look`."""
    run: dict[str, Any] = dict(named=f"name_{n}", group=str(n))
    return {
        f"loss_{n}": dotted_curve(
            f"x_{n}", f"loss_{n}", look, size=7, hover="%{y:.3f}", mode=f"mode_{n}", showlegend=f"there_{n}", **run
        ),
        f"accuracy_{n}": dotted_curve(
            f"x_{n}",
            f"accuracy_{n}",
            look,
            1.5,
            5,
            at="accuracy",
            listed=False,
            hover="training %{y:.1%}",
            more=dict(opacity=0.55),
            mode=f"mode_{n}",
            **run,
        ),
        f"validated_{n}": dotted_curve(
            f"validated_x_{n}",
            f"validated_{n}",
            look,
            size=9,
            at="accuracy",
            listed=False,
            hover="validation %{y:.1%}",
            more=dict(error_y=dict(type="data", thickness=1.5, width=4)),
            error_y_array=f"half_width_{n}",
            **run,
        ),
    }


class MetaTrainingExplorer(LiveExplorer):
    """Live curves of meta-training, with one colour, dash and marker for each method.

    explorer = MetaTrainingExplorer()                 # the last line of one cell shows it
    await live(trainer.run(), explorer)               # another cell sends data to it
    """

    title = "Meta-training, live"
    alt = (
        "Two panels with one curve for each method. Left: the loss on the query sets of the training tasks. "
        "Right: accuracy, a thin line for training tasks and, if a run validates, markers with 95 % intervals for "
        "tasks of unseen scripts."
    )

    against = Choice("against", ["seconds", "meta-steps"], help="equal time, or equal number of steps")
    smoothing = Slider(
        "smoothing", 1, 100, integer=True, start=20, unit="steps", help="number of last steps in the mean of each point"
    )

    panels = Panels(
        loss=Panel(
            "loss on query sets",
            axis("training time in seconds", rangemode="tozero"),
            axis("cross-entropy (nats)", rangemode="tozero"),
        ),
        accuracy=Panel(
            "accuracy",
            axis("training time in seconds", rangemode="tozero"),
            axis("accuracy", (0, 1.02), tickformat=".0%"),
        ),
    )
    layout = dict(height=400)
    frame = {"loss.x.title.text": "x_title", "accuracy.x.title.text": "x_title", "accuracy.title": "accuracy_title"}
    traces = {name: trace for n, look in enumerate(METHODS.values()) for name, trace in of_run(n, look).items()}

    def compute(self, state: State) -> Arrays:
        if len(state.history) > MOST:
            raise ConfigError(
                f"One figure can show at most {MOST} methods. Got {len(state.history)}: open a second explorer."
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
                f"mode_{n}": "lines+markers" if len(x) == 1 else "lines",  # a single point draws no line
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
            speed = f", {step / seconds:.2g} per second" if a.status == "running" and seconds > 0 else ""
            parts.append(
                f"{name} {reached}, loss {loss:.2f} ({count(step, 'step')}, {seconds:.0f} s{speed})".replace("%", " %")
            )
        words = "; ".join(parts)
        if a.status == "running" and a.left > 0:
            words += f". Remaining training time: about {duration(a.left)}"
        return headed(a.status, words)
