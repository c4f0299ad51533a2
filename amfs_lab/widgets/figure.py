"""The live figure. A table maps arrays to properties of traces, and only changed arrays are sent to the page."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.io.json import to_json_plotly
from plotly.subplots import make_subplots
from torch import Tensor

from amfs_lab.errors import ConfigError
from amfs_lab.stats import Interval
from amfs_lab.widgets.panels import Panels, number
from amfs_lab.widgets.plotly_widget import FigureState
from amfs_lab.widgets.style import NIGHT, TEMPLATE
from amfs_lab.widgets.traces import Trace


class Record(dict[str, Any]):
    """Immutable named values that can be read as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has the names {', '.join(self)}. Got {name!r}.") from None


class State(Record):
    """The values of all controls of an explorer, by name."""


class Arrays(Record):
    """The results of `compute` by name. Tensors become numpy arrays or numbers. Other values are unchanged."""

    def __init__(self, **values: Any) -> None:
        super().__init__({name: _plain(value) for name, value in values.items()})


class LiveFigure:
    """A plotly figure and its messages to the page. Arrays set the variable properties of its traces and panels.

    Args:
        panels: the panels by name. traces: the traces by name. layout: the constant part of the layout.
        frame: a mapping from a property of a panel, such as "fit.x.range" or "fit.title", to the name of the array that
            sets the property.
        arrays: the arrays of the first state. alt: the alternative text. empty: the text in a panel without data.
    Raises:
        ConfigError: a trace or a property of a panel that does not exist.
    """

    def __init__(
        self,
        panels: Panels,
        traces: Mapping[str, Trace],
        frame: Mapping[str, str],
        layout: Mapping[str, Any],
        arrays: Arrays,
        alt: str = "",
        empty: str = "",
    ) -> None:
        self._panels, self._traces, self._layout = panels, traces, layout
        self._words = {"alt": alt, "empty": empty}
        self.arrays = arrays
        self._figure = make_subplots(**panels.subplots())
        self._figure.update_layout(template=TEMPLATE, dragmode=False, **panels.layout(), **layout)
        for trace in traces.values():
            row, column, *_ = panels.area(list(panels)[panels.number(trace.at)])
            self._figure.add_trace(trace.kind(trace.style), row=row + 1, col=column + 1)
        still = json.loads(self._figure.to_json())
        self._drawn: dict[str, Any] = {}  # the arrays that the figure shows
        self._frame = [(*panels.path(place), name) for place, name in frame.items()]
        self._feeds = [
            [(_path(drawn, prop), name) for prop, name in trace.feeds.items()]
            for drawn, trace in zip(self.figure.data, traces.values(), strict=True)  # plotly validates each value
        ]
        self.shown = {name for feeds in self._feeds for _, name in feeds} | set(frame.values())
        self._texts = {name for feeds in self._feeds for path, name in feeds if path == "text"}
        self.state = FigureState(self._specification(still), self._sent(sorted(self.shown)))

    @property
    def figure(self) -> go.Figure:
        """The plotly figure of the present state. It is always the same object, which this property updates."""
        figure = self._figure
        for trace, drawn in zip(self._traces.values(), figure.data, strict=True):
            for prop, name in trace.feeds.items():
                if self._is_new(name):
                    drawn[prop] = _sendable(self.arrays[name], prop)
        titled = list(self._panels.titled())
        for n, path, name in self._frame:
            if self._is_new(name):
                axis, _, rest = path.partition(".")
                whole = f"annotations[{titled.index(n)}].text" if axis == "title" else f"{axis}{number(n)}.{rest}"
                figure.layout[whole] = _sendable(self.arrays[name])
        self._drawn = dict(self.arrays)
        return figure

    def trace(self, name: str) -> Any:
        """The plotly trace of the present state with this name. Raises ConfigError for an unknown name."""
        if name not in self._traces:
            raise ConfigError(f"A trace must be one of {', '.join(self._traces)}. Got {name!r}.")
        return self.figure.data[list(self._traces).index(name)]

    def data(self) -> dict[str, dict[str, Any]]:
        """The traces of the present state, by name, as plain dictionaries without plotly's validation."""
        return {
            name: {**trace.style, **{prop: self.arrays[array] for prop, array in trace.feeds.items()}}
            for name, trace in self._traces.items()
        }

    def update(self, arrays: Arrays) -> None:
        """Shows these arrays in the figure. All changed arrays are in one message. Without changes, nothing is sent."""
        changed = [name for name in self.shown if not _same(arrays[name], self.arrays[name])]
        self.arrays = arrays
        if changed:
            self.state.show(self._sent(changed))

    def _is_new(self, name: str) -> bool:
        return not _same(self.arrays[name], self._drawn.get(name))

    def _sent(self, names: Iterable[str]) -> dict[str, Any]:
        return {name: _sendable(self.arrays[name], "text" if name in self._texts else "") for name in names}

    def _specification(self, still: Mapping[str, Any]) -> dict[str, Any]:
        """The constant part of the figure, as JSON for the page: panels with their traces, positions and layouts.

        Args:
            still: the figure as JSON, without its arrays.
        """
        layout = still["layout"]
        common = {name: value for name, value in layout.items() if name in COMMON}
        titles = iter(layout.get("annotations", ()))
        panels = []
        for n, (name, panel) in enumerate(self._panels.items()):
            own = {f"{axis}axis": _axis(layout, f"{axis}axis{number(n)}", getattr(panel, axis)) for axis in "xy"}
            if panel.title:
                own["title"] = HEAD | {"text": next(titles)["text"]}
            frame = [[path, array] for m, path, array in self._frame if m == n]
            fed = {path for path, _ in frame}
            words = "xaxis.ticktext" in fed or "<br>" in str(own["xaxis"].get("ticktext"))
            if words or own["xaxis"].get("type") == "category":
                own["xaxis"]["automargin"] = True  # labels of two lines, or rotated ones
            ticks = list(map(str, own["yaxis"].get("ticktext", ())))
            if "yaxis.ticktext" in fed or max(map(len, ticks), default=0) > WIDE:
                own["yaxis"]["automargin"] = True
            row, column, row_end, column_end = self._panels.area(name)
            panels.append(
                {
                    "area": [row + 1, column + 1, row_end + 1, column_end + 1],  # line numbers of the CSS grid
                    "share": self._panels.share(name),
                    "layout": common | own | {"margin": _margin(own, fed)},
                    "frame": frame,
                    "traces": [
                        {
                            "name": key,
                            "style": _style(style),
                            "feeds": list(map(list, feeds)),
                            "events": list(trace.events),
                        }
                        for style, feeds, (key, trace) in zip(
                            still["data"], self._feeds, self._traces.items(), strict=True
                        )
                        if self._panels.number(trace.at) == n
                    ],
                }
            )
        return {
            **self._words,
            "template": json.loads(to_json_plotly(TEMPLATE)),
            "height": self._layout.get("height", 420),
            "columns": self._panels.widths,
            "rows": self._panels.heights,
            "legend": layout.get("showlegend", True),
            "panels": panels,
            "night": NIGHT,
        }


def half_widths(intervals: Sequence[Interval]) -> np.ndarray:
    """The lengths of error bars. If there are too few values for an interval, the length is 0 and no bar is drawn."""
    return np.array([interval.half_width or 0.0 for interval in intervals])


def _path(part: Any, prop: str) -> str:
    """A property in the notation of the page: `marker_color` is `marker.color`, `error_x_array` is `error_x.array`."""
    if "." in prop or hasattr(part, prop):
        return prop
    words = prop.split("_")
    heads = ("_".join(words[:n]) for n in range(len(words) - 1, 0, -1))  # the longest match first
    head = next(head for head in heads if hasattr(part, head))
    return f"{head}.{_path(part[head], prop.removeprefix(head + '_'))}"


# The layout that all panels share. `plotly_widget.js` draws the legend below all panels.
COMMON = ("barmode", "bargap", "bargroupgap", "dragmode", "hovermode")
WIDE = 4  # characters: the width that is reserved for a tick label of a vertical axis
HEAD = {"font": {"size": 14}, "x": 0.5, "xref": "paper", "xanchor": "center", "y": 1, "yref": "paper"}
HEAD |= {"yanchor": "bottom", "pad": {"b": 8}}


def _axis(layout: Mapping[str, Any], name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """An axis of the layout, changed for a plot with only one panel. `settings`: the settings of the panel's axis."""
    own = dict(layout.get(name, {}))
    for place in ("anchor", "matches", "domain"):
        if place not in settings:
            own.pop(place, None)
    if "scaleanchor" in own:
        own["scaleanchor"] = own["scaleanchor"].rstrip("0123456789")
    return own


def _margin(own: Mapping[str, Any], fed: Collection[str]) -> dict[str, int]:
    """The margins of a panel in pixels: space for its title, and for the numbers and titles of its axes.

    Args:
        own: the layout of the panel.
        fed: the properties that arrays set. If an array sets an axis title, this title may be empty in `own`.
    """

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


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
        return value.item() if value.ndim == 0 else value
    if isinstance(value, np.generic):
        return value.item()
    return value


def _sendable(value: Any, prop: str = "") -> Any:
    """The value for the page. In a list of texts, a no-break space replaces each empty text.

    plotly removes the node of an empty text, and later texts would not be drawn.
    """
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
