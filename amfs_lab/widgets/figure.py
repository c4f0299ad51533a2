"""From arrays to a figure: a table says which array feeds which property, and only what changed is sent."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.io.json import to_json_plotly
from plotly.subplots import make_subplots
from torch import Tensor

from amfs_lab.stats import Interval
from amfs_lab.widgets.plotly_widget import FigureState
from amfs_lab.widgets.style import NIGHT, TEMPLATE


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
        hears: what of the mouse on it the explorer is told by `pointed`: "click", "hover".
        feeds: property of the trace = name of the array; underscores reach inside, as in `marker_color="colors"`.
    """

    def __init__(
        self,
        kind: type,
        style: Mapping[str, Any],
        *,
        at: tuple[int, int] = (1, 1),
        hears: Sequence[str] = (),
        **feeds: str,
    ) -> None:
        self.kind, self.style, self.at, self.hears, self.feeds = kind, dict(style), at, hears, feeds


class LiveFigure:
    """A table of traces and the arrays that feed it: as a plotly figure, and as what a page is told.

    Args:
        panels: arguments of plotly's `make_subplots`. traces: the table. layout: what never changes of the layout.
        frame: property of the layout = name of the array. arrays: the first state. alt: the figure in words.
        empty: what a panel says in which there is nothing to draw.
    """

    def __init__(
        self,
        panels: Mapping[str, Any],
        traces: Sequence[Trace],
        frame: Mapping[str, str],
        layout: Mapping[str, Any],
        arrays: Arrays,
        alt: str = "",
        empty: str = "",
    ) -> None:
        self._panels, self._traces, self._frame, self._layout = panels, traces, frame, layout
        self._words = {"alt": alt, "empty": empty}
        self.arrays = arrays
        self._figure = make_subplots(**panels)
        self._figure.update_layout(template=TEMPLATE, dragmode=False, **layout)
        for trace in traces:
            self._figure.add_trace(trace.kind(trace.style), row=trace.at[0], col=trace.at[1])
        still = json.loads(self._figure.to_json())
        self._drawn: dict[str, Any] = {}  # the arrays that it shows
        sketch = self.figure  # plotly looks at each value
        self._paths = {_path(sketch.layout, prop): name for prop, name in frame.items()}
        self._feeds = [
            [(_path(drawn, prop), name) for prop, name in trace.feeds.items()]
            for drawn, trace in zip(sketch.data, traces, strict=True)
        ]
        self.shown = {name for feeds in self._feeds for _, name in feeds} | set(self._paths.values())
        self._texts = {name for feeds in self._feeds for path, name in feeds if path == "text"}
        self.state = FigureState(self._specification(still), self._sent(sorted(self.shown)))

    @property
    def figure(self) -> go.Figure:
        """The plotly figure of the present state: one object, brought up to date when it is asked for."""
        figure = self._figure
        for trace, drawn in zip(self._traces, figure.data, strict=True):
            for prop, name in trace.feeds.items():
                if not _same(self.arrays[name], self._drawn.get(name)):
                    drawn[prop] = _sendable(self.arrays[name], prop)
        for prop, name in self._frame.items():
            if not _same(self.arrays[name], self._drawn.get(name)):
                figure.layout[prop] = _sendable(self.arrays[name])
        self._drawn = dict(self.arrays)
        return figure

    def data(self) -> list[dict[str, Any]]:
        """The traces of the present state as plain dictionaries, which plotly has not looked at."""
        return [
            {**trace.style, **{prop: self.arrays[name] for prop, name in trace.feeds.items()}} for trace in self._traces
        ]

    def update(self, arrays: Arrays) -> None:
        """Brings the figure to these arrays in one message, or in none where nothing changed."""
        changed = [name for name in self.shown if not _same(arrays[name], self.arrays[name])]
        self.arrays = arrays
        if changed:
            self.state.show(self._sent(changed))

    def _sent(self, names: Iterable[str]) -> dict[str, Any]:
        return {name: _sendable(self.arrays[name], "text" if name in self._texts else "") for name in names}

    def _specification(self, still: Mapping[str, Any]) -> dict[str, Any]:
        """The part of the figure that never changes, as JSON for the page: panels with traces, places, layouts.

        Args:
            still: the figure as JSON, without its arrays.
        """
        layout, areas = still["layout"], _areas(self._panels)
        heads = [panel for panel, title in enumerate(self._panels.get("subplot_titles", ())) if title]
        common = {name: value for name, value in layout.items() if name in COMMON}
        panels = []
        for n, (area, share) in enumerate(areas):
            number = str(n + 1) if n else ""
            own = {axis: _axis(layout, axis, number, self._layout) for axis in ("xaxis", "yaxis")}
            title = heads.index(n) if n in heads else None
            if title is not None:
                own["title"] = HEAD | {"text": layout["annotations"][title]["text"]}
            frame = [[part, name] for path, name in self._paths.items() if (part := _within(path, number, title))]
            fed = {path for path, _ in frame}
            words = "xaxis.ticktext" in fed or "<br>" in str(own["xaxis"].get("ticktext"))
            if words or own["xaxis"].get("type") == "category":
                own["xaxis"]["automargin"] = True  # words of two lines, or turned for want of room
            ticks = list(map(str, own["yaxis"].get("ticktext", ())))
            if "yaxis.ticktext" in fed or max(map(len, ticks), default=0) > WIDE:
                own["yaxis"]["automargin"] = True
            panels.append(
                {
                    "area": area,
                    "share": share,
                    "layout": common | own | {"margin": _margin(own, fed)},
                    "frame": frame,
                    "traces": [
                        {
                            "index": index,
                            "style": _style(style),
                            "feeds": list(map(list, feeds)),
                            "hears": list(trace.hears),
                        }
                        for index, (style, feeds, trace) in enumerate(
                            zip(still["data"], self._feeds, self._traces, strict=True)
                        )
                        if style.get("xaxis", "x") == f"x{number}"
                    ],
                }
            )
        rows, columns = self._panels.get("rows", 1), self._panels.get("cols", 1)
        return {
            **self._words,
            "template": json.loads(to_json_plotly(TEMPLATE)),
            "height": self._layout.get("height", 420),
            "columns": list(self._panels.get("column_widths") or [1] * columns),
            "rows": list(self._panels.get("row_heights") or [1] * rows),
            "legend": layout.get("showlegend", True),
            "panels": panels,
            "night": NIGHT,
        }


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


# Of a layout, what all panels share. The legend is drawn below all of them, by `plotly_widget.js`.
COMMON = ("barmode", "bargap", "bargroupgap", "dragmode", "hovermode")
WIDE = 4  # letters: what a tick of an upright axis has room for
HEAD = {"font": {"size": 14}, "x": 0.5, "xref": "paper", "xanchor": "center", "y": 1, "yref": "paper"}
HEAD |= {"yanchor": "bottom", "pad": {"b": 8}}


def _areas(panels: Mapping[str, Any]) -> list[tuple[list[int], float]]:
    """Of each panel, in plotly's order: its grid area (CSS: first and last line), and its share of the height."""
    rows, columns = panels.get("rows", 1), panels.get("cols", 1)
    specs = panels.get("specs") or [[{}] * columns for _ in range(rows)]
    heights = panels.get("row_heights") or [1] * rows
    return [
        (
            [row + 1, column + 1, row + 1 + spec.get("rowspan", 1), column + 1 + spec.get("colspan", 1)],
            sum(heights[row : row + spec.get("rowspan", 1)]) / sum(heights),
        )
        for row, line in enumerate(specs)
        for column, spec in enumerate(line)
        if spec is not None
    ]


def _axis(layout: Mapping[str, Any], axis: str, number: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """An axis of the panel `number` as the only one of its own plot."""
    own = dict(layout.get(axis + number, {}))
    for name in ("anchor", "matches"):
        own.pop(name, None)
    if "domain" not in told.get(axis + number, {}):
        own.pop("domain", None)
    if "scaleanchor" in own:
        own["scaleanchor"] = own["scaleanchor"].rstrip("0123456789")
    return own


def _margin(own: Mapping[str, Any], fed: Collection[str]) -> dict[str, int]:
    """Pixels round a panel: for numbers and titles of its axes, also those that are `fed`, and its own title."""

    def room(axis: str, numbers: int, title: int) -> int:
        look = own[axis]
        if look.get("visible") is False:
            return 8
        shown = numbers if look.get("showticklabels") is not False else 8
        return shown + (title if look.get("title", {}).get("text") or f"{axis}.title.text" in fed else 0)

    above = 34 if "title" in own else 10
    wide = 6 if "%" in own["yaxis"].get("tickformat", "") else 0  # "−100%"
    below, top = room("xaxis", 26, 20), own["xaxis"].get("side") == "top"
    return {"l": room("yaxis", 40 + wide, 20), "r": 12, "t": above + (below if top else 0), "b": 8 if top else below}


def _style(style: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in style.items() if name not in ("xaxis", "yaxis", "legend", "uid")}


def _within(path: str, number: str, title: int | None) -> str | None:
    """A path into the layout of all panels as one into that of the panel `number`; None if it leads elsewhere."""
    if title is not None and path == f"annotations[{title}].text":
        return "title.text"
    head, _, rest = path.partition(".")
    axis = head[:5]
    return f"{axis}.{rest}" if axis in ("xaxis", "yaxis") and head[5:] == number else None


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
        return value.item() if value.ndim == 0 else value
    if isinstance(value, np.generic):
        return value.item()
    return value


def _sendable(value: Any, prop: str = "") -> Any:
    """No empty text, but a space that does not break: plotly removes the node of an empty one, and never draws there
    again."""
    if prop == "text" and isinstance(value, (list, tuple)):
        return [each if each != "" else "\u00a0" for each in value]
    return list(value) if isinstance(value, tuple) else value


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and isinstance(b, np.ndarray)
            and a.shape == b.shape
            and bool(np.array_equal(a, b))
        )
    return type(a) is type(b) and a == b
