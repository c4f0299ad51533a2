"""Drawing of an explorer's plotly figure with matplotlib, for slides, papers, and pages without a kernel.

This module draws the properties in `KNOWN`, which explorers use. It raises an error for any other property.
"""

import base64
import io
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib import colors, ticker
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.image import imread
from matplotlib.lines import Line2D
from matplotlib.patches import ArrowStyle, Patch
from matplotlib.path import Path
from matplotlib.transforms import IdentityTransform

from amfs_lab.errors import ConfigError
from amfs_lab.plots import SavableFigure
from amfs_lab.widgets.controls import Number
from amfs_lab.widgets.style import COLORS, INK, TEMPLATE

DPI = 100
PX = 72 / DPI  # points per pixel
WIDTH, PANEL = 900, (620, 460)  # pixels: of a figure, and of a single panel

# Every property that is drawn; `a.*` means everything below `a`.
UNSEEN = "customdata hoverinfo hovertemplate hoverlabel.* legend legendgroup uid type xaxis yaxis"
MARKER = "marker.color marker.line.color marker.line.width"
KNOWN = {
    "scatter": f"{MARKER} marker.angleref marker.opacity marker.size marker.symbol cliponaxis fill fillcolor "
    "line.backoff line.color line.dash line.shape line.simplify line.width mode name opacity showlegend text "
    "textfont.color textfont.size textposition visible x y "
    + " ".join(f"error_{a}.{p}" for a in "xy" for p in ("array", "color", "thickness", "type", "visible", "width")),
    "bar": f"{MARKER} marker.opacity marker.pattern.* base cliponaxis constraintext name opacity showlegend text "
    "textfont.color textfont.size textposition visible width x y",
    "heatmap": "colorbar.* colorscale name showscale showlegend textfont.size texttemplate visible x xgap y ygap z "
    "zmax zmin",
    "contour": "autocontour colorscale contours.start contours.end contours.size line.color line.width name ncontours "
    "showlegend showscale visible x y z zmax zmin",
    "image": "dx dy name source visible x0 y0",
    "axis": "anchor automargin autorange constrain constraintoward domain dtick exponentformat gridcolor linecolor "
    "matches nticks range rangemode scaleanchor scaleratio showgrid showline showticklabels side tick0 tickangle "
    "tickcolor tickfont.size tickformat ticklabeloverflow ticklen ticks ticktext tickvals title.* type visible "
    "zeroline zerolinecolor zerolinewidth",
    "layout": "annotations bargap bargroupgap barmode dragmode height hovermode legend* margin.* showlegend template.* "
    "xaxis* yaxis*",
}


def ring(n: int, *radii: Number) -> Path:
    """A polygon with `n` corners around the origin. The first corner is on top.

    The distances of the corners from the origin are `radii`, repeated in this order.
    """
    angles = np.pi / 2 + 2 * np.pi * np.arange(n) / n
    corners = np.stack([np.cos(angles), np.sin(angles)], 1) * np.resize(radii, n)[:, None]
    return Path(np.concatenate([corners, corners[:1]]), closed=True)


def shape(*corners: tuple[Number, Number]) -> Path:
    return Path([*corners, corners[0]], closed=True)


def strokes(*ends: tuple[Number, Number]) -> Path:
    return Path(ends, [Path.MOVETO, Path.LINETO] * (len(ends) // 2))


A, C, T = 0.8 / 2**0.5, 1.2, 2 / 3**0.5
# The shapes of plotly's markers of size 2.
SYMBOLS = {
    "circle": Path.unit_circle(),
    "square": shape((-1, -1), (1, -1), (1, 1), (-1, 1)),
    "diamond": ring(4, 1.3),
    "triangle-up": shape((-T, -0.5), (T, -0.5), (0, 1)),
    "triangle-down": shape((-T, 0.5), (T, 0.5), (0, -1)),
    "hexagon": ring(6, 1),
    "star": ring(10, 1.4, 0.382 * 1.4),
    "cross": shape(
        *((C, 0.4), (0.4, 0.4), (0.4, C), (-0.4, C), (-0.4, 0.4), (-C, 0.4)),
        *((-C, -0.4), (-0.4, -0.4), (-0.4, -C), (0.4, -C), (0.4, -0.4), (C, -0.4)),
    ),
    "x": shape(
        *((0, A), (A, 2 * A), (2 * A, A), (A, 0), (2 * A, -A), (A, -2 * A)),
        *((0, -A), (-A, -2 * A), (-2 * A, -A), (-A, 0), (-2 * A, A), (-A, 2 * A)),
    ),
}
STROKES = {
    "line-ew": strokes((-1.4, 0), (1.4, 0)),
    "line-ns": strokes((0, -1.4), (0, 1.4)),
    "cross-thin": strokes((-1.4, 0), (1.4, 0), (0, -1.4), (0, 1.4)),
    "x-thin": strokes((-1, -1), (1, 1), (-1, 1), (1, -1)),
}
DASHES = {"dot": "1,1", "dash": "3,3", "longdash": "5,5", "dashdot": "3,1,1,1", "longdashdot": "5,2,1,2"}
HATCHES = {"": None, "/": "////", "\\": "\\\\\\\\", "x": "xxxx", ".": "....", "-": "----", "|": "||||", "+": "++++"}
LAYERS = {"image": 1, "heatmap": 2, "contour": 3, "bar": 4, "scatter": 5}
ROWS = {"top": ("bottom", 1), "middle": ("center", 0), "bottom": ("top", -1)}
COLUMNS = {"left": ("right", -1), "center": ("center", 0), "right": ("left", 1)}


def still(
    figure: go.Figure, spec: Mapping[str, Any], title: str = "", caption: str = "", panel: int | None = None
) -> SavableFigure:
    """The figure in matplotlib: from top to bottom, it has the title, the panels, the legend and the caption.

    Args:
        spec: the result of `LiveFigure._specification`, which has the positions of the panels.
        panel: number of the only panel to draw, from 1; None draws all panels.
    Raises:
        ConfigError: a visible property that cannot be drawn, or a panel number that does not exist.
    """
    layout, data = figure.layout.to_plotly_json(), [trace.to_plotly_json() for trace in figure.data]
    check("layout", layout)
    panels = spec["panels"]
    if panel is not None and panel not in range(1, len(panels) + 1):
        raise ConfigError(f"`panel` must be one of 1 to {len(panels)}. Got {panel!r}.")
    width, height = (WIDTH, layout.get("height", 420)) if panel is None else PANEL
    shown = range(len(panels)) if panel is None else [panel - 1]
    traces = [(n, t) for n, t in enumerate(data) if t.get("visible") is not False and panel_of(t) in shown]
    handles = [handle for n, t in traces if layout.get("showlegend") is not False and (handle := swatch(t, n))]
    widest = max((len(plain(each.get_label())) for each in handles), default=0)
    columns = max(1, min(len(handles), int((width - 10) // (7 * widest + 50))))
    words = "\n".join(textwrap.fill(each, int(width / 6.4)) for each in caption.split("\n"))
    top = 34 * bool(title)
    below = 20 * -(-len(handles) // columns), 17 * len(words.split("\n")) * bool(words) + 10 * bool(words)
    whole = height + top + sum(below)
    paper = SavableFigure(figsize=(width / DPI, whole / DPI), dpi=DPI, facecolor="white")
    room: Any = dict(rect=(0, sum(below) / whole, 1, height / whole), w_pad=0.06, h_pad=0.06, wspace=0.02, hspace=0.02)
    paper.set_layout_engine("constrained", **room)
    if title:
        paper.text(10 / width, 1 - 10 / whole, title, size=15 * PX, weight="bold", color=INK, va="top")
    if words:
        paper.text(10 / width, 6 / whole, words, size=12 * PX, color=INK, va="bottom", linespacing=1.25)
    if handles:
        place: Any = dict(loc="lower left", bbox_to_anchor=(4 / width, (below[1] - 4) / whole), ncols=columns)
        handles = [handle for column in range(columns) for handle in handles[column::columns]]  # in reading order
        look: Any = dict(fontsize=12 * PX, frameon=False, labelcolor=INK, handlelength=3.6)
        paper.legend(handles=handles, **look, **place).set_in_layout(False)
    grid = paper.add_gridspec(
        len(spec["rows"]), len(spec["columns"]), width_ratios=spec["columns"], height_ratios=spec["rows"]
    )
    heads = iter(layout.get("annotations", ()))
    for number in range(len(panels)):
        head = next(heads)["text"] if "title" in panels[number]["layout"] else ""
        if number in shown:
            row, column, row_end, column_end = (line - 1 for line in panels[number]["area"])
            axes = paper.add_subplot(grid[row:row_end, column:column_end] if panel is None else 111)
            own = [(n, trace) for n, trace in traces if panel_of(trace) == number]
            looks = {letter: layout.get(f"{letter}axis{number + 1 if number else ''}", {}) for letter in "xy"}
            above = looks["x"].get("side") == "top"  # matplotlib then computes the title's position, which is slow
            axes.set_title(said(head), size=14 * PX, color=INK, pad=8 * PX, y=None if above else 1)
            Panel(axes, looks, layout, own).draw()
    return paper


def panel_of(trace: Mapping[str, Any]) -> int:
    return int(trace.get("xaxis", "x")[1:] or 1) - 1


def check(kind: str, part: Mapping[str, Any]) -> None:
    """Raises ConfigError if a trace, an axis or a layout has a property that is not drawn."""
    if kind not in KNOWN:
        raise ConfigError(
            f"A picture can show traces of {', '.join(list(KNOWN)[:5])}. Got {kind!r}. "
            "Use one of these, or draw the new kind in `static_figure.py`."
        )
    known = f"{KNOWN[kind]} {UNSEEN}".split()
    for name in paths(part):
        if not any(name == each or (each.endswith("*") and name.startswith(each[:-1])) for each in known):
            raise ConfigError(
                f"A picture cannot show the property `{name}` of {kind}. "
                "Remove the property, or draw it in `static_figure.py`."
            )


def paths(part: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, value in part.items():
        if isinstance(value, Mapping):
            yield from paths(value, f"{above}{name}.")
        elif value is not None:
            yield above + name


def one_of(table: Mapping[str, Any], value: str, what: str) -> Any:
    if value not in table:
        raise ConfigError(f"In a picture, the {what} must be one of {', '.join(map(repr, table))}. Got {value!r}.")
    return table[value]


def said(text: Any) -> str:
    """A text in matplotlib's notation, from a text with plotly's markup, such as `s<sub>i</sub>` for a subscript."""
    text = str(text).replace("$", r"\$").replace("<br>", "\n").replace("\u00a0", " ")
    marks = {"sub": "$_{\\mathrm{%s}}$", "sup": "$^{\\mathrm{%s}}$", "b": "$\\mathbf{%s}$", "i": "$\\mathit{%s}$"}
    return re.sub(r"<(\w+)>([^<]*)</\1>", lambda found: one_of(marks, found[1], "markup") % found[2], text)


def plain(text: Any) -> str:
    return re.sub(r"\$.*?\{\\\w+\{(.*?)\}\}\$", r"\1", str(text))


def colour(value: Any) -> Any:
    """A colour in a form that matplotlib accepts; converts "rgba(0, 114, 178, 0.12)"."""
    if isinstance(value, str) and value.startswith("rgb"):
        numbers = [float(each) for each in re.findall(r"[\d.]+", value)]
        return (*(each / 255 for each in numbers[:3]), *numbers[3:])
    return value


def spread(value: Any, n: int) -> list[Any]:
    """A list with one value for each of `n` points: the elements of `value`, or `value` itself repeated."""
    return list(value)[:n] if isinstance(value, (list, tuple, np.ndarray)) else [value] * n


def first(value: Any, otherwise: Any = None) -> Any:
    found = (spread(value, 1) or [None])[0]
    return otherwise if found is None else found


def dashes(line: Mapping[str, Any]) -> Any:
    """The dash pattern of a line in matplotlib's notation.

    matplotlib scales a pattern by the line width. plotly scales its patterns only for widths above 3.
    """
    dash, width = line.get("dash") or "solid", line.get("width", 2)
    if dash == "solid":
        return "solid"
    scale = 1 / width if "px" in dash else max(width, 3) / width
    pattern = dash.replace("px", "") if "px" in dash else one_of(DASHES, dash, "dash")
    return (0, [scale * float(part) for part in pattern.split(",")])


def base_of(trace: Mapping[str, Any], index: int) -> Any:
    """The default colour of a trace, for its parts without a colour of their own."""
    own = COLORS[index % len(COLORS)]
    return trace.get("line", {}).get("color") or first(trace.get("marker", {}).get("color"), own)


def mode_of(trace: Mapping[str, Any]) -> str:
    return trace.get("mode") or ("lines+markers" if len(trace.get("x", ())) < 20 else "lines")


def look_of(symbol: Any, fill: Any, edge: Any, width: Any) -> tuple[Path, Any, Any, Number]:
    """The path, face colour, edge colour and edge width of one marker."""
    name = symbol or "circle"
    if name in STROKES:
        return STROKES[name], "none", edge or fill, width or 1
    path = one_of(SYMBOLS, name.removesuffix("-open"), "symbol")
    if name.endswith("-open"):
        return path, "none", fill, width or 1
    return path, fill, edge or fill, width or 0


def swatch(trace: Mapping[str, Any], index: int) -> Any:
    """The legend entry of a trace; None if the trace has no legend entry."""
    if not trace.get("name") or trace.get("showlegend") is False:
        return None
    label, marker, color = said(trace["name"]), trace.get("marker", {}), colour(base_of(trace, index))
    edge = marker.get("line", {})
    rim, thick = colour(first(edge.get("color"))), PX * first(edge.get("width"), 0)
    if trace["type"] == "bar":
        pattern = marker.get("pattern", {})
        hatch, ink = HATCHES[first(pattern.get("shape"), "")], first(pattern.get("fgcolor"), rim or "none")
        return Patch(fc=colour(first(marker.get("color"), color)), ec=colour(ink), lw=thick, hatch=hatch, label=label)
    if trace["type"] != "scatter":
        return None
    line, mode = trace.get("line", {}), mode_of(trace)
    if trace.get("fill", "none") != "none" and not line.get("width", 2):
        return Patch(fc=colour(trace.get("fillcolor") or color), label=label)
    look: dict[str, Any] = dict(color=color, lw=PX * line.get("width", 2) if "lines" in mode else 0)
    symbol = first(marker.get("symbol"), "circle")
    if "markers" in mode and symbol != "arrow":
        path, face, edge_color, width = look_of(symbol, colour(first(marker.get("color"), color)), rim, thick / PX)
        size = PX * min(first(marker.get("size"), 6), 10) * np.abs(path.vertices).max()
        look |= dict(marker=path, ms=size, mfc=face, mec=edge_color, mew=PX * width)
    return Line2D([], [], label=label, ls=dashes(line) if look["lw"] else "none", **look)


class Panel:
    """One panel: matplotlib axes, plotly's layout of both axes, and the traces."""

    def __init__(self, axes: Axes, looks: Mapping[str, Any], layout: Mapping[str, Any], traces: Sequence[Any]) -> None:
        self.axes, self.layout, self.traces = axes, layout, traces
        common: Any = TEMPLATE.layout
        self.looks = {name: common[f"{name}axis"].to_plotly_json() | dict(look) for name, look in looks.items()}
        self.names: dict[str, list[str]] = {"x": [], "y": []}  # labels of a category axis, in order
        self.bars = [trace for _, trace in traces if trace["type"] == "bar"]
        self.last = np.zeros((0, 2))  # points of the last line, for a trace that fills the area down to this line
        self.tops: dict[tuple[float, bool], float] = {}  # tops of stacked bars

    def draw(self) -> None:
        for name, look in self.looks.items():
            check("axis", look)
            if look.get("type") == "log":
                getattr(self.axes, f"set_{name}scale")("log", nonpositive="mask")
                getattr(self.axes, f"{name}axis").set_minor_locator(ticker.NullLocator())
        for index, trace in self.traces:
            check(trace["type"], trace)
            self.look: dict[str, Any] = dict(zorder=LAYERS[trace["type"]] + index / 1000, gid=f"trace-{index}")
            getattr(self, trace["type"])(trace, index)
        marked = any(t["type"] == "bar" or "markers" in mode_of(t) for _, t in self.traces if t["type"] != "image")
        self.axes.margins(x=0.05 if marked else 0, y=0.05)
        for name, look in self.looks.items():
            self.axis(name, look)

    def numbers(self, trace: Mapping[str, Any], name: str, n: int = 0) -> np.ndarray:
        """The coordinates of a trace on one axis; by default 0 to n - 1.

        A category becomes its index, and a missing value becomes NaN.
        """
        values = trace.get(name)
        values = range(n) if values is None else values
        if self.looks[name].get("type") == "category" or any(isinstance(value, str) for value in values):
            known = self.names[name]
            known += [value for value in dict.fromkeys(values) if value not in known]
            return np.array([known.index(value) for value in values], float)
        return floats(values)

    # Traces, by type.

    def scatter(self, trace: Mapping[str, Any], index: int) -> None:
        x, y, mode, line = self.numbers(trace, "x"), self.numbers(trace, "y"), mode_of(trace), trace.get("line", {})
        base, alpha = base_of(trace, index), seen_through(trace.get("opacity", 1))
        marker = {"color": base} | {name: value for name, value in trace.get("marker", {}).items() if value is not None}
        width = PX * line.get("width", 2)
        fill, line_of_points = trace.get("fill") or "none", np.stack([x, y], 1)
        if one_of({"none": False, "toself": True, "tonexty": True}, fill, "fill") and len(x):
            face = colour(trace.get("fillcolor")) or colors.to_rgba(colour(base), 0.5)
            area = line_of_points if fill == "toself" else np.concatenate([self.last, line_of_points[::-1]])
            for part in np.split(area, np.flatnonzero(np.isnan(area).any(1))):
                self.axes.fill(*part[~np.isnan(part).any(1)].T, facecolor=face, lw=0, **self.look)
        self.last = line_of_points
        for name in "xy":
            bars = trace.get(f"error_{name}") or {}
            if bars.get("array") is not None and len(x) and bars.get("visible") is not False:
                thick, ends = PX * bars.get("thickness", 2), {f"{name}err": np.nan_to_num(floats(bars["array"]))}
                look = dict(elinewidth=thick, capthick=thick, capsize=PX * bars.get("width", 4), **self.look)
                self.axes.errorbar(x, y, **ends, fmt="none", ecolor=colour(bars.get("color") or base), **look)
        symbols = spread(marker.get("symbol"), len(x))
        if "arrow" in symbols:
            if len(x) > 1:
                self.arrow(x, y, colour(base), width, dashes(line), spread(marker["size"], 2)[1], alpha)
            mode = mode.replace("markers", "").replace("lines", "")
        if "lines" in mode and width:
            steps = one_of({"linear": "default", "hv": "steps-post"}, line.get("shape") or "linear", "shape of a line")
            style = dict(ls=dashes(line), drawstyle=steps, solid_capstyle="butt", clip_on=clipped(trace))
            self.axes.plot(x, y, color=colour(line.get("color") or base), lw=width, alpha=alpha, **style, **self.look)
        if "markers" in mode:
            self.markers(trace, x, y, marker, alpha)
        if "text" in mode:
            self.texts(trace, x, y, [0] * len(x) if "markers" not in mode else spread(marker.get("size", 6), len(x)))

    def arrow(self, x: Any, y: Any, color: Any, width: Number, dash: Any, size: Any, alpha: Number | None) -> None:
        """Draws an arrow between two points, as plotly does: a head of size s is 0.95 s long and 0.62 s wide."""
        head, half = 0.95 * size * PX, 0.31 * size * PX
        shaft = dict(arrowstyle="-", lw=width, ls=dash, shrinkB=0.8 * head)
        tip = dict(arrowstyle=ArrowStyle("-|>", head_length=max(head, 0.1), head_width=max(half, 0.1)), lw=0, shrinkB=0)
        for part in (shaft, tip):
            look = dict(mutation_scale=1, shrinkA=0, color=color, alpha=alpha, capstyle="butt", **part)
            tips = dict(xy=(x[1], y[1]), xytext=(x[0], y[0]))
            drawn = self.axes.annotate("", **tips, arrowprops=look, annotation_clip=False, **self.look)
            assert drawn.arrow_patch is not None
            drawn.arrow_patch.set_clip_path(self.axes.patch)
            drawn.set_in_layout(False)

    def markers(
        self, trace: Mapping[str, Any], x: Any, y: Any, marker: Mapping[str, Any], alpha: Number | None
    ) -> None:
        n, edge = len(x), marker.get("line") or {}
        if not n:
            return
        many = isinstance(marker.get("size"), (list, tuple, np.ndarray))  # plotly makes such points transparent
        size = PX * np.nan_to_num(floats(spread(marker.get("size", 6), n))) / 2
        faces, rims = (
            map(colour, spread(value, n))
            for value in (marker["color"], edge.get("color") or ("white" if many else None))
        )
        widths = spread(edge.get("width", 1 if many else 0), n)
        looks = map(look_of, spread(marker.get("symbol"), n), faces, rims, widths)
        shapes, faces, rims, widths = map(list, zip(*looks, strict=True))
        drawn = PathCollection(
            shapes,
            sizes=size**2,
            facecolors=faces,
            edgecolors=rims,
            linewidths=[PX * width for width in widths],
            offsets=np.stack([x, y], 1),
            offset_transform=self.axes.transData,
            transform=IdentityTransform(),
            clip_on=clipped(trace),
            alpha=seen_through((alpha or 1) * marker.get("opacity", 0.7 if many else 1)),
            **self.look,
        )
        self.axes.add_collection(drawn)

    def texts(self, trace: Mapping[str, Any], x: Any, y: Any, sizes: Sequence[Any]) -> None:
        n, font = len(x), trace.get("textfont") or {}
        for a, b, text, side, size in zip(
            x,
            y,
            spread(trace.get("text"), n),
            spread(trace.get("textposition") or "middle center", n),
            sizes,
            strict=True,
        ):
            if np.isfinite([a, b]).all() and text and str(text).strip():
                self.text(a, b, text, side, PX * (size or 0) / 2 + 2 * PX, font)

    def text(self, x: Any, y: Any, text: Any, side: str, away: Number, font: Mapping[str, Any]) -> None:
        row, _, column = side.partition(" ")
        (va, up), (ha, right) = one_of(ROWS, row, "place of a text"), one_of(COLUMNS, column, "place of a text")
        look = dict(size=PX * font.get("size", 12), color=colour(font.get("color", INK)), ha=ha, va=va, **self.look)
        offset = dict(xytext=(right * away, up * away), textcoords="offset points", annotation_clip=True)
        self.axes.annotate(said(text), (x, y), **offset, **look).set_in_layout(False)

    def bar(self, trace: Mapping[str, Any], index: int) -> None:
        x, y, marker = self.numbers(trace, "x"), self.numbers(trace, "y"), trace.get("marker") or {}
        if not len(x):
            return
        mode, gap, n = self.layout.get("barmode", "group"), self.layout.get("bargap", 0.2), len(x)
        stacked = one_of({"group": False, "overlay": False, "stack": True}, mode, "barmode")
        places = np.concatenate([self.numbers(one, "x") for one in self.bars])
        apart = np.unique(places)
        room = (np.diff(apart).min() if len(apart) > 1 else 1) * (1 - gap)
        beside = mode == "group" and len(apart) < len(places)
        place, share = (self.bars.index(trace), len(self.bars)) if beside else (0, 1)
        middle = x + room * ((place + 0.5) / share - 0.5)
        width = trace.get("width")
        if width is None:
            width = room / share * (1 - self.layout.get("bargroupgap", 0))
        base = floats(spread(trace.get("base") or 0, n))
        if stacked:
            ends = list(zip(x, y < 0, strict=True))
            base = np.array([self.tops.get(end, 0.0) for end in ends])
            self.tops |= zip(ends, base + np.nan_to_num(y), strict=True)
        edge, pattern = marker.get("line") or {}, marker.get("pattern") or {}
        face = [colour(value) for value in spread(marker.get("color") or COLORS[index % len(COLORS)], n)]
        ink = [colour(value or INK) for value in spread(pattern.get("fgcolor"), n)]
        hatch = [one_of(HATCHES, value or "", "pattern") for value in spread(pattern.get("shape"), n)]
        if pattern.get("fillmode", "replace") == "replace":  # hatch lines in the colour of the bar, on white
            ink, face = face, ["white" if lines else own for lines, own in zip(hatch, face, strict=True)]
        look: Any = dict(bottom=base, width=width, zorder=self.look["zorder"])
        look |= dict(alpha=seen_through(trace.get("opacity", 1) * marker.get("opacity", 1)))
        rim = [colour(value or "#444444") for value in spread(edge.get("color"), n)]
        thick = [PX * (value or 0) for value in spread(edge.get("width", 0), n)]
        self.axes.bar(middle, y, color=face, edgecolor=rim, linewidth=thick, gid=self.look["gid"], **look)
        if any(hatch):  # separate bars: one bar has one colour for hatch and edge
            self.axes.bar(middle, y, color="none", edgecolor=ink, linewidth=0, hatch=hatch, **look)
        if trace.get("text") is not None:
            one_of({"outside": True}, trace.get("textposition") or "auto", "place of the text of a bar")
            for a, b, text in zip(middle, base + y, spread(trace["text"], n), strict=True):
                if text and str(text).strip():
                    side = "top center" if b >= 0 else "bottom center"
                    self.text(a, b, text, side, 2 * PX, trace.get("textfont") or {})

    def heatmap(self, trace: Mapping[str, Any], index: int) -> None:
        z = np.array(trace["z"], float)
        x, y = self.numbers(trace, "x", z.shape[1]), self.numbers(trace, "y", z.shape[0])
        gap = PX * max(trace.get("xgap", 0), trace.get("ygap", 0))
        scale = dict(cmap=colours(trace["colorscale"]), vmin=trace.get("zmin"), vmax=trace.get("zmax"))
        rim = dict(edgecolors="white" if gap else "none", linewidth=gap)
        mesh = self.axes.pcolormesh(borders(x), borders(y), z, **scale, **rim, **self.look)
        if trace.get("texttemplate"):
            form = re.fullmatch(r"%\{z:(.*)\}", trace["texttemplate"])
            if not form:
                raise ConfigError(
                    f"In a picture, the text of a heat map must be '%{{z:...}}'. Got {trace['texttemplate']!r}."
                )
            for (row, column), value in np.ndenumerate(z):
                if np.isfinite(value):
                    dark = np.dot(mesh.to_rgba(value)[:3], (0.3, 0.59, 0.11)) < 0.55
                    font = {"size": (trace.get("textfont") or {}).get("size", 12), "color": "white" if dark else INK}
                    self.text(x[column], y[row], format(value, form[1]), "middle center", 0, font)
        if trace.get("showscale", True):
            scale = trace.get("colorbar") or {}
            place: Any = dict(shrink=scale.get("len", 1), aspect=22, pad=0.02, anchor=(0, 1))
            drawn = self.axes.figure.colorbar(mesh, ax=self.axes, **place)
            drawn.outline.set(color="#AEB6BF", linewidth=PX)
            drawn.ax.tick_params(labelsize=12 * PX, color="#AEB6BF", labelcolor=INK)
            drawn.set_label(said((scale.get("title") or {}).get("text", "")), size=12 * PX, color=INK)
            if scale.get("tickvals") is not None:
                drawn.set_ticks(scale["tickvals"])

    def contour(self, trace: Mapping[str, Any], index: int) -> None:
        z, line, told = np.array(trace["z"], float), trace.get("line") or {}, trace.get("contours") or {}
        x, y = self.numbers(trace, "x", z.shape[1]), self.numbers(trace, "y", z.shape[0])
        low, high = trace.get("zmin", np.nanmin(z)), trace.get("zmax", np.nanmax(z))
        levels = ticker.MaxNLocator(trace.get("ncontours", 15)).tick_values(low, high)
        if trace.get("autocontour") is False:
            levels = np.arange(told["start"], told["end"] + told["size"] / 2, told["size"])
        look: Any = dict(
            cmap=colours(trace["colorscale"]), norm=colors.Normalize(low, high), zorder=self.look["zorder"]
        )
        self.axes.contourf(x, y, z, levels, extend="both", **look).set_gid(self.look["gid"])
        edge: Any = dict(linewidths=PX * line.get("width", 0.5), colors=[colour(line.get("color", "#444444"))])
        self.axes.contour(x, y, z, levels, zorder=self.look["zorder"], **edge)

    def image(self, trace: Mapping[str, Any], index: int) -> None:
        pixels = imread(io.BytesIO(base64.b64decode(trace["source"].partition(",")[2])), format="png")
        dx, dy, (rows, columns) = trace.get("dx", 1), trace.get("dy", 1), pixels.shape[:2]
        left, top = trace.get("x0", 0) - dx / 2, trace.get("y0", 0) - dy / 2
        reach = (left, left + columns * dx, top + rows * dy, top)  # row 0 has the smallest y
        self.axes.imshow(pixels, extent=reach, interpolation="nearest", aspect="auto", **self.look)
        self.looks["y"] = {"autorange": "reversed", "scaleanchor": "x", "constrain": "domain"} | self.looks["y"]

    # Axes.

    def axis(self, name: str, look: Mapping[str, Any]) -> None:
        look, axes, axis = self.looks[name], self.axes, getattr(self.axes, f"{name}axis")
        side, log = look.get("side") or {"x": "bottom", "y": "left"}[name], look.get("type") == "log"
        seen = look.get("visible") is not False
        low, high = sorted(self.limits(name, look, log))
        if look.get("zeroline") and seen and low <= 0 <= high:
            line = axes.axvline if name == "x" else axes.axhline
            line(0, color=look.get("zerolinecolor", INK), lw=PX * look.get("zerolinewidth", 1), zorder=0.9)
        for one in ("left", "right") if name == "y" else ("top", "bottom"):
            shown = seen and one == side and look["showline"]
            axes.spines[one].set(visible=shown, color=look["linecolor"], linewidth=PX)
        axis.set_visible(seen)
        if not seen:
            return
        axis.set_label_position(side)
        (axis.tick_top if side == "top" else axis.tick_bottom)() if name == "x" else None
        axes.set_axisbelow(True)
        if look["showgrid"]:
            axis.grid(color=look["gridcolor"], lw=PX)
        length = PX * look["ticklen"] if look["ticks"] else 0
        axis.set_tick_params(length=length, color=look["tickcolor"], labelsize=12 * PX, labelcolor=INK, width=PX)
        axis.set_tick_params(which="minor", length=0, labelsize=12 * PX)
        axis.label.set(text=said((look.get("title") or {}).get("text") or ""), size=13 * PX, color=INK)
        kept = getattr(axes, f"get_{name}lim")(), getattr(axes, f"get_autoscale{name}_on")()
        self.ticks(axis, self.names[name], look, log)
        getattr(axes, f"set_{name}lim")(*kept[0], auto=kept[1])  # our ticks would widen the limits
        if look.get("showticklabels") is False:
            axis.set_tick_params(which="both", labelleft=False, labelbottom=False, labeltop=False)

    def limits(self, name: str, look: Mapping[str, Any], log: bool) -> tuple[Number, Number]:
        axes = self.axes
        low, high = sorted(getattr(axes, f"get_{name}lim")())
        known = np.isfinite(getattr(axes.dataLim, f"interval{name}")).all()
        if not known:
            low, high = (-1, 6) if name == "x" else (-1, 4)  # plotly's default for an empty panel
        if look.get("range") is not None:
            low, high = (10.0**end if log else end for end in look["range"])
        elif self.names[name]:
            low, high = -0.5, len(self.names[name]) - 0.5
        elif look.get("rangemode") == "tozero" and not log:
            low = min(0, low) if known else 0
        if look.get("autorange") == "reversed" and look.get("range") is None:
            low, high = high, low
        equal, within = (any(one.get(word) for one in self.looks.values()) for word in ("scaleanchor", "constrain"))
        if look.get("scaleanchor"):
            axes.set_aspect("equal", adjustable="box" if within else "datalim")
            axes.set_anchor("N" if look.get("constraintoward") == "top" else "C")
        getattr(axes, f"set_{name}lim")(low, high, auto=equal and not within)  # free if the axis may have to grow
        return low, high

    def ticks(self, axis: Any, names: Sequence[str], look: Mapping[str, Any], log: bool) -> None:
        values, words = look.get("tickvals"), look.get("ticktext")
        if values is not None:
            known = [names.index(one) if one in names else one for one in values]
            axis.set_ticks(known, None if words is None else [said(one) for one in words])
            if log and words is None:
                axis.set_major_formatter(ticker.FuncFormatter(short))
        elif names:
            axis.set_ticks(range(len(names)), [said(one) for one in names])
        elif log:
            low, high = sorted(axis.get_view_interval())
            axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,), numticks=9))
            axis.set_major_formatter(ticker.FuncFormatter(short))
            axis.set_minor_locator(ticker.NullLocator())
        elif look.get("dtick") is not None:
            axis.set_major_locator(ticker.MultipleLocator(look["dtick"], look.get("tick0", 0)))
        else:
            axis.set_major_locator(ticker.MaxNLocator(look.get("nticks", 7), steps=[1, 2, 5, 10]))
        form = look.get("tickformat")
        if form and words is None:
            if form != ".0%":
                raise ConfigError(f"In a picture, the number format must be '.0%'. Got {form!r}.")
            axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{100 * value:.0f}%".replace("-", "−")))


def short(value: Any, _: Any = None) -> str:
    return f"{value:g}" if 0.005 < value < 5000 else f"$10^{{{np.log10(value):.0f}}}$"


def floats(values: Any) -> np.ndarray:
    """The numbers as an array. NaN replaces None."""
    return np.array([np.nan if value is None else value for value in values], float)


def seen_through(opacity: Number) -> Number | None:
    """The opacity as `alpha` of matplotlib; None for 1, because `alpha` = 1 would replace the alpha of the colour."""
    return None if opacity == 1 else opacity


def clipped(trace: Mapping[str, Any]) -> bool:
    return trace.get("cliponaxis") is not False


def borders(centres: np.ndarray) -> np.ndarray:
    """The edges of the cells that have these centres."""
    if len(centres) < 2:
        return np.concatenate([centres - 0.5, centres + 0.5])
    between = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - between[0]], between, [2 * centres[-1] - between[-1]]])


def colours(stops: Any) -> colors.Colormap:
    return colors.LinearSegmentedColormap.from_list("stops", [(place, colour(color)) for place, color in stops])
