"""How every explorer looks: a palette for all eyes, one figure template, the styles that traces are made of.

(The page's own style is in `page.css`.)
"""

from typing import Any, NamedTuple

import plotly.graph_objects as go

from amfs_lab.widgets.controls import Number

# Okabe and Ito (2008): eight colours that stay apart for every common kind of colour vision; orange and sky blue are
# darker than theirs, for a contrast of 3 on white. Yellow has less, and always a dark rim.
BLACK, ORANGE, SKY, GREEN = "#000000", "#C98500", "#3E9BD6", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
INK, FAINT, GRID = "#24292F", "#6E7781", "#E7EAEE"

# No series is told by its colour alone: the n-th has a dash and a marker of its own as well.
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "12px,2px,2px,2px,2px,2px")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star")


class Look(NamedTuple):
    """Colour, dash of a curve, marker of a point and pattern of a bar: of one method, rule or task in every figure."""

    color: str
    dash: str
    marker: str
    pattern: str = ""


# One look for each task, in every figure. Those of methods and rules are in `amfs_lab.methods`.
TASKS = (Look(SKY, "solid", "circle"), Look(YELLOW, "solid", "square", "/"), Look(PURPLE, "solid", "diamond", "x"))

# White to blue, light up to 0.75, so that dark numbers can be read on most cells and white ones on the rest.
SIMILARITY = [[0.0, "#FFFFFF"], [0.5, "#D3E5F3"], [0.75, "#A6CCE6"], [0.9, "#2B7AB3"], [1.0, "#00406B"]]

# Each colour of a light page, and what it is on a dark one.
NIGHT = {
    BLACK: "#E6EDF3",
    INK: "#E6EDF3",
    FAINT: "#9DA7B1",
    GRID: "#2D333B",
    "#AEB6BF": "#6B7580",
    "white": "#111111",
    "#FFFFFF": "#111111",
    BLUE: "#4DA3DB",
    "#D3E5F3": "#12304A",
    "#A6CCE6": "#1D4F7A",
    "#2B7AB3": "#4E9AD0",
    "#00406B": "#B9DCF5",
    "#C9D3DE": "#3A4656",
    "#EEF3F8": "#1A2129",
    "#AFC0D2": "#45586C",
}

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"

_AXIS: dict[str, Any] = dict(
    showgrid=True,
    gridcolor=GRID,
    zeroline=False,
    showline=True,
    linecolor="#AEB6BF",
    ticks="outside",
    ticklen=4,
    tickcolor="#AEB6BF",
    ticklabeloverflow="allow",  # spares plotly.js to measure each label at each drawing
    title=dict(standoff=8, font=dict(size=13)),
)

TEMPLATE = go.layout.Template(
    layout=dict(
        font=dict(family=FONT, size=12, color=INK),
        paper_bgcolor="white",
        plot_bgcolor="white",
        colorway=list(COLORS),
        xaxis=_AXIS,
        yaxis=_AXIS,
        margin=dict(l=64, r=20, t=36, b=52),
        hoverlabel=dict(font=dict(family=FONT, size=12)),
        legend=dict(font=dict(size=12), bgcolor="rgba(255,255,255,0.85)"),
        annotationdefaults=dict(font=dict(size=13)),
    )
)

SILENT: dict[str, Any] = dict(showlegend=False, hoverinfo="skip")  # neither in the legend nor under the mouse

# Styles for the table of traces. `hover` is what the mouse is told; `rest` is of the whole trace, as in `name="fit"`.
# Colours, sizes, symbols and widths of rims: one for all points or a list. None: plotly chooses, or a feed tells.
Rim = tuple[Any, Any] | None  # colour and width


def line(
    color: str, width: Number = 2.5, dash: str | None = None, hover: str | None = None, **rest: Any
) -> dict[str, Any]:
    """A curve."""
    return dict(mode="lines", line=dict(color=color, width=width, dash=dash)) | _told(hover) | rest


def marks(
    color: Any = None,
    size: Any = None,
    symbol: Any = None,
    rim: Rim = None,
    *,
    opacity: Number | None = None,
    hover: str | None = None,
    **rest: Any,
) -> dict[str, Any]:
    """Points; `line(...) | marks(..., mode="lines+markers")` joins them."""
    look = dict(color=color, size=size, symbol=symbol, opacity=opacity, line=_edge(rim))
    return dict(mode="markers", marker=look) | _told(hover) | rest


def bars(color: str, rim: Rim = None, hover: str | None = None, **rest: Any) -> dict[str, Any]:
    """Bars."""
    return dict(marker=dict(color=color, line=_edge(rim))) | _told(hover) | rest


def vector(color: str, width: Number, dash: str | None = None, **rest: Any) -> dict[str, Any]:
    """An arrow from the first of two points to the second; `arrows.arrow` says where they are, and the heads' sizes."""
    tip = dict(color=color, opacity=1, symbol="arrow", angleref="previous", line=dict(width=0))
    return line(color, width, dash, mode="lines+markers", marker=tip, **rest)


def series(look: Look, width: Number = 2.5, **rest: Any) -> dict[str, Any]:
    """A curve with points."""
    return line(look.color, width, look.dash) | marks(look.color, symbol=look.marker, mode="lines+markers", **rest)


def _edge(rim: Rim) -> dict[str, Any] | None:
    return dict(color=rim[0], width=rim[1]) if rim else None


def _told(hover: str | None) -> dict[str, str]:
    """The words at the mouse, without the box in which plotly repeats the trace's name."""
    return dict(hovertemplate=f"{hover}<extra></extra>") if hover else {}


def curve(name: str = "", color: str = BLUE, width: float = 2.5, dash: str = "solid") -> dict[str, Any]:
    """The style of a line without a word for the mouse; one without a name stays out of the legend."""
    return line(color, width, dash, name=name, showlegend=bool(name), hoverinfo="skip")


def dots(name: str = "", color: str = BLUE, size: int = 8, symbol: str = "circle", **rest: Any) -> dict[str, Any]:
    """The style of points; those without a name stay out of the legend."""
    return marks(color, size, symbol, name=name, showlegend=bool(name), **rest)
