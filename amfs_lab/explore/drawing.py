"""From arrays to a figure: a table says which array feeds which property, and only what changed is sent."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from plotly.basedatatypes import Undefined
from plotly.subplots import make_subplots
from torch import Tensor

from amfs_lab.explore.canvas import Canvas
from amfs_lab.explore.theme import TEMPLATE
from amfs_lab.stats import Interval


class Record(dict[str, Any]):
    """Named values, read as attributes. Made once, never changed."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"There is no {name!r} here, only {', '.join(self)}.") from None


class State(Record):
    """What every control of an explorer is set to."""


class Arrays(Record):
    """What `compute` found out: tensors arrive as numpy arrays, words and numbers stay what they are."""

    def __init__(self, **values: Any) -> None:
        super().__init__({name: _plain(value) for name, value in values.items()})


class Trace:
    """One row of the drawing's table: a plotly trace whose properties are fed by arrays of the same explorer.

    Trace(go.Scatter, dict(mode="lines"), x="grid", y="fit", at=(1, 2))

    Args:
        kind: plotly's class. style: what never changes. at: row and column of the panel.
        feeds: property of the trace = name of the array; underscores reach inside, as in `marker_color="colors"`.
    """

    def __init__(self, kind: type, style: Mapping[str, Any], *, at: tuple[int, int] = (1, 1), **feeds: str) -> None:
        self.kind, self.style, self.at, self.feeds = kind, dict(style), at, feeds

    def draw(self, arrays: Arrays) -> Any:
        trace = self.kind(self.style)
        for prop, name in self.feeds.items():
            trace[prop] = _sendable(arrays[name], prop)
        return trace


class Drawing:
    """A FigureWidget and the table that feeds it.

    Args:
        panels: arguments of plotly's `make_subplots`. traces: the table. layout: what never changes of the layout.
        frame: property of the layout = name of the array. arrays: the first state, drawn at once.
    """

    def __init__(
        self,
        panels: Mapping[str, Any],
        traces: Sequence[Trace],
        frame: Mapping[str, str],
        layout: Mapping[str, Any],
        arrays: Arrays,
    ) -> None:
        sketch = make_subplots(**panels)
        sketch.update_layout(template=TEMPLATE, autosize=True, dragmode=False, **layout)
        for trace in traces:
            sketch.add_trace(trace.draw(arrays), row=trace.at[0], col=trace.at[1])
        for prop, name in frame.items():
            sketch.layout[prop] = _sendable(arrays[name])
        self.figure = Canvas(sketch)
        self.figure._config = {"displayModeBar": False, "responsive": True, "scrollZoom": False, "doubleClick": "reset"}
        self.feeds = [
            (index, _path(drawn, prop), name)
            for index, (drawn, trace) in enumerate(zip(sketch.data, traces, strict=True))
            for prop, name in trace.feeds.items()
        ]
        self.frame = {_path(sketch.layout, prop): name for prop, name in frame.items()}
        self.sent = dict(arrays)

    def update(self, arrays: Arrays) -> None:
        """Brings the figure to these arrays in one message, or in none where nothing changed."""
        changed = {name for name, value in arrays.items() if not _same(value, self.sent.get(name))}
        if not changed:
            return
        fed = [(index, path, _sendable(arrays[name], path)) for index, path, name in self.feeds if name in changed]
        touched = sorted({index for index, _, _ in fed})
        style: dict[str, list[Any]] = {}
        for index, path, value in fed:
            style.setdefault(path, [Undefined] * len(touched))[touched.index(index)] = value
        layout = {path: _sendable(arrays[name]) for path, name in self.frame.items() if name in changed}
        # Not by `batch_update`, which sends the same but validates each number of each curve before.
        self.figure.plotly_update(style, layout, touched)
        self.sent = dict(arrays)


def half_widths(intervals: Sequence[Interval]) -> np.ndarray:
    """Lengths of error bars: 0, which draws none, where there are too few values for an interval."""
    return np.array([interval.half_width or 0.0 for interval in intervals])


def _path(part: Any, prop: str) -> str:
    """A property as the page writes it: `marker_color` is `marker.color`, `error_x_array` is `error_x.array`."""
    if "." in prop or hasattr(part, prop):
        return prop
    words = prop.split("_")
    heads = ("_".join(words[:n]) for n in range(len(words) - 1, 0, -1))  # the longest that there is
    head = next(head for head in heads if hasattr(part, head))
    return f"{head}.{_path(part[head], prop.removeprefix(head + '_'))}"


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
        return value.item() if value.ndim == 0 else value
    if isinstance(value, np.generic):
        return value.item()
    return value


def _sendable(value: Any, prop: str = "") -> Any:
    """Lists: plotly's page side returns numpy arrays after each drawing, in a form that its Python side raises on.

    And no empty text, but a space that does not break: plotly removes the node of an empty one, and never draws there
    again.
    """
    if prop == "text" and isinstance(value, (list, tuple)):
        return [each if each != "" else "\u00a0" for each in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and isinstance(b, np.ndarray)
            and a.shape == b.shape
            and bool(np.array_equal(a, b))
        )
    return type(a) is type(b) and a == b
