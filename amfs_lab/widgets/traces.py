"""The table of traces of an explorer: the class `Trace` and the named kinds of trace that figures use.

    traces = {
        "truth": curve("grid", "truth", FAINT, 2, "dash", name="truth"),
        "labels": dots("x", "y", "white", rim=(INK, 1.5), name="labels"),
        "ridge": reference_line("lambdas", "ridge", at="filter"),
    }

A coordinate, such as `x` or `y`, is the name of an array of the explorer, or a list of values. All kinds accept the
arguments of `made`: the panel, the legend entry, the hover text, and more properties that arrays set.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from amfs_lab.widgets.controls import Number
from amfs_lab.widgets.style import BLUE, FAINT, Look

Source = str | Sequence[Any]  # the name of an array, or constant values
Rim = tuple[Any, Any] | None  # colour and width, for all points or as a list


class Trace:
    """A plotly trace. Arrays of the explorer set some of its properties.

    Args:
        kind: the class in plotly. style: the constant properties. at: the name of the panel; "" for the first panel.
        events: the mouse events, "click" or "hover", that are passed to `Explorer.pointed`.
        feeds: property of the trace = name of the array that sets it. Underscores give a path: `marker_color="colors"`.
    """

    def __init__(
        self, kind: type, style: Mapping[str, Any], *, at: str = "", events: Sequence[str] = (), **feeds: str
    ) -> None:
        self.kind, self.style, self.at, self.events, self.feeds = kind, dict(style), at, events, feeds


def made(
    kind: type,
    style: Mapping[str, Any],
    coordinates: Mapping[str, Any],
    *,
    name: str = "",
    listed: bool = True,
    group: str = "",
    hover: str | None = "",
    more: Mapping[str, Any] | None = None,
    named: str = "",
    **rest: Any,
) -> Trace:
    """A trace with the settings that all kinds below have in common.

    Args:
        style: the constant properties of the kind. coordinates: the coordinates by property (`x`, `y`, ...).
        name: the text of the legend entry; "" for no entry. listed: False for a name without a legend entry.
        group: traces of one group are shown and hidden together. named: the name of the array that sets `name`.
        hover: the hover text; "" for plotly's own text, None for no text. more: further constant properties.
        rest: arguments of `Trace`.
    """
    style = dict(style)
    if name:
        style["name"] = name
    if group:
        style["legendgroup"] = group
    if kind in (go.Scatter, go.Bar) and not (listed and (name or named)) and "showlegend" not in rest:
        style["showlegend"] = False
    if hover:
        # Without the box in which plotly repeats the name, unless the name can change.
        style["hovertemplate"] = hover if named else f"{hover}<extra></extra>"
    elif hover is None:
        style["hoverinfo"] = "skip"
    feeds = {prop: source for prop, source in coordinates.items() if isinstance(source, str)}
    style |= {prop: source for prop, source in coordinates.items() if prop not in feeds}
    if named:
        feeds["name"] = named
    return Trace(kind, style | dict(more or {}), **feeds, **rest)


def curve(
    x: Source,
    y: Source,
    color: str = BLUE,
    width: Number = 2.5,
    dash: str | None = None,
    *,
    hover: str | None = None,
    **rest: Any,
) -> Trace:
    """A curve, by default without hover text."""
    return made(go.Scatter, dict(mode="lines", line=_line(color, width, dash)), dict(x=x, y=y), hover=hover, **rest)


def reference_line(
    x: Source, y: Source, width: Number = 1.5, dash: str | None = None, color: str = FAINT, **rest: Any
) -> Trace:
    """A thin, faint line for comparison with other curves, without legend entry and hover text."""
    return curve(x, y, color, width, dash, **rest)


def dots(
    x: Source, y: Source, color: Any = None, size: Any = 8, symbol: Any = None, rim: Rim = None, **rest: Any
) -> Trace:
    """Points. Give one colour, size, symbol or rim width for all points, or a list of values.

    None gives plotly's default.
    """
    return made(go.Scatter, dict(mode="markers", marker=_marker(color, size, symbol, rim)), dict(x=x, y=y), **rest)


def notes(x: Source, y: Source, text: Source, side: str | None = None, **rest: Any) -> Trace:
    """Texts at points of the panel, without hover text. `side`: the position of a text relative to its point."""
    style = dict(mode="text", textposition=side)
    return made(go.Scatter, style, dict(x=x, y=y, text=text), hover=None, **rest)


def dotted_curve(
    x: Source,
    y: Source,
    look: Look,
    width: Number = 2.5,
    size: Any = None,
    rim: Rim = None,
    *,
    inside: str | None = None,
    **rest: Any,
) -> Trace:
    """A curve with markers. `inside`: colour of the markers, by default the colour of `look`."""
    line, marker = _line(look.color, width, look.dash), _marker(inside or look.color, size, look.marker, rim)
    return made(go.Scatter, dict(mode="lines+markers", line=line, marker=marker), dict(x=x, y=y), **rest)


def area(x: Source, y: Source, color: str, rim: Rim = None, **rest: Any) -> Trace:
    """The filled area inside a closed line, without hover text."""
    style = dict(mode="lines", fill="toself", fillcolor=color, line=_edge(rim) or dict(width=0))
    return made(go.Scatter, style, dict(x=x, y=y), hover=None, **rest)


def bars(
    x: Source,
    y: Source,
    color: Any = None,
    rim: Rim = None,
    hatch: Mapping[str, Any] | None = None,
    *,
    numbers: str = "",
    **rest: Any,
) -> Trace:
    """Bars. `hatch`: the pattern of the bars, see `hatched`. `numbers`: the array with the labels above the bars."""
    marker: dict[str, Any] = dict(color=color, line=_edge(rim), pattern=hatch)
    style: dict[str, Any] = dict(marker=marker)
    if numbers:
        style |= dict(textposition="outside", constraintext="none", cliponaxis=False)
        rest["text"] = numbers
    return made(go.Bar, style, dict(x=x, y=y), **rest)


def hatched(shape: Any = None, ink: str = "white", size: int | None = None, solidity: float | None = None) -> dict:
    """The pattern of a bar: hatch lines over its colour."""
    return dict(shape=shape, fillmode="overlay", fgcolor=ink, size=size, solidity=solidity)


def vector(points: str, color: str, width: Number, dash: str | None = None, **rest: Any) -> Trace:
    """An arrow. The arrays of `arrows.Arrow.arrays(points)` set its two ends, marker sizes and head symbol."""
    tip = dict(color=color, opacity=1, symbol="arrow", angleref="previous", line=dict(width=0))
    style = dict(mode="lines+markers", line=_line(color, width, dash), marker=tip)
    feeds = dict(marker_size=f"{points}_size", marker_symbol=f"{points}_tip")
    return made(go.Scatter, style, dict(x=f"{points}_x", y=f"{points}_y"), **feeds, **rest)


def heat_map(x: Source, y: Source, z: str, stops: Sequence[Any], *, colorbar: Any = None, **rest: Any) -> Trace:
    """A matrix with values in [0, 1] as coloured cells. `stops`: the colour scale. `colorbar`: None for no legend."""
    style = dict(zmin=0, zmax=1, colorscale=stops, colorbar=colorbar, showscale=colorbar is not None)
    return made(go.Heatmap, style, dict(x=x, y=y, z=z), **rest)


def contours(x: Source, y: Source, z: str, stops: Sequence[Any], **rest: Any) -> Trace:
    """Filled contours of a surface. `stops`: the colour scale."""
    style = dict(colorscale=stops, showscale=False, line=dict(color=FAINT, width=0.4))
    return made(go.Contour, style, dict(x=x, y=y, z=z), **rest)


def image(source: str, x0: Number = 0, y0: Number | str = 0, step: Number = 1, **rest: Any) -> Trace:
    """An image from a data URI. `x0`, `y0`: the centre of its upper left pixel. `step`: the side of a pixel."""
    return made(go.Image, dict(x0=x0, dx=step, dy=step), dict(source=source, y0=y0), hover=None, **rest)


def _line(color: str, width: Number, dash: str | None = None) -> dict[str, Any]:
    return dict(color=color, width=width, dash=dash)


def _marker(color: Any, size: Any, symbol: Any, rim: Rim) -> dict[str, Any]:
    # plotly's default opacity is 0.7 if each point has its own size.
    return dict(color=color, size=size, symbol=symbol, opacity=1, line=_edge(rim))


def _edge(rim: Rim) -> dict[str, Any] | None:
    return dict(color=rim[0], width=rim[1]) if rim else None
